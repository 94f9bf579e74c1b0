//! How deep the stack gets: what lies below the stack pointer is painted before a call, and looked at after it.

use super::cpu;

/// Bytes that are painted: a call that overwrites all of them went at least as deep.
const PAINTED: usize = 32 * 1024;

/// What they hold until something else is written there.
pub(super) const PAINT: usize = 0xa5c3_965a;

/// Runs `f` and gives the bytes of stack that it took, with what it gave.
#[inline(never)]
pub fn stack_of<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let top = cpu::paint(PAINTED);
    let result = called(f);
    let bottom = top - PAINTED;
    let left = (bottom..top).step_by(size_of::<usize>()).take_while(|address| {
        // SAFETY: aligned, as the stack pointer is, and within the memory that `paint` wrote to.
        unsafe { (*address as *const usize).read_volatile() == PAINT }
    });
    (PAINTED - size_of::<usize>() * left.count(), result)
}

/// A frame of its own for `f`, so that its variables lie below what was painted.
#[inline(never)]
fn called<R>(f: impl FnOnce() -> R) -> R {
    f()
}
