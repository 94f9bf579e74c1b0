//! How well a model does: through burn, or through mwt-infer as a device would.

pub(crate) mod ground;
pub mod missing;
pub mod steps;

use mwt_core::Bundle;
use mwt_core::draw::Draw;
use mwt_core::grid::{clamped_squared_error, psnr};
use mwt_infer::{Arithmetic, Classifier, Range, SampleSource, Signal, WorkspaceBuf};
use rayon::prelude::*;
use serde::Serialize;

use crate::data::{self, DataError, Split};
use crate::model::params::host;
use crate::model::{Model, MwtBackend, Params};
use crate::ranks::Ranks;
use crate::settings::Missing;
use crate::train::batch::{DrawSeed, Sampler};
use crate::train::example::Example;
use crate::util::random::Rng;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
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
        let examples = indices.par_iter().map(|n| Example::plain(split, *n));
        let examples = examples.collect::<Result<Vec<_>, _>>()?;
        let pixels = sampler.pixels::<B>(&examples, DrawSeed::Inference, device);
        let output = model.forward(&pixels, 1.0);
        evaluation.logits.extend(host(output.logits));
        let all = sampler.all_coordinates::<B>(examples.len(), device);
        let predicted = host(model.siren().predict(&config, &output.fitted.offsets, all));
        let len = config.extents.positions() * config.channels;
        for (predicted, example) in predicted.chunks_exact(len).zip(&examples) {
            let pairs = predicted.iter().zip(&example.targets).filter(|(_, t)| !t.is_nan());
            let errors = pairs.map(|(p, t)| f64::from(clamped_squared_error(*p, *t)));
            let (n, sum) = errors.fold((0, 0.0), |(n, sum), e| (n + 1, sum + e));
            evaluation.psnr.push(psnr((sum / f64::from(n.max(1))) as f32));
        }
    }
    Ok(evaluation)
}

/// [`on_backend`] by several processes, each of which calls this with the same split, evaluates its share of the images,
/// and gets the answers to all.
///
/// # Errors
/// As [`on_backend`].
pub fn on_ranks<B: MwtBackend>(
    ranks: &Ranks,
    params: &Params<B>,
    split: &Split,
    batch: usize,
    device: &B::Device,
) -> Result<Evaluation, DataError> {
    let own: Vec<usize> = ranks.share().of(split.len()).collect();
    let part = on_backend(params, &split.select(&own), batch, device)?;
    Ok(Evaluation {
        classes: part.classes,
        logits: ranks.gather_f32(&part.logits),
        psnr: ranks.gather_f32(&part.psnr),
        labels: split.labels.clone(),
    })
}

/// How a bundle is evaluated through mwt-infer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Arithmetic of the linear layers.
    pub arithmetic: Arithmetic,
    /// The draw; the bundle's own when absent.
    pub draw: Option<Draw>,
    /// Which samples are missing, and what share of them; which ones follows from the seed. None is when absent.
    pub missing: Option<(Missing, f32, u64)>,
}

impl Default for Conditions {
    /// As a device does it.
    fn default() -> Self {
        Self { arithmetic: Arithmetic::F32, draw: None, missing: None }
    }
}

/// The random stream that chooses the samples that are missing.
const MISSING_STREAM: u64 = 0x6d69_7373;

/// Evaluates a bundle through mwt-infer, one signal per thread at a time. The PSNR is over all samples that the data
/// set has, those that the fit did not see included.
///
/// # Errors
/// The first signal that cannot be read any more, or that mwt-infer refuses or cannot fit.
pub fn on_bundle(
    bundle: &Bundle<'_>,
    split: &Split,
    conditions: Conditions,
) -> Result<Evaluation, EvaluateError> {
    let config = *bundle.config();
    let Conditions { arithmetic, draw, missing } = conditions;
    let answers = (0..split.len()).into_par_iter().map_init(
        || WorkspaceBuf::new(&config),
        |workspace, n| {
            let numbers = split.numbers(n)?;
            let whole = Signal::new(numbers.for_infer(), config.extents, config.channels)?;
            let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
            classifier.set_arithmetic(arithmetic);
            // Training took every value too.
            classifier.set_range(Range::Any);
            if let Some(draw) = draw {
                classifier.set_draw(draw)?;
            }
            let bits = missing.map(|(kind, share, seed)| {
                let mut rng = Rng::new(seed, MISSING_STREAM ^ ((n as u64) << 32));
                let known = |position| whole.is_there(position);
                bits(&data::holes(config.extents, kind, share, known, &mut rng))
            });
            classifier.fit(&match &bits {
                Some(bits) => whole.with_bits(bits)?,
                None => whole,
            })?;
            let psnr = classifier.quality(&whole)?.psnr;
            Ok((classifier.logits()?.to_vec(), psnr))
        },
    );
    let answers = answers.collect::<Result<Vec<_>, EvaluateError>>()?;
    let (logits, psnr): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    let (logits, labels) = (logits.concat(), split.labels.clone());
    Ok(Evaluation { classes: config.classes, logits, psnr, labels })
}

/// A mask of one bit a sample, the lowest of a byte first.
fn bits(there: &[bool]) -> Vec<u8> {
    let byte = |eight: &[bool]| {
        eight.iter().enumerate().fold(0, |byte, (bit, there)| byte | u8::from(*there) << bit)
    };
    there.chunks(8).map(byte).collect()
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
