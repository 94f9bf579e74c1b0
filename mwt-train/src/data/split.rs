//! Images with their labels.

use ndarray::{Array4, ArrayView3, Axis};

use super::DataError;
use crate::random::Rng;

/// The random stream of [`Split::hold_out`], apart from those of the digits.
const HOLD_OUT_STREAM: u64 = 0x686f_6c64;

/// Images of one shape and a label for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Pixels, `[N, H, W, C]`, row-major, 0 to 255.
    pub images: Array4<u8>,
    /// One class index for each image, `[N]`.
    pub labels: Vec<u16>,
}

impl Split {
    /// Makes a split of row-major `[N, H, W, C]` bytes, where `shape` is
    /// `(H, W, C)` and N is the number of labels.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] when the number of bytes is not N·H·W·C.
    pub fn from_bytes(
        bytes: Vec<u8>,
        shape: (usize, usize, usize),
        labels: Vec<u16>,
    ) -> Result<Self, DataError> {
        let (height, width, channels) = shape;
        let mismatch = DataError::Shape {
            bytes: bytes.len(),
            images: labels.len(),
            shape: [height, width, channels],
        };
        match Array4::from_shape_vec((labels.len(), height, width, channels), bytes) {
            Ok(images) => Ok(Split { images, labels }),
            Err(_) => Err(mismatch),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height, width and channels of every image.
    pub fn shape(&self) -> (usize, usize, usize) {
        let (_, height, width, channels) = self.images.dim();
        (height, width, channels)
    }

    /// Image number `n`, `[H, W, C]`.
    ///
    /// # Panics
    ///
    /// Like a slice, when `n` is not below [`len`](Self::len).
    pub fn image(&self, n: usize) -> ArrayView3<'_, u8> {
        self.images.index_axis(Axis(0), n)
    }

    /// The first `n` images, or all when there are fewer.
    pub fn take(self, n: usize) -> Self {
        if n >= self.len() {
            return self;
        }
        let first: Vec<usize> = (0..n).collect();
        self.select(&first)
    }

    /// A copy of the images at `indices`, in that order; repeats are allowed.
    ///
    /// # Panics
    ///
    /// Like a slice, when an index is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Self {
        Split {
            images: self.images.select(Axis(0), indices),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }

    /// Sets `n` random images apart, or all when there are fewer, and returns
    /// the rest and those held out.
    ///
    /// Every image is in exactly one of the two. Equal seeds choose equally.
    pub fn hold_out(self, n: usize, seed: u64) -> (Self, Self) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed, HOLD_OUT_STREAM).shuffle(&mut order);
        let (held_out, rest) = order.split_at(n.min(order.len()));
        (self.select(rest), self.select(held_out))
    }
}

/// Zeroed bytes for `images` images of `(H, W, C)`.
///
/// The counts may come from a person, so a size beyond reach is an error here
/// where `vec!` would end the program.
pub(super) fn zeroed(images: usize, shape: (usize, usize, usize)) -> Result<Vec<u8>, DataError> {
    let (height, width, channels) = shape;
    let too_large = || DataError::TooLarge { images, shape: [height, width, channels] };
    let length = [height, width, channels]
        .into_iter()
        .try_fold(images, usize::checked_mul)
        .ok_or_else(too_large)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| too_large())?;
    bytes.resize(length, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` images of 1×2×1 whose label and first byte tell their number.
    fn numbered(n: u8) -> Split {
        let bytes = (0..n).flat_map(|i| [i, 100 + i]).collect();
        let labels = (0..u16::from(n)).collect();
        Split::from_bytes(bytes, (1, 2, 1), labels).unwrap()
    }

    #[test]
    fn bytes_must_fill_the_shape() {
        let error = Split::from_bytes(vec![0; 5], (1, 2, 1), vec![0, 1]).unwrap_err();
        assert!(error.to_string().contains("5 bytes do not make 2 images"));
    }

    #[test]
    fn takes_and_selects() {
        let first = numbered(5).take(2);
        assert_eq!((first.len(), first.shape()), (2, (1, 2, 1)));
        assert_eq!(numbered(5).take(9), numbered(5));
        assert!(numbered(5).take(0).is_empty());

        let some = numbered(5).select(&[4, 1]);
        assert_eq!(some.labels, [4, 1]);
        assert_eq!(some.image(0).as_slice().unwrap(), [4, 104]);
    }

    #[test]
    fn hold_out_is_deterministic_and_disjoint() {
        let (rest, held_out) = numbered(50).hold_out(10, 3);
        assert_eq!(numbered(50).hold_out(10, 3), (rest.clone(), held_out.clone()));
        assert_ne!(numbered(50).hold_out(10, 4).1, held_out);
        assert_eq!((rest.len(), held_out.len()), (40, 10));

        let mut all = [rest.labels, held_out.labels.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, numbered(50).labels);
        for (n, &label) in held_out.labels.iter().enumerate() {
            assert_eq!(u16::from(held_out.image(n)[[0, 0, 0]]), label);
        }

        let (rest, held_out) = numbered(3).hold_out(9, 0);
        assert_eq!((rest.len(), held_out.len()), (0, 3));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(zeroed(usize::MAX, (2, 1, 1)).is_err());
        assert!(zeroed(1 << 20, (1 << 30, 1 << 10, 3)).is_err());
        assert_eq!(zeroed(2, (2, 1, 3)).unwrap().len(), 12);
    }
}
