//! How well a bundle does after each inner step: a device may look at any of them, and stop there.

use mwt_core::Bundle;
use mwt_infer::{Arithmetic, Classifier, Signal, WorkspaceBuf};
use rayon::prelude::*;
use serde::Serialize;

use super::{EvaluateError, Evaluation};
use crate::data::Split;

/// Accuracy and PSNR after some inner steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepRow {
    /// Inner steps taken, from 1.
    pub steps: usize,
    /// Share of the signals classified right.
    pub accuracy: f32,
    /// Mean PSNR in dB.
    pub psnr: f32,
    /// Multiply-adds of these steps and of one look at the answer.
    pub macs: u64,
}

/// A row for each of the k inner steps, through mwt-infer.
///
/// # Errors
/// As [`on_bundle`](super::on_bundle).
pub fn rows(
    bundle: &Bundle<'_>,
    split: &Split,
    arithmetic: Arithmetic,
) -> Result<Vec<StepRow>, EvaluateError> {
    let config = *bundle.config();
    let answers = (0..split.len()).into_par_iter().map_init(
        || WorkspaceBuf::new(&config),
        |workspace, n| {
            let numbers = split.numbers(n)?;
            let signal = Signal::new(numbers.for_infer(), config.extents, config.channels)?;
            let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
            classifier.set_arithmetic(arithmetic);
            let mut answers = Vec::with_capacity(config.inner_steps);
            while classifier.step(&signal)?.is_some() {
                let psnr = classifier.quality(&signal)?.psnr;
                answers.push((classifier.logits()?.to_vec(), psnr));
            }
            Ok(answers)
        },
    );
    let answers = answers.collect::<Result<Vec<_>, EvaluateError>>()?;
    let row = |step: usize| {
        let of_step = answers.iter().filter_map(|answers| answers.get(step));
        let (logits, psnr): (Vec<_>, Vec<_>) = of_step.cloned().unzip();
        let (classes, labels) = (config.classes, split.labels.clone());
        let evaluation = Evaluation { classes, logits: logits.concat(), psnr, labels };
        let (steps, k) = (step + 1, config.inner_steps);
        let fit = config.fit_macs() * steps as u64 / k as u64;
        StepRow {
            steps,
            accuracy: evaluation.accuracy(),
            psnr: evaluation.mean_psnr(),
            macs: fit + config.transformer_macs(),
        }
    };
    Ok((0..config.inner_steps).map(row).collect())
}
