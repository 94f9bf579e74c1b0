//! The model that a run starts from, where it does not start from chance: `train.init`.

use std::fs;
use std::path::{Path, PathBuf};

use mwt_core::bundle::MAGIC;
use mwt_core::{Bundle, ModelConfig};

use super::error::RunError;
use super::latest;
use crate::model::params::initial;
use crate::settings::Layers;
use crate::util::durable::FileError;
use crate::weights::{Weights, from_bundle};

/// The head that tells the classes apart: a row and a bias for each.
const HEAD: [&str; 2] = ["classifier.to_logits.weight", "classifier.to_logits.bias"];

/// A size or a constant of a model, by its setting.
type Number = (&'static str, fn(&ModelConfig) -> f64);

/// A model to start from.
#[derive(Clone, Debug)]
pub struct Start {
    path: PathBuf,
    weights: Weights,
    labels: Vec<String>,
}

impl Start {
    /// The model of a bundle, of a run, or of a file that a run left.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of these.
    pub fn load(path: &Path) -> Result<Self, RunError> {
        let own = path.to_owned();
        if !path.is_dir() {
            let bytes = fs::read(path).map_err(FileError::at(path))?;
            if bytes.starts_with(&MAGIC) {
                let bundle = Bundle::parse(&bytes)
                    .map_err(|source| RunError::StartBundle { path: own.clone(), source })?;
                let labels = bundle.header().labels().map(str::to_owned).collect();
                return Ok(Self { path: own, weights: from_bundle(&bundle), labels });
            }
        }
        let model = latest::load(path)?.model;
        Ok(Self { path: own, weights: model.weights, labels: model.summary.labels })
    }

    /// The model that settings name to start from, whose sizes they take over; `None` where they name none.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn of(layers: &mut Layers) -> Result<Option<Self>, RunError> {
        let Some(path) = layers.init() else { return Ok(None) };
        let start = Self::load(Path::new(path))?;
        layers.start_from(*start.weights.config());
        Ok(Some(start))
    }

    /// The values from which a run of this model begins: those of the start, and for a class that it does not know by its
    /// name a row of the head as chance has it.
    ///
    /// # Errors
    /// A model of other sizes or constants than the start's.
    pub(super) fn weights(
        &self,
        model: &ModelConfig,
        labels: &[String],
        seed: u64,
    ) -> Result<Weights, RunError> {
        let own = self.weights.config();
        let numbers: [Number; 9] = [
            ("model.dim", |m| m.dim as f64),
            ("model.hidden_layers", |m| m.hidden_layers as f64),
            ("model.inner_steps", |m| m.inner_steps as f64),
            ("model.blocks", |m| m.blocks as f64),
            ("model.mlp_mult", |m| m.mlp_mult as f64),
            ("model.channels", |m| m.channels as f64),
            ("model.omega", |m| m.omega.into()),
            ("model.lambda", |m| m.lambda.into()),
            ("model.shared_alpha", |m| f64::from(u8::from(m.shared_alpha))),
        ];
        let other = numbers.into_iter().find(|(_, of)| of(own) != of(model));
        if let Some((key, of)) = other {
            let (found, wanted) = (of(own), of(model));
            return Err(RunError::OtherSizes { path: self.path.clone(), key, found, wanted });
        }
        let mut weights = initial(model, seed);
        for (name, array) in self.weights.arrays() {
            if !HEAD.contains(&name.as_str()) {
                weights.change(name, |values| values.copy_from_slice(&array.values));
            }
        }
        for name in HEAD {
            let (from, classes) = (self.weights.values(name), self.labels.len());
            let row = from.len().checked_div(classes).unwrap_or(0);
            weights.change(name, |values| {
                for (values, label) in values.chunks_exact_mut(row.max(1)).zip(labels) {
                    let known = self.labels.iter().position(|own| own == label);
                    if let Some(known) = known.and_then(|n| from.get(n * row..(n + 1) * row)) {
                        values.copy_from_slice(known);
                    }
                }
            });
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(labels: &[&str]) -> Start {
        let model = ModelConfig { classes: labels.len(), ..ModelConfig::NANO };
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Start { path: "a.mwt".into(), weights: initial(&model, 1), labels }
    }

    #[test]
    fn a_head_keeps_the_classes_that_it_knows_by_name() {
        let start = start(&["cat", "dog", "owl"]);
        let model = ModelConfig { classes: 2, ..ModelConfig::NANO };
        let labels = ["ant".to_owned(), "owl".to_owned()];
        let weights = start.weights(&model, &labels, 7).unwrap();
        let chance = initial(&model, 7);
        for (name, width) in HEAD.into_iter().zip([model.dim, 1]) {
            let values = weights.values(name);
            assert_eq!(values[..width], chance.values(name)[..width]);
            assert_eq!(values[width..], start.weights.values(name)[2 * width..]);
        }
        for (name, array) in
            weights.arrays().iter().filter(|(name, _)| !HEAD.contains(&name.as_str()))
        {
            assert_eq!(array.values, start.weights.values(name), "{name}");
        }
        // The same classes keep all.
        let labels = ["cat", "dog", "owl"].map(str::to_owned);
        let model = *start.weights.config();
        assert_eq!(start.weights(&model, &labels, 7).unwrap(), start.weights);
    }

    #[test]
    fn other_sizes_are_refused_by_name() {
        let start = start(&["cat", "dog"]);
        let own = *start.weights.config();
        let labels = ["cat", "dog"].map(str::to_owned);
        for (model, key) in [
            (ModelConfig { blocks: own.blocks + 1, ..own }, "model.blocks"),
            (ModelConfig { channels: 3, ..own }, "model.channels"),
            (ModelConfig { omega: 11.0, ..own }, "model.omega"),
        ] {
            let line = start.weights(&model, &labels, 0).unwrap_err().to_string();
            assert!(line.starts_with("a.mwt: ") && line.contains(key), "{line}");
        }
    }
}
