//! How well a bundle does when samples are missing.

use mwt_core::Bundle;
use mwt_infer::Arithmetic;
use serde::Serialize;

use super::{Conditions, EvaluateError, Evaluation, Spread, on_bundle};
use crate::data::Split;
use crate::settings::Missing;

/// Accuracy and PSNR with one share of the samples missing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MissingRow {
    /// Share that is missing, of each signal in the mean.
    pub share: f32,
    /// Over choices of the missing samples.
    pub accuracy: Spread,
    /// Mean PSNR of all samples, the missing ones included, in dB.
    pub psnr: f32,
}

/// A row for each share, each over `seeds` choices of the samples that are missing.
///
/// # Errors
/// As [`on_bundle`].
pub fn rows(
    bundle: &Bundle<'_>,
    split: &Split,
    arithmetic: Arithmetic,
    kind: Missing,
    shares: &[f32],
    seeds: u64,
) -> Result<Vec<MissingRow>, EvaluateError> {
    let row = |share: f32| {
        let evaluations = (0..seeds)
            .map(|seed| {
                let missing = Some((kind, share, seed));
                on_bundle(bundle, split, Conditions { arithmetic, draw: None, missing })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let of = |value: fn(&Evaluation) -> f32| evaluations.iter().map(value).collect::<Vec<_>>();
        let psnr = of(Evaluation::mean_psnr);
        let psnr = psnr.iter().sum::<f32>() / psnr.len().max(1) as f32;
        let accuracy = Spread::of(&of(Evaluation::accuracy)).unwrap_or_default();
        Ok(MissingRow { share, accuracy, psnr })
    };
    shares.iter().map(|share| row(*share)).collect()
}
