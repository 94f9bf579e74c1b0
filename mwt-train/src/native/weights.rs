//! The Transformer's parameters in one flat slice, and each of them in a gradient of the same layout.

use std::ops::Range;

use mwt_core::ModelConfig;

/// Where the parameters lie, in the order of [`specs`]. Weights are `[outputs, inputs]`.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) project_in: Linear,
    pub(super) blocks: Vec<Block>,
    pub(super) to_logits: Linear,
    /// Values of all parameters.
    pub(super) len: usize,
}

/// A linear layer's weight and bias; the bias is empty where there is none.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// A layer norm's factor and offset.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) layer_scale1: Range<usize>,
    pub(super) norm1: Norm,
    pub(super) qkv: Linear,
    pub(super) attn_out: Linear,
    pub(super) layer_scale2: Range<usize>,
    pub(super) norm2: Norm,
    pub(super) mlp1: Linear,
    pub(super) mlp2: Linear,
}

impl Layout {
    pub(super) fn new(config: &ModelConfig) -> Self {
        let (d, hidden) = (config.dim, config.mlp_width());
        let mut len = 0;
        let mut take = |n: usize| {
            len += n;
            len - n..len
        };
        let linear = |take: &mut dyn FnMut(usize) -> Range<usize>, outputs, inputs, bias: bool| {
            let weight = take(outputs * inputs);
            Linear { weight, bias: take(if bias { outputs } else { 0 }), inputs, outputs }
        };
        let project_in = linear(&mut take, d, d + 1, true);
        let blocks = (0..config.blocks)
            .map(|_| Block {
                layer_scale1: take(d),
                norm1: Norm { weight: take(d), bias: take(d) },
                qkv: linear(&mut take, 3 * d, d, false),
                attn_out: linear(&mut take, d, d, true),
                layer_scale2: take(d),
                norm2: Norm { weight: take(d), bias: take(d) },
                mlp1: linear(&mut take, hidden, d, true),
                mlp2: linear(&mut take, d, hidden, true),
            })
            .collect();
        let to_logits = linear(&mut take, config.classes, d, true);
        Self { project_in, blocks, to_logits, len }
    }

    /// Every linear layer.
    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        let blocks = self.blocks.iter().flat_map(|b| [&b.qkv, &b.attn_out, &b.mlp1, &b.mlp2]);
        [&self.project_in, &self.to_logits].into_iter().chain(blocks)
    }
}
