//! What can be wrong with a picture's file.

use super::picture::kind::READABLE;
use crate::util::text::one_line;

/// Why a file is no picture that can be read, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PictureFault {
    /// It is something else.
    #[error("is {what}, which is not among the pictures that are read ({READABLE}); {advice}")]
    Other {
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Nobody knows what it is.
    #[error("is no known kind of picture ({READABLE} are read); replace or remove the file")]
    Unknown,
    /// It cannot be decoded.
    #[error("not a readable {kind} image: {}; replace or remove the file", one_line(.reason))]
    Decoder {
        /// What it is by its first bytes.
        kind: &'static str,
        /// What the decoder said.
        reason: Box<image::ImageError>,
    },
    /// It is whole, and of a sort that no decoder here knows.
    #[error("a {kind} image of a sort that is not read: {reason}; convert it to PNG")]
    Sort {
        /// What it is by its first bytes.
        kind: &'static str,
        /// What the decoder said.
        reason: Box<image::ImageError>,
    },
    /// A part of it is missing, or is not what was written.
    #[error("a damaged {kind} image: {}; download or save it again, or remove the file", one_line(.what))]
    Damaged {
        /// What it is by its first bytes.
        kind: &'static str,
        /// What is wrong.
        what: String,
    },
    /// It has no pixel.
    #[error("has no pixels; remove the file")]
    Empty,
    /// A table has only its path, or nothing.
    #[error("is not in the table; write the data set with the images in it")]
    Elsewhere,
    /// It would take too much memory.
    #[error(
        "{height}x{width} pixels (height x width) would take {bytes} bytes, more than the {most} that one picture \
         may; scale it down"
    )]
    TooLarge {
        /// Height in pixels.
        height: u32,
        /// Width in pixels.
        width: u32,
        /// Bytes of all pixels, decoded.
        bytes: u64,
        /// Bytes that are allowed.
        most: u64,
    },
}

impl PictureFault {
    /// What a decoder of `kind` said.
    pub(super) fn of_decoder(kind: &'static str, reason: image::ImageError) -> Self {
        match reason {
            image::ImageError::Unsupported(_) => Self::Sort { kind, reason: Box::new(reason) },
            _ => Self::Decoder { kind, reason: Box::new(reason) },
        }
    }
}
