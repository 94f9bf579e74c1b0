//! RISC-V: the counter of retired instructions.

use core::arch::asm;

use riscv::register::minstret;
pub use riscv_rt::entry;

use super::paint::PAINT;

/// The counter as it stands.
pub(super) type Ticks = u64;

pub(super) fn ticks() -> Ticks {
    minstret::read64()
}

/// Instructions from one reading to a later one.
pub(super) fn count(from: Ticks, to: Ticks) -> u64 {
    to.wrapping_sub(from)
}

/// What is counted, on a part too.
pub(super) fn unit() -> &'static str {
    "instructions"
}

/// Paints this many bytes below the stack pointer, and gives where it points.
#[inline(always)]
pub(super) fn paint(bytes: usize) -> usize {
    let top: usize;
    // SAFETY: writes to what nobody uses, below the stack pointer, where each board has that much memory; interrupts
    // are not enabled.
    unsafe {
        asm!(
            "mv {top}, sp",
            "sub {end}, {top}, {bytes}",
            "mv {at}, {top}",
            "2:",
            "addi {at}, {at}, -4",
            "sw {paint}, 0({at})",
            "bgtu {at}, {end}, 2b",
            top = out(reg) top,
            end = out(reg) _,
            at = out(reg) _,
            bytes = in(reg) bytes,
            paint = in(reg) PAINT,
        );
    }
    top
}
