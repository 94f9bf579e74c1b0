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
    let logits = |workspace: &mut WorkspaceBuf, source| {
        let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
        classifier.set_arithmetic(arithmetic);
        classifier.fit(source)?;
        Ok(classifier.logits()?.to_vec())
    };
    sources.par_iter().map_init(|| WorkspaceBuf::new(bundle.config()), logits).collect()
}
