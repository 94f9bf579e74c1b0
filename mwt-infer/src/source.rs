//! Where samples come from.

use mwt_core::bundle::{GoldenSample, Input, SampleType};
use mwt_core::{Bundle, Extents, ModelConfig};

use crate::error::Error;

/// The samples to fit, by index.
///
/// Implemented by [`Signal`] (a regular grid, with or without holes) and [`Scattered`] (anywhere); implement it for a
/// sensor's own buffer to spare a copy.
pub trait SampleSource {
    /// Whether the samples lie anywhere, rather than one at each position of the model's grid.
    ///
    /// On the grid, index and position are the same, and an inner step looks at those of its draw's positions that have a
    /// sample. Elsewhere it looks at the samples whose nearest position is one of its draw's. Where samples are missing
    /// a step looks further down the order of its draw, to find as many as of a whole signal; one that still finds none
    /// looks at all of them.
    const SCATTERED: bool = false;

    /// Positions of the grid, or samples elsewhere.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the source suits a model.
    ///
    /// # Errors
    /// [`Error::Channels`] or [`Error::Extents`] when it does not.
    fn check(&self, config: &ModelConfig) -> Result<(), Error>;

    /// Whether every sample is there, so that nobody has to ask for each.
    fn is_complete(&self) -> bool {
        false
    }

    /// Whether sample `index` < len is there.
    fn is_there(&self, index: usize) -> bool {
        index < self.len()
    }

    /// The E coordinates of sample `index`, in [-1, 1], into `at`.
    fn coordinates(&self, index: usize, at: &mut [f32]);

