//! Mistakes that an implementation of inference, or what feeds it, is likely to make.

use mwt_core::{Draw, ModelConfig};

use crate::data::Inputs;
use crate::weights::Weights;
use crate::weights::names::{block, in_block};

/// One mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The signal is turned round along an axis.
    Mirrored(usize),
    /// The first and the last axis change places.
    Transposed,
    /// The channels come in the other order, as BGR for RGB.
    Channels,
    /// Numbers are multiplied by their scale, but their offset is not added.
    Offset,
    /// The last inner step is left out.
    Step,
    /// Every step uses the rates of the first.
    Rates,
    /// The rates of the biases are taken for 0.
    BiasRates,
    /// The draw is of another seed.
    Draw,
    /// Each step takes one sample too few.
    Sample,
    /// β is left out.
    Beta,
    /// λ is left out.
    Lambda,
    /// Queries and keys change places.
    Queries,
    /// Attention scores are divided by √D instead of by the root of a head's values.
    Scores,
    /// The heads come in the other order.
    Heads,
    /// What a block adds is not scaled.
    LayerScale,
}

/// A model, and how a signal gets to it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The values.
    pub weights: Weights,
    /// How numbers become targets.
    pub inputs: Inputs,
    /// Which number of the signal comes where; as they are when absent.
    pub order: Option<Vec<usize>>,
    /// Inner steps taken.
    pub steps: usize,
}

impl Made {
    /// Without a mistake.
    pub fn right(weights: &Weights, inputs: &Inputs) -> Self {
        let steps = weights.config().inner_steps;
        Self { weights: weights.clone(), inputs: inputs.clone(), order: None, steps }
    }
}

impl Mistake {
    /// The mistake in words.
    pub fn name(self) -> String {
        let name = match self {
            Self::Mirrored(axis) => return format!("axis {axis} turned round"),
            Self::Transposed => "axes exchanged",
            Self::Channels => "channels in the other order",
            Self::Offset => "offset of the numbers left out",
            Self::Step => "last step left out",
            Self::Rates => "first step's α in every step",
            Self::BiasRates => "α of the biases left out",
            Self::Draw => "draw of another seed",
            Self::Sample => "a sample too few in each step",
            Self::Beta => "β left out",
            Self::Lambda => "λ left out",
            Self::Queries => "queries and keys exchanged",
            Self::Scores => "scores divided by √D",
            Self::Heads => "heads in the other order",
            Self::LayerScale => "layer scales left out",
        };
        name.into()
    }

    /// The mistakes that can be made with a model.
    pub fn of(config: &ModelConfig) -> impl Iterator<Item = Self> + use<> {
        let config = *config;
        let (axes, sides) = (config.axes(), config.extents);
        let fixed = [
            (Self::Transposed, axes > 1 && sides.side(0) == sides.side(axes - 1)),
            (Self::Channels, config.channels > 1),
            (Self::Offset, true),
            (Self::Step, true),
            (Self::Rates, config.alpha_rows() > 1),
            (Self::BiasRates, true),
            (Self::Draw, config.pixels_per_step < sides.positions()),
            (Self::Sample, config.pixels_per_step > 1),
            (Self::Beta, true),
            (Self::Lambda, config.lambda != 1.0),
            (Self::Queries, true),
            (Self::Scores, config.heads() > 1),
            (Self::Heads, config.heads() > 1),
            (Self::LayerScale, true),
        ];
        let possible = fixed.into_iter().filter_map(|(mistake, is)| is.then_some(mistake));
        let possible = possible.filter(move |mistake| mistake.config(config).check().is_ok());
        (0..axes).filter(move |axis| sides.side(*axis) > 1).map(Self::Mirrored).chain(possible)
    }

