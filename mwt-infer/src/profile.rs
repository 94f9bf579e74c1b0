//! A hook to see where the time goes.

/// A phase of fitting and classifying an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Inner step j of the fit.
    Step(usize),
    /// The tokens and project_in.
    Tokens,
    /// Transformer block b.
    Block(usize),
    /// The mean over the tokens and the logits.
    Logits,
}

/// Is told when each phase begins and ends: reads a cycle counter, toggles a pin, or does nothing, as `()`, which
/// costs nothing.
///
/// ```
/// # use mwt_infer::{Phase, Profiler};
/// /// Milliseconds spent in the fit.
/// struct FitTime { now: fn() -> u32, since: u32, total: u32 }
///
/// impl Profiler for FitTime {
///     fn begin(&mut self, phase: Phase) {
///         if let Phase::Step(_) = phase {
///             self.since = (self.now)();
///         }
///     }
///     fn end(&mut self, phase: Phase) {
///         if let Phase::Step(_) = phase {
///             self.total += (self.now)().wrapping_sub(self.since);
///         }
///     }
/// }
/// ```
pub trait Profiler {
    /// A phase begins.
    #[inline]
    fn begin(&mut self, phase: Phase) {
        let _ = phase;
    }

    /// A phase ends; one that fails does not.
    #[inline]
    fn end(&mut self, phase: Phase) {
        let _ = phase;
    }
}

impl Profiler for () {}

impl<P: Profiler> Profiler for &mut P {
    #[inline]
    fn begin(&mut self, phase: Phase) {
        (**self).begin(phase);
    }

    #[inline]
    fn end(&mut self, phase: Phase) {
        (**self).end(phase);
    }
}
