//! What a call came to.

use core::ffi::c_char;

use mwt_infer::Error;

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
    /// The signal has no sample, or one whose number or coordinate cannot be, or is outside the range that `mwt_set_range` allows.
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
            Error::NoSamples
            | Error::NonFiniteSample
            | Error::OutOfRange
            | Error::SampleOutside => Self::Samples,
            _ => Self::Other,
        }
    }
}

/// The status of a result.
pub(crate) fn status(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
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
