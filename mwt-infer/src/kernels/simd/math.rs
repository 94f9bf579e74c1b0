//! The polynomials of [`mwt_core::math`] on registers, with fused multiply-adds where there are some.

use mwt_core::math::{COS, ERF, ERF_END, EXP2, FRAC_PI_2, FROM_INFINITY, ROUND, SIN, TO_INFINITY};

use super::Simd;

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
    // The same bits within the domain and infinity beyond it, of which the reduction makes a NaN.
    let x = s.mul(s.mul(x, s.splat(TO_INFINITY)), s.splat(FROM_INFINITY));
    let quadrant = s.mul_add(x, s.splat(core::f32::consts::FRAC_2_PI), s.splat(ROUND));
    let n = s.sub(quadrant, s.splat(ROUND));
    let mut r = x;
    for part in FRAC_PI_2 {
        r = s.neg_mul_add(n, s.splat(part), r);
    }
    let z = s.mul(r, r);
    let sin = polynomial(s, z, SIN);
    let sin = s.mul_add(s.mul(sin, z), r, r);
    let cos = if S::FUSED {
        polynomial(s, z, COS)
    } else {
        // The two largest terms last, as in the reference.
        let [c4, c3, c2, c1, c0] = COS;
        let small = s.mul(s.mul(polynomial(s, z, [c4, c3, c2]), z), z);
        s.add(s.mul_add(s.splat(c1), z, small), s.splat(c0))
    };
    // Odd quadrants swap sine and cosine; the sign of each follows from the quadrant's bits.
    let odd = s.shift_left::<31>(quadrant);
    let second = s.shift_left::<30>(quadrant);
    let sign = s.splat(-0.0);
    let sin_sign = s.and(second, sign);
    let cos_sign = s.and(s.xor(second, odd), sign);
    (s.xor(s.select(odd, cos, sin), sin_sign), s.xor(s.select(odd, sin, cos), cos_sign))
}

/// 2ˣ for x ≤ 127; 0 at -125 and below. The result has no subnormal values but a few next to that end: some CPUs multiply
/// subnormal numbers slowly.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    /// What the rest gives for -125, in which the polynomial gives its last coefficient.
    const LAST: f32 = EXP2[EXP2.len() - 1] * f32::from_bits(2 << 23);
    let x = s.max(s.splat(-125.0), x);
    let shifted = s.add(x, s.splat(ROUND));
    let r = s.sub(x, s.sub(shifted, s.splat(ROUND)));
    let y = polynomial(s, r, EXP2);
    // 2ⁿ, as a factor: added to the exponent of y it would turn some NaNs into numbers.
    let power = s.add_bits(s.splat(1.0), s.shift_left::<23>(shifted));
    s.mul_sub(y, power, s.splat(LAST))
}

/// As [`mwt_core::math::gelu`].
#[inline(always)]
pub(super) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let half = s.mul(x, s.splat(0.5));
    let y = s.mul(x, s.splat(core::f32::consts::FRAC_1_SQRT_2));
    let y = s.min(s.splat(ERF_END), s.max(s.splat(-ERF_END), y));
    let z = s.mul(y, y);
    let (p, q) = (polynomial(s, z, ERF.0), polynomial(s, z, ERF.1));
    s.mul_add(half, s.div(s.mul(y, p), q), half)
}

/// x ← sin x, cos ← cos x.
#[inline(always)]
pub(super) fn sin_cos_slices<S: Simd>(s: S, x: &mut [f32], cos: &mut [f32]) {
    let len = x.len().min(cos.len());
    let (x, cos) = (x.get_mut(..len), cos.get_mut(..len));
    let (Some(x), Some(cos)) = (x, cos) else { return };
    for (x, cos) in x.chunks_mut(S::LANES).zip(cos.chunks_mut(S::LANES)) {
        let (sin_x, cos_x) = sin_cos(s, s.load(x));
        s.store(sin_x, x);
        s.store(cos_x, cos);
    }
}
