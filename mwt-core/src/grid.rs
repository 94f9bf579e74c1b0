//! A sample's coordinates and values, as the SIREN sees them.

/// Coordinate of index `i` of `n` along one axis: -1 + 2·i/(n-1), both ends included; 0 when n is 1.
///
/// Rounded once, so the grid is exactly symmetric about 0.
pub fn coordinate(i: usize, n: usize) -> f32 {
    if n <= 1 { 0.0 } else { (2.0 * i as f32 - (n - 1) as f32) / (n - 1) as f32 }
}

/// The sides of the regular grid that a model's samples lie on, one to three; positions are counted with the last
/// axis fastest.
///
/// A series has `[length]`, an image `[height, width]`, a volume `[depth, height, width]`. A sample's coordinates come
/// in the same order, so an image's are (y, x).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// 1 where there is no such axis.
    sides: [usize; 3],
    axes: usize,
}

impl Extents {
    /// The most axes that a grid may have.
    pub const MAX_AXES: usize = 3;

    /// The longest side.
    pub const MAX_SIDE: usize = 65_536;

    /// The most positions.
    pub const MAX_POSITIONS: usize = 1 << 24;

    /// A grid of one axis.
    pub const fn series(length: usize) -> Self {
        Self { sides: [length, 1, 1], axes: 1 }
    }

    /// A grid of two axes.
    pub const fn image(height: usize, width: usize) -> Self {
        Self { sides: [height, width, 1], axes: 2 }
    }

    /// A grid of three axes.
    pub const fn volume(depth: usize, height: usize, width: usize) -> Self {
        Self { sides: [depth, height, width], axes: 3 }
    }

    /// A grid of as many axes as there are sides; `None` unless they are one to three.
    pub const fn new(sides: &[usize]) -> Option<Self> {
        match *sides {
            [length] => Some(Self::series(length)),
            [height, width] => Some(Self::image(height, width)),
            [depth, height, width] => Some(Self::volume(depth, height, width)),
            _ => None,
        }
    }

    /// E: the number of axes, and of a sample's coordinates.
    pub const fn axes(&self) -> usize {
        self.axes
    }

    /// The sides, E of them.
    pub fn sides(&self) -> &[usize] {
        self.sides.get(..self.axes).unwrap_or_default()
    }

    /// Side `axis`; 1 where there is no such axis.
    pub fn side(&self, axis: usize) -> usize {
        self.sides.get(axis).copied().unwrap_or(1)
    }

    /// The number of positions.
    pub const fn positions(&self) -> usize {
        let [a, b, c] = self.sides;
        a * b * c
    }

    /// Whether every side is in 1..=[`MAX_SIDE`](Self::MAX_SIDE) and the positions are at most
    /// [`MAX_POSITIONS`](Self::MAX_POSITIONS).
    pub const fn within_limits(&self) -> bool {
        let [a, b, c] = self.sides;
        let longest = if a > b { a } else { b };
        let longest = if longest > c { longest } else { c };
        // Each side is checked first, so that the product fits.
        a > 0
            && b > 0
            && c > 0
            && longest <= Self::MAX_SIDE
            && a as u64 * b as u64 * c as u64 <= Self::MAX_POSITIONS as u64
    }

    /// The grid of this grid's cells of sides `cell`, those that the end cuts off included; `None` when a side is 0 or
    /// the axes are not the same.
    pub const fn cells(&self, cell: Self) -> Option<Self> {
        let ([a, b, c], [x, y, z]) = (self.sides, cell.sides);
        if cell.axes != self.axes || x == 0 || y == 0 || z == 0 {
            return None;
        }
        Some(Self { sides: [a.div_ceil(x), b.div_ceil(y), c.div_ceil(z)], axes: self.axes })
    }

    /// The coordinates of a position, each in [-1, 1], into the first E of `at`.
    ///
    /// A position past the end gives a first coordinate beyond 1.
    pub fn coordinates(&self, position: usize, at: &mut [f32]) {
        self.indices(position).iter().zip(&self.sides).zip(at).for_each(|((i, side), at)| {
            *at = coordinate(*i, *side);
        });
    }

    /// The place of a position along each axis; 0 where there is no such axis.
    pub(crate) fn indices(&self, position: usize) -> [usize; 3] {
        let [_, b, c] = self.sides;
        let row = position.checked_div(c).unwrap_or(0);
        let plane = row.checked_div(b).unwrap_or(0);
        match self.axes {
            1 => [position, 0, 0],
            2 => {
                let row = position.checked_div(b).unwrap_or(0);
                [row, position - row * b, 0]
            }
            _ => [plane, row - plane * b, position - row * c],
        }
    }

    /// The position at some places along the axes: what [`indices`](Self::indices) takes apart.
    pub(crate) fn position(&self, indices: [usize; 3]) -> usize {
        self.sides.iter().zip(indices).fold(0, |position, (side, index)| position * side + index)
    }

