//! The numbers of one signal, as a data set has them.

use std::borrow::Cow;

/// One number for each position and channel, channels interleaved.
#[derive(Clone, Debug)]
pub enum Numbers<'a> {
    /// Bytes, as pictures have them.
    U8(Cow<'a, [u8]>),
    /// Any numbers; NaN where a sample is missing.
    F32(&'a [f32]),
}

impl Numbers<'_> {
    /// The same for mwt-infer.
    pub fn for_infer(&self) -> mwt_infer::Numbers<'_> {
        match self {
            Self::U8(bytes) => mwt_infer::Numbers::U8(bytes),
            Self::F32(values) => mwt_infer::Numbers::F32(values),
        }
    }

    /// As floats.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::U8(bytes) => bytes.iter().map(|byte| f32::from(*byte)).collect(),
            Self::F32(values) => values.to_vec(),
        }
    }

    /// As bytes, the way a bundle's golden samples have them.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::U8(bytes) => bytes.to_vec(),
            Self::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}
