//! sin and cos together, exp and gelu, from +, -, × and ÷ alone; and the constants that other implementations of them
//! share.
//!
//! Rust neither fuses nor reassociates f32 arithmetic, so these give the same bits on every target. Written
//! without branches on the value, so that loops over them vectorize.

/// Adding and taking away 1.5·2²³ rounds a float below 2²² to the nearest integer, ties to even, and
/// leaves that integer in the low bits.
pub const ROUND: f32 = 12_582_912.0;

/// eps of every layer norm: y = (x - mean)/√(variance + eps) ⊙ weight + bias. The default of PyTorch's `LayerNorm`, which
/// the reference implementation uses.
pub const NORM_EPS: f32 = 1e-5;

// Coefficients, the highest power first.

/// π/2 in three parts; the first two have so few bits that their products with a small integer are exact.
pub const FRAC_PI_2: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8];

/// sin r ≈ r + r·z·p(z) with z = r² and |r| ≤ π/4: Cephes' minimax polynomial.
pub const SIN: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];

/// cos r ≈ p(r²) for |r| ≤ π/4: Cephes' minimax polynomial.
pub const COS: [f32; 5] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2, -0.5, 1.0];

/// ln 2 in two parts, as [`FRAC_PI_2`].
pub const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// eʳ ≈ 1 + r + r²·p(r) for |r| ≤ ln 2 / 2: Cephes' minimax polynomial.
pub const EXP: [f32; 6] =
    [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// 2ʳ ≈ p(r) for |r| ≤ 1/2: a minimax polynomial.
pub const EXP2: [f32; 6] =
    [1.327_646_5e-3, 9.675_541e-3, 5.550_713_5e-2, 2.402_212e-1, 6.931_469_4e-1, 1.000_000_1];

/// erf x ≈ x·p(x²)/q(x²) for |x| ≤ 4: p and q of Eigen's minimax approximation.
pub const ERF: ([f32; 7], [f32; 5]) = (
    [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ],
    [-1.456_607_2e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2],
);

/// Where [`erf`] ends: the value next to 4 at which the approximation rounds to exactly 1, fused or not. One that fell
/// short of 1 would leave gelu a share of every large negative value, however large.
pub const ERF_END: f32 = 3.999_999;

/// Where [`sin_cos`] ends: it is NaN from 2¹⁶ on. Neighbouring floats lie 2⁻⁷ apart there, so a sine says little, and not
/// far beyond the reduction breaks down.
pub const SIN_COS_END: f32 = 65_536.0;

/// x·TO_INFINITY overflows from [`SIN_COS_END`] on and is exact before; so is the way back.
pub const TO_INFINITY: f32 = f32::from_bits(0x7780_0000);

/// 1 / [`TO_INFINITY`].
pub const FROM_INFINITY: f32 = 1.0 / TO_INFINITY;

/// Scaled attention scores, in units of ln 2 or 1, that are far from 0: beyond it the rounding of a score's product with
/// the scale moves its weight by more than 2⁻¹⁵, so the largest score is taken away before the scaling, exactly.
pub const FAR_SCORE: f32 = 512.0;

/// A polynomial by Horner's rule.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for i in 1..N {
        sum = sum * x + coefficients[i];
    }
    sum
}

/// (sin x, cos x) for |x| < [`SIN_COS_END`]: with an absolute error below 1.2e-7 up to 8192 and below 1.1e-6 beyond; with
/// fused multiply-adds it stays below 1.2e-7. From there on, and for a NaN, both are NaN.
///
/// Cody-Waite reduction by π/2 in three parts, then minimax polynomials on [-π/4, π/4].
#[inline(always)]
pub fn sin_cos(x: f32) -> (f32, f32) {
    // By way of a product that overflows where the domain ends; infinity makes NaNs of both results.
    let shifted = x * TO_INFINITY * (core::f32::consts::FRAC_2_PI * FROM_INFINITY) + ROUND;
    let quadrant = shifted.to_bits();
    let n = shifted - ROUND;
    let r = x - n * FRAC_PI_2[0] - n * FRAC_PI_2[1] - n * FRAC_PI_2[2];
    let z = r * r;
    let s = polynomial(z, SIN) * z * r + r;
    // In Cephes' order: the two largest terms last.
    let [c4, c3, c2, c1, c0] = COS;
    let c = polynomial(z, [c4, c3, c2]) * z * z + c1 * z + c0;
    // Odd quadrants swap sine and cosine; the sign of each follows from the quadrant's bits.
    let (sin, cos) = if quadrant & 1 == 0 { (s, c) } else { (c, s) };
    let sin_sign = (quadrant & 2) << 30;
    let cos_sign = (quadrant.wrapping_add(1) & 2) << 30;
    (f32::from_bits(sin.to_bits() ^ sin_sign), f32::from_bits(cos.to_bits() ^ cos_sign))
}

