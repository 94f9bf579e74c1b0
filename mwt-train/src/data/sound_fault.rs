//! What can be wrong with a sound.

/// Why a sound could not be read; a part of [`DataError::Sound`](super::DataError::Sound).
#[derive(thiserror::Error, Debug)]
pub enum SoundFault {
    /// The file is no WAV file, of a kind that is not read, or damaged.
    #[error("not a readable WAV file: {0}")]
    Decode(hound::Error),

    /// No samples per second that a sound can have.
    #[error("{0} samples per second, not 1 to 768000")]
    Rate(u32),

    /// A sample that is no number.
    #[error("a sample of frame {0} (from 0) is not a number")]
    NotFinite(usize),
}
