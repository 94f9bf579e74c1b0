//! A classifier that stays between calls: parsed once, fitted step by step, looked at as often as wanted.

use core::ffi::c_void;
use core::mem::MaybeUninit;

// Under another name, or cbindgen would take it for what C sees.
use mwt_infer::Classifier as Fitter;
use mwt_infer::{Arithmetic as Products, Error, Extents, Profiler, Range};

use crate::answer::{self, Prediction, best, write_logits};
use crate::memory::{array, array_mut, bytes, values};
use crate::samples::{self, Samples, Task};
use crate::status::{Status, status};
use crate::watch::{Hook, Watch};

/// What is behind a classifier. The lifetimes are the caller's to keep, who promised so to `mwt_init`.
type Inner = Fitter<'static, 'static, Watch>;

/// A classifier, in memory of the caller's: what it needs between calls besides its workspace. `mwt_init` sets it up; before
/// that, other calls refuse one of zeros. Nothing has to be freed. One thread, task or interrupt at a time may use it; two with
/// workspaces of their own are independent.
#[repr(C)]
#[derive(Debug)]
pub struct Classifier {
    /// The library's own.
    state: [u64; 96],
}

/// [`Classifier`] as the library sees it.
#[repr(C)]
struct State {
    /// [`READY`] once `inner` is there.
    ready: u64,
    inner: MaybeUninit<Inner>,
}

/// Neither zeros nor what memory holds by chance.
const READY: u64 = 0x6d77_7420_7265_6164;

const _: () = assert!(
    size_of::<State>() <= size_of::<Classifier>()
        && align_of::<State>() <= align_of::<Classifier>()
);

/// The classifier behind a pointer, if `mwt_init` made one there.
///
/// # Safety
/// `classifier` is null or points to a `Classifier` that nothing else uses during `'a`, and whose bundle and workspace
/// are as `mwt_init` was promised.
unsafe fn ready<'a>(classifier: *mut Classifier) -> Result<&'a mut Inner, Status> {
    // SAFETY: large and aligned enough, as asserted above, and the caller vouches for the rest.
    let state = unsafe { classifier.cast::<State>().as_mut() }.ok_or(Status::Pointer)?;
    if state.ready != READY {
        return Err(Status::Pointer);
    }
    // SAFETY: it was written before `ready` was.
    Ok(unsafe { state.inner.assume_init_mut() })
}

/// Sets up a classifier: parses and checks the bundle, once. Its model's samples are fitted by `mwt_step` or
/// `mwt_fit`.
///
/// # Safety
/// `classifier` may be written. `bundle` points to `bundle_len` bytes and `workspace` to `workspace_bytes`, which stay where
/// they are, and which nothing else changes, as long as the classifier is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_init(
    classifier: *mut Classifier,
    bundle: *const u8,
    bundle_len: usize,
    workspace: *mut f32,
    workspace_bytes: usize,
) -> Status {
    status((|| {
        if classifier.is_null() || !classifier.is_aligned() {
            return Err(Status::Pointer);
        }
        // SAFETY: the caller's promise, for both.
        let (bundle, workspace) =
            unsafe { (bytes(bundle, bundle_len)?, values(workspace, workspace_bytes)?) };
        let inner = answer::classifier(bundle, workspace)?.with_profiler(Watch::NONE);
        let inner = MaybeUninit::new(inner);
        // SAFETY: not null, aligned, large enough, and the caller lets it be written.
        unsafe { classifier.cast::<State>().write(State { ready: READY, inner }) };
        Ok(())
    })())
}

/// Starts a fit anew.
///
/// # Safety
/// `classifier` was set up by `mwt_init`, whose promises hold, and nothing else uses it meanwhile; so for all that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_begin(classifier: *mut Classifier) -> Status {
    // SAFETY: the caller's promise.
    status(unsafe { ready(classifier) }.map(Fitter::begin))
}

/// A step of a fit.
struct Step<'a> {
    left: Option<&'a mut u32>,
}

impl Task for Step<'_> {
    fn with<P: Profiler>(
        self,
        classifier: &mut Fitter<'_, '_, P>,
        source: &impl mwt_infer::SampleSource,
    ) -> Result<(), Status> {
        classifier.step(source)?;
        if let Some(left) = self.left {
            *left = classifier.config().inner_steps.saturating_sub(classifier.steps()) as u32;
        }
        Ok(())
    }
}

/// Takes the next inner step of the fit, on the same samples as those before it; nothing when all are taken. `left`, if not
/// null, gets the number of steps that are left.
///
/// # Safety
/// As for `mwt_begin`; `samples` points to a value whose pointers are null or point to as much as it says, and `left` is null
/// or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_step(
    classifier: *mut Classifier,
    samples: *const Samples,
    left: *mut u32,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for each.
        unsafe {
            let samples = samples.as_ref().ok_or(Status::Pointer)?;
            samples::with(samples, ready(classifier)?, Step { left: left.as_mut() })
        }
    })())
}