/// eˣ for every x up to 88, e⁸⁸ above: with a relative error below 2e-7 from -87.3 on, where results are normal numbers,
/// and 0 below -87.69. A NaN stays one.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Comparisons instead of min and max, which M4F has no instruction for; a NaN passes through.
    let x = if x < -88.0 { -88.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let y = polynomial(r, EXP) * r * r + r + 1.0;
    // 2ⁿ through the exponent's bits; ROUND's own low bits are 0. At the lower end n is -127, whose bits are those of 0.
    y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
}

/// The Gauss error function for every x, with an absolute error below 5e-7: a rational minimax approximation on [-4, 4],
/// ±1 exactly from [`ERF_END`] on. A NaN stays one.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = if x < -ERF_END { -ERF_END } else { x };
    let x = if x > ERF_END { ERF_END } else { x };
    let z = x * x;
    x * polynomial(z, ERF.0) / polynomial(z, ERF.1)
}

/// gelu(x) = x/2·(1 + erf(x/√2)), the exact form, for every x: with an absolute error below 1.4e-6 up to |x| = 5.66,
/// exactly x above and 0 below. A NaN, and -∞, which only an overflow leaves, give a NaN.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    extern crate std;

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

    /// Every `stride`-th bit pattern, and where something ends with the floats around.
    fn patterns(stride: usize) -> impl Iterator<Item = f32> {
        let ends = [0.0, f32::MIN_POSITIVE, 4.0, ERF_END, 87.0, 87.34, 87.68, 88.0, f32::MAX];
        let ends = ends.into_iter().chain([f32::INFINITY, f32::NAN]);
        let near = ends.flat_map(|x| (-9..=9).map(move |i| x.to_bits().wrapping_add_signed(i)));
        let near = near.flat_map(|b| [b, b ^ 1 << 31]);
        (0..=u32::MAX).step_by(stride).chain(near).map(f32::from_bits)
    }

    fn exp_and_erf(stride: usize) {
        let mut worst = [0.0f64; 2];
        for x in patterns(stride) {
            let (got, want) = (f64::from(exp(x)), libm::exp(f64::from(x)));
            let error = (got - want).abs();
            match x {
                x if x.is_nan() => assert!(got.is_nan()),
                x if x < -87.69 => assert_eq!(got, 0.0),
                // From here on e^x is subnormal.
                x if x < -87.33 => assert!(error < 1e-38, "{x} {got}"),
                x if x > 88.0 => assert_eq!(got, f64::from(exp(88.0))),
                _ => worst[0] = worst[0].max(error / want),
            }
            let (got, want) = (f64::from(erf(x)), libm::erf(f64::from(x)));
            match x {
                x if x.is_nan() => assert!(got.is_nan()),
                x if x.abs() >= ERF_END => assert_eq!(got, f64::from(x.signum())),
                _ => worst[1] = worst[1].max((got - want).abs()),
            }
        }
        std::println!("exp {:.3e}, erf {:.3e}", worst[0], worst[1]);
        assert!(worst[0] < 2e-7 && worst[1] < 5e-7, "{worst:?}");
    }

    #[test]
    fn exp_and_erf_keep_their_bounds_everywhere() {
        exp_and_erf(4099);
    }

    #[test]
    #[ignore = "all of f32: minutes with --release"]
    fn exp_and_erf_keep_their_bounds_for_every_float() {
        exp_and_erf(1);
    }

    #[test]
    fn exp_keeps_its_bound_and_saturates() {
        let e = worst(-86.9, 87.9, |x| {
            let want = libm::exp(f64::from(x));
            (f64::from(exp(x)) - want).abs() / want
        });
        assert!(e < 2e-7, "{e}");
        assert_eq!(exp(-1e9), 0.0);
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
