//! Images that lie decoded in memory, each decoded by one rank for all.

use std::ops::Range;

use super::faults::Faults;
use crate::data::error::DataError;
use crate::data::image::zeroed;
use crate::data::picture::{Remark, Tally, View};
use crate::data::split::Split;
use crate::ranks::Ranks;

/// What became of images that were decoded, in their order.
pub(super) type Decoded = Vec<Result<Vec<Remark>, DataError>>;

/// The images with these labels, without those that are at fault. `decode` gets this rank's share of their places, and the
/// room for their pixels.
pub(super) fn in_memory(
    ranks: &Ranks,
    labels: &[u16],
    view: &View,
    faults: &mut Faults,
    tally: &mut Tally,
    decode: impl FnOnce(Range<usize>, &mut [u8]) -> Result<Decoded, DataError>,
) -> Result<Split, DataError> {
    let (n, shape) = (labels.len(), (view.size.0, view.size.1, view.channels()));
    let mut bytes = zeroed(n, shape)?;
    let image = bytes.len().checked_div(n).unwrap_or(0);
    let own = ranks.share().of(n);
    let results = decode(own.clone(), &mut bytes[own.start * image..own.end * image])?;
    let results = faults.sift(ranks, results)?;
    ranks.spread(&mut bytes, n);
    let mut kept = Vec::with_capacity(n);
    for (place, (label, result)) in labels.iter().zip(results).enumerate() {
        if let Some(remarks) = result {
            tally.add(&remarks);
            // Closes the gaps that the images left out would leave.
            bytes.copy_within(place * image..(place + 1) * image, kept.len() * image);
            kept.push(*label);
        }
    }
    bytes.truncate(kept.len() * image);
    Split::from_bytes(bytes, shape, kept)
}
