//! What a model takes: the numbers of a signal, and how they become targets of the fit.

use crate::grid::InputScaling;

/// How the golden samples of a bundle are stored, and with it what an application most likely has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum SampleType {
    /// Unsigned bytes, as pictures have them.
    U8,
    /// Signed 16-bit integers, as sensors and sound have them.
    I16,
    /// Any number.
    F32,
}

impl SampleType {
    /// The type's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I16 => "i16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of a number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::F32 => 4,
        }
    }

    /// The largest magnitude of an integer; 0 for [`F32`](Self::F32), which has no bound.
    const fn largest(self) -> f32 {
        match self {
            Self::U8 => 255.0,
            Self::I16 => 32_768.0,
            Self::F32 => 0.0,
        }
    }
}

/// The numbers that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Type of a number.
    pub sample: SampleType,
    /// Scale and offset, little-endian f32, of each channel; of all channels where there is one pair.
    scalings: &'a [u8],
}

/// [`InputScaling::SYMMETRIC`] as a bundle has it.
const SYMMETRIC: [u8; 8] = {
    let [a, b, c, d] = InputScaling::SYMMETRIC.scale.to_le_bytes();
    let [e, f, g, h] = InputScaling::SYMMETRIC.offset.to_le_bytes();
    [a, b, c, d, e, f, g, h]
};

impl<'a> Input<'a> {
    /// Pictures: bytes that become [-1, 1] in every channel.
    pub const PICTURE: Input<'static> = Input { sample: SampleType::U8, scalings: &SYMMETRIC };

    /// Views scale and offset of each channel, or of all, as [`encode`](Self::encode) writes them.
    pub const fn new(sample: SampleType, scalings: &'a [u8]) -> Self {
        Self { sample, scalings }
    }

    /// The bytes of some scalings.
    #[cfg(feature = "alloc")]
    pub fn encode(scalings: &[InputScaling]) -> alloc::vec::Vec<u8> {
        scalings.iter().flat_map(|s| [s.scale, s.offset]).flat_map(f32::to_le_bytes).collect()
    }

    /// The scaling of a channel.
    pub fn scaling(&self, channel: usize) -> InputScaling {
        let all = self.scalings.as_chunks::<8>().0;
        let one = all.get(if all.len() == 1 { 0 } else { channel });
        let [a, b, c, d, e, f, g, h] = one.copied().unwrap_or_default();
        InputScaling {
            scale: f32::from_le_bytes([a, b, c, d]),
            offset: f32::from_le_bytes([e, f, g, h]),
        }
    }

    /// Whether there is one scaling, or one for each channel.
    pub(super) const fn fits(&self, channels: usize) -> bool {
        self.scalings.len() == 8 || self.scalings.len() == 8 * channels
    }

    /// Whether every scale is above 0 and every number of the type becomes a finite target.
    pub(super) fn is_valid(&self) -> bool {
        (0..self.scalings.len() / 8).map(|channel| self.scaling(channel)).all(|s| {
            let largest = s.scale * self.sample.largest() + s.offset.abs();
            s.scale > 0.0 && s.scale.is_finite() && largest.is_finite()
        })
    }

    /// The bytes as a header has them.
    #[cfg(feature = "alloc")]
    pub(super) const fn scalings(&self) -> &'a [u8] {
        self.scalings
    }
}