    /// A model with the mistake.
    pub fn made(self, weights: &Weights, inputs: &Inputs) -> Made {
        let mut made = Made::right(weights, inputs);
        let config = *weights.config();
        let (axes, channels) = (config.axes(), config.channels);
        match self {
            Self::Mirrored(axis) => {
                made.order = Some(order(&config, |at| {
                    at[axis] = config.extents.side(axis) - 1 - at[axis];
                }))
            }
            Self::Transposed => made.order = Some(order(&config, |at| at.swap(0, axes - 1))),
            Self::Channels => {
                made.order = Some(order(&config, |at| at[axes] = channels - 1 - at[axes]));
            }
            Self::Offset => made.inputs.scalings.iter_mut().for_each(|s| s.offset = 0.0),
            Self::Step => made.steps -= 1,
            Self::Rates => {
                let first = weights.values("meta_sgd.meta_lrs_w.0");
                for step in 1..config.alpha_rows() {
                    made.weights.change(&format!("meta_sgd.meta_lrs_w.{step}"), |values| {
                        values.copy_from_slice(first);
                    });
                }
            }
            Self::BiasRates => {
                for step in 0..config.alpha_rows() {
                    made.weights.change(&format!("meta_sgd.meta_lrs_w.{step}"), |values| {
                        for layer in 0..=config.hidden_layers {
                            values[config.layer_ranges(layer).1].fill(0.0);
                        }
                    });
                }
            }
            Self::Draw | Self::Sample | Self::Lambda => {
                // No shape depends on what is set.
                if let Ok(weights) = made.weights.clone().with_config(self.config(config)) {
                    made.weights = weights;
                }
            }
            Self::Beta => made.weights.change("classifier.base", |values| values.fill(0.0)),
            Self::Queries => each_block(&mut made.weights, |weights, b| {
                weights.change(&in_block(b, &format!("{}.weight", block::QKV)), |qkv| {
                    let (queries, rest) = qkv.split_at_mut(config.dim * config.dim);
                    queries.swap_with_slice(&mut rest[..config.dim * config.dim]);
                });
            }),
            Self::Scores => each_block(&mut made.weights, |weights, b| {
                let factor = (config.head_dim() as f32 / config.dim as f32).sqrt();
                weights.change(&in_block(b, &format!("{}.weight", block::QKV)), |qkv| {
                    qkv[..config.dim * config.dim].iter_mut().for_each(|q| *q *= factor);
                });
            }),
            Self::Heads => each_block(&mut made.weights, |weights, b| {
                weights.change(&in_block(b, &format!("{}.weight", block::ATTN_OUT)), |out| {
                    for row in out.chunks_exact_mut(config.dim) {
                        let heads = row.rchunks_exact(config.head_dim());
                        let turned: Vec<f32> = heads.flatten().copied().collect();
                        row.copy_from_slice(&turned);
                    }
                });
            }),
            Self::LayerScale => each_block(&mut made.weights, |weights, b| {
                for scale in [block::LAYER_SCALE1, block::LAYER_SCALE2] {
                    weights.change(&in_block(b, scale), |values| values.fill(1.0));
                }
            }),
        }
        made
    }

    /// The configuration of a model with the mistake.
    const fn config(self, config: ModelConfig) -> ModelConfig {
        match self {
            Self::Draw => {
                let draw = Draw { seed: config.draw.seed ^ 1, ..config.draw };
                ModelConfig { draw, ..config }
            }
            Self::Sample => ModelConfig { pixels_per_step: config.pixels_per_step - 1, ..config },
            Self::Lambda => ModelConfig { lambda: 1.0, ..config },
            _ => config,
        }
    }
}

fn each_block(weights: &mut Weights, change: impl Fn(&mut Weights, usize)) {
    for b in 0..weights.config().blocks {
        change(weights, b);
    }
}

/// For each number of a signal the place of the one that comes there, where `change` moves a position and its channel.
fn order(config: &ModelConfig, change: impl Fn(&mut [usize])) -> Vec<usize> {
    let axes = config.axes();
    let mut sides: Vec<usize> = (0..axes).map(|axis| config.extents.side(axis)).collect();
    sides.push(config.channels);
    let place = |n: usize| {
        let (mut at, mut rest) = (vec![0; sides.len()], n);
        for (at, side) in at.iter_mut().zip(&sides).rev() {
            (*at, rest) = (rest % side, rest / side);
        }
        change(&mut at);
        at.iter().zip(&sides).fold(0, |place, (at, side)| place * side + at)
    };
    (0..sides.iter().product()).map(place).collect()
}

#[cfg(test)]
mod tests {
    use mwt_core::Extents;

    use super::*;

    #[test]
    fn orders_are_those_of_the_signal_seen_wrongly() {
        let config =
            ModelConfig { extents: Extents::image(2, 2), channels: 3, ..ModelConfig::NANO };
        let upside_down = order(&config, |at| at[0] = 1 - at[0]);
        assert_eq!(upside_down, [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]);
        assert_eq!(order(&config, |at| at.swap(0, 1)), [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]);
        assert_eq!(order(&config, |at| at[2] = 2 - at[2])[..6], [2, 1, 0, 5, 4, 3]);
    }

    #[test]
    fn only_what_a_model_has_can_be_mistaken() {
        let names =
            |config: &ModelConfig| Mistake::of(config).map(Mistake::name).collect::<Vec<_>>();
        let series = ModelConfig { extents: Extents::series(9), ..ModelConfig::NANO };
        let grey = names(&series);
        assert!(
            grey.contains(&"axis 0 turned round".into())
                && !grey.contains(&"axis 1 turned round".into())
        );
        assert!(
            !grey.contains(&"axes exchanged".into())
                && !grey.contains(&"heads in the other order".into())
        );
        let base =
            names(&ModelConfig { channels: 3, dim: 128, pixels_per_step: 32, ..ModelConfig::NANO });
        assert_eq!(base.len(), 16, "{base:?}");
    }
}
