//! RISC-V: the counter of retired instructions.

use riscv::register::minstret;
pub use riscv_rt::entry;

/// The counter as it stands.
pub(super) type Ticks = u64;

pub(super) fn ticks() -> Ticks {
    minstret::read64()
}

/// Instructions from one reading to a later one.
pub(super) fn instructions(from: Ticks, to: Ticks) -> u64 {
    to.wrapping_sub(from)
}