    /// The C values of sample `index`, scaled as the model's input is, into `values`.
    fn values(&self, index: usize, input: &Input<'_>, values: &mut [f32]);
}

/// The numbers of a signal: sample after sample, in the order of the grid's positions where there is one, channels
/// interleaved.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// Bytes, as pictures have them.
    U8(&'a [u8]),
    /// What a sensor gives.
    I16(&'a [i16]),
    /// Any numbers; NaN in one of a sample's channels says that the sample is missing.
    F32(&'a [f32]),
    /// Targets of the fit themselves, which no input scaling changes; NaN as there.
    Scaled(&'a [f32]),
    /// Numbers of any type, little-endian, in bytes, as golden samples have them.
    Encoded(SampleType, &'a [u8]),
}

impl<'a> From<&'a [u8]> for Numbers<'a> {
    fn from(numbers: &'a [u8]) -> Self {
        Self::U8(numbers)
    }
}

impl<'a> From<&'a [i16]> for Numbers<'a> {
    fn from(numbers: &'a [i16]) -> Self {
        Self::I16(numbers)
    }
}

impl<'a> From<&'a [f32]> for Numbers<'a> {
    fn from(numbers: &'a [f32]) -> Self {
        Self::F32(numbers)
    }
}

impl Numbers<'_> {
    /// How many they are.
    pub const fn len(&self) -> usize {
        match self {
            Self::U8(numbers) => numbers.len(),
            Self::I16(numbers) => numbers.len(),
            Self::F32(numbers) | Self::Scaled(numbers) => numbers.len(),
            Self::Encoded(sample, bytes) => bytes.len() / sample.bytes(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at `index` as it is, unscaled; NaN past the end.
    pub fn get(&self, index: usize) -> f32 {
        let number = match self {
            Self::U8(numbers) => numbers.get(index).map(|n| f32::from(*n)),
            Self::I16(numbers) => numbers.get(index).map(|n| f32::from(*n)),
            Self::F32(numbers) | Self::Scaled(numbers) => numbers.get(index).copied(),
            Self::Encoded(SampleType::U8, bytes) => bytes.get(index).map(|n| f32::from(*n)),
            Self::Encoded(SampleType::I16, bytes) => {
                bytes.as_chunks().0.get(index).map(|b| f32::from(i16::from_le_bytes(*b)))
            }
            Self::Encoded(SampleType::F32, bytes) => {
                bytes.as_chunks().0.get(index).map(|b| f32::from_le_bytes(*b))
            }
        };
        number.unwrap_or(f32::NAN)
    }

    /// Whether a number may say that its sample is missing.
    const fn may_be_nan(&self) -> bool {
        matches!(self, Self::F32(_) | Self::Scaled(_) | Self::Encoded(SampleType::F32, _))
    }

    /// Whether none of a sample's numbers is NaN.
    fn are_there(&self, index: usize, channels: usize) -> bool {
        let first = index * channels;
        !self.may_be_nan() || (first..first + channels).all(|i| !self.get(i).is_nan())
    }

    /// The targets of a sample, as many as `values` takes.
    fn values(&self, index: usize, input: &Input<'_>, values: &mut [f32]) {
        let first = index * values.len();
        for (channel, value) in values.iter_mut().enumerate() {
            let number = self.get(first + channel);
            let scaled = matches!(self, Self::Scaled(_));
            *value = if scaled { number } else { input.scaling(channel).value(number) };
        }
    }
}

/// Which samples of a grid are there.
#[derive(Clone, Copy, Debug)]
enum There<'a> {
    All,
    /// Sample i where bit i % 8 (1 for the lowest) of byte i / 8 is set.
    Bits(&'a [u8]),
    /// Positions in ascending order.
    Listed(&'a [u32]),
}

/// A signal on a regular grid: an image, a series, a volume; with or without holes.
///
/// ```
/// use mwt_infer::{Extents, Signal};
/// # fn main() -> Result<(), mwt_infer::Error> {
/// let image = Signal::grey(&[0; 28 * 28], 28, 28)?;
/// // 100 readings of three accelerations, of which the first three were dropped.
/// let readings = [[0i16; 3]; 100];
/// let mut there = [0xff; 13];
/// there[0] = 0b1111_1000;
/// let series = Signal::new(readings.as_flattened(), Extents::series(100), 3)?.with_bits(&there)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    numbers: Numbers<'a>,
    there: There<'a>,
    extents: Extents,
    channels: usize,
}

impl<'a> Signal<'a> {
    /// A signal of any extents and number of channels. The numbers are scaled as the model's bundle says, whatever
    /// their type: readings of the same unit as in training.
    ///
    /// # Errors
    /// [`Error::SignalLength`] when there is not a number for each position and channel.
    pub fn new(
        numbers: impl Into<Numbers<'a>>,
        extents: Extents,
        channels: usize,
    ) -> Result<Self, Error> {
        let numbers = numbers.into();
        let fits = extents.within_limits()
            && extents.positions().checked_mul(channels) == Some(numbers.len());
        if !fits || channels == 0 {
            return Err(Error::SignalLength);
        }
        Ok(Self { numbers, there: There::All, extents, channels })
    }

    /// A grey image: rows of pixels, 0 for black, of the model's size.
    ///
    /// A picture becomes one as it did in training, which `mwt-train classify` does so: turn it upright, put its transparent
    /// parts on a background, cut it about its centre to the model's proportions, and average the pixels that shrink into
    /// one (or pad it, or stretch it, if training did). Light and dark are as in training: a model of light strokes on black
    /// takes dark ones on paper inverted, `255 - value`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn grey(bytes: &'a [u8], height: usize, width: usize) -> Result<Self, Error> {
        Self::new(bytes, Extents::image(height, width), 1)
    }

    /// An RGB image: rows of pixels, channels interleaved. How a picture becomes one is said at [`grey`](Self::grey).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn rgb(bytes: &'a [u8], height: usize, width: usize) -> Result<Self, Error> {
        Self::new(bytes, Extents::image(height, width), 3)
    }

    /// The signal of a bundle's golden sample.
    ///
    /// # Errors
    /// None for a sample of the bundle itself.
    pub fn golden(bundle: &Bundle<'_>, sample: &GoldenSample<'a>) -> Result<Self, Error> {
        let numbers = Numbers::Encoded(bundle.header().input.sample, sample.signal);
        let config = bundle.config();
        Self::new(numbers, config.extents, config.channels)
    }

    /// Only the samples whose bit is set: bit i % 8, 1 for the lowest, of byte i / 8 for sample i.
    ///
    /// # Errors
    /// [`Error::Mask`] when there are fewer bits than samples.
    pub fn with_bits(self, bits: &'a [u8]) -> Result<Self, Error> {
        if bits.len() < self.extents.positions().div_ceil(8) {
            return Err(Error::Mask);
        }
        Ok(Self { there: There::Bits(bits), ..self })
    }

    /// Only the samples at these positions.
    ///
    /// # Errors
    /// [`Error::Mask`] when they are not in ascending order or one is past the end.
    pub fn with_positions(self, positions: &'a [u32]) -> Result<Self, Error> {
        let last = positions.last().is_none_or(|last| (*last as usize) < self.extents.positions());
        if !last || !positions.is_sorted_by(|a, b| a < b) {
            return Err(Error::Mask);
        }
        Ok(Self { there: There::Listed(positions), ..self })
    }
}

impl SampleSource for Signal<'_> {
    fn len(&self) -> usize {
        self.extents.positions()
    }

    fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if self.channels != config.channels {
            return Err(Error::Channels);
        }
        if self.extents != config.extents {
            return Err(Error::Extents);
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        matches!(self.there, There::All) && !self.numbers.may_be_nan()
    }

    fn is_there(&self, index: usize) -> bool {
        let there = match self.there {
            There::All => index < self.len(),
            There::Bits(bits) => {
                bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
            }
            There::Listed(positions) => positions.binary_search(&(index as u32)).is_ok(),
        };
        there && self.numbers.are_there(index, self.channels)
    }

    fn coordinates(&self, index: usize, at: &mut [f32]) {
        self.extents.coordinates(index, at);
    }

    fn values(&self, index: usize, input: &Input<'_>, values: &mut [f32]) {
        self.numbers.values(index, input, values);
    }
}

/// A number that a reconstruction is written as.
pub trait FromNumber {
    /// The nearest of the type; those outside its range become its ends, NaN 0.
    fn from_number(number: f32) -> Self;
}

impl FromNumber for u8 {
    fn from_number(number: f32) -> Self {
        // A cast of a float saturates, so this is the clamp.
        (number + 0.5) as u8
    }
}

impl FromNumber for i16 {
    fn from_number(number: f32) -> Self {
        (number + if number < 0.0 { -0.5 } else { 0.5 }) as i16
    }
}

impl FromNumber for f32 {
    fn from_number(number: f32) -> Self {
        number
    }
}

/// Samples anywhere: own timestamps, irregular sensors, sparse readings.
///
/// ```
/// use mwt_infer::Scattered;
/// # fn main() -> Result<(), mwt_infer::Error> {
/// // Three readings of two channels, at their own times; a window goes from -1 to 1.
/// let times = [-0.9, -0.15, 0.7];
/// let readings = [[512i16, -3], [498, 7], [530, 1]];
/// let series = Scattered::new(&times, 1, readings.as_flattened(), 2)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Scattered<'a> {
    coordinates: &'a [f32],
    axes: usize,
    numbers: Numbers<'a>,
    channels: usize,
}

