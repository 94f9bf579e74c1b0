//! The learned values as tensors: one flat tensor for each of the optimiser's groups, in the order of [`specs`].
//!
//! On a GPU a kernel launch costs as much for the ten values of a bias as for all of the Transformer's. The optimiser
//! therefore updates three tensors, and the model takes views of them.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use mwt_core::ModelConfig;

use crate::util::random::Rng;
use crate::weights::{Array, Group, Weights, join, specs, split};

/// The learned values of a model.
#[derive(Clone, Debug)]
pub struct Params<B: Backend> {
    config: ModelConfig,
    groups: [Tensor<B, 1>; 3],
}

impl<B: Backend> Params<B> {
    /// The given values on a device.
    pub fn from_weights(weights: &Weights, device: &B::Device) -> Self {
        let config = *weights.config();
        let specs = specs(&config);
        let groups = join(&specs, specs.iter().map(|spec| weights.values(&spec.name)));
        let groups = groups.map(|values| flat(values, device));
        Self { config, groups }
    }

    /// The values, back on the host.
    pub fn to_weights(&self) -> Weights {
        let specs = specs(&self.config);
        let values = split(&specs, &self.groups.clone().map(host));
        let arrays = specs.into_iter().zip(values);
        let arrays = arrays.map(|(spec, values)| (spec.name, Array { shape: spec.shape, values }));
        // The shapes are those of `specs`, so this holds.
        Weights::new(self.config, arrays.collect()).expect("own specs")
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Each group's values, in the order of [`Group::ALL`].
    pub const fn groups(&self) -> &[Tensor<B, 1>; 3] {
        &self.groups
    }

    /// The same parameters with other values.
    pub const fn with_groups<C: Backend>(&self, groups: [Tensor<C, 1>; 3]) -> Params<C> {
        Params { config: self.config, groups }
    }
}

/// Values of the host as a flat tensor.
pub(crate) fn flat<B: Backend>(values: Vec<f32>, device: &B::Device) -> Tensor<B, 1> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}

/// The values of a tensor on the host.
pub fn host<B: Backend, const R: usize>(tensor: Tensor<B, R>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().into_vec().expect("just converted")
}

/// Takes one tensor after the other out of a flat one.
pub(crate) struct Cursor<'v, B: Backend> {
    values: &'v Tensor<B, 1>,
    start: usize,
}

impl<'v, B: Backend> Cursor<'v, B> {
    pub(crate) const fn new(values: &'v Tensor<B, 1>) -> Self {
        Self { values, start: 0 }
    }

    /// The next tensor in this shape.
    pub(crate) fn take<const R: usize>(&mut self, shape: [usize; R]) -> Tensor<B, R> {
        let start = self.start;
        self.start += shape.iter().product::<usize>();
        self.values.clone().slice(start..self.start).reshape(shape)
    }
}

/// The random streams of [`initial`], one per tensor.
const INITIAL_STREAM: u64 = 0x0069_6e69_7400_0000;

/// Initial values as the reference draws them (docs/METHOD.md: U(±1/2) for W0, U(±√(6/D)) for W_l, biases 0,
/// out_scale 0.1, α U(0.1, 1), linear layers U(±1/√inputs)), from a seed.
pub fn initial(config: &ModelConfig, seed: u64) -> Weights {
    let specs = specs(config);
    // Inputs of the linear layer that a bias belongs to.
    let inputs = |name: &str| {
        let weight = format!("{}weight", name.trim_end_matches("bias").trim_end_matches("weight"));
        specs.iter().find(|s| s.name == weight).and_then(|s| s.shape.last()).copied().unwrap_or(1)
    };
    let arrays = specs.iter().enumerate().map(|(i, spec)| {
        // Each tensor has its own stream, so that one more tensor does not change the others.
        let mut random = Rng::new(seed, INITIAL_STREAM + i as u64);
        let mut uniform = |low: f32, high: f32| {
            (0..spec.len()).map(|_| random.between(low, high)).collect::<Vec<f32>>()
        };
        let name = spec.name.as_str();
        let siren = name.strip_prefix("siren_rgb.sirens.").and_then(|n| n.parse::<usize>().ok());
        let values = if let Some(n) = siren {
            let bound = if n == 0 { 0.5 } else { (6.0 / config.dim as f32).sqrt() };
            if n % 2 == 0 { uniform(-bound, bound) } else { vec![0.0; spec.len()] }
        } else if spec.group == Group::Alpha {
            uniform(0.1, 1.0)
        } else if name == "siren_rgb.out_scale" || name.ends_with("scale") {
            vec![0.1; spec.len()]
        } else if name == "classifier.base" {
            vec![0.0; spec.len()]
        } else if name.contains(".norm.") || name.contains(".m.0.") {
            vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; spec.len()]
        } else {
            let bound = 1.0 / (inputs(name) as f32).sqrt();
            uniform(-bound, bound)
        };
        (spec.name.clone(), Array { shape: spec.shape.clone(), values })
    });
    Weights::new(*config, arrays.collect()).expect("own specs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_values_follow_their_distributions() {
        let config = ModelConfig::MICRO;
        let weights = initial(&config, 1);
        let range = |name: &str| {
            let values = weights.values(name);
            let low = values.iter().fold(f32::MAX, |m, v| m.min(*v));
            (low, values.iter().fold(f32::MIN, |m, v| m.max(*v)))
        };
        let near = |name: &str, low: f32, high: f32| {
            let (l, h) = range(name);
            let slack = 0.1 * (high - low);
            assert!(low <= l && l < low + slack && high - slack < h && h <= high, "{name} {l} {h}");
        };
        near("siren_rgb.sirens.0", -0.5, 0.5);
        near("siren_rgb.sirens.2", -(6f32 / 32.0).sqrt(), (6f32 / 32.0).sqrt());
        near("meta_sgd.meta_lrs_w.3", 0.1, 1.0);
        near("classifier.project_in.weight", -1.0 / 33f32.sqrt(), 1.0 / 33f32.sqrt());
        near("classifier.classifier.1.1.m.1.bias", -1.0 / 32f32.sqrt(), 1.0 / 32f32.sqrt());
        assert_eq!(range("siren_rgb.sirens.1"), (0.0, 0.0));
        assert_eq!(range("siren_rgb.out_scale"), (0.1, 0.1));
        assert_eq!(range("classifier.base"), (0.0, 0.0));
        assert_eq!(range("classifier.classifier.0.0.layer_scale"), (0.1, 0.1));
        assert_eq!(range("classifier.classifier.0.1.scale"), (0.1, 0.1));
        assert_eq!(range("classifier.classifier.0.1.m.0.weight"), (1.0, 1.0));
        assert_eq!(range("classifier.classifier.0.0.norm.bias"), (0.0, 0.0));
        assert_eq!(weights, initial(&config, 1));
        assert_ne!(weights, initial(&config, 2));
    }
}
