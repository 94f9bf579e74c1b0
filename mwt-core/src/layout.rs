//! Every tensor of a model: its shape, the part it belongs to, and its place in a bundle.
//!
//! The order of [`tensors`] is the order of the file. A tensor's place follows from the configuration, so
//! a bundle has no table of offsets that could overlap or point outside.

use crate::config::ModelConfig;
use crate::quant::{Scheme, Schemes};

/// The parts of a model that are quantized apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// θ, and the head that all images share.
    Theta,
    /// α.
    Alpha,
    /// β.
    Beta,
    /// The Transformer.
    Transformer,
}

/// One tensor of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tensor {
    /// W of a sine layer, `[inputs, D]`.
    SirenWeight(usize),
    /// b of a sine layer, `[D]`.
    SirenBias(usize),
    /// Wo, [D, C]: the transpose of the reference's `[C, D]`.
    SirenHeadWeight,
    /// bo, `[C]`.
    SirenHeadBias,
    /// out_scale, `[C]`.
    OutScale,
    /// α of W of a sine layer, `[inputs, D]`.
    AlphaWeight {
        /// Inner step j; 0 alone when all steps share one α.
        step: usize,
        /// Sine layer.
        layer: usize,
    },
    /// α of b of a sine layer, `[D]`.
    AlphaBias {
        /// Inner step j; 0 alone when all steps share one α.
        step: usize,
        /// Sine layer.
        layer: usize,
    },
    /// β of hidden layer l = 1..=L, [D+1, D]: column o is the base of the token of neuron o, its last row
    /// the bias's.
    Beta(usize),
    /// project_in, `[D+1, D]`.
    ProjectIn,
    /// Bias of project_in, `[D]`.
    ProjectInBias,
    /// A tensor of Transformer block b.
    Block(usize, BlockTensor),
    /// to_logits, `[D, K]`.
    ToLogits,
    /// Bias of to_logits, `[K]`.
    ToLogitsBias,
}

/// One tensor of a Transformer block. Weights are `[inputs, outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockTensor {
    /// Weight of the norm before the attention, `[D]`.
    Norm1Weight,
    /// Bias of the norm before the attention, `[D]`.
    Norm1Bias,
    /// Queries of all heads, `[D, D]`.
    Query,
    /// Keys of all heads, `[D, D]`.
    Key,
    /// Values of all heads, `[D, D]`.
    Value,
    /// to_out, `[D, D]`.
    AttnOut,
    /// Bias of to_out, `[D]`.
    AttnOutBias,
    /// ls1, `[D]`.
    LayerScale1,
    /// Weight of the norm before the MLP, `[D]`.
    Norm2Weight,
    /// Bias of the norm before the MLP, `[D]`.
    Norm2Bias,
    /// First layer of the MLP, `[D, mlp_mult·D]`.
    Mlp1,
    /// Its bias, `[mlp_mult·D]`.
    Mlp1Bias,
    /// Second layer of the MLP, `[mlp_mult·D, D]`.
    Mlp2,
    /// Its bias, `[D]`.
    Mlp2Bias,
    /// ls2, `[D]`.
    LayerScale2,
}

impl BlockTensor {
    /// The tensors of a block in the order of the file.
    pub const ALL: [Self; 15] = [
        Self::Norm1Weight,
        Self::Norm1Bias,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttnOut,
        Self::AttnOutBias,
        Self::LayerScale1,
        Self::Norm2Weight,
        Self::Norm2Bias,
        Self::Mlp1,
        Self::Mlp1Bias,
        Self::Mlp2,
        Self::Mlp2Bias,
        Self::LayerScale2,
    ];
}

/// Rows and columns of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[inputs, outputs]`, stored as its part's scheme says.
    Matrix(usize, usize),
    /// `[inputs, outputs]`, always stored as f32.
    PlainMatrix(usize, usize),
    /// Always stored as f32.
    Vector(usize),
}

impl Shape {
    /// Rows and columns; a vector is one row.
    pub const fn dims(self) -> (usize, usize) {
        match self {
            Self::Matrix(rows, columns) | Self::PlainMatrix(rows, columns) => (rows, columns),
            Self::Vector(len) => (1, len),
        }
    }

    /// Number of values.
    pub const fn values(self) -> usize {
        let (rows, columns) = self.dims();
        rows * columns
    }
}

impl Tensor {
    /// The part that the tensor belongs to.
    pub const fn part(self) -> Part {
        match self {
            Self::SirenWeight(_)
            | Self::SirenBias(_)
            | Self::SirenHeadWeight
            | Self::SirenHeadBias
            | Self::OutScale => Part::Theta,
            Self::AlphaWeight { .. } | Self::AlphaBias { .. } => Part::Alpha,
            Self::Beta(_) => Part::Beta,
            Self::ProjectIn
            | Self::ProjectInBias
            | Self::Block(..)
            | Self::ToLogits
            | Self::ToLogitsBias => Part::Transformer,
        }
    }

