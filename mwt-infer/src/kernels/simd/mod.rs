//! The kernels of instruction sets with wide registers, written once over [`Simd`].
//!
//! An instruction set is a token type that implements [`Simd`]: a handful of operations on one register.
//! Its value proves that the CPU has the instructions, because it comes from detection alone. Everything here
//! is inlined into [`Simd::vectorize`], where the compiler knows that the instructions are there.

mod gemm;
mod kernel;
mod linear;
mod math;
mod packed_i16;
mod registers;
mod rows;

#[cfg(not(target_arch = "wasm32"))]
pub(super) use registers::register_ops;
pub(super) use registers::{Pairs, Simd};
