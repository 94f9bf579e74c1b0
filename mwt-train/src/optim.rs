//! AdamW with a one-cycle schedule and a clipped norm for each group, all on the device.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::model::Params;
use crate::weights::{Group, Spec};

/// Rate and beta1 of one outer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
}

/// The one-cycle schedule as PyTorch computes it: from peak/25 to the peak in the first `rise` share of the
/// steps, then down to peak/25e4, along half cosines; beta1 cycles 0.95 → 0.85 → 0.95 against it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Outer steps in all.
    pub steps: u64,
    /// Share of them that the rise takes.
    pub rise: f64,
}

impl OneCycle {
    /// Rate and beta1 of step `step` = 0..steps for a peak rate.
    pub fn at(&self, step: u64, peak: f64) -> Rates {
        let (total, step) = (self.steps as f64, step as f64);
        let up = self.rise * total - 1.0;
        let cosine = |from: f64, to: f64, share: f64| {
            to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share.clamp(0.0, 1.0)).cos())
        };
        let first = peak / 25.0;
        // A run so short that the rise has no step starts at its peak.
        if step <= up && up > 0.0 {
            let share = step / up;
            Rates { rate: cosine(first, peak, share), beta1: cosine(0.95, 0.85, share) }
        } else {
            let up = up.max(0.0);
            let down = (total - 1.0 - up).max(1.0);
            let share = (step - up) / down;
            Rates { rate: cosine(peak, first / 1e4, share), beta1: cosine(0.85, 0.95, share) }
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

/// AdamW's state: both moments of each group. A group is one flat tensor while it is updated: on a GPU a launch costs as
/// much for the ten values of a bias as for all of the Transformer's.
#[derive(Clone, Debug)]
pub struct AdamW<B: Backend> {
    config: AdamWConfig,
    specs: Vec<Spec>,
    /// Steps taken.
    step: u64,
    moments: [(Tensor<B, 1>, Tensor<B, 1>); 3],
}

impl<B: Backend> AdamW<B> {
    /// No step taken yet.
    pub fn new(params: &Params<B>, config: AdamWConfig) -> Self {
        let zeros = |t: &Tensor<B, 1>| (t.zeros_like(), t.zeros_like());
        Self::resume(params, config, 0, params.tensors().iter().map(zeros).collect())
    }

    /// The state of a run that is taken up again: both moments of every parameter, in the order of the specs.
    pub fn resume(
        params: &Params<B>,
        config: AdamWConfig,
        step: u64,
        moments: Vec<(Tensor<B, 1>, Tensor<B, 1>)>,
    ) -> Self {
        let (m, v): (Vec<_>, Vec<_>) = moments.into_iter().unzip();
        let specs = params.specs().to_vec();
        let moments = Group::ALL.map(|group| (flat(&specs, &m, group), flat(&specs, &v, group)));
        Self { config, specs, step, moments }
    }

    /// Takes one step with the gradients of every parameter and the rates of each group; a group without
    /// rates stays as it is. Gives the new parameters and each group's gradient norm before clipping, `[3]`.
    pub fn step(
        &mut self,
        params: &Params<B>,
        gradients: &[Tensor<B, 1>],
        rates: [Option<Rates>; 3],
    ) -> (Params<B>, Tensor<B, 1>) {
        self.step += 1;
        let mut tensors = params.tensors().to_vec();
        let mut norms = Vec::new();
        for ((group, moments), rates) in Group::ALL.into_iter().zip(&mut self.moments).zip(rates) {
            let gradient = flat(&self.specs, gradients, group);
            let norm = (gradient.clone() * gradient.clone()).sum().sqrt();
            norms.push(norm.clone());
            let Some(Rates { rate, beta1 }) = rates else { continue };
            let AdamWConfig { weight_decay, beta2, epsilon, clip } = self.config;
            // Not from the host: the norm stays on the device.
            let scale = (norm + 1e-6).recip().mul_scalar(clip).clamp_max(1.0);
            let gradient = gradient * scale;
            let (m, v) = moments;
            *m = m.clone() * beta1 + gradient.clone() * (1.0 - beta1);
            *v = v.clone() * beta2 + gradient.clone() * gradient * (1.0 - beta2);
            let steps = i32::try_from(self.step).unwrap_or(i32::MAX);
            let (c1, c2) = (1.0 - beta1.powi(steps), 1.0 - beta2.powi(steps));
            let update = m.clone() / ((v.clone() / c2).sqrt() + epsilon) * (rate / c1);
            let old = flat(&self.specs, params.tensors(), group);
            let new = old * (1.0 - rate * weight_decay) - update;
            for (n, part) in parts(&self.specs, &new, group) {
                tensors[n] = part;
            }
        }
        (params.with_tensors(tensors), Tensor::cat(norms, 0))
    }

    /// Steps taken.
    pub const fn steps(&self) -> u64 {
        self.step
    }

    /// Both moments of every parameter, in the order of the specs.
    pub fn moments(&self) -> Vec<(Tensor<B, 1>, Tensor<B, 1>)> {
        let groups = Group::ALL.into_iter().zip(&self.moments);
        let mut all: Vec<_> = groups
            .flat_map(|(group, (m, v))| {
                parts(&self.specs, m, group).zip(parts(&self.specs, v, group))
            })
            .map(|((n, m), (_, v))| (n, (m, v)))
            .collect();
        all.sort_by_key(|(n, _)| *n);
        all.into_iter().map(|(_, moments)| moments).collect()
    }
}

/// What belongs to a group, one after the other.
fn flat<B: Backend>(specs: &[Spec], tensors: &[Tensor<B, 1>], group: Group) -> Tensor<B, 1> {
    let members = specs.iter().zip(tensors).filter(|(spec, _)| spec.group == group);
    Tensor::cat(members.map(|(_, tensor)| tensor.clone()).collect(), 0)
}

/// The parameters that a flat group consists of, by their place in the specs.
fn parts<B: Backend>(
    specs: &[Spec],
    flat: &Tensor<B, 1>,
    group: Group,
) -> impl Iterator<Item = (usize, Tensor<B, 1>)> {
    let mut start = 0;
    specs.iter().enumerate().filter(move |(_, spec)| spec.group == group).map(move |(n, spec)| {
        let part = flat.clone().slice(start..start + spec.len());
        start += spec.len();
        (n, part)
    })
}

/// The gradients of a loss with respect to every parameter, zeros where it does not depend on one.
pub fn gradients<B: AutodiffBackend>(
    params: &Params<B>,
    loss: Tensor<B, 1>,
) -> Vec<Tensor<B::InnerBackend, 1>> {
    let grads = loss.backward();
    let gradient =
        |t: &Tensor<B, 1>| t.grad(&grads).unwrap_or_else(|| t.clone().inner().zeros_like());
    params.tensors().iter().map(gradient).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against torch.optim.lr_scheduler.OneCycleLR with 60 steps, a peak of 0.01 and a rise of 5 %.
    #[test]
    fn one_cycle_is_pytorchs() {
        let cycle = OneCycle { steps: 60, rise: 0.05 };
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
            assert!((got.rate - rate).abs() < 1e-14, "{step}: {got:?}");
            assert!((got.beta1 - beta1).abs() < 1e-14, "{step}: {got:?}");
        }
        // Too short for a rise: finite and at most the peak.
        for steps in 1..40 {
            for step in 0..steps {
                let rate = OneCycle { steps, rise: 0.05 }.at(step, 1.0).rate;
                assert!((0.0..=1.0).contains(&rate), "{steps} {step} {rate}");
            }
        }
    }
}