    /// The tensor's shape in a model of this configuration.
    pub const fn shape(self, config: &ModelConfig) -> Shape {
        let d = config.dim;
        match self {
            Self::SirenWeight(0) | Self::AlphaWeight { layer: 0, .. } => {
                Shape::PlainMatrix(config.axes(), d)
            }
            Self::SirenWeight(_) | Self::AlphaWeight { .. } => Shape::Matrix(d, d),
            Self::SirenHeadWeight => Shape::PlainMatrix(d, config.channels),
            Self::SirenHeadBias | Self::OutScale => Shape::Vector(config.channels),
            Self::Beta(_) | Self::ProjectIn => Shape::Matrix(d + 1, d),
            Self::ToLogits => Shape::Matrix(d, config.classes),
            Self::ToLogitsBias => Shape::Vector(config.classes),
            Self::SirenBias(_) | Self::AlphaBias { .. } | Self::ProjectInBias => Shape::Vector(d),
            Self::Block(_, tensor) => match tensor {
                BlockTensor::Query
                | BlockTensor::Key
                | BlockTensor::Value
                | BlockTensor::AttnOut => Shape::Matrix(d, d),
                BlockTensor::Mlp1 => Shape::Matrix(d, config.mlp_width()),
                BlockTensor::Mlp2 => Shape::Matrix(config.mlp_width(), d),
                BlockTensor::Mlp1Bias => Shape::Vector(config.mlp_width()),
                _ => Shape::Vector(d),
            },
        }
    }

    /// How the tensor is stored: its part's scheme for a matrix, f32 for everything else.
    pub const fn scheme(self, config: &ModelConfig, schemes: &Schemes) -> Scheme {
        match (self.shape(config), self.part()) {
            (Shape::Vector(_) | Shape::PlainMatrix(..), _) => Scheme::F32,
            (_, Part::Theta) => schemes.theta,
            (_, Part::Alpha) => schemes.alpha,
            (_, Part::Beta) => schemes.beta,
            (_, Part::Transformer) => schemes.transformer,
        }
    }

    /// Bytes of the tensor in a bundle.
    pub const fn bytes(self, config: &ModelConfig, schemes: &Schemes) -> u64 {
        let (rows, columns) = self.shape(config).dims();
        self.scheme(config, schemes).matrix_bytes(rows, columns)
    }
}

/// Every tensor of a model in the order of the file.
pub fn tensors(config: &ModelConfig) -> impl Iterator<Item = Tensor> + use<> {
    let config = *config;
    (0..).map_while(move |n| nth(&config, n))
}

/// Tensor `n` in the order of the file: by arithmetic, because a chain of iterators takes a microcontroller five times
/// the flash.
fn nth(config: &ModelConfig, n: usize) -> Option<Tensor> {
    let layers = config.hidden_layers;
    // Weight and bias of each sine layer; never 0, which the compiler cannot know.
    let row = (2 * (layers + 1)).max(1);
    let Some(n) = n.checked_sub(row) else {
        let layer = n / 2;
        return Some(match n % 2 {
            0 => Tensor::SirenWeight(layer),
            _ => Tensor::SirenBias(layer),
        });
    };
    let Some(n) = n.checked_sub(3) else {
        return Some(match n {
            0 => Tensor::SirenHeadWeight,
            1 => Tensor::SirenHeadBias,
            _ => Tensor::OutScale,
        });
    };
    let Some(n) = n.checked_sub(config.alpha_rows() * row) else {
        let (step, layer) = (n / row, n % row / 2);
        return Some(match n % 2 {
            0 => Tensor::AlphaWeight { step, layer },
            _ => Tensor::AlphaBias { step, layer },
        });
    };
    let Some(n) = n.checked_sub(layers) else { return Some(Tensor::Beta(n + 1)) };
    let Some(n) = n.checked_sub(2) else {
        return Some(if n == 0 { Tensor::ProjectIn } else { Tensor::ProjectInBias });
    };
    let block = BlockTensor::ALL.len();
    let Some(n) = n.checked_sub(config.blocks * block) else {
        return BlockTensor::ALL.get(n % block).map(|tensor| Tensor::Block(n / block, *tensor));
    };
    match n {
        0 => Some(Tensor::ToLogits),
        1 => Some(Tensor::ToLogitsBias),
        _ => None,
    }
}

