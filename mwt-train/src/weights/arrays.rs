//! A model's learned values by name.

use std::collections::BTreeMap;

use mwt_core::ModelConfig;

use super::layout::specs;

/// What is wrong with a set of named tensors.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Tensors that a model of this configuration has, and the set lacks.
    #[error("missing tensors: {0}")]
    Missing(String),
    /// Tensors of other shapes than the configuration calls for: each with both.
    #[error("tensors of wrong shapes: {0}")]
    Shapes(String),
}

/// A named tensor: its shape and its values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape.
    pub shape: Vec<usize>,
    /// Values, row by row.
    pub values: Vec<f32>,
}

/// All learned values of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    config: ModelConfig,
    arrays: BTreeMap<String, Array>,
}

impl Weights {
    /// Takes the tensors of a model out of `arrays`; others are left out.
    ///
    /// # Errors
    /// All tensors that are missing, or all that have another shape.
    pub fn new(
        config: ModelConfig,
        mut arrays: BTreeMap<String, Array>,
    ) -> Result<Self, WeightsError> {
        let specs = specs(&config);
        let missing: Vec<_> =
            specs.iter().filter(|s| !arrays.contains_key(&s.name)).map(|s| &*s.name).collect();
        if !missing.is_empty() {
            return Err(WeightsError::Missing(missing.join(", ")));
        }
        let (mut taken, mut wrong) = (BTreeMap::new(), Vec::new());
        for spec in specs {
            let Some(array) = arrays.remove(&spec.name) else { continue };
            if array.shape != spec.shape || array.values.len() != spec.len() {
                wrong.push(format!("{} {:?}, expected {:?}", spec.name, array.shape, spec.shape));
            }
            taken.insert(spec.name, array);
        }
        if !wrong.is_empty() {
            return Err(WeightsError::Shapes(wrong.join("; ")));
        }
        Ok(Self { config, arrays: taken })
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The same values under another configuration of the same shapes (another draw, image size, …).
    ///
    /// # Errors
    /// A tensor that would change its shape.
    pub fn with_config(self, config: ModelConfig) -> Result<Self, WeightsError> {
        Self::new(config, self.arrays)
    }

    /// The tensors by name.
    pub const fn arrays(&self) -> &BTreeMap<String, Array> {
        &self.arrays
    }

    /// The values of a tensor. Empty for a name that the model does not have.
    pub fn values(&self, name: &str) -> &[f32] {
        self.arrays.get(name).map_or(&[], |a| &a.values)
    }

    /// Changes the values of a tensor in place; nothing for a name that the model does not have.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut [f32])) {
        if let Some(array) = self.arrays.get_mut(name) {
            change(&mut array.values);
        }
    }

    /// θ in its flat order: W0, b0, …, W_L, b_L.
    pub fn theta(&self) -> Vec<f32> {
        let layers = 0..2 * (self.config.hidden_layers + 1);
        layers.flat_map(|i| self.values(&format!("siren_rgb.sirens.{i}"))).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_set_is_refused_by_name() {
        let config = ModelConfig::NANO;
        let mut arrays: BTreeMap<_, _> = specs(&config)
            .into_iter()
            .map(|s| (s.name.clone(), Array { values: vec![0.0; s.len()], shape: s.shape }))
            .collect();
        assert!(Weights::new(config, arrays.clone()).is_ok());
        let wide = ModelConfig { mlp_mult: 2, ..config };
        let error = Weights::new(wide, arrays.clone()).unwrap_err().to_string();
        assert!(error.contains("1.m.1.weight") && error.contains("[16, 16]"), "{error}");
        arrays.remove("classifier.base");
        let error = Weights::new(config, arrays).unwrap_err().to_string();
        assert_eq!(error, "missing tensors: classifier.base");
    }
}
