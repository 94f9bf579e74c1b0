//! Cortex-M: SysTick counts down at the CPU's clock, which in QEMU's virtual time goes on by 1 ns an instruction.

use core::arch::asm;

use cortex_m::peripheral::{SYST, syst::SystClkSource};
pub use cortex_m_rt::entry;

use super::paint::PAINT;

/// The counter as it stands.
pub(super) type Ticks = u32;

/// SysTick is 24 bits wide: a lap may last 16.7 M ticks, 671 M instructions at 25 MHz.
const TICKS: u32 = 1 << 24;

pub(super) fn ticks() -> Ticks {
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        let mut syst = peripherals.SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(TICKS - 1);
        syst.clear_current();
        syst.enable_counter();
    }
    // Does nothing; a tracer, as the plugin of `run.sh -c` is, sees it.
    // SAFETY: a hint without operands.
    unsafe { core::arch::asm!("dbg #0", options(nomem, nostack, preserves_flags)) };
    SYST::get_current()
}

/// Instructions from one reading to a later one.
pub(super) fn instructions(from: Ticks, to: Ticks) -> u64 {
    let ticks = from.wrapping_sub(to) % TICKS;
    u64::from(ticks) * 1_000_000_000 / const { board_clock() }
}

/// The clock of the board that `build.rs` was told, in Hz.
const fn board_clock() -> u64 {
    match u32::from_str_radix(env!("MWT_CLOCK_HZ"), 10) {
        Ok(hz) => hz as u64,
        Err(_) => panic!("build.rs writes a number"),
    }
}

/// Paints this many bytes below the stack pointer, and gives where it points.
#[inline(always)]
pub(super) fn paint(bytes: usize) -> usize {
    let top: usize;
    // SAFETY: writes to what nobody uses, below the stack pointer, where each board has that much memory; interrupts
    // are not enabled.
    unsafe {
        asm!(
            "mov {top}, sp",
            "sub {end}, {top}, {bytes}",
            "mov {at}, {top}",
            "2:",
            "subs {at}, #4",
            "str {paint}, [{at}]",
            "cmp {at}, {end}",
            "bhi 2b",
            top = out(reg) top,
            end = out(reg) _,
            at = out(reg) _,
            bytes = in(reg) bytes,
            paint = in(reg) PAINT,
        );
    }
    top
}