/// Where the tensors of a bundle lie, in closed form, so that reading one costs no walk over the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// Bytes of sine layer 0 and of a hidden one, in θ and in α.
    pub(crate) first_layer: usize,
    pub(crate) theta_layer: usize,
    pub(crate) alpha_layer: usize,
    /// Offset of each part from the first tensor.
    pub(crate) siren_head: usize,
    pub(crate) alpha: usize,
    pub(crate) beta: usize,
    pub(crate) project_in: usize,
    pub(crate) blocks: usize,
    pub(crate) to_logits: usize,
    /// Bytes of one β layer and of one block.
    pub(crate) beta_layer: usize,
    pub(crate) block: usize,
    /// Bytes of all tensors.
    pub(crate) end: usize,
}

impl Places {
    /// `None` when the tensors' bytes do not fit this target's addresses.
    pub(crate) fn new(config: &ModelConfig, schemes: &Schemes) -> Option<Self> {
        let total: u64 = tensors(config).map(|t| t.bytes(config, schemes)).sum();
        let end = usize::try_from(total).ok()?;
        // Nothing below exceeds `end`.
        let bytes = |t: Tensor| t.bytes(config, schemes) as usize;
        let layers = config.hidden_layers;
        let first_layer = bytes(Tensor::SirenWeight(0)) + bytes(Tensor::SirenBias(0));
        let theta_layer = bytes(Tensor::SirenWeight(1)) + bytes(Tensor::SirenBias(1));
        let alpha_layer = bytes(Tensor::AlphaWeight { step: 0, layer: 1 })
            + bytes(Tensor::AlphaBias { step: 0, layer: 1 });
        let siren_head = first_layer + layers * theta_layer;
        let alpha = siren_head
            + bytes(Tensor::SirenHeadWeight)
            + bytes(Tensor::SirenHeadBias)
            + bytes(Tensor::OutScale);
        let beta_layer = bytes(Tensor::Beta(1));
        let beta = alpha + config.alpha_rows() * (first_layer + layers * alpha_layer);
        let project_in = beta + layers * beta_layer;
        let blocks = project_in + bytes(Tensor::ProjectIn) + bytes(Tensor::ProjectInBias);
        let block = BlockTensor::ALL.iter().map(|t| bytes(Tensor::Block(0, *t))).sum::<usize>();
        let to_logits = blocks + config.blocks * block;
        Some(Self {
            first_layer,
            theta_layer,
            alpha_layer,
            siren_head,
            alpha,
            beta,
            project_in,
            blocks,
            to_logits,
            beta_layer,
            block,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_have_the_papers_sizes() {
        let values = |config: &ModelConfig, part: Part| -> usize {
            tensors(config).filter(|t| t.part() == part).map(|t| t.shape(config).values()).sum()
        };
        let base = ModelConfig::BASE;
        // θ and the head (C·D + 2C), α, and the 1.08 M of Transformer and β.
        assert_eq!(values(&base, Part::Theta), 66_432 + 3 * 128 + 6);
        assert_eq!(values(&base, Part::Alpha), 398_592);
        assert_eq!(values(&base, Part::Beta), 512 * 129);
        let classifier = values(&base, Part::Beta) + values(&base, Part::Transformer);
        assert!((1_070_000..1_090_000).contains(&classifier), "{classifier}");
        let shared = ModelConfig { shared_alpha: true, ..base };
        assert_eq!(values(&shared, Part::Alpha), 66_432);
    }

    #[test]
    fn places_agree_with_the_order_of_the_file() {
        for (name, config) in ModelConfig::PRESETS {
            for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
                let schemes = Schemes { alpha: scheme, ..Schemes::all(Scheme::Int8) };
                let places = Places::new(&config, &schemes).unwrap();
                let mut at = 0;
                for t in tensors(&config) {
                    let expected = match t {
                        Tensor::SirenHeadWeight => Some(places.siren_head),
                        Tensor::AlphaWeight { step: 0, layer: 0 } => Some(places.alpha),
                        Tensor::AlphaWeight { step: 1, layer: 2 } => Some(
                            places.alpha
                                + (places.first_layer + config.hidden_layers * places.alpha_layer)
                                + places.first_layer
                                + places.alpha_layer,
                        ),
                        Tensor::Beta(l) => Some(places.beta + (l - 1) * places.beta_layer),
                        Tensor::ProjectIn => Some(places.project_in),
                        Tensor::Block(b, BlockTensor::Norm1Weight) => {
                            Some(places.blocks + b * places.block)
                        }
                        Tensor::ToLogits => Some(places.to_logits),
                        _ => None,
                    };
                    if let Some(place) = expected {
                        assert_eq!(place, at, "{name} {t:?}");
                    }
                    at += t.bytes(&config, &schemes) as usize;
                }
                assert_eq!(places.end, at);
            }
        }
    }
}
