//! The `*.mwt` file: one bundle with everything that a device needs to classify.
//!
//! `docs/FORMAT.md` specifies it byte by byte. [`Bundle::parse`] borrows from the caller's bytes, copies
//! nothing, demands no alignment, and checks all of it before the first use.

mod fields;
mod header;
mod input;
mod reader;
#[cfg(feature = "alloc")]
mod writer;

pub use header::{Facts, Header};
pub use input::{Input, SampleType};
pub use reader::{Block, Bundle, GoldenSample, Layer, Linear, Norm, SirenHead};
#[cfg(feature = "alloc")]
pub use writer::{Golden, write};

/// The first eight bytes: like PNG's, they catch a transfer that strips the high bit or converts line ends.
pub const MAGIC: [u8; 8] = *b"\x89MWT\r\n\x1a\n";

/// The newest format version: every version up to it is read, and the lowest that can hold a model is written.
pub const VERSION: u16 = 2;

/// Bytes before the header: magic, version (u16), two bytes that are 0, length of the file (u64), length of
/// the header (u32).
const PREFIX: usize = 24;

/// CRC-32/ISO-HDLC, as in zlib and PNG, over all bytes before it. The small table costs 1 KB of flash.
const CRC: crc::Crc<u32, crc::Table<1>> =
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);
