//! Cortex-M: DWT counts clock cycles where the core has it, and SysTick elsewhere. QEMU has no DWT, and its SysTick goes by
//! virtual time, which `-icount shift=0` lets go on by 1 ns an instruction.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{DWT, Peripherals, SYST};
pub use cortex_m_rt::entry;
use cortex_m_rt::exception;

use super::paint::PAINT;

/// The counter as it stands.
pub(super) type Ticks = u64;

/// SysTick has 24 bits, of which it fills all before it begins anew: 0.7 s at 25 MHz.
const TICKS: u32 = 1 << 24;

/// How often SysTick began anew.
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Whether DWT counts.
static CYCLES: AtomicBool = AtomicBool::new(false);

/// Ticks of SysTick a second under QEMU, where an instruction is a nanosecond.
const CLOCK: u64 = match (EMULATED, number(env!("MWT_CLOCK_HZ"))) {
    (true, 0) => panic!("a board under QEMU needs its `clock:`"),
    (_, hz) => hz,
};

const EMULATED: bool = number(env!("MWT_EMULATED")) == 1;

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}

fn start(mut peripherals: Peripherals) {
    peripherals.DCB.enable_trace();
    DWT::unlock();
    peripherals.DWT.enable_cycle_counter();
    let before = DWT::cycle_count();
    cortex_m::asm::delay(16);
    let counts = DWT::cycle_count() != before;
    CYCLES.store(counts, Ordering::Relaxed);
    if !counts {
        let mut syst = peripherals.SYST;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(TICKS - 1);
        syst.clear_current();
        syst.enable_interrupt();
        syst.enable_counter();
    }
}

pub(super) fn ticks() -> Ticks {
    if let Some(peripherals) = Peripherals::take() {
        start(peripherals);
    }
    // Does nothing; a tracer, as the plugin of `run.sh -c` is, sees it.
    // SAFETY: a hint without operands.
    unsafe { asm!("dbg #0", options(nomem, nostack, preserves_flags)) };
    if CYCLES.load(Ordering::Relaxed) {
        return DWT::cycle_count().into();
    }
    loop {
        let wraps = WRAPS.load(Ordering::Relaxed);
        let current = SYST::get_current();
        // It counts down, from 0 at first; and may have begun anew in between.
        if WRAPS.load(Ordering::Relaxed) == wraps {
            return u64::from(wraps) * u64::from(TICKS) + u64::from((TICKS - current) % TICKS);
        }
    }
}

/// Cycles, or instructions, from one reading to a later one. DWT has 32 bits: 25 s at 168 MHz.
pub(super) fn count(from: Ticks, to: Ticks) -> u64 {
    let ticks = to.wrapping_sub(from);
    match (CYCLES.load(Ordering::Relaxed), EMULATED) {
        (true, _) => ticks & 0xffff_ffff,
        (false, true) => ticks * 1_000_000_000 / CLOCK.max(1),
        (false, false) => ticks,
    }
}

/// What is counted.
pub(super) fn unit() -> &'static str {
    if EMULATED && !CYCLES.load(Ordering::Relaxed) { "instructions" } else { "cycles" }
}

/// A number that `build.rs` writes.
const fn number(text: &str) -> u64 {
    match u32::from_str_radix(text, 10) {
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
