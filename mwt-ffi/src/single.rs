//! Single calls: each parses and checks the bundle, and leaves nothing behind.

use mwt_infer::{Bundle, Classifier, Error, Profiler, SampleSource, Signal, workspace_len};

use crate::answer::{Prediction, best, classifier, write_logits};
use crate::memory::{bytes, values};
use crate::samples::{self, Samples, Task};
use crate::status::{Status, status};

/// Bytes of the bundle that begins with `prefix_len` bytes, of which the first 24 suffice, into `*len`: for a bundle in a sector of
/// flash that is longer than it. What follows is checked by `mwt_init`, which takes that many bytes.
///
/// # Safety
/// `prefix` points to `prefix_len` bytes, `len` to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_bundle_bytes(
    prefix: *const u8,
    prefix_len: usize,
    len: *mut usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for both.
        let (prefix, len) =
            unsafe { (bytes(prefix, prefix_len)?, len.as_mut().ok_or(Status::Pointer)?) };
        *len = Bundle::len_from_prefix(prefix).map_err(Error::from)?;
        Ok(())
    })())
}

/// Bytes of workspace that the bundle's model needs, into `*size`.
///
/// # Safety
/// `bundle` points to `bundle_len` bytes, `size` to a value that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_workspace_bytes(
    bundle: *const u8,
    bundle_len: usize,
    size: *mut usize,
) -> Status {
    if size.is_null() {
        return Status::Pointer;
    }
    // SAFETY: the caller's promise.
    let parsed = unsafe { bytes(bundle, bundle_len) }
        .and_then(|bytes| Bundle::parse(bytes).map_err(|e| Error::from(e).into()));
    status(parsed.map(|bundle| {
        // SAFETY: not null, and the caller lets it be written.
        unsafe { size.write(workspace_len(bundle.config()) * size_of::<f32>()) }
    }))
}

/// Fits and classifies the bundle's own samples and compares them with the trainer's logits.
///
/// # Safety
/// `bundle` points to `bundle_len` bytes, `workspace` to `workspace_bytes` that nothing else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_self_test(
    bundle: *const u8,
    bundle_len: usize,
    workspace: *mut f32,
    workspace_bytes: usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for both.
        let (bundle, workspace) =
            unsafe { (bytes(bundle, bundle_len)?, values(workspace, workspace_bytes)?) };
        classifier(bundle, workspace)?.self_test()?;
        Ok(())
    })())
}

/// Where a call writes its results.
struct Results {
    prediction: *mut Prediction,
    logits: *mut f32,
    logits_len: usize,
}

impl Task for &Results {
    /// Fits and classifies a source. Of `self`, `prediction` is null or may be written, and `logits` is null or points to
    /// `logits_len` values that nothing else uses meanwhile: who makes it vouches for that.
    fn with<P: Profiler>(
        self,
        classifier: &mut Classifier<'_, '_, P>,
        source: &impl SampleSource,
    ) -> Result<(), Status> {
        if self.prediction.is_null() {
            return Err(Status::Pointer);
        }
        classifier.fit(source)?;
        let best = best(classifier)?;
        if !self.logits.is_null() {
            // SAFETY: not null, and the maker's promise.
            unsafe { write_logits(classifier, self.logits, self.logits_len)? };
        }
        // SAFETY: not null, and the maker's promise.
        unsafe { self.prediction.write(best) };
        Ok(())
    }
}

/// Fits one image, [height, width, channels] bytes, and classifies it. `logits` takes one value a class, or is null.
///
/// The image has the model's size and channels. `mwt-train classify` makes one of a picture so, and training did: turn it
/// upright, put its transparent parts on a background, cut it about its centre to the model's proportions, and average the
/// pixels that shrink into one (or pad it, or stretch it, if training did); 0 is black. Light and dark are as in training: a
/// model of light strokes on black takes dark ones on paper inverted, 255 - value.
///
/// # Safety
/// `bundle` and `image` point to as many bytes as said, `workspace` to `workspace_bytes` that nothing else uses
/// meanwhile, `prediction` to a value that may be written, and `logits` is null or points to `logits_len` values.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)] // C has no slices.
pub unsafe extern "C" fn mwt_classify(
    bundle: *const u8,
    bundle_len: usize,
    workspace: *mut f32,
    workspace_bytes: usize,
    image: *const u8,
    image_len: usize,
    prediction: *mut Prediction,
    logits: *mut f32,
    logits_len: usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for all three.
        let (bundle, workspace, image) = unsafe {
            (
                bytes(bundle, bundle_len)?,
                values(workspace, workspace_bytes)?,
                bytes(image, image_len)?,
            )
        };
        let mut classifier = classifier(bundle, workspace)?;
        let config = *classifier.config();
        let image = Signal::new(image, config.extents, config.channels)?;
        Results { prediction, logits, logits_len }.with(&mut classifier, &image)
    })())
}

/// Fits samples of any kind and classifies them, as `mwt_classify` does an image.
///
/// # Safety
/// As for `mwt_classify`; and `samples` points to a value whose pointers are null or point to as much as it says.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)] // C has no slices.
pub unsafe extern "C" fn mwt_classify_samples(
    bundle: *const u8,
    bundle_len: usize,
    workspace: *mut f32,
    workspace_bytes: usize,
    samples: *const Samples,
    prediction: *mut Prediction,
    logits: *mut f32,
    logits_len: usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for all three.
        let (bundle, workspace, samples) = unsafe {
            (
                bytes(bundle, bundle_len)?,
                values(workspace, workspace_bytes)?,
                samples.as_ref().ok_or(Status::Pointer)?,
            )
        };
        let mut classifier = classifier(bundle, workspace)?;
        // SAFETY: the caller's promise.
        unsafe {
            samples::with(samples, &mut classifier, &Results { prediction, logits, logits_len })
        }
    })())
}