    /// The position nearest to some coordinates; those outside [-1, 1] are taken to its ends.
    pub fn nearest(&self, at: &[f32]) -> usize {
        let mut indices = [0; 3];
        for ((index, side), at) in indices.iter_mut().zip(self.sides()).zip(at) {
            let last = side.saturating_sub(1);
            // A cast of a float saturates, and takes NaN to 0.
            *index = (((at + 1.0) * 0.5 * last as f32 + 0.5) as usize).min(last);
        }
        self.position(indices)
    }
}

#[cfg(feature = "serde")]
mod text {
    //! Extents as text: a list of sides, or, as earlier settings have them, height and width.

    use alloc::vec::Vec;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Extents;

    impl Serialize for Extents {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.sides().serialize(serializer)
        }
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Sides(Vec<usize>),
        Image { height: usize, width: usize },
    }

    impl<'de> Deserialize<'de> for Extents {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let error = || de::Error::custom("a grid has one to three sides");
            match Text::deserialize(deserializer)? {
                Text::Sides(sides) => Self::new(&sides).ok_or_else(error),
                Text::Image { height, width } => Ok(Self::image(height, width)),
            }
        }
    }
}

/// How a number that an application hands in becomes a target of the fit: `scale`·number + `offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InputScaling {
    /// Factor; above 0.
    pub scale: f32,
    /// Added after scaling.
    pub offset: f32,
}

impl InputScaling {
    /// Bytes, 0..=255, to [-1, 1], as the paper does it.
    pub const SYMMETRIC: Self = Self { scale: 2.0 / 255.0, offset: -1.0 };

    /// The target of a number.
    pub fn value(self, raw: f32) -> f32 {
        self.scale * raw + self.offset
    }

    /// The number of a target.
    pub fn raw(self, value: f32) -> f32 {
        (value - self.offset) / self.scale
    }
}

/// Peak signal-to-noise ratio in dB of values in [-1, 1] from the mean squared error of the same values
/// mapped to [0, 1]; infinite when the error is 0.
pub fn psnr(mse: f32) -> f32 {
    -10.0 * libm::log10f(mse)
}

/// One value's part of the mean squared error behind [`psnr`]: both mapped to [0, 1], the prediction clamped.
pub fn clamped_squared_error(predicted: f32, target: f32) -> f32 {
    let e = ((predicted + 1.0) * 0.5).clamp(0.0, 1.0) - (target + 1.0) * 0.5;
    e * e
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_included_and_the_grid_is_symmetric() {
        for n in 2..300 {
            assert_eq!((coordinate(0, n), coordinate(n - 1, n)), (-1.0, 1.0));
            for i in 0..n {
                assert_eq!(coordinate(i, n), -coordinate(n - 1 - i, n));
            }
        }
        assert_eq!(coordinate(0, 1), 0.0);
    }

    #[test]
    fn positions_have_coordinates_of_one_to_three_axes() {
        let at = |extents: Extents, position| {
            let mut at = [9.0; 3];
            extents.coordinates(position, &mut at[..extents.axes()]);
            at
        };
        assert_eq!(at(Extents::series(5), 1), [-0.5, 9.0, 9.0]);
        assert_eq!(at(Extents::image(3, 4), 5), [0.0, coordinate(1, 4), 9.0]);
        assert_eq!(at(Extents::volume(2, 3, 4), 23), [1.0, 1.0, 1.0]);
        assert_eq!(at(Extents::volume(2, 3, 4), 16), [1.0, 0.0, -1.0]);
        // Past the end, and on grids that no model has: numbers, not panics.
        assert!(at(Extents::image(3, 4), 12)[0] > 1.0 && at(Extents::volume(1, 3, 3), 9)[0] >= 0.0);
        at(Extents::volume(0, 0, 0), 7);
    }

    #[test]
    fn every_position_is_nearest_to_its_own_coordinates() {
        let grids = [
            Extents::series(1),
            Extents::series(101),
            Extents::image(28, 28),
            Extents::image(1, 7),
            Extents::volume(3, 4, 5),
        ];
        for extents in grids {
            assert_eq!(Extents::new(extents.sides()), Some(extents));
            for position in 0..extents.positions() {
                let mut at = [0.0; 3];
                extents.coordinates(position, &mut at);
                assert_eq!(extents.nearest(&at), position, "{extents:?}");
            }
        }
        assert_eq!(Extents::series(10).nearest(&[f32::NAN]), 0);
        assert_eq!(Extents::image(3, 3).nearest(&[9.0, -9.0]), 6);
        assert_eq!(Extents::new(&[]), None);
    }

    #[test]
    fn limits_hold_on_any_target() {
        assert!(Extents::image(4096, 4096).within_limits());
        assert!(!Extents::image(4096, 4097).within_limits());
        assert!(
            Extents::series(65_536).within_limits() && !Extents::series(65_537).within_limits()
        );
        assert!(!Extents::volume(0, 1, 1).within_limits());
        // A product that would wrap around in 32 bits.
        assert!(!Extents::volume(65_536, 65_536, 1).within_limits());
    }

    #[test]
    fn bytes_survive_scaling_and_back() {
        let s = InputScaling::SYMMETRIC;
        for byte in 0..=255u8 {
            let raw = f32::from(byte);
            assert!((s.raw(s.value(raw)) - raw).abs() < 0.01);
        }
        assert_eq!(s.value(0.0), -1.0);
    }
}
