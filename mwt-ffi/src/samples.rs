//! Samples as C has them.

use core::ffi::c_void;

use mwt_infer::{Classifier, Numbers, Profiler, SampleSource, Scattered, Signal};

use crate::memory::{array, bytes};
use crate::status::Status;

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

/// What is done with a source, whichever of the two kinds it is of.
pub(crate) trait Task {
    /// Does it.
    fn with<P: Profiler>(
        self,
        classifier: &mut Classifier<'_, '_, P>,
        source: &impl SampleSource,
    ) -> Result<(), Status>;
}

/// Does something with some samples.
///
/// # Safety
/// The pointers in `samples` are null or point to as much as it says, which nothing writes to meanwhile.
pub(crate) unsafe fn with<P: Profiler>(
    samples: &Samples,
    classifier: &mut Classifier<'_, '_, P>,
    task: impl Task,
) -> Result<(), Status> {
    let config = *classifier.config();
    // SAFETY: the caller's promise.
    let numbers = unsafe { numbers(samples)? };
    if samples.coordinates.is_null() {
        let mut signal = Signal::new(numbers, config.extents, config.channels)?;
        if !samples.there.is_null() {
            let bits = config.extents.positions().div_ceil(8);
            // SAFETY: not null, and the caller's promise.
            signal = signal.with_bits(unsafe { bytes(samples.there, bits)? })?;
        }
        return task.with(classifier, &signal);
    }
    let len = samples.count / config.channels.max(1) * config.axes();
    // SAFETY: not null, and the caller's promise.
    let coordinates = unsafe { array(samples.coordinates, len)? };
    let scattered = Scattered::new(coordinates, config.axes(), numbers, config.channels)?;
    task.with(classifier, &scattered)
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
