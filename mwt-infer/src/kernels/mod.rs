//! The arithmetic that a model needs, on slices.
//!
//! [`Kernel`] is the one interface: [`Portable`] implements it in safe Rust for any target. Everything above
//! is generic over it and does not see which one runs.

mod portable;
mod view;

pub use portable::Portable;
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

/// The arithmetic of one instruction set. Operands are views, which cannot reach past their slices; where
/// views disagree on a dimension, the smaller one counts.
pub trait Kernel: Copy {
    /// C = init + A·B, with A [m, k], B [k, n], C [m, n].
    fn gemm(self, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: MatMut<'_>);

    /// C = C + Aᵀ·B, with A [p, m], B [p, n], C [m, n].
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

    /// z ← sin z, cos ← cos z.
    fn sin_cos(self, z: &mut [f32], cos: &mut [f32]);

    /// x ← gelu(x), the exact form.
    fn gelu(self, x: &mut [f32]);

    /// x ← exp(scale·x - max) and the sum of it, for a softmax that runs over chunks.
    fn exp_sum(self, x: &mut [f32], scale: f32, max: f32) -> f32;

    /// The sum of a slice.
    fn sum(self, x: &[f32]) -> f32;

    /// The dot product of two slices, as long as the shorter one.
    fn dot(self, a: &[f32], b: &[f32]) -> f32;
}
