//! The crate's error.

use core::fmt;

/// Why a signal was not classified.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The bundle is refused.
    Bundle(mwt_core::Error),
    /// The workspace is smaller than four times [`workspace_len`](crate::workspace_len).
    Workspace {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// A signal takes more multiply-adds than the limit allows.
    Work {
        /// Those that it takes.
        needed: u64,
    },
    /// A signal does not have one number for each position and channel.
    SignalLength,
    /// A signal has another grid than the model was trained on.
    Extents,
    /// The source has another number of channels than the model.
    Channels,
    /// A mask has too few bits, or positions that do not ascend or are past the end.
    Mask,
    /// The source offers no sample at all.
    NoSamples,
    /// A sample's value is infinite or not a number.
    NonFiniteSample,
    /// A sample's value is further from 0 than the classifier's [`Range`](crate::Range) allows: most often a number in
    /// another unit than that of training.
    OutOfRange,
    /// A coordinate of a sample lies outside [-1, 1].
    SampleOutside,
    /// Given indices are not k·P many, or the sample of one is not there.
    Indices,
    /// The fit left the finite numbers: its rates are too large for this image.
    Diverged,
    /// No fit has been started.
    NotFitted,
    /// An output buffer has the wrong length.
    OutputLength,
    /// A golden sample of the bundle gave other logits than the trainer's.
    SelfTest,
}

impl Error {
    /// That a workspace has fewer values than are needed.
    pub(crate) const fn workspace(needed: usize, given: usize) -> Self {
        let value = size_of::<f32>();
        Self::Workspace { needed: value * needed, given: given.saturating_mul(value) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(e) => e.fmt(f),
            Self::Workspace { needed, given } => {
                write!(f, "workspace of {given} bytes is too small, the model needs {needed}")
            }
            Self::Work { .. } => f.write_str("model above the limit of work"),
            Self::SignalLength => f.write_str("signal has a wrong length"),
            Self::Extents => f.write_str("signal and model have different grids"),
            Self::Channels => f.write_str("signal and model have different channels"),
            Self::Mask => f.write_str("mask does not fit the signal"),
            Self::NoSamples => f.write_str("there is no sample to fit"),
            Self::NonFiniteSample => f.write_str("a sample's value is not finite"),
            Self::OutOfRange => f.write_str("a sample's value is out of the model's range"),
            Self::SampleOutside => f.write_str("a sample's coordinate is outside [-1, 1]"),
            Self::Indices => f.write_str("indices are not k·P indices of existing samples"),
            Self::Diverged => f.write_str("the fit diverged"),
            Self::NotFitted => f.write_str("nothing has been fitted yet"),
            Self::OutputLength => f.write_str("output buffer has the wrong length"),
            Self::SelfTest => f.write_str("self-test failed: logits differ from the trainer's"),
        }
    }
}

impl core::error::Error for Error {}

impl From<mwt_core::Error> for Error {
    fn from(e: mwt_core::Error) -> Self {
        Self::Bundle(e)
    }
}
