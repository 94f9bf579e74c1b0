//! AdamW with a one-cycle schedule and a clipped norm for each group, all on the device.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::model::Params;
use crate::model::update::{Rates, Update};

/// Learning rate and beta1 of one outer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheduled {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
}

/// The one-cycle schedule as PyTorch computes it: from peak/25 to the peak in the first `warmup` share of the
/// steps, then down to peak/25e4, along half cosines; beta1 cycles 0.95 → 0.85 → 0.95 against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Outer steps in all.
    pub steps: u64,
    /// Share of them in which the learning rate rises.
    pub warmup: f64,
}

impl OneCycle {
    /// Learning rate and beta1 of step `step` = 0..steps for a peak learning rate.
    pub fn at(&self, step: u64, peak: f64) -> Scheduled {
        let (total, step) = (self.steps as f64, step as f64);
        let up = self.warmup * total - 1.0;
        let cosine = |from: f64, to: f64, share: f64| {
            to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share.clamp(0.0, 1.0)).cos())
        };
        let first = peak / 25.0;
        // A run so short that no step of it rises starts at its peak.
        if step <= up && up > 0.0 {
            let share = step / up;
            Scheduled {
                learning_rate: cosine(first, peak, share),
                beta1: cosine(0.95, 0.85, share),
            }
        } else {
            let up = up.max(0.0);
            let down = (total - 1.0 - up).max(1.0);
            let share = (step - up) / down;
            Scheduled {
                learning_rate: cosine(peak, first / 1e4, share),
                beta1: cosine(0.85, 0.95, share),
            }
        }
    }
}

/// What AdamW does besides the schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Norm to which each group's gradient is clipped.
    pub clip: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { weight_decay: 1e-4, beta2: 0.999, epsilon: 1e-8, clip: 1.0 }
    }
}

/// AdamW's state: both moments of each group.
#[derive(Clone, Debug)]
pub struct AdamW<B: Backend> {
    config: AdamWConfig,
    /// Steps taken.
    step: u64,
    moments: Moments<B>,
}

/// First and second moment of each group, as flat as its values.
pub type Moments<B> = [(Tensor<B, 1>, Tensor<B, 1>); 3];

impl<B: Backend> AdamW<B> {
    /// No step taken yet.
    pub fn new(params: &Params<B>, config: AdamWConfig) -> Self {
        let zeros = |group: &Tensor<B, 1>| (group.zeros_like(), group.zeros_like());
        Self::resume(config, 0, params.groups().each_ref().map(zeros))
    }

    /// The state of a run that is taken up again.
    pub const fn resume(config: AdamWConfig, step: u64, moments: Moments<B>) -> Self {
        Self { config, step, moments }
    }

    /// Takes one step with the gradients and what is scheduled for each group; a group without stays as it is. Returns the
    /// new parameters and each group's gradient norm before clipping, `[3]`.
    pub fn step(
        &mut self,
        params: &Params<B>,
        gradients: [Tensor<B, 1>; 3],
        scheduled: [Option<Scheduled>; 3],
    ) -> (Params<B>, Tensor<B, 1>)
    where
        B: Update,
    {
        self.step += 1;
        let AdamWConfig { weight_decay, beta2, epsilon, clip } = self.config;
        let steps = i32::try_from(self.step).unwrap_or(i32::MAX);
        let mut groups = params.groups().clone();
        let mut norms = Vec::new();
        let each = groups.iter_mut().zip(gradients).zip(&mut self.moments).zip(scheduled);
        for (((values, gradient), (m, v)), scheduled) in each {
            // Not read: the norm stays on the device.
            let norm = B::norm_of(gradient.clone());
            norms.push(norm.clone());
            let Some(Scheduled { learning_rate: lr, beta1 }) = scheduled else { continue };
            let rates = Rates {
                clip,
                beta1,
                beta2,
                correction2: 1.0 - beta2.powi(steps),
                epsilon,
                rate: lr / (1.0 - beta1.powi(steps)),
                kept: 1.0 - lr * weight_decay,
            };
            let moments = [m.clone(), v.clone()];
            [*values, *m, *v] = B::adamw(values.clone(), gradient, norm, moments, rates);
        }
        (params.with_groups(groups), Tensor::cat(norms, 0))
    }

    /// Steps taken.
    pub const fn steps(&self) -> u64 {
        self.step
    }

    /// Both moments of each group.
    pub const fn moments(&self) -> &Moments<B> {
        &self.moments
    }
}

/// The gradients of a loss with respect to each group, zeros where it does not depend on one.
pub fn gradients<B: AutodiffBackend>(
    params: &Params<B>,
    loss: Tensor<B, 1>,
) -> [Tensor<B::InnerBackend, 1>; 3] {
    let grads = loss.backward();
    params
        .groups()
        .each_ref()
        .map(|values| values.grad(&grads).unwrap_or_else(|| values.clone().inner().zeros_like()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against torch.optim.lr_scheduler.OneCycleLR with 60 steps, a peak of 0.01 and a warm-up of 5 %.
    #[test]
    fn one_cycle_is_pytorchs() {
        let cycle = OneCycle { steps: 60, warmup: 0.05 };
        let expected = [
            (0, 0.000_399_999_999_999_999_3, 0.95),
            (1, 0.0052, 0.9),
            (2, 0.01, 0.85),
            (3, 0.009_992_407_612_536_253, 0.850_075_924_178_334_2),
            (21, 0.007_500_01, 0.875),
            (59, 4e-8, 0.95),
        ];
        for (step, rate, beta1) in expected {
            let got = cycle.at(step, 0.01);
            assert!((got.learning_rate - rate).abs() < 1e-14, "{step}: {got:?}");
            assert!((got.beta1 - beta1).abs() < 1e-14, "{step}: {got:?}");
        }
        // Too short for a warm-up: finite and at most the peak.
        for steps in 1..40 {
            for step in 0..steps {
                let rate = OneCycle { steps, warmup: 0.05 }.at(step, 1.0).learning_rate;
                assert!((0.0..=1.0).contains(&rate), "{steps} {step} {rate}");
            }
        }
    }
}
