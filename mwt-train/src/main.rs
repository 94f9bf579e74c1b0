//! The `mwt-train` program; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_freed_memory();
    mwt_train::cli::run()
}

/// Leaves what a step frees to the next one. By default large blocks go back to the system, whose pages are cleared anew for every step: a
/// tenth of the time of `base`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const FROM: libc::c_int = 1 << 30;
    // SAFETY: parameters of the allocator, set before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, FROM);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn keep_freed_memory() {}
