//! Many images on many cores.

use std::vec;
use std::vec::Vec;

use mwt_core::Bundle;
use rayon::prelude::*;

use crate::arithmetic::Arithmetic;
use crate::classifier::Classifier;
use crate::error::Error;
use crate::source::PixelSource;
use crate::workspace::workspace_len;

/// Fits and classifies every source on the threads of rayon's current pool, one workspace a thread. Gives the
/// K logits of each in order; they do not depend on the number of threads.
pub fn classify_batch<S: PixelSource + Sync>(
    bundle: &Bundle<'_>,
    arithmetic: Arithmetic,
    sources: &[S],
) -> Vec<Result<Vec<f32>, Error>> {
    /// f32 values of a cache line, on which the workspace begins.
    const LINE: usize = 16;
    let len = workspace_len(bundle.config());
    sources
        .par_iter()
        .map_init(
            || vec![0.0; len + LINE],
            |memory, source| {
                let aligned = memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
                let workspace = memory.get_mut(aligned..).unwrap_or_default();
                let mut classifier = Classifier::new(bundle, workspace)?;
                classifier.set_arithmetic(arithmetic);
                classifier.fit(source)?;
                Ok(classifier.logits()?.to_vec())
            },
        )
        .collect()
}
