//! The C interface of [`mwt_infer`]: bytes of a bundle and a workspace in, a class out.
//!
//! Nothing is allocated and nothing is global. `mwt_classify` and its kin are single calls, each of which parses and checks
//! the bundle; an `mwt_classifier` does so once, fits step by step, and is plain memory of the caller's too, which nobody
//! has to free. `include/mwt.h` is written by cbindgen from these files.
//!
//! Every function is safe for any bytes behind valid pointers: a damaged bundle is an error, not a fault.

#![cfg_attr(target_os = "none", no_std)]

pub mod classifier;
mod memory;
pub mod samples;

use core::ffi::c_char;

use mwt_infer::{Bundle, Classifier, Error, Isa, SampleSource, Signal, workspace_len};

use memory::{bytes, values};
use samples::{Samples, Task};

/// What a call came to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is null, or the workspace is not aligned to four bytes.
    Pointer = 1,
    /// The bundle is refused: damaged, cut short, or of another version.
    Bundle = 2,
    /// The workspace is smaller than `mwt_workspace_bytes` says.
    Workspace = 3,
    /// The image or signal has another size than the model's, or a mask too few bits.
    Image = 4,
    /// The fit left the finite numbers.
    Diverged = 5,
    /// A golden sample gave other logits than the trainer's.
    SelfTest = 6,
    /// An output buffer is smaller than it must be.
    Output = 7,
    /// Anything else.
    Other = 8,
    /// The signal has no sample, or one whose number or coordinate cannot be.
    Samples = 9,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Bundle(_) => Self::Bundle,
            Error::Workspace { .. } => Self::Workspace,
            Error::SignalLength | Error::Extents | Error::Channels | Error::Mask => Self::Image,
            Error::Diverged => Self::Diverged,
            Error::SelfTest => Self::SelfTest,
            Error::OutputLength => Self::Output,
            Error::NoSamples | Error::NonFiniteSample | Error::SampleOutside => Self::Samples,
            _ => Self::Other,
        }
    }
}

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

fn status(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}

fn classifier<'b, 'w>(
    bundle: &'b [u8],
    workspace: &'w mut [f32],
) -> Result<Classifier<'b, 'w>, Status> {
    let bundle = Bundle::parse(bundle).map_err(Error::from)?;
    let classifier = Classifier::new(&bundle, workspace)?;
    let portable = cfg!(feature = "portable");
    Ok(if portable { classifier.with_isa(Isa::PORTABLE) } else { classifier })
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
    fn with(
        self,
        classifier: &mut Classifier<'_, '_>,
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
        let psnr = classifier.quality(source)?.psnr;
        // SAFETY: not null, and the maker's promise.
        unsafe { self.prediction.write(Prediction { psnr, ..best }) };
        Ok(())
    }
}

/// The most likely class; its fit was not measured.
fn best(classifier: &mut Classifier<'_, '_>) -> Result<Prediction, Status> {
    let best = classifier.top_k::<1>()?;
    let best = best.first().ok_or(Status::Other)?;
    Ok(Prediction { index: best.class as u32, probability: best.probability, psnr: f32::NAN })
}

/// Writes the logits to `out`, which has `len` values.
///
/// # Safety
/// `out` is null or points to `len` values that nothing else uses meanwhile.
unsafe fn write_logits(
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

/// The name of a status, such as "MWT_STATUS_OK"; a constant that ends with 0. Any other number is "MWT_STATUS_OTHER".
#[unsafe(no_mangle)]
pub extern "C" fn mwt_status_name(status: i32) -> *const c_char {
    match status {
        0 => c"MWT_STATUS_OK",
        1 => c"MWT_STATUS_POINTER",
        2 => c"MWT_STATUS_BUNDLE",
        3 => c"MWT_STATUS_WORKSPACE",
        4 => c"MWT_STATUS_IMAGE",
        5 => c"MWT_STATUS_DIVERGED",
        6 => c"MWT_STATUS_SELF_TEST",
        7 => c"MWT_STATUS_OUTPUT",
        9 => c"MWT_STATUS_SAMPLES",
        _ => c"MWT_STATUS_OTHER",
    }
    .as_ptr()
}

/// A panic calls a function that nobody defines: while the linker finds none missing, no panic is reachable.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn mwt_abort() -> !;
    }
    // SAFETY: takes nothing and never returns, whoever defines it.
    unsafe { mwt_abort() }
}
