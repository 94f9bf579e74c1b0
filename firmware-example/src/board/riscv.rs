//! RISC-V: the counter of retired instructions.

use riscv::register::minstret;
pub(crate) use riscv_rt::entry;

/// The counter as it stands.
pub(crate) type Ticks = u64;

pub(crate) fn ticks() -> Ticks {
    minstret::read64()
}

/// Instructions from one reading to a later one.
pub(crate) fn instructions(from: Ticks, to: Ticks) -> u64 {
    to.wrapping_sub(from)
}
