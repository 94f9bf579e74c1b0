//! The arithmetic that a model needs, on slices.
//!
//! [`Kernel`] is the one interface, and everything above is generic over it. [`Isa`] chooses among the kernels that
//! this CPU has, each of which is a module:
//!
//! | module | holds |
//! |---|---|
//! | `portable` | safe Rust for any target |
//! | `avx2`, `avx512`, `neon`, `simd128` | the operations of one instruction set on one register |
//! | `fpv4` | products of f32 for a Cortex-M4F, which the portable kernel uses there |
//! | `panels` | products of 16-bit integers: those of the portable kernel |
//! | `pairs` | what they are made of: sums over pairs of integers, and the ways into panels of them |
//! | `block` | how panels lie in memory |
//! | `dsp` | what is in `pairs`, with the DSP extension of Armv7E-M |
//! | `mve` | the same, products of f32 and all that is done to rows with Helium, the vectors of Armv8.1-M |
//! | `simd` | the kernel of AVX2, AVX-512, NEON and SIMD128, written once over a trait of their operations |
//! | `int8` | linear layers in int8, written once for AVX2, AVX-VNNI, AVX-512 and NEON's SDOT |
//! | `packed_i16` | fit and attention in 16-bit integers: their definition, which AVX2 and AVX-512 override |
//! | `view` | matrices inside slices, whose views reach past nothing |
//!
//! All unsafe code of the crate lies in the modules that are allowed it below.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
mod block;
#[cfg(mwt_dsp)]
#[allow(unsafe_code)]
mod dsp;
#[cfg(mwt_fpv4)]
#[allow(unsafe_code)]
mod fpv4;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon", target_endian = "little")
))]
#[allow(unsafe_code)]
mod int8;
mod isa;
#[cfg(mwt_mve)]
#[allow(unsafe_code)]
mod mve;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
#[allow(unsafe_code)]
mod neon;
pub(crate) mod packed_i16;
#[cfg_attr(any(mwt_dsp, mwt_mve), allow(unsafe_code))]
mod pairs;
pub(crate) mod panels;
mod portable;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
#[allow(unsafe_code)]
mod simd;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[allow(unsafe_code)]
mod simd128;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod tests;
mod view;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use isa::Isa;
pub(crate) use isa::with_kernel;
#[cfg(all(target_arch = "aarch64", target_feature = "neon", target_endian = "little"))]
pub use neon::Neon;
pub use packed_i16::PackedI16;
pub use portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::Simd128;
pub use view::{Mat, MatMut};

use mwt_core::quant::{Matrix, Vector};

/// What a matrix product starts from.
#[derive(Clone, Copy, Debug)]
pub enum Init<'a> {
    /// C = A·B.
    Zero,
    /// C = A·B + bias, the same for each row.
    Bias(&'a [f32]),
    /// C = C + A·B.
    Add,
}

/// Columns that the scratch panel of [`Kernel::linear`] holds.
pub const PANEL: usize = 8;

/// Partial sums of the portable kernel's dot product.
pub(crate) const LANES: usize = 8;

/// The arithmetic of one instruction set. Operands are views, which cannot reach past their slices; where
/// views disagree on a dimension, the smaller one counts.
pub trait Kernel: PackedI16 {
    /// Whether the fit's hidden layers and attention are faster in the integers of `panels`.
    const INTEGER_PANELS: bool = false;

    /// Runs `f` compiled for the instruction set, so that plain loops over slices in it use its registers. What `f`
    /// calls must be inlined for that.
    fn compiled<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    /// C = init + A·B, with A `[m, k]`, B `[k, n]`, C `[m, n]`.
    fn gemm(self, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: MatMut<'_>);

    /// C = C + Aᵀ·B, with A `[p, m]`, B `[p, n]`, C `[m, n]`.
    fn gemm_tn(self, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>);

    /// C = A·W + bias for a weight that lies in a bundle. `panel` is scratch of W.rows × [`PANEL`] values.
    fn linear(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: MatMut<'_>,
        panel: &mut [f32],
    );

    /// As [`linear`](Self::linear) in integers where that is faster: each row of A is rounded to int8 with a scale of
    /// its own. Elsewhere, and for weights that are not int8, the same as [`linear`](Self::linear).
    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: MatMut<'_>,
        panel: &mut [f32],
    ) {
        self.linear(a, w, bias, c, panel);
    }

    /// x ← sin x, cos ← cos x. Each is a NaN from |x| =
    /// [`SIN_COS_END`](mwt_core::math::SIN_COS_END) on. Before it the absolute error is below 1.2e-7 up to 8192 and below
    /// 1.1e-6 beyond.
    fn sin_cos(self, x: &mut [f32], cos: &mut [f32]);

    /// x ← gelu(x), the exact form, for every f32: with an absolute error below 1.4e-6 up to |x| = 5.66, exactly x above
    /// 5.66 and 0 below -5.66. A NaN and -∞, as what an overflow leaves, give a NaN.
    fn gelu(self, x: &mut [f32]);

    /// A softmax that runs over chunks of `scores`, one of each column: scores ← exp(scale·scores - max) with
    /// `max` the largest of this and all earlier chunks, `sum` ← correction·sum + the new values, where
    /// `correction` makes up for a maximum that has risen. `max` begins at -∞, and is of the scores as they come.
    ///
    /// Scores may be any finite numbers, and none of their weights is larger than 1 + 2⁻¹⁴. The relative error of a weight
    /// e⁻ˣ is below 4e-6 up to x = 70, 3.5e-7 up to 1; beyond 70 up to 2.4e-38 may be missing, and from 88 on all of it. A
    /// score that is not finite makes its column's sum a NaN.
    fn softmax(
        self,
        scores: MatMut<'_>,
        scale: f32,
        max: &mut [f32],
        sum: &mut [f32],
        correction: &mut [f32],
    );

    /// Layer norm of each row of `x`, rows as long as `weight`, into `out`. A row whose variance overflows gives NaNs.
    fn layer_norm(self, x: &[f32], weight: Vector<'_>, bias: Vector<'_>, eps: f32, out: &mut [f32]);

    /// x ← x + scale ⊙ branch, row by row, rows as long as `scale`.
    fn add_scaled(self, x: &mut [f32], branch: &[f32], scale: Vector<'_>);

    /// Each row of x times its factor.
    fn scale_rows(self, x: MatMut<'_>, factors: &[f32]);

    /// sums ← sums + the sum of the rows of x.
    fn add_rows(self, x: Mat<'_>, sums: &mut [f32]);

    /// x ← factor·x.
    fn scale(self, x: &mut [f32], factor: f32);

    /// x ← x ⊙ y.
    fn multiply(self, x: &mut [f32], y: &[f32]);

    /// φ ← φ - α ⊙ gradient, for α `[rows, columns]` where it lies in a bundle and φ and gradient row by row. Gives
    /// whether φ is still finite.
    fn descend(self, phi: &mut [f32], alpha: &Matrix<'_>, gradient: &[f32]) -> bool;

    /// to ← fromᵀ.
    fn transpose(self, from: Mat<'_>, to: MatMut<'_>);

    /// The sum of a slice.
    fn sum(self, x: &[f32]) -> f32;

    /// The dot product of two slices, as long as the shorter one.
    fn dot(self, a: &[f32], b: &[f32]) -> f32;
}
