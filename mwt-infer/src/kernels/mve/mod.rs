//! Helium, the vectors of Armv8.1-M (MVE), as Cortex-M55 and M85 have them: four f32 or eight 16-bit integers in a register,
//! and loops that count without instructions. `asm!` takes its instructions where the target's CPU has them; there are no
//! stable intrinsics.
//!
//! Every product and sum of f32 is rounded by itself, in the order of the portable kernel, so the bits are the same, but
//! for one thing: these instructions take subnormal numbers, those below 1.2e-38, for zeros, whatever the FPU is set to.
//! The vectors that compilers make for such a core do so too.
//!
//! No compiler knows which of an `asm!`'s instructions change the predicate (VPR), so none here does.

pub(super) mod each;
pub(super) mod pairs;
pub(super) mod product;
