//! How well a model does: through burn, or through mwt-infer as a device would.

use mwt_core::draw::Draw;
use mwt_core::grid::{clamped_squared_error, psnr};
use mwt_core::{Bundle, ModelConfig};
use mwt_infer::{Arithmetic, Classifier, Signal, WorkspaceBuf};
use rayon::prelude::*;
use serde::Serialize;

use crate::data::{DataError, Split};
use crate::model::params::host;
use crate::model::{Model, MwtBackend, Params};
use crate::train::batch::{self, DrawSeed, Sampler};

/// Why a bundle could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// An image could not be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// mwt-infer refuses an image or cannot fit it.
    #[error(transparent)]
    Infer(#[from] mwt_infer::Error),
}

/// What a model answered to each image of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// K.
    pub classes: usize,
    /// `[N, K]`.
    pub logits: Vec<f32>,
    /// PSNR of each image after k steps, over all its pixels, in dB.
    pub psnr: Vec<f32>,
    /// The right classes.
    pub labels: Vec<u16>,
}

impl Evaluation {
    /// The predicted class of each image.
    pub fn predictions(&self) -> Vec<usize> {
        let highest = |logits: &[f32]| {
            // The first of equals, as argmax does.
            (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
        };
        self.logits.chunks_exact(self.classes).map(highest).collect()
    }

    /// Share of the images classified right.
    pub fn accuracy(&self) -> f32 {
        let predictions = self.predictions();
        let right = predictions.iter().zip(&self.labels).filter(|(p, l)| **p == usize::from(**l));
        right.count() as f32 / self.labels.len().max(1) as f32
    }

    /// Images of each class, and how many of them were classified right.
    pub fn per_class(&self) -> Vec<(usize, usize)> {
        let of_class = |(label, row): (usize, &Vec<usize>)| (row.iter().sum(), row[label]);
        self.confusion().iter().enumerate().map(of_class).collect()
    }

    /// Mean PSNR in dB.
    pub fn mean_psnr(&self) -> f32 {
        self.psnr.iter().sum::<f32>() / self.psnr.len().max(1) as f32
    }

    /// Images of each class that were predicted as each class, `[K, K]`, right class first.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        for (predicted, label) in self.predictions().into_iter().zip(&self.labels) {
            counts[usize::from(*label)][predicted] += 1;
        }
        counts
    }
}

/// Mean, standard deviation, least and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f32,
    /// Standard deviation of the sample; 0 for one value.
    pub deviation: f32,
    /// Least.
    pub min: f32,
    /// Largest.
    pub max: f32,
}

impl Spread {
    /// That of some values, or none of no values.
    pub fn of(values: &[f32]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let squares = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        Some(Self {
            mean: mean as f32,
            deviation: (squares / (n - 1.0).max(1.0)).sqrt() as f32,
            min: values.iter().copied().reduce(f32::min)?,
            max: values.iter().copied().reduce(f32::max)?,
        })
    }
}

/// Evaluates parameters on a back end, `batch` images at a time, with the pixels that a device would draw.
///
/// # Errors
/// An image that cannot be read any more.
pub fn on_backend<B: MwtBackend>(
    params: &Params<B>,
    split: &Split,
    batch: usize,
    device: &B::Device,
) -> Result<Evaluation, DataError> {
    let config = *params.config();
    let (model, sampler) = (Model::new(params), Sampler::new(&config));
    let mut evaluation = Evaluation {
        classes: config.classes,
        logits: Vec::new(),
        psnr: Vec::new(),
        labels: split.labels.clone(),
    };
    let indices: Vec<usize> = (0..split.len()).collect();
    for indices in indices.chunks(batch.max(1)) {
        let images = split.images(indices)?;
        let images: Vec<_> = images.iter().map(|image| image.view()).collect();
        let pixels = sampler.pixels::<B>(&images, DrawSeed::Inference, device);
        let output = model.forward(&pixels, 1.0);
        evaluation.logits.extend(host(output.logits));
        let all = sampler.all_coordinates::<B>(images.len(), device);
        let predicted = host(model.siren().predict(&config, &output.fitted.offsets, all));
        let targets = host(batch::values::<B>(&images, device));
        let len = config.extents.positions() * config.channels;
        for (predicted, target) in predicted.chunks_exact(len).zip(targets.chunks_exact(len)) {
            let pairs = predicted.iter().zip(target);
            let sum: f64 = pairs.map(|(p, t)| f64::from(clamped_squared_error(*p, *t))).sum();
            evaluation.psnr.push(psnr((sum / len as f64) as f32));
        }
    }
    Ok(evaluation)
}

/// Evaluates a bundle through mwt-infer, one image per thread at a time.
///
/// # Errors
/// The first image that cannot be read any more, or that mwt-infer refuses or cannot fit.
pub fn on_bundle(bundle: &Bundle<'_>, split: &Split) -> Result<Evaluation, EvaluateError> {
    on_bundle_with(bundle, split, Arithmetic::F32, bundle.config().draw)
}

/// As [`on_bundle`], with an arithmetic and a pixel draw of the caller's choice.
///
/// # Errors
/// As there.
pub fn on_bundle_with(
    bundle: &Bundle<'_>,
    split: &Split,
    arithmetic: Arithmetic,
    draw: Draw,
) -> Result<Evaluation, EvaluateError> {
    let config = *bundle.config();
    let ModelConfig { extents, channels, classes, inner_steps: steps, .. } = config;
    let indices: Vec<u32> = (0..steps)
        .map(|step| draw.step(step, config.pixels_per_step, extents))
        .flat_map(|step| (0..step.count()).map(move |i| step.index(i) as u32))
        .collect();
    let answers = (0..split.len()).into_par_iter().map_init(
        || WorkspaceBuf::new(&config),
        |workspace, n| {
            let pixels = split.image(n)?;
            let bytes = pixels.as_slice().unwrap_or_default();
            let source = Signal::new(bytes, extents, channels)?;
            let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
            classifier.set_arithmetic(arithmetic);
            classifier.fit_indices(&source, &indices)?;
            let psnr = classifier.quality(&source)?.psnr;
            Ok((classifier.logits()?.to_vec(), psnr))
        },
    );
    let answers = answers.collect::<Result<Vec<_>, EvaluateError>>()?;
    let (logits, psnr): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    Ok(Evaluation { classes, logits: logits.concat(), psnr, labels: split.labels.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_class_and_spread() {
        let evaluation = Evaluation {
            classes: 2,
            logits: vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
            psnr: vec![20.0, 21.0, 25.0],
            labels: vec![0, 1, 1],
        };
        assert_eq!(evaluation.confusion(), [[1, 0], [1, 1]]);
        assert_eq!(evaluation.per_class(), [(1, 1), (2, 1)]);
        assert!(Spread::of(&[]).is_none());
        let spread = Spread::of(&[0.5, 0.7, 0.9]).unwrap();
        assert!((spread.mean - 0.7).abs() < 1e-6 && (spread.deviation - 0.2).abs() < 1e-6);
        assert_eq!((spread.min, spread.max), (0.5, 0.9));
        assert_eq!(Spread::of(&[0.5]).unwrap().deviation, 0.0);
    }
}
