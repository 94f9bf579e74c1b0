//! A classifier on the caller's memory, and what it answers.

use mwt_infer::{Bundle, Classifier, Error, Isa};

use crate::memory::values;
use crate::status::Status;

/// A class, how likely it is, and how well the image was fitted.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Index of the class, from 0.
    pub index: u32,
    /// Its softmax probability.
    pub probability: f32,
    /// Peak signal-to-noise ratio of the fit in dB.
    pub psnr: f32,
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

/// The most likely class; its fit was not measured.
pub(crate) fn best(classifier: &mut Classifier<'_, '_>) -> Result<Prediction, Status> {
    let best = classifier.top_k::<1>()?;
    let best = best.first().ok_or(Status::Other)?;
    Ok(Prediction { index: best.class as u32, probability: best.probability, psnr: f32::NAN })
}

/// Writes the logits to `out`, which has `len` values.
///
/// # Safety
/// `out` is null or points to `len` values that nothing else uses meanwhile.
pub(crate) unsafe fn write_logits(
    classifier: &mut Classifier<'_, '_>,
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
