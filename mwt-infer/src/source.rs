//! Where pixels come from.

use mwt_core::grid::{self, InputScaling};
use mwt_core::{ImageSize, ModelConfig};

use crate::error::Error;

/// Samples of an image to fit, by index.
///
/// Implemented by [`Image`] (bytes on a regular grid) and [`Scattered`] (missing or irregular pixels); implement
/// it for a camera's own buffer to spare a copy.
pub trait PixelSource {
    /// Samples on offer. The model's pixel draw picks among 0..len.
    fn len(&self) -> usize;

    /// Whether there is no sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the source suits a model.
    ///
    /// # Errors
    /// [`Error::Channels`] or [`Error::ImageSize`] when it does not.
    fn check(&self, config: &ModelConfig) -> Result<(), Error>;

    /// Sample `index` < len: its coordinate (y, x) in [-1, 1], and its C values into `values`.
    fn sample(&self, index: usize, scaling: InputScaling, values: &mut [f32]) -> [f32; 2];
}

/// A byte image on a regular grid: rows of pixels, channels interleaved.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    size: ImageSize,
    channels: usize,
}

impl<'a> Image<'a> {
    /// An image of any number of channels.
    ///
    /// # Errors
    /// [`Error::ImageBytes`] when `bytes` is not height·width·channels long.
    pub fn new(
        bytes: &'a [u8],
        height: usize,
        width: usize,
        channels: usize,
    ) -> Result<Self, Error> {
        let len = height.checked_mul(width).and_then(|n| n.checked_mul(channels));
        if len != Some(bytes.len()) || channels == 0 {
            return Err(Error::ImageBytes);
        }
        Ok(Self { bytes, size: ImageSize { height, width }, channels })
    }

    /// A grey image.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn grey(bytes: &'a [u8], height: usize, width: usize) -> Result<Self, Error> {
        Self::new(bytes, height, width, 1)
    }

    /// An RGB image.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn rgb(bytes: &'a [u8], height: usize, width: usize) -> Result<Self, Error> {
        Self::new(bytes, height, width, 3)
    }
}

impl PixelSource for Image<'_> {
    fn len(&self) -> usize {
        self.size.pixels()
    }

    fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if self.channels != config.channels {
            return Err(Error::Channels);
        }
        if self.size != config.image {
            return Err(Error::ImageSize);
        }
        Ok(())
    }

    fn sample(&self, index: usize, scaling: InputScaling, values: &mut [f32]) -> [f32; 2] {
        let pixel = self.bytes.get(index * self.channels..).unwrap_or_default();
        values.iter_mut().zip(pixel).for_each(|(v, b)| *v = scaling.value(*b));
        grid::pixel(index, self.size.height, self.size.width)
    }
}

/// One sample of an image of `C` channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<const C: usize> {
    /// Row coordinate in [-1, 1].
    pub y: f32,
    /// Column coordinate in [-1, 1].
    pub x: f32,
    /// The values, scaled as the model's input is: [-1, 1].
    pub values: [f32; C],
}

/// Samples anywhere in the image: missing pixels, irregular sensors, sparse readings.
///
/// Each step draws the same share of them as it would of a whole image's pixels, at least one.
#[derive(Clone, Copy, Debug)]
pub struct Scattered<'a, const C: usize>(pub &'a [Sample<C>]);

impl<const C: usize> PixelSource for Scattered<'_, C> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if C == config.channels { Ok(()) } else { Err(Error::Channels) }
    }

    fn sample(&self, index: usize, _: InputScaling, values: &mut [f32]) -> [f32; 2] {
        let Some(sample) = self.0.get(index) else { return [f32::NAN; 2] };
        values.iter_mut().zip(&sample.values).for_each(|(v, s)| *v = *s);
        [sample.y, sample.x]
    }
}
