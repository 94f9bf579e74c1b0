//! Writing a bundle.

use alloc::vec::Vec;

use super::{CRC, Header, MAGIC, PREFIX};
use crate::error::Error;
use crate::layout::{Tensor, tensors};
use crate::quant::encode;

/// A golden sample to write.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The numbers at each position, channels interleaved, little-endian, of the header's type.
    pub signal: Vec<u8>,
    /// `[K]`.
    pub logits: Vec<f32>,
}

/// Writes a bundle. `values` gives each tensor's values, row by row in the shape that
/// [`Tensor::shape`] says; `golden` replaces the header's count of golden samples.
///
/// # Errors
/// Whatever [`Bundle::parse`](super::Bundle::parse) would refuse: what is written is read back once. A
/// tensor or a golden sample of the wrong size gives [`Error::TensorBytes`].
pub fn write(
    header: &Header<'_>,
    golden: &[Golden],
    mut values: impl FnMut(Tensor) -> Vec<f32>,
) -> Result<Vec<u8>, Error> {
    header.check()?;
    let header = Header {
        golden_samples: u8::try_from(golden.len()).map_err(|_| Error::Header)?,
        ..*header
    };
    let version = header.version();
    let encoded = header.encode(version);
    let mut out = Vec::with_capacity(PREFIX + encoded.len());
    out.extend(MAGIC);
    out.extend(version.to_le_bytes());
    out.extend([0; 2]);
    out.extend([0; 8]);
    out.extend((encoded.len() as u32).to_le_bytes());
    out.extend(encoded);
    for tensor in tensors(&header.config) {
        let shape = tensor.shape(&header.config);
        let scheme = tensor.scheme(&header.config, &header.schemes);
        let values = values(tensor);
        if values.len() != shape.values() {
            return Err(Error::TensorBytes {
                expected: 4 * shape.values() as u64,
                found: 4 * values.len() as u64,
            });
        }
        encode(scheme, shape.dims().1, &values, &mut out);
    }
    for sample in golden {
        out.extend(&sample.signal);
        out.extend(sample.logits.iter().flat_map(|v| v.to_le_bytes()));
    }
    let len = out.len() as u64 + 4;
    if let Some(place) = out.get_mut(12..20) {
        place.copy_from_slice(&len.to_le_bytes());
    }
    out.extend(CRC.checksum(&out).to_le_bytes());
    super::Bundle::parse(&out)?;
    Ok(out)
}
