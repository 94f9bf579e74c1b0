//! The C interface of [`mwt_infer`]: bytes of a bundle and a workspace in, a class out.
//!
//! Nothing is allocated and nothing is global. `mwt_classify` and its kin are single calls, each of which parses and checks
//! the bundle; an `mwt_classifier` does so once, fits step by step, and is plain memory of the caller's too, which nobody
//! has to free. `include/mwt.h` is written by cbindgen from these files.
//!
//! Every function is safe for any bytes behind valid pointers: a damaged bundle is an error, not a fault.

#![cfg_attr(target_os = "none", no_std)]

pub mod answer;
pub mod classifier;
mod memory;
pub mod samples;
pub mod single;
pub mod status;
pub mod version;
pub mod watch;

/// A panic calls a function that nobody defines: while the linker finds none missing, no panic is reachable.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn mwt_abort() -> !;
    }
    // SAFETY: takes nothing and never returns, whoever defines it.
    unsafe { mwt_abort() }
}