/// A whole fit.
struct Fit;

impl Task for Fit {
    fn with<P: Profiler>(
        self,
        classifier: &mut Fitter<'_, '_, P>,
        source: &impl mwt_infer::SampleSource,
    ) -> Result<(), Status> {
        classifier.fit(source)?;
        Ok(())
    }
}

/// Fits samples in all steps, from the start.
///
/// # Safety
/// As for `mwt_step`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_fit(classifier: *mut Classifier, samples: *const Samples) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for each.
        unsafe {
            let samples = samples.as_ref().ok_or(Status::Pointer)?;
            samples::with(samples, ready(classifier)?, Fit)
        }
    })())
}

/// The most likely class of the fit as it is, after all steps or any number of them.
///
/// # Safety
/// As for `mwt_begin`; `prediction` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_best(
    classifier: *mut Classifier,
    prediction: *mut Prediction,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for both.
        unsafe {
            let prediction = prediction.as_mut().ok_or(Status::Pointer)?;
            *prediction = best(ready(classifier)?)?;
        }
        Ok(())
    })())
}

/// The `count` most likely classes of the fit as it is, the most likely first, into `predictions`; fewer where the model has
/// fewer. `found`, if not null, gets how many.
///
/// # Safety
/// As for `mwt_begin`; `predictions` points to `count` values, and `found` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_top(
    classifier: *mut Classifier,
    predictions: *mut Prediction,
    count: usize,
    found: *mut usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for each.
        let (classifier, predictions) =
            unsafe { (ready(classifier)?, array_mut(predictions, count)?) };
        let mut len = 0;
        for (place, prediction) in predictions.iter_mut().zip(classifier.ranked()?) {
            (*place, len) = (prediction.into(), len + 1);
        }
        // SAFETY: the caller's promise.
        if let Some(found) = unsafe { found.as_mut() } {
            *found = len;
        }
        Ok(())
    })())
}

/// The logits of the fit as it is, one a class, into `logits`, which has `logits_len` values.
///
/// # Safety
/// As for `mwt_begin`; `logits` points to `logits_len` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_logits(
    classifier: *mut Classifier,
    logits: *mut f32,
    logits_len: usize,
) -> Status {
    // SAFETY: the caller's promise, for both.
    status((|| unsafe { write_logits(ready(classifier)?, logits, logits_len) })())
}

/// How well the fit draws some samples.
struct Quality<'a> {
    psnr: &'a mut f32,
}

impl Task for Quality<'_> {
    fn with<P: Profiler>(
        self,
        classifier: &mut Fitter<'_, '_, P>,
        source: &impl mwt_infer::SampleSource,
    ) -> Result<(), Status> {
        *self.psnr = classifier.quality(source)?.psnr;
        Ok(())
    }
}

/// Peak signal-to-noise ratio of the fit over all samples in dB, into `psnr`; on a microcontroller nearly as much work as half
/// a fit.
///
/// # Safety
/// As for `mwt_step`; `psnr` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_psnr(
    classifier: *mut Classifier,
    samples: *const Samples,
    psnr: *mut f32,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for each.
        unsafe {
            let samples = samples.as_ref().ok_or(Status::Pointer)?;
            let psnr = psnr.as_mut().ok_or(Status::Pointer)?;
            samples::with(samples, ready(classifier)?, Quality { psnr })
        }
    })())
}

/// What the fit draws, on a grid of any sides: one for each axis of the model. Writes `count` numbers of a type into
/// `numbers`, aligned as it is: positions times channels, channels interleaved, in the unit of the model's input.
/// `MWT_STATUS_OUTPUT` where `count` is another number.
///
/// # Safety
/// As for `mwt_begin`; `sides` points to as many values as the model has axes, `numbers` to `count` numbers of its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_reconstruct(
    classifier: *mut Classifier,
    sides: *const u32,
    kind: u32,
    numbers: *mut c_void,
    count: usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise.
        let classifier = unsafe { ready(classifier)? };
        // SAFETY: the same, and no model has more axes than there are.
        let given = unsafe { array(sides, classifier.config().axes())? };
        let mut sides = [1; Extents::MAX_AXES];
        sides.iter_mut().zip(given).for_each(|(to, side)| *to = *side as usize);
        let extents = sides.get(..given.len()).and_then(Extents::new);
        let extents = extents.filter(Extents::within_limits).ok_or(Status::Output)?;
        // SAFETY: the caller's promise, for each.
        unsafe {
            match kind {
                0 => classifier.reconstruct::<u8>(extents, array_mut(numbers.cast(), count)?)?,
                1 => classifier.reconstruct::<i16>(extents, array_mut(numbers.cast(), count)?)?,
                2 => classifier.reconstruct::<f32>(extents, array_mut(numbers.cast(), count)?)?,
                _ => return Err(Status::Other),
            }
        }
        Ok(())
    })())
}

