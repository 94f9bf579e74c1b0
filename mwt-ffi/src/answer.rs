//! A classifier on the caller's memory, and what it answers.

use mwt_infer::{Bundle, Classifier, Error, Isa, Profiler};

use crate::memory::values;
use crate::status::Status;

/// A class and how likely it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Index of the class, from 0.
    pub index: u32,
    /// Its softmax probability.
    pub probability: f32,
    /// Its logit.
    pub logit: f32,
}

impl From<mwt_infer::Prediction> for Prediction {
    fn from(prediction: mwt_infer::Prediction) -> Self {
        let mwt_infer::Prediction { class, logit, probability } = prediction;
        Self { index: class as u32, probability, logit }
    }
}

/// A classifier for a bundle, in a workspace.
pub(crate) fn classifier<'b, 'w>(
    bundle: &'b [u8],
    workspace: &'w mut [f32],
) -> Result<Classifier<'b, 'w>, Status> {
    let bundle = Bundle::parse(bundle).map_err(Error::from)?;
    let classifier = Classifier::new(&bundle, workspace)?;
    let portable = cfg!(feature = "portable");
    Ok(if portable { classifier.with_isa(Isa::PORTABLE) } else { classifier })
}

/// The most likely class.
pub(crate) fn best<P: Profiler>(
    classifier: &mut Classifier<'_, '_, P>,
) -> Result<Prediction, Status> {
    let best = classifier.ranked()?.next().ok_or(Status::Other)?;
    Ok(best.into())
}

/// Writes the logits to `out`, which has `len` values.
///
/// # Safety
/// `out` is null or points to `len` values that nothing else uses meanwhile.
pub(crate) unsafe fn write_logits<P: Profiler>(
    classifier: &mut Classifier<'_, '_, P>,
    out: *mut f32,
    len: usize,
) -> Result<(), Status> {
    // SAFETY: the caller's promise.
    let out = unsafe { values(out, len.saturating_mul(size_of::<f32>()))? };
    let all = classifier.logits()?;
    let out = out.get_mut(..all.len()).ok_or(Status::Output)?;
    out.iter_mut().zip(all).for_each(|(out, logit)| *out = *logit);
    Ok(())
}
