//! The C interface of [`mwt_infer`]: bytes of a bundle and a workspace in, a class out.
//!
//! Nothing is allocated and nothing is global. A classifier is no object of its own: each call parses and checks the
//! bundle again, which is little against a fit, and so what the caller keeps is plain memory. `include/mwt.h` is
//! written by cbindgen from this file.
//!
//! Every function is safe for any bytes behind valid pointers: a damaged bundle is an error, not a fault.

#![cfg_attr(target_os = "none", no_std)]

use core::ffi::{c_char, c_void};
use core::slice;

use mwt_infer::{
    Bundle, Classifier, Error, Isa, Numbers, SampleSource, Scattered, Signal, workspace_len,
};

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

/// Type of a signal's numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `uint8_t`.
    U8 = 0,
    /// `int16_t`.
    I16 = 1,
    /// `float`; NaN says that the sample is missing.
    F32 = 2,
}

/// Samples to classify: an image, a series or a volume, of which some may be missing, or samples anywhere.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// The numbers, sample after sample, channels interleaved, aligned as their type is; in the order of the model's
    /// grid unless there are coordinates.
    pub numbers: *const c_void,
    /// How many numbers there are: samples times channels.
    pub count: usize,
    /// Their type: MWT_TYPE_U8, MWT_TYPE_I16 or MWT_TYPE_F32.
    pub kind: u32,
    /// Null, or one bit for each sample of the grid: bit i % 8, 1 for the lowest, of byte i / 8 says that sample i is
    /// there.
    pub there: *const u8,
    /// Null, or as many coordinates for each sample as the model's grid has axes, from -1 to 1: the time in a series, y
    /// and x in an image.
    pub coordinates: *const f32,
}

/// The bytes behind `data`, unless it is null.
///
/// # Safety
/// `data` is null or points to `len` bytes that nothing writes to during `'a`.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Status> {
    if data.is_null() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The f32 values behind `data`, unless it is null or not aligned.
///
/// # Safety
/// `data` is null or points to `bytes` bytes that nothing else reads or writes during `'a`.
unsafe fn values<'a>(data: *mut f32, bytes: usize) -> Result<&'a mut [f32], Status> {
    if data.is_null() || !data.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned, any bits are an f32, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts_mut(data, bytes / size_of::<f32>()) })
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

/// Fits and classifies a source.
///
/// # Safety
/// `prediction` is null or may be written, `logits` is null or points to `logits_len` values that nothing else uses
/// meanwhile.
unsafe fn classify(
    classifier: &mut Classifier<'_, '_>,
    source: &impl SampleSource,
    results: &Results,
) -> Result<(), Status> {
    if results.prediction.is_null() {
        return Err(Status::Pointer);
    }
    classifier.fit(source)?;
    let best = classifier.top_k::<1>()?;
    let best = best.first().ok_or(Status::Other)?;
    if !results.logits.is_null() {
        // SAFETY: not null, and the caller's promise.
        let out = unsafe { values(results.logits, results.logits_len * size_of::<f32>())? };
        let all = classifier.logits()?;
        let out = out.get_mut(..all.len()).ok_or(Status::Output)?;
        out.iter_mut().zip(all).for_each(|(out, logit)| *out = *logit);
    }
    let psnr = classifier.quality(source)?.psnr;
    let result = Prediction { index: best.class as u32, probability: best.probability, psnr };
    // SAFETY: not null, and the caller lets it be written.
    unsafe { results.prediction.write(result) };
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
        // SAFETY: the caller's promise.
        unsafe { classify(&mut classifier, &image, &Results { prediction, logits, logits_len }) }
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
        let config = *classifier.config();
        let results = Results { prediction, logits, logits_len };
        // SAFETY: the caller's promise.
        let numbers = unsafe { numbers(samples)? };
        if samples.coordinates.is_null() {
            let mut signal = Signal::new(numbers, config.extents, config.channels)?;
            if !samples.there.is_null() {
                let bits = config.extents.positions().div_ceil(8);
                // SAFETY: not null, and the caller's promise.
                signal = signal.with_bits(unsafe { bytes(samples.there, bits)? })?;
            }
            // SAFETY: the caller's promise.
            return unsafe { classify(&mut classifier, &signal, &results) };
        }
        let len = samples.count / config.channels.max(1) * config.axes();
        // SAFETY: not null, and the caller's promise.
        let coordinates = unsafe { array(samples.coordinates, len)? };
        let scattered = Scattered::new(coordinates, config.axes(), numbers, config.channels)?;
        // SAFETY: the caller's promise.
        unsafe { classify(&mut classifier, &scattered, &results) }
    })())
}

/// The numbers of some samples.
///
/// # Safety
/// `samples.numbers` is null or points to `samples.count` numbers of its type that nothing writes to during `'a`.
unsafe fn numbers<'a>(samples: &Samples) -> Result<Numbers<'a>, Status> {
    let (data, count) = (samples.numbers, samples.count);
    // SAFETY: the caller's promise, for each.
    unsafe {
        match samples.kind {
            0 => array(data.cast(), count).map(Numbers::U8),
            1 => array(data.cast(), count).map(Numbers::I16),
            2 => array(data.cast(), count).map(Numbers::F32),
            _ => Err(Status::Other),
        }
    }
}

/// The `len` values behind `data`, unless it is null or not aligned.
///
/// # Safety
/// `data` is null or points to `len` values, for which any bits are one, that nothing writes to during `'a`.
unsafe fn array<'a, T>(data: *const T, len: usize) -> Result<&'a [T], Status> {
    if data.is_null() || !data.is_aligned() {
        return Err(Status::Pointer);
    }
    // SAFETY: not null, aligned, and the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
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
