//! The polynomials of [`mwt_core::math`] on registers, with fused multiply-adds.

use super::Simd;

/// 1.5·2²³: added and taken away it rounds to the nearest integer, which stays in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F, coefficients: [f32; N]) -> S::F {
    let mut sum = s.splat(coefficients[0]);
    for c in &coefficients[1..] {
        sum = s.mul_add(sum, x, s.splat(*c));
    }
    sum
}

/// As [`mwt_core::math::sin_cos`].
#[inline(always)]
pub(super) fn sin_cos<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
    let quadrant = s.mul_add(x, s.splat(core::f32::consts::FRAC_2_PI), s.splat(ROUND));
    let n = s.sub(quadrant, s.splat(ROUND));
    let mut r = x;
    for part in [1.570_312_5, 4.837_513e-4, 7.549_79e-8] {
        r = s.neg_mul_add(n, s.splat(part), r);
    }
    let z = s.mul(r, r);
    let sin = polynomial(s, z, [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]);
    let sin = s.mul_add(s.mul(sin, z), r, r);
    let cos = polynomial(s, z, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2, -0.5, 1.0]);
    // Odd quadrants swap sine and cosine; the sign of each follows from the quadrant's bits.
    let odd = s.shift_left::<31>(quadrant);
    let second = s.shift_left::<30>(quadrant);
    let sign = s.splat(-0.0);
    let sin_sign = s.and(second, sign);
    let cos_sign = s.and(s.xor(second, odd), sign);
    (s.xor(s.select(odd, cos, sin), sin_sign), s.xor(s.select(odd, sin, cos), cos_sign))
}

/// 2ˣ for x ≤ 0, with a relative error below 2e-7; 2⁻¹²⁵ below that, which is not subnormal: some CPUs multiply
/// subnormal numbers slowly. A minimax polynomial on [-1/2, 1/2].
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.splat(-125.0), x);
    let shifted = s.add(x, s.splat(ROUND));
    let r = s.sub(x, s.sub(shifted, s.splat(ROUND)));
    let y = polynomial(
        s,
        r,
        [1.327_646_5e-3, 9.675_541e-3, 5.550_713_5e-2, 2.402_212e-1, 6.931_469_4e-1, 1.000_000_1],
    );
    // n added to the exponent of y, which is in [0.7, 1.5].
    s.add_bits(y, s.shift_left::<23>(shifted))
}

/// As [`mwt_core::math::gelu`].
#[inline(always)]
pub(super) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let half = s.mul(x, s.splat(0.5));
    let y = s.mul(x, s.splat(core::f32::consts::FRAC_1_SQRT_2));
    let y = s.min(s.splat(4.0), s.max(s.splat(-4.0), y));
    let z = s.mul(y, y);
    let p = polynomial(
        s,
        z,
        [
            -2.726_142_3e-10,
            2.770_681_4e-8,
            -2.101_024e-6,
            -5.692_506_4e-5,
            -7.349_906_3e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ],
    );
    let q = polynomial(
        s,
        z,
        [-1.456_607_2e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2],
    );
    s.mul_add(half, s.div(s.mul(y, p), q), half)
}

/// z ← sin z, cos ← cos z.
#[inline(always)]
pub(super) fn sin_cos_slices<S: Simd>(s: S, z: &mut [f32], cos: &mut [f32]) {
    let len = z.len().min(cos.len());
    let (z, cos) = (z.get_mut(..len), cos.get_mut(..len));
    let (Some(z), Some(cos)) = (z, cos) else { return };
    for (z, cos) in z.chunks_mut(S::LANES).zip(cos.chunks_mut(S::LANES)) {
        let (sin_z, cos_z) = sin_cos(s, s.load(z));
        s.store(sin_z, z);
        s.store(cos_z, cos);
    }
}
