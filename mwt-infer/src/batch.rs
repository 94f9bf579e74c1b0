//! Many images on many cores.

use std::vec::Vec;

use mwt_core::Bundle;
use rayon::prelude::*;

use crate::arithmetic::Arithmetic;
use crate::classifier::Classifier;
use crate::error::Error;
use crate::source::SampleSource;
use crate::workspace::WorkspaceBuf;

/// Fits and classifies every source on the threads of rayon's current pool, with one workspace per thread. Gives the
/// K logits of each source in order; they do not depend on the number of threads.
pub fn classify_batch<S: SampleSource + Sync>(
    bundle: &Bundle<'_>,
    arithmetic: Arithmetic,
    sources: &[S],
) -> Vec<Result<Vec<f32>, Error>> {
    fit_batch(bundle, sources, |classifier| {
        classifier.set_arithmetic(arithmetic);
        Ok(classifier.logits()?.to_vec())
    })
}

/// Fits every source as [`classify_batch`] does, and gives what `read` takes from each fit: logits, φ, tokens, a
/// reconstruction.
pub fn fit_batch<S: SampleSource + Sync, T: Send>(
    bundle: &Bundle<'_>,
    sources: &[S],
    read: impl Fn(&mut Classifier<'_, '_>) -> Result<T, Error> + Sync,
) -> Vec<Result<T, Error>> {
    let one = |workspace: &mut WorkspaceBuf, source| {
        let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
        classifier.fit(source)?;
        read(&mut classifier)
    };
    sources.par_iter().map_init(|| WorkspaceBuf::new(bundle.config()), one).collect()
}
