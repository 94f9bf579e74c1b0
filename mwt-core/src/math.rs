//! sin and cos together, exp and gelu, from +, -, × and ÷ alone.
//!
//! Rust neither fuses nor reassociates f32 arithmetic, so these give the same bits on every target. Written
//! without branches on the value, so that loops over them vectorize.

/// Adding and taking away 1.5·2²³ rounds a float below 2²² to the nearest integer, ties to even, and
/// leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// (sin x, cos x) with an absolute error below 1.2e-7 for |x| ≤ 8192.
///
/// Cody-Waite reduction by π/2 in three parts, then Cephes' minimax polynomials on [-π/4, π/4]. Beyond 8192
/// the error grows with |x| and the result may leave [-1, 1]; a NaN or an infinity gives NaN.
#[inline(always)]
pub fn sin_cos(x: f32) -> (f32, f32) {
    let shifted = x * core::f32::consts::FRAC_2_PI + ROUND;
    let quadrant = shifted.to_bits();
    let n = shifted - ROUND;
    let r = x - n * 1.570_312_5 - n * 4.837_513e-4 - n * 7.549_79e-8;
    let z = r * r;
    let s = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * r + r;
    let c = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    // Odd quadrants swap sine and cosine; the sign of each follows from the quadrant's bits.
    let (sin, cos) = if quadrant & 1 == 0 { (s, c) } else { (c, s) };
    let sin_sign = (quadrant & 2) << 30;
    let cos_sign = (quadrant.wrapping_add(1) & 2) << 30;
    (f32::from_bits(sin.to_bits() ^ sin_sign), f32::from_bits(cos.to_bits() ^ cos_sign))
}

/// eˣ with a relative error below 2e-7 for x in [-87, 88]; 0 or nearly 0 below, e⁸⁸ above.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Comparisons instead of min and max, which M4F has no instruction for; a NaN passes through.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 1.666_666_5e-1)
        * r
        + 0.5;
    let y = p * r * r + r + 1.0;
    // 2ⁿ through the exponent's bits; ROUND's own low bits are 0.
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// The Gauss error function with an absolute error below 5e-7: a rational minimax approximation on [-4, 4]
/// (the coefficients are Eigen's).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let z = x * x;
    let p = (((((-2.726_142_3e-10 * z + 2.770_681_4e-8) * z - 2.101_024e-6) * z - 5.692_506_4e-5)
        * z
        - 7.349_906_3e-4)
        * z
        - 2.954_6e-3)
        * z
        - 1.609_603_3e-2;
    let q = (((-1.456_607_2e-5 * z - 2.133_740_5e-4) * z - 1.682_827e-3) * z - 7.373_329e-3) * z
        - 1.426_473_9e-2;
    x * p / q
}

/// gelu(x) = x/2·(1 + erf(x/√2)), the exact form, with an absolute error below 2e-6 for |x| ≤ 8.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(from: f64, to: f64, error: impl Fn(f32) -> f64) -> f64 {
        let n = 400_000;
        (0..=n)
            .map(|i| error((from + (to - from) * f64::from(i) / f64::from(n)) as f32))
            .fold(0.0, f64::max)
    }

    #[test]
    fn sin_and_cos_keep_their_bound() {
        for to in [1.0, 40.0, 8192.0] {
            let e = worst(-to, to, |x| {
                let ((s, c), x) = (sin_cos(x), f64::from(x));
                (f64::from(s) - libm::sin(x)).abs().max((f64::from(c) - libm::cos(x)).abs())
            });
            assert!(e < 1.2e-7, "{e} up to {to}");
        }
        assert_eq!(sin_cos(0.0), (0.0, 1.0));
        assert!(sin_cos(f32::NAN).0.is_nan() && sin_cos(f32::INFINITY).1.is_nan());
    }

    #[test]
    fn exp_keeps_its_bound_and_saturates() {
        let e = worst(-86.9, 87.9, |x| {
            let want = libm::exp(f64::from(x));
            (f64::from(exp(x)) - want).abs() / want
        });
        assert!(e < 2e-7, "{e}");
        assert!(exp(-1e9) < 2e-38 && exp(-1e9) >= 0.0);
        assert!(exp(f32::INFINITY).is_finite());
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn erf_and_gelu_keep_their_bounds() {
        let e = worst(-6.0, 6.0, |x| (f64::from(erf(x)) - libm::erf(f64::from(x))).abs());
        assert!(e < 5e-7, "{e}");
        let g = worst(-8.0, 8.0, |x| {
            let (got, x) = (f64::from(gelu(x)), f64::from(x));
            (got - 0.5 * x * (1.0 + libm::erf(x / core::f64::consts::SQRT_2))).abs()
        });
        assert!(g < 2e-6, "{g}");
    }
}
