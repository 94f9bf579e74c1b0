//! Images, or other signals, with their labels.

use std::path::PathBuf;
use std::sync::Arc;

use mwt_core::Extents;
use ndarray::{Array4, Axis, CowArray, Ix3};
use xxhash_rust::xxh3::xxh3_64;

use super::error::DataError;
use super::image::{self, zeroed};
use super::inputs::Inputs;
use super::numbers::Numbers;
use super::picture::View;
use super::signals::Signals;
use crate::util::random::Rng;

/// The random stream of [`Split::split_validation`], apart from those of the digits.
const VALIDATION_STREAM: u64 = 0x686f_6c64;

/// Images of one shape, or signals on one grid, and a label for each.
///
/// Splits made of others share their pixels, so that setting images apart
/// or choosing among them copies none.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    source: Arc<Source>,
    /// Which image of the source each image is, `[N]`.
    places: Vec<usize>,
    /// How numbers become targets.
    inputs: Arc<Inputs>,
    /// One class index for each image, `[N]`.
    pub labels: Vec<u16>,
}

/// Where pixels come from.
#[derive(Debug, PartialEq)]
enum Source {
    /// All in memory, `[N, H, W, C]`, row-major, 0 to 255.
    Memory(Array4<u8>),
    /// In files that are decoded each time they are asked for, each with a hash of its bytes.
    Files { paths: Vec<PathBuf>, digests: Vec<u64>, view: View },
    /// No images: all in memory.
    Signals(Signals),
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
            Ok(images) => Ok(Self::of(Source::Memory(images), labels)),
            Err(_) => Err(mismatch),
        }
    }

    /// A split of image files, each with its label and a hash of its bytes, that are read with this view when they are
    /// asked for.
    pub(super) fn from_files(files: Vec<(PathBuf, u16)>, digests: Vec<u64>, view: View) -> Self {
        let (paths, labels) = files.into_iter().unzip();
        Self::of(Source::Files { paths, digests, view }, labels)
    }

    /// A split of signals whose numbers become targets as `inputs` say.
    ///
    /// # Errors
    ///
    /// [`DataError::Shape`] when there is not a number for each signal, position and channel.
    pub fn from_signals(signals: Signals, inputs: Arc<Inputs>) -> Result<Self, DataError> {
        let (positions, channels) = (signals.extents.positions(), signals.channels);
        let numbers = signals.values.len();
        if numbers != signals.labels.len() * positions * channels {
            return Err(DataError::Shape {
                bytes: numbers,
                images: signals.labels.len(),
                shape: [positions, 1, channels],
            });
        }
        let labels = signals.labels.clone();
        Ok(Self { inputs, ..Self::of(Source::Signals(signals), labels) })
    }

    fn of(source: Source, labels: Vec<u16>) -> Self {
        let places = (0..labels.len()).collect();
        Self { source: Arc::new(source), places, inputs: Arc::default(), labels }
    }

    /// The grid of every signal.
    pub fn extents(&self) -> Extents {
        match &*self.source {
            Source::Signals(signals) => signals.extents,
            _ => Extents::image(self.shape().0, self.shape().1),
        }
    }

    /// C.
    pub fn channels(&self) -> usize {
        self.shape().2
    }

    /// The same signals with the targets that another set's scaling makes of them.
    pub fn with_inputs(mut self, inputs: &Inputs) -> Self {
        self.inputs = Arc::new(inputs.clone());
        self
    }

    /// Whether the signals are images, of bytes.
    pub fn has_pictures(&self) -> bool {
        !matches!(*self.source, Source::Signals(_))
    }

    /// How numbers become targets.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The numbers of signal `n`.
    ///
    /// # Errors
    ///
    /// As [`image`](Self::image).
    ///
    /// # Panics
    ///
    /// Like a slice, when `n` is not below [`len`](Self::len).
    pub fn numbers(&self, n: usize) -> Result<Numbers<'_>, DataError> {
        if let Source::Signals(signals) = &*self.source {
            let len = signals.extents.positions() * signals.channels;
            return Ok(Numbers::F32(&signals.values[self.places[n] * len..][..len]));
        }
        if let Source::Memory(images) = &*self.source {
            let len = images.len() / images.dim().0;
            // In memory they lie in order, as they were read.
            let all = images.as_slice().unwrap_or_default();
            return Ok(Numbers::U8(all[self.places[n] * len..][..len].into()));
        }
        let bytes: Vec<u8> = self.image(n)?.iter().copied().collect();
        Ok(Numbers::U8(bytes.into()))
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height, width and channels of every image; the first two sides of the grid, 1 where it has none, of other signals.
    pub fn shape(&self) -> (usize, usize, usize) {
        match &*self.source {
            Source::Memory(images) => {
                let (_, height, width, channels) = images.dim();
                (height, width, channels)
            }
            Source::Files { view, .. } => (view.size.0, view.size.1, view.channels()),
            Source::Signals(signals) => {
                let extents = signals.extents;
                (extents.side(0), extents.side(1), signals.channels)
            }
        }
    }

    /// A hash of each image's file, where images are decoded as they are used.
    pub(super) fn file_digests(&self) -> Option<Vec<u64>> {
        match &*self.source {
            Source::Files { digests, .. } => {
                Some(self.places.iter().map(|place| digests[*place]).collect())
            }
            _ => None,
        }
    }

    /// Whether the images lie decoded in memory.
    pub fn in_memory(&self) -> bool {
        !matches!(*self.source, Source::Files { .. })
    }

    /// Image number `n`, `[H, W, C]`, row-major.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`], [`DataError::Decode`] or [`DataError::Changed`] when the
    /// image is decoded as it is used, and its file is no longer what it was;
    /// [`DataError::NoPictures`] for signals that are none.
    ///
    /// # Panics
    ///
    /// Like a slice, when `n` is not below [`len`](Self::len).
    pub fn image(&self, n: usize) -> Result<CowArray<'_, u8, Ix3>, DataError> {
        let place = self.places[n];
        match &*self.source {
            Source::Memory(images) => Ok(images.index_axis(Axis(0), place).into()),
            Source::Files { paths, digests, view } => {
                let path = &paths[place];
                let bytes = image::bytes_of(path)?;
                if xxh3_64(&bytes) != digests[place] {
                    return Err(DataError::Changed { path: path.clone() });
                }
                image::read_image_bytes(path, &bytes, view).map(|(image, _)| image.into())
            }
            Source::Signals(_) => Err(DataError::NoPictures),
        }
    }

    /// All images in one array, `[N, H, W, C]`.
    ///
    /// # Errors
    ///
    /// As [`image`](Self::image), or [`DataError::TooLarge`].
    pub fn to_array(&self) -> Result<Array4<u8>, DataError> {
        let (height, width, channels) = self.shape();
        let bytes = zeroed(self.len(), self.shape())?;
        let shape = (self.len(), height, width, channels);
        let mut all = Array4::from_shape_vec(shape, bytes).map_err(|_| DataError::TooLarge {
            images: self.len(),
            shape: [height, width, channels],
        })?;
        for (n, mut out) in all.outer_iter_mut().enumerate() {
            out.assign(&self.image(n)?);
        }
        Ok(all)
    }

    /// The first `n` images, or all when there are fewer.
    pub fn take(mut self, n: usize) -> Self {
        self.places.truncate(n);
        self.labels.truncate(n);
        self
    }

    /// The images at `indices`, in that order; repeats are allowed.
    ///
    /// # Panics
    ///
    /// Like a slice, when an index is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Self {
        Split {
            source: Arc::clone(&self.source),
            inputs: Arc::clone(&self.inputs),
            places: indices.iter().map(|&i| self.places[i]).collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
        }
    }

    /// Sets `n` random images apart for validation, or all when there are
    /// fewer, and returns the rest and the validation images.
    ///
    /// Every image is in exactly one of the two. Equal seeds choose equally.
    pub fn split_validation(self, n: usize, seed: u64) -> (Self, Self) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed, VALIDATION_STREAM).shuffle(&mut order);
        let (validation, rest) = order.split_at(n.min(order.len()));
        (self.select(rest), self.select(validation))
    }
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
        assert_eq!(some.image(0).unwrap().as_slice().unwrap(), [4, 104]);
        assert_eq!(some.to_array().unwrap().as_slice().unwrap(), [4, 104, 1, 101]);
        assert_eq!(some.select(&[1]).take(3).to_array().unwrap().as_slice().unwrap(), [1, 101]);
    }

    #[test]
    fn validation_is_deterministic_and_disjoint() {
        let (rest, validation) = numbered(50).split_validation(10, 3);
        assert_eq!(numbered(50).split_validation(10, 3), (rest.clone(), validation.clone()));
        assert_ne!(numbered(50).split_validation(10, 4).1, validation);
        assert_eq!((rest.len(), validation.len()), (40, 10));

        let mut all = [rest.labels, validation.labels.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, numbered(50).labels);
        for (n, &label) in validation.labels.iter().enumerate() {
            assert_eq!(u16::from(validation.image(n).unwrap()[[0, 0, 0]]), label);
        }

        let (rest, validation) = numbered(3).split_validation(9, 0);
        assert_eq!((rest.len(), validation.len()), (0, 3));
    }
}