impl<'a> Scattered<'a> {
    /// Samples of `axes` coordinates in [-1, 1] each, in the order of the grid's axes ((y, x) in an image), and
    /// `channels` numbers each, in the same unit as in training.
    ///
    /// # Errors
    /// [`Error::SignalLength`] when there are not as many coordinates and numbers as that.
    pub fn new(
        coordinates: &'a [f32],
        axes: usize,
        numbers: impl Into<Numbers<'a>>,
        channels: usize,
    ) -> Result<Self, Error> {
        let numbers = numbers.into();
        let source = Self { coordinates, axes, numbers, channels };
        let samples = source.len();
        let fits = samples.checked_mul(axes) == Some(coordinates.len())
            && samples.checked_mul(channels) == Some(numbers.len());
        if fits && axes > 0 && channels > 0 { Ok(source) } else { Err(Error::SignalLength) }
    }
}

impl SampleSource for Scattered<'_> {
    const SCATTERED: bool = true;

    fn len(&self) -> usize {
        self.coordinates.len().checked_div(self.axes).unwrap_or(0)
    }

    fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if self.channels != config.channels {
            return Err(Error::Channels);
        }
        if self.axes == config.axes() { Ok(()) } else { Err(Error::Extents) }
    }

    fn is_there(&self, index: usize) -> bool {
        index < self.len() && self.numbers.are_there(index, self.channels)
    }

    fn coordinates(&self, index: usize, at: &mut [f32]) {
        let coordinates = self.coordinates.get(index * self.axes..).unwrap_or_default();
        at.iter_mut().zip(coordinates).for_each(|(to, from)| *to = *from);
    }

    fn values(&self, index: usize, input: &Input<'_>, values: &mut [f32]) {
        self.numbers.values(index, input, values);
    }
}
