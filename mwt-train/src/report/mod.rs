//! What a run came to: `report.html`, one file that needs no other, and its pictures as PNG under `report/`.

mod canvas;
pub(crate) mod chart;
mod fits;
pub(crate) mod growth;
mod heat;
mod html;
mod letters;
pub mod picture;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use burn::tensor::backend::BackendTypes;
use image::{ImageError, ImageFormat, RgbImage};
use mwt_core::{Bundle, Scheme, Schemes};
use mwt_infer::Arithmetic;

use crate::data::{DataError, Dataset, Split};
use crate::evaluate::{self, Conditions, EvaluateError, Evaluation, missing};
use crate::export::{self, ExportError};
use crate::model::MwtBackend;
use crate::run::metrics::Row;
use crate::run::{RunDir, RunError, latest, load_data};
use crate::settings::{Settings, SettingsError};
use crate::util::durable::{FileError, write};
use crate::weights::trained::{TrainedModel, TrainedModelError};
use chart::{Curve, chart};
pub(crate) use fits::fits;
use html::{BundleResult, Figure, Report};

/// Images, or other signals, whose fits are drawn.
const DRAWN: usize = 6;
/// The most validation images that the bundles are evaluated on.
const EVALUATED: usize = 1000;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file of the run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run's model cannot be read.
    #[error(transparent)]
    Model(#[from] TrainedModelError),
    /// The data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A bundle cannot be read back.
    #[error(transparent)]
    Bundle(#[from] mwt_core::Error),
    /// A bundle cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The fits of an image cannot be drawn.
    #[error(transparent)]
    Draw(#[from] mwt_infer::Error),
    /// A picture cannot be encoded.
    #[error("{file}: {source}")]
    Picture {
        /// Its name.
        file: &'static str,
        /// Why.
        source: ImageError,
    },
    /// The settings cannot be written down.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file of the report cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The images that a run's report is about, chosen from those of its data set.
pub fn images(settings: &Settings, set: &Dataset) -> Split {
    let (train, validation) = settings.split(set);
    // A run without validation images shows its training images.
    let images = if validation.is_empty() { train } else { validation };
    images.take(EVALUATED)
}

/// Writes the report of a run, of one that is not at its end with its model so far, and gives its path. Its [`images`] are read from its data set where
/// the caller does not have them.
///
/// # Errors
/// A file of the run or its data set that cannot be read, or an image that cannot be fitted.
pub fn write_for<B: MwtBackend>(
    path: &Path,
    images: Option<Split>,
    device: &<B as BackendTypes>::Device,
) -> Result<PathBuf, ReportError> {
    let settings = RunDir::settings(path)?;
    let model = latest::load(path)?.model;
    let rows = RunDir::metrics(path)?;
    let images = match images {
        Some(images) => images,
        None => self::images(&settings, &load_data(path, &settings)?),
    };

    let mut bundles = Vec::new();
    let mut pictures: Vec<(&'static str, String, RgbImage)> = curves(&rows);
    for scheme in [Scheme::F32, Scheme::F16, Scheme::Int8] {
        let bytes = export::with_golden::<B>(&model, Schemes::all(scheme), device)?;
        let bundle = Bundle::parse(&bytes)?;
        let evaluation = evaluate::on_bundle(&bundle, &images, Conditions::default())?;
        if scheme == Scheme::F32 {
            pictures.extend(of_model(&bundle, &model, &images, &evaluation)?);
            pictures.extend(of_missing(&bundle, &settings, &images)?);
        }
        bundles.push(BundleResult {
            scheme,
            bytes: bytes.len(),
            accuracy: evaluation.accuracy(),
            psnr: evaluation.mean_psnr(),
        });
    }

    let folder = path.join("report");
    std::fs::create_dir_all(&folder).map_err(FileError::at(&folder))?;
    let mut figures = Vec::new();
    for (file, caption, picture) in pictures {
        let mut png = Vec::new();
        picture
            .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
            .map_err(|source| ReportError::Picture { file, source })?;
        write(&folder.join(file), &png)?;
        figures.push(Figure { file, caption, png });
    }
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let report = Report {
        name,
        settings: &settings,
        mean_alpha: heat::mean_alpha(&model.weights),
        model: &model,
        rows: &rows,
        figures,
        bundles,
        evaluated: images.len(),
    };
    let file = path.join("report.html");
    write(&file, html::page(&report)?.as_bytes())?;
    Ok(file)
}

/// The curves of the metrics.
fn curves(rows: &[Row]) -> Vec<(&'static str, String, RgbImage)> {
    let curve = |name, value: &dyn Fn(&Row) -> Option<f64>| Curve {
        name,
        points: rows.iter().filter_map(|row| Some((row.step as f64, value(row)?))).collect(),
    };
    let psnr = |row: &Row| f64::from(mwt_core::grid::psnr(row.reconstruction / 4.0));
    let charts = [
        (
            "loss.png",
            "Losses of the training batches",
            chart(
                "losses (logarithmic)",
                "outer step",
                &[
                    curve("cross-entropy", &|r| Some(r.classification.into())),
                    curve("reconstruction", &|r| Some(r.reconstruction.into())),
                ],
                true,
            ),
        ),
        (
            "accuracy.png",
            "Accuracy: training batches, and validation images at the end of each epoch",
            chart(
                "accuracy in %",
                "outer step",
                &[
                    curve("training", &|r| Some(100.0 * f64::from(r.accuracy))),
                    curve("validation", &|r| Some(100.0 * f64::from(r.validation_accuracy?))),
                ],
                false,
            ),
        ),
        (
            "psnr.png",
            "Reconstruction after the last inner step",
            chart(
                "PSNR in dB",
                "outer step",
                &[
                    curve("training", &|r| Some(psnr(r))),
                    curve("validation", &|r| Some(r.validation_psnr?.into())),
                ],
                false,
            ),
        ),
        (
            "norms.png",
            "Gradient norms of the groups before clipping",
            chart(
                "gradient norms (logarithmic)",
                "outer step",
                &[
                    curve("theta and SIREN head", &|r| Some(r.norm_siren.into())),
                    curve("alpha", &|r| Some(r.norm_alpha.into())),
                    curve("Transformer and beta", &|r| Some(r.norm_classifier.into())),
                ],
                true,
            ),
        ),
    ];
    let there =
        |(file, caption, picture): (_, &str, Option<_>)| Some((file, caption.into(), picture?));
    charts.into_iter().filter_map(there).collect()
}

/// How the model does when samples are missing.
fn of_missing(
    bundle: &Bundle<'_>,
    settings: &Settings,
    images: &Split,
) -> Result<Option<(&'static str, String, RgbImage)>, ReportError> {
    const SHARES: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 0.9];
    let kind = settings.data.missing_kind;
    let rows = missing::rows(bundle, images, Arithmetic::F32, kind, &SHARES, 1)?;
    let caption = format!("Accuracy and PSNR when samples are missing ({kind})");
    Ok(chart::of_missing(&rows).map(|picture| ("missing.png", caption, picture)))
}

/// What the model does, and what it has learned.
fn of_model(
    bundle: &Bundle<'_>,
    model: &TrainedModel,
    images: &Split,
    evaluation: &Evaluation,
) -> Result<Vec<(&'static str, String, RgbImage)>, ReportError> {
    let drawn = images.clone().take(DRAWN);
    let extents = bundle.config().extents;
    let side = extents.sides().iter().max().map_or(1, |side| *side as u32);
    let scale = (84 / side).max(1);
    let k = bundle.config().inner_steps;
    let fits = if images.has_pictures() {
        let drawn = drawn.to_array()?;
        let drawn: Vec<_> = drawn.outer_iter().collect();
        let caption = format!("Originals, what θ draws, and the fit after each of {k} inner steps");
        Some(("steps.png", caption, picture::steps(bundle, &drawn, scale)?))
    } else {
        let what = if extents.axes() == 1 { "Signals" } else { "Middle layers" };
        let caption = format!("{what}, and the fit after {k} inner steps");
        let picture = self::fits(bundle, &drawn, &model.summary.labels, scale)?;
        picture.map(|picture| ("fits.png", caption, picture))
    };
    let others = [
        (
            "confusion.png",
            format!("Confusion over {} validation images", evaluation.labels.len()),
            heat::confusion(&evaluation.confusion(), &model.summary.labels),
        ),
        ("alpha.png", "The inner learning rates α".into(), heat::alpha(&model.weights)),
    ];
    Ok(fits.into_iter().chain(others).collect())
}
