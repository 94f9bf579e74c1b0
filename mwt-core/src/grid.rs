//! A pixel's coordinate and value, as the SIREN sees them.

use serde::{Deserialize, Serialize};

/// Coordinate of index `i` of `n` along one axis: -1 + 2·i/(n-1), both ends included; 0 when n is 1.
///
/// Rounded once, so the grid is exactly symmetric about 0.
pub fn coordinate(i: usize, n: usize) -> f32 {
    if n <= 1 { 0.0 } else { (2.0 * i as f32 - (n - 1) as f32) / (n - 1) as f32 }
}

/// (y, x) of pixel `index`, counted row by row, in an image `height` × `width`.
///
/// An index past the end gives a coordinate beyond 1; a zero width gives (0, 0).
pub fn pixel(index: usize, height: usize, width: usize) -> [f32; 2] {
    let row = index.checked_div(width).unwrap_or(0);
    [coordinate(row, height), coordinate(index - row * width, width)]
}

/// How a byte of an image becomes a target of the fit: `scale`·byte + `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputScaling {
    /// Factor for a byte.
    pub scale: f32,
    /// Added after scaling.
    pub offset: f32,
}

impl InputScaling {
    /// 0..=255 to [-1, 1], as the paper does it.
    pub const SYMMETRIC: Self = Self { scale: 2.0 / 255.0, offset: -1.0 };

    /// The value of a byte.
    pub fn value(self, byte: u8) -> f32 {
        self.scale * f32::from(byte) + self.offset
    }

    /// The nearest byte to a value; values outside the range are clamped, NaN gives 0.
    pub fn byte(self, value: f32) -> u8 {
        // A cast of a float saturates, so this is the clamp.
        ((value - self.offset) / self.scale + 0.5) as u8
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
        assert_eq!(pixel(5, 3, 4), [0.0, coordinate(1, 4)]);
        assert_eq!(pixel(5, 3, 0), [coordinate(0, 3), coordinate(5, 0)]);
    }

    #[test]
    fn bytes_survive_scaling_and_back() {
        let s = InputScaling::SYMMETRIC;
        for b in 0..=255 {
            assert_eq!(s.byte(s.value(b)), b);
        }
        assert_eq!((s.value(0), s.byte(f32::NAN), s.byte(9.0), s.byte(-9.0)), (-1.0, 0, 255, 0));
    }
}
