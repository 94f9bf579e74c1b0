//! A hook to see where the time goes.

use core::ffi::c_void;

use mwt_infer::Profiler;

/// A phase of fitting and classifying.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// An inner step of the fit.
    Step = 0,
    /// The tokens and their projection.
    Tokens = 1,
    /// A block of the Transformer.
    Block = 2,
    /// The mean over the tokens and the logits.
    Logits = 3,
}

/// Is called when a phase begins (`ended` is 0) and when it ends (1), with the number of the step or block, from 0: reads a
/// cycle counter, toggles a pin. It runs on the caller's stack, and must not use the classifier.
pub type Hook =
    Option<unsafe extern "C" fn(context: *mut c_void, phase: Phase, number: u32, ended: u32)>;

/// A hook of the caller's, or none.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) hook: Hook,
    pub(crate) context: *mut c_void,
}

impl Watch {
    pub(crate) const NONE: Self = Self { hook: None, context: core::ptr::null_mut() };

    // One place that calls through a pointer, which the walk of the call graph knows.
    #[inline(never)]
    fn mwt_hook(&self, phase: mwt_infer::Phase, ended: u32) {
        let (phase, number) = match phase {
            mwt_infer::Phase::Step(step) => (Phase::Step, step),
            mwt_infer::Phase::Tokens => (Phase::Tokens, 0),
            mwt_infer::Phase::Block(block) => (Phase::Block, block),
            _ => (Phase::Logits, 0),
        };
        if let Some(hook) = self.hook {
            // SAFETY: who set it vouches for it.
            unsafe { hook(self.context, phase, number as u32, ended) };
        }
    }
}

impl Profiler for Watch {
    fn begin(&mut self, phase: mwt_infer::Phase) {
        self.mwt_hook(phase, 0);
    }

    fn end(&mut self, phase: mwt_infer::Phase) {
        self.mwt_hook(phase, 1);
    }
}
