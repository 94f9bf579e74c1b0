//! The crate's errors.

use core::fmt;

/// Why a bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of an `.mwt` file.
    NotABundle,
    /// The format version is not one that this reader knows.
    Version {
        /// The file's version.
        found: u16,
    },
    /// The file is shorter than its own prefix says.
    Truncated {
        /// Bytes that the file should have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The file is longer than its own prefix says.
    TrailingBytes {
        /// Bytes that the file should have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The CRC-32 does not match: the file was damaged.
    Checksum,
    /// The header cannot be decoded.
    Header,
    /// The header says more than this reader knows how to read.
    HeaderTrailingBytes,
    /// The two bytes behind the format version, which are kept for later use, are not 0.
    Reserved,
    /// The configuration is outside its limits.
    Config(ConfigError),
    /// The label list has not one label a class.
    Labels,
    /// A scale of the input is not above 0, or a number of its type would become a value that is not finite.
    InputScaling,
    /// The accuracy is not in 0..=1, or the PSNR is not a number.
    Facts,
    /// The tensors and golden samples that the configuration calls for have another size than the file
    /// holds.
    TensorBytes {
        /// Bytes that the configuration calls for.
        expected: u64,
        /// Bytes between header and checksum.
        found: u64,
    },
    /// A tensor holds a value, or a scale, that is infinite or not a number.
    NonFinite,
    /// An int8 scale is negative.
    NegativeScale,
    /// An int8 matrix holds -128, which the symmetric scheme never writes.
    NotSymmetric,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABundle => f.write_str("not an .mwt bundle"),
            Self::Version { found } => write!(f, "bundle format version {found} is not supported"),
            Self::Truncated { expected, found } => {
                write!(f, "bundle cut short: {found} bytes of {expected}")
            }
            Self::TrailingBytes { expected, found } => {
                write!(f, "bundle has bytes behind its end: {found} instead of {expected}")
            }
            Self::Checksum => f.write_str("bundle damaged: its checksum does not match"),
            Self::Header => f.write_str("bundle header cannot be decoded"),
            Self::Reserved => f.write_str("bundle has reserved bytes"),
            Self::Facts => f.write_str("bundle has false facts"),
            Self::HeaderTrailingBytes => f.write_str("bundle header is longer than its content"),
            Self::Config(e) => write!(f, "bundle configuration: {e}"),
            Self::Labels => f.write_str("bundle needs one label a class"),
            Self::InputScaling => f.write_str("bundle input scaling is out of range"),
            Self::TensorBytes { expected, found } => {
                write!(
                    f,
                    "bundle tensors take {found} bytes, the configuration calls for {expected}"
                )
            }
            Self::NonFinite => f.write_str("a tensor of the bundle is not finite"),
            Self::NegativeScale => f.write_str("an int8 scale of the bundle is negative"),
            Self::NotSymmetric => f.write_str("an int8 tensor of the bundle holds -128"),
        }
    }
}

impl core::error::Error for Error {}

impl From<ConfigError> for Error {
    fn from(e: ConfigError) -> Self {
        Self::Config(e)
    }
}

/// A field of [`ModelConfig`](crate::ModelConfig) outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// `dim` is not a multiple of 8 from 8 to 64, or of 64 up to 1024.
    Dim,
    /// `hidden_layers` is not in 1..=16.
    HiddenLayers,
    /// `inner_steps` is not in 1..=64.
    InnerSteps,
    /// `blocks` is not in 1..=64.
    Blocks,
    /// `mlp_mult` is not in 1..=8.
    MlpMult,
    /// `channels` is not in 1..=16.
    Channels,
    /// `classes` is not in 2..=65535.
    Classes,
    /// A side of the grid is not in 1..=65536, or its positions are more than 2²⁴.
    Extents,
    /// `pixels_per_step` is not in 1..=positions of the grid.
    PixelsPerStep,
    /// A stratified draw's cell has other axes than the grid or a side of 0, or there are not `pixels_per_step` cells.
    Cell,
    /// `omega` is not in (0, 1000].
    Omega,
    /// `lambda` is not in (0, 10⁶].
    Lambda,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dim => "dim (D) must be a multiple of 8 from 8 to 64, or of 64 up to 1024",
            Self::HiddenLayers => "hidden_layers (L) must be in 1..=16",
            Self::InnerSteps => "inner_steps (k) must be in 1..=64",
            Self::Blocks => "blocks (B) must be in 1..=64",
            Self::MlpMult => "mlp_mult must be in 1..=8",
            Self::Channels => "channels (C) must be in 1..=16",
            Self::Classes => "classes (K) must be in 2..=65535",
            Self::Extents => "the grid's sides must be in 1..=65536, its positions at most 2²⁴",
            Self::PixelsPerStep => "pixels_per_step (P) must be in 1..=positions",
            Self::Cell => "pixels_per_step (P) must be the number of cells",
            Self::Omega => "omega must be above 0 and at most 1000",
            Self::Lambda => "lambda must be above 0 and at most 10⁶",
        })
    }
}

impl core::error::Error for ConfigError {}
