//! Ctrl-C, or the end of a job, as a wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell adds to a signal's number to make an exit status of it.
const STATUS: usize = 128;

/// Becomes set at the first SIGINT (Ctrl-C) or SIGTERM (`docker stop`, a job's time limit) after
/// [`on_signals`](Self::on_signals); a second one ends the process at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    /// The exit status that the signal means, 130 or 143.
    status: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Installs the handlers. Where the system refuses one, its signal ends the process as before.
    pub fn on_signals() -> Self {
        let interrupt = Self::default();
        for signal in [SIGINT, SIGTERM] {
            let status = STATUS + signal as usize;
            let stop = || Arc::clone(&interrupt.stop);
            // In this order: the first of them ends the process where the second one has run before.
            let _ = flag::register_conditional_shutdown(signal, status as i32, stop())
                .and_then(|_| flag::register(signal, stop()))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&interrupt.status), status));
        }
        interrupt
    }

    /// Whether somebody wishes to stop.
    pub fn is_set(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The exit status that says so to who started the process: 130 after Ctrl-C, 143 after SIGTERM; `None` before.
    pub fn status(&self) -> Option<u8> {
        let status = self.status.load(Ordering::Relaxed);
        u8::try_from(status).ok().filter(|status| *status > 0)
    }
}
