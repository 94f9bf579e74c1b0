//! What tells one image from another: a hash of its content.

use rayon::prelude::*;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::error::DataError;
use super::numbers::Numbers;
use super::split::Split;

impl Split {
    /// A hash of each signal's numbers; of the bytes of its file, where images are decoded as they are used.
    ///
    /// # Errors
    /// As [`numbers`](Self::numbers).
    pub fn digests(&self) -> Result<Vec<u64>, DataError> {
        if let Some(digests) = self.file_digests() {
            return Ok(digests);
        }
        let digest = |n| {
            Ok(match self.numbers(n)? {
                Numbers::U8(bytes) => xxh3_64(&bytes),
                Numbers::F32(values) => {
                    let mut hash = Xxh3::new();
                    values.iter().for_each(|value| hash.update(&value.to_le_bytes()));
                    hash.digest()
                }
            })
        };
        (0..self.len()).into_par_iter().map(digest).collect()
    }

    /// A hash of all signals and labels, in their order.
    ///
    /// # Errors
    /// As [`digests`](Self::digests).
    pub fn digest(&self) -> Result<u64, DataError> {
        let mut hash = Xxh3::new();
        for (digest, label) in self.digests()?.into_iter().zip(&self.labels) {
            hash.update(&digest.to_le_bytes());
            hash.update(&label.to_le_bytes());
        }
        Ok(hash.digest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_and_label_counts_and_the_order_too() {
        let of = |bytes: [u8; 4], labels: [u16; 2]| {
            Split::from_bytes(bytes.to_vec(), (1, 2, 1), labels.to_vec()).unwrap()
        };
        let split = of([1, 2, 3, 4], [0, 1]);
        let digests = split.digests().unwrap();
        assert_eq!(
            split.select(&[1, 0, 1]).digests().unwrap(),
            [digests[1], digests[0], digests[1]]
        );
        let all = [
            split.digest().unwrap(),
            split.select(&[1, 0]).digest().unwrap(),
            of([1, 2, 3, 5], [0, 1]).digest().unwrap(),
            of([1, 2, 3, 4], [1, 1]).digest().unwrap(),
        ];
        for (n, digest) in all.iter().enumerate() {
            assert!(!all[..n].contains(digest), "{n}");
        }
        // The same on every machine, and in every version that is to resume a run.
        assert_eq!(xxh3_64(b"mwt"), digest_of_mwt());
    }

    fn digest_of_mwt() -> u64 {
        let mut hash = Xxh3::new();
        hash.update(b"mw");
        hash.update(b"t");
        hash.digest()
    }
}
