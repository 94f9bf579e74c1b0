//! What the kernels need of an instruction set.

use mwt_core::quant::{Matrix, Vector};

use crate::kernels::{Mat, MatMut, PackedI16};

/// The operations of one instruction set on registers of [`LANES`](Self::LANES) f32.
///
/// The pointers of the methods that take some are read and written for as many values as the method's
/// name says, and need no alignment.
pub(crate) trait Simd: PackedI16 {
    /// f32 values of a register.
    const LANES: usize;
    /// Rows of a register block, of two registers each, whose sums stay in registers.
    const ROWS: usize;
    /// Whether [`mul_add`](Self::mul_add) and its kin round once; else product and sum are rounded each.
    const FUSED: bool = true;
    /// A register.
    type F: Copy;
    /// Which lanes of a register a load or a store touches.
    type Mask: Copy;

    /// Runs `f` where the compiler may use the instructions; `f` must be inlined for that.
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R;

    /// The first `n` lanes, all when there are fewer.
    fn mask(self, n: usize) -> Self::Mask;
    /// Reads a register.
    ///
    /// # Safety
    /// [`LANES`](Self::LANES) values lie at `from`.
    unsafe fn load_all(self, from: *const f32) -> Self::F;
    /// Reads the lanes of `mask`; the others are 0.
    ///
    /// # Safety
    /// The values of the mask's lanes lie at `from`.
    unsafe fn load_some(self, from: *const f32, mask: Self::Mask) -> Self::F;
    /// Writes a register.
    ///
    /// # Safety
    /// As [`load_all`](Self::load_all), for writing.
    unsafe fn store_all(self, value: Self::F, to: *mut f32);
    /// Writes the lanes of `mask`.
    ///
    /// # Safety
    /// As [`load_some`](Self::load_some), for writing.
    unsafe fn store_some(self, value: Self::F, to: *mut f32, mask: Self::Mask);
    /// Widens [`LANES`](Self::LANES) int8.
    ///
    /// # Safety
    /// As many bytes lie at `from`.
    unsafe fn load_i8(self, from: *const u8) -> Self::F;
    /// Widens [`LANES`](Self::LANES) little-endian binary16.
    ///
    /// # Safety
    /// Twice as many bytes lie at `from`.
    unsafe fn load_f16(self, from: *const u8) -> Self::F;

    /// Asks for the cache line at `at`, which may be anywhere, ahead of its use.
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        let _ = at;
    }

    /// The same value in every lane.
    fn splat(self, value: f32) -> Self::F;
    /// a + b.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// a - b.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// a·b.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a / b.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// a·b + c.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// a·b - c.
    fn mul_sub(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// c - a·b.
    fn neg_mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// √a.
    fn sqrt(self, a: Self::F) -> Self::F;
    /// The larger one; `b` when either is a NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller one; `b` when either is a NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The bits shifted to the left.
    fn shift_left<const BITS: u32>(self, a: Self::F) -> Self::F;
    /// The bits added as integers.
    fn add_bits(self, a: Self::F, b: Self::F) -> Self::F;
    /// The bits of both.
    fn and(self, a: Self::F, b: Self::F) -> Self::F;
    /// The bits of one of the two.
    fn xor(self, a: Self::F, b: Self::F) -> Self::F;
    /// `negative` in the lanes where the sign bit of `sign` is set, `positive` in the others.
    fn select(self, sign: Self::F, negative: Self::F, positive: Self::F) -> Self::F;
    /// The sum of the lanes.
    fn sum(self, a: Self::F) -> f32;
    /// Transposes [`LANES`](Self::LANES) × [`LANES`](Self::LANES) values.
    ///
    /// # Safety
    /// That many rows of that many values lie at `from` and at `to`, `from_stride` and `to_stride` apart.
    unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize);

    /// [`Kernel::linear_int8`] for an int8 weight, where the instruction set has fast integer products. Gives
    /// whether it did anything.
    #[inline(always)]
    fn linear_int8(
        self,
        _a: Mat<'_>,
        _w: &Matrix<'_>,
        _bias: Option<Vector<'_>>,
        _c: &mut MatMut<'_>,
    ) -> bool {
        false
    }

    /// Reads the first values of a slice; lanes past its end are 0.
    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::F {
        // SAFETY: as many lanes are read as the slice has values.
        unsafe {
            if from.len() >= Self::LANES {
                self.load_all(from.as_ptr())
            } else {
                self.load_some(from.as_ptr(), self.mask(from.len()))
            }
        }
    }

    /// Writes the first values of a slice; lanes past its end are dropped.
    #[inline(always)]
    fn store(self, value: Self::F, to: &mut [f32]) {
        // SAFETY: as many lanes are written as the slice has values.
        unsafe {
            if to.len() >= Self::LANES {
                self.store_all(value, to.as_mut_ptr());
            } else {
                self.store_some(value, to.as_mut_ptr(), self.mask(to.len()));
            }
        }
    }

    /// Reads the first f32 of little-endian bytes; lanes past their end are 0.
    #[inline(always)]
    fn load_bytes(self, from: &[u8]) -> Self::F {
        // SAFETY: as many lanes are read as there are whole values. Loads need no alignment, and the
        // instruction sets here are little-endian.
        unsafe {
            if from.len() >= 4 * Self::LANES {
                self.load_all(from.as_ptr().cast())
            } else {
                self.load_some(from.as_ptr().cast(), self.mask(from.len() / 4))
            }
        }
    }
}

/// An instruction set that multiplies 16-bit integers, two to a lane, and adds them up as i32, faster than it multiplies f32.
/// Registers hold bits here, not values.
pub(crate) trait Pairs: Simd {
    /// sum + the products of both integers of each lane, exactly.
    fn add_products(self, a: Self::F, b: Self::F, sum: Self::F) -> Self::F;
    /// The i32 of each lane as an f32.
    fn integers(self, a: Self::F) -> Self::F;
    /// Rounds both to 16 bits, lane by lane: `low` in the lower half.
    fn pair(self, low: Self::F, high: Self::F) -> Self::F;
    /// Rounds both to 16 bits, neighbours to a lane: those of `first`, then those of `second`.
    fn pair_neighbours(self, first: Self::F, second: Self::F) -> Self::F;
}

/// Methods of a [`Simd`] that take registers, give one and touch no memory: `name(arguments) = intrinsics;`.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! register_ops {
    ($($name:ident($($argument:ident),*) = $run:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($argument: Self::F),*) -> Self::F {
            // SAFETY: the value of the instruction set proves that the CPU has the instructions.
            unsafe { $run }
        }
    )*};
}
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use register_ops;
