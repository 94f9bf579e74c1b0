//! How well a model does: through burn, or through mwt-infer as a device would.

use mwt_core::grid::{clamped_squared_error, psnr};
use mwt_core::{Bundle, ModelConfig};
use mwt_infer::{Classifier, Image, workspace_len};
use rayon::prelude::*;

use crate::batch::{self, DrawSeed, Sampler};
use crate::data::Split;
use crate::model::params::host;
use crate::model::{Model, MwtBackend, Params};

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

/// Evaluates parameters on a back end, `batch` images at a time, with the pixels that a device would draw.
pub fn on_backend<B: MwtBackend>(
    params: &Params<B>,
    split: &Split,
    batch: usize,
    device: &B::Device,
) -> Evaluation {
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
        let images: Vec<_> = indices.iter().map(|n| split.image(*n)).collect();
        let pixels = sampler.pixels::<B>(&images, DrawSeed::Inference, device);
        let output = model.forward(&pixels, 1.0);
        evaluation.logits.extend(host(output.logits));
        let all = sampler.all_coordinates::<B>(images.len(), device);
        let predicted = host(model.siren.predict(&config, &output.fitted.offsets, all));
        let targets = host(batch::values::<B>(&images, device));
        let len = config.image.pixels() * config.channels;
        for (predicted, target) in predicted.chunks_exact(len).zip(targets.chunks_exact(len)) {
            let pairs = predicted.iter().zip(target);
            let sum: f64 = pairs.map(|(p, t)| f64::from(clamped_squared_error(*p, *t))).sum();
            evaluation.psnr.push(psnr((sum / len as f64) as f32));
        }
    }
    evaluation
}

/// Evaluates a bundle through mwt-infer, an image a thread at a time.
///
/// # Errors
/// The first image that mwt-infer refuses or cannot fit.
pub fn on_bundle(bundle: &Bundle<'_>, split: &Split) -> Result<Evaluation, mwt_infer::Error> {
    let config = *bundle.config();
    let ModelConfig { image, channels, classes, .. } = config;
    let answers = (0..split.len()).into_par_iter().map_init(
        || vec![0.0; workspace_len(&config)],
        |workspace, n| {
            let pixels = split.image(n);
            let bytes = pixels.as_slice().unwrap_or_default();
            let source = Image::new(bytes, image.height, image.width, channels)?;
            let mut classifier = Classifier::new(bundle, workspace)?;
            classifier.fit(&source)?;
            let psnr = classifier.quality(&source)?.psnr;
            Ok((classifier.logits()?.to_vec(), psnr))
        },
    );
    let answers = answers.collect::<Result<Vec<_>, mwt_infer::Error>>()?;
    let (logits, psnr): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    Ok(Evaluation { classes, logits: logits.concat(), psnr, labels: split.labels.clone() })
}