/// Whether the bundle's bytes are still those that `mwt_init` read: their CRC-32 again, which notices every flipped bit.
/// `MWT_STATUS_BUNDLE` where they are not.
///
/// # Safety
/// As for `mwt_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_check(classifier: *mut Classifier) -> Status {
    // SAFETY: the caller's promise.
    status((|| Ok(unsafe { ready(classifier) }?.bundle().check_again().map_err(Error::from)?))())
}

/// What becomes of a value that is further from 0 than a limit.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is taken.
    Any = 0,
    /// The samples are refused, with `MWT_STATUS_SAMPLES`.
    Refused = 1,
    /// The limit is taken in its place.
    Clamped = 2,
}

/// Chooses what becomes of a value that is further from 0 than `limit`, by `rule`: MWT_RANGE_ANY, MWT_RANGE_REFUSED or
/// MWT_RANGE_CLAMPED. Values are what the bundle's input scaling makes of numbers: in
/// [-1, 1] lie a picture's bytes, and of other signals what is within three standard deviations of the training data's mean.
/// Until this is called, those beyond 10 are refused: they are most often in another unit.
///
/// # Safety
/// As for `mwt_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_set_range(
    classifier: *mut Classifier,
    rule: u32,
    limit: f32,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise.
        let classifier = unsafe { ready(classifier)? };
        classifier.set_range(match rule {
            0 => Range::Any,
            1 => Range::Refused(limit),
            2 => Range::Clamped(limit),
            _ => return Err(Status::Other),
        });
        Ok(())
    })())
}

/// How products are computed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// In floats: the same bits on every board.
    F32 = 0,
    /// In integers where the processor is faster that way: on a Cortex-M4F or M7 the fit's hidden layers, linear layers and
    /// attention. Sums are exact, but what is summed is rounded, so that logits differ a little. The bundle's weights should be
    /// int8, as they are unless the trainer was told otherwise.
    Int8 = 1,
}

/// Chooses how products are computed from now on: MWT_ARITHMETIC_F32, as at first, or MWT_ARITHMETIC_INT8. Choose before a
/// fit begins.
///
/// # Safety
/// As for `mwt_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_set_arithmetic(
    classifier: *mut Classifier,
    arithmetic: u32,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise.
        let classifier = unsafe { ready(classifier)? };
        classifier.set_arithmetic(match arithmetic {
            0 => Products::F32,
            1 => Products::Int8,
            _ => return Err(Status::Other),
        });
        Ok(())
    })())
}

/// The name of a class: its first byte into `text` and its length into `len`. It lies in the bundle and does not end
/// with 0. `MWT_STATUS_OUTPUT` for a class that is not there.
///
/// # Safety
/// As for `mwt_begin`; `text` and `len` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_label(
    classifier: *mut Classifier,
    index: u32,
    text: *mut *const u8,
    len: *mut usize,
) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for each.
        let (classifier, text, len) = unsafe {
            let text = text.as_mut().ok_or(Status::Pointer)?;
            (ready(classifier)?, text, len.as_mut().ok_or(Status::Pointer)?)
        };
        if index as usize >= classifier.config().classes {
            return Err(Status::Output);
        }
        let label = classifier.bundle().header().label(index as usize);
        (*text, *len) = (label.as_ptr(), label.len());
        Ok(())
    })())
}

/// What a model takes and gives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Axes of its grid: 1 for series, 2 for images, 3 for volumes.
    pub axes: u32,
    /// Positions along each axis; 1 where there is none.
    pub sides: [u32; 3],
    /// Numbers of a sample.
    pub channels: u32,
    /// Classes.
    pub classes: u32,
    /// Inner steps of a whole fit.
    pub steps: u32,
}

/// What the classifier's model takes and gives, into `model`.
///
/// # Safety
/// As for `mwt_begin`; `model` may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_model_of(classifier: *mut Classifier, model: *mut Model) -> Status {
    status((|| {
        // SAFETY: the caller's promise, for both.
        let (classifier, model) =
            unsafe { (ready(classifier)?, model.as_mut().ok_or(Status::Pointer)?) };
        let config = classifier.config();
        let mut sides = [1; 3];
        sides.iter_mut().zip(config.extents.sides()).for_each(|(to, side)| *to = *side as u32);
        *model = Model {
            axes: config.axes() as u32,
            sides,
            channels: config.channels as u32,
            classes: config.classes as u32,
            steps: config.inner_steps as u32,
        };
        Ok(())
    })())
}

/// Has a hook called at the beginning and the end of each phase, with a pointer of the caller's; null for none, as at first.
///
/// # Safety
/// As for `mwt_begin`; `hook` is null or may be called with `context` as long as the classifier is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mwt_watch(
    classifier: *mut Classifier,
    hook: Hook,
    context: *mut c_void,
) -> Status {
    // SAFETY: the caller's promise.
    status(unsafe { ready(classifier) }.map(|classifier| {
        *classifier.profiler_mut() = Watch { hook, context };
    }))
}
