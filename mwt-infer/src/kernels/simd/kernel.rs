//! The kernels of every instruction set: each inlined into [`Simd::vectorize`].

use mwt_core::quant::{Matrix, Vector};

use super::{Simd, gemm, linear, math, rows};
use crate::kernels::{Init, Kernel, Mat, MatMut};

impl<S: Simd> Kernel for S {
    #[inline(always)]
    fn compiled<R>(self, f: impl FnOnce() -> R) -> R {
        self.vectorize(f)
    }

    #[inline]
    fn gemm(self, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: MatMut<'_>) {
        self.vectorize(
            #[inline(always)]
            || gemm::gemm(self, a, b, init, c),
        );
    }

    #[inline]
    fn gemm_tn(self, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>) {
        self.vectorize(
            #[inline(always)]
            || gemm::gemm_tn(self, a, b, c),
        );
    }

    #[inline]
    fn linear(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: MatMut<'_>,
        _panel: &mut [f32],
    ) {
        self.vectorize(
            #[inline(always)]
            || linear::linear(self, a, w, bias, c),
        );
    }

    #[inline]
    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        mut c: MatMut<'_>,
        panel: &mut [f32],
    ) {
        if !Simd::linear_int8(self, a, w, bias, &mut c) {
            self.linear(a, w, bias, c, panel);
        }
    }

    #[inline]
    fn sin_cos(self, x: &mut [f32], cos: &mut [f32]) {
        self.vectorize(
            #[inline(always)]
            || math::sin_cos_slices(self, x, cos),
        );
    }

    #[inline]
    fn gelu(self, x: &mut [f32]) {
        self.vectorize(
            #[inline(always)]
            || x.chunks_mut(S::LANES).for_each(|x| self.store(math::gelu(self, self.load(x)), x)),
        );
    }

    #[inline]
    fn softmax(
        self,
        scores: MatMut<'_>,
        scale: f32,
        max: &mut [f32],
        sum: &mut [f32],
        correction: &mut [f32],
    ) {
        self.vectorize(
            #[inline(always)]
            || rows::softmax(self, scores, scale, [max, sum, correction]),
        );
    }

    #[inline]
    fn layer_norm(
        self,
        x: &[f32],
        weight: Vector<'_>,
        bias: Vector<'_>,
        eps: f32,
        out: &mut [f32],
    ) {
        self.vectorize(
            #[inline(always)]
            || rows::layer_norm(self, x, weight, bias, eps, out),
        );
    }

    #[inline]
    fn add_scaled(self, x: &mut [f32], branch: &[f32], scale: Vector<'_>) {
        self.vectorize(
            #[inline(always)]
            || rows::add_scaled(self, x, branch, scale),
        );
    }

    #[inline]
    fn scale_rows(self, x: MatMut<'_>, factors: &[f32]) {
        self.vectorize(
            #[inline(always)]
            || rows::scale_rows(self, x, factors),
        );
    }

    #[inline]
    fn add_rows(self, x: Mat<'_>, sums: &mut [f32]) {
        self.vectorize(
            #[inline(always)]
            || rows::add_rows(self, x, sums),
        );
    }

    #[inline]
    fn scale(self, x: &mut [f32], factor: f32) {
        self.vectorize(
            #[inline(always)]
            || rows::scale(self, x, factor),
        );
    }

    #[inline]
    fn multiply(self, x: &mut [f32], y: &[f32]) {
        self.vectorize(
            #[inline(always)]
            || rows::multiply(self, x, y),
        );
    }

    #[inline]
    fn descend(self, phi: &mut [f32], alpha: &Matrix<'_>, gradient: &[f32]) -> bool {
        self.vectorize(
            #[inline(always)]
            || rows::descend(self, phi, alpha, gradient),
        )
    }

    #[inline]
    fn transpose(self, from: Mat<'_>, to: MatMut<'_>) {
        self.vectorize(
            #[inline(always)]
            || rows::transpose(self, from, to),
        );
    }

    #[inline]
    fn sum(self, x: &[f32]) -> f32 {
        self.vectorize(
            #[inline(always)]
            || rows::sum(self, x),
        )
    }

    #[inline]
    fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        self.vectorize(
            #[inline(always)]
            || rows::dot(self, a, b),
        )
    }
}
