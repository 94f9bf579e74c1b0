//! Ctrl-C as a wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Becomes set at the first Ctrl-C after [`on_ctrl_c`](Self::on_ctrl_c); a second one ends the process at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Installs the handler, which a process can have one of: where there is one already, Ctrl-C does what that one says.
    pub fn on_ctrl_c() -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        let _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        interrupt
    }

    /// Whether somebody wishes to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
