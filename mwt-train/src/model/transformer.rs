//! The Transformer that classifies the tokens: the readable reference.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use mwt_core::ModelConfig;

use super::rowwise;
use crate::weights::layout::{LinearPlace, NormPlace, TransformerLayout};

/// A linear layer y = x·Wᵀ + b, W `[outputs, inputs]` as the reference has it.
#[derive(Clone, Debug)]
pub(super) struct Linear<B: Backend> {
    pub(super) weight: Tensor<B, 2>,
    pub(super) bias: Option<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    pub(super) fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [n, t, d] = x.dims();
        let [out, _] = self.weight.dims();
        // One product over all rows of the batch instead of one per image.
        let y = x.reshape([n * t, d]).matmul(self.weight.clone().transpose());
        let y = match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        };
        y.reshape([n, t, out])
    }
}

/// A layer norm's affine part, `[D]` each.
#[derive(Clone, Debug)]
pub(super) struct Norm<B: Backend> {
    pub(super) weight: Tensor<B, 1>,
    pub(super) bias: Tensor<B, 1>,
}

impl<B: Backend> Norm<B> {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        rowwise::norm(x, self.weight.clone(), self.bias.clone())
    }
}

/// x + s₁ ⊙ attention(norm₁ x), and to that s₂ ⊙ mlp(norm₂ ·).
#[derive(Clone, Debug)]
pub(super) struct Block<B: Backend> {
    pub(super) layer_scale1: Tensor<B, 1>,
    pub(super) norm1: Norm<B>,
    pub(super) qkv: Linear<B>,
    pub(super) attn_out: Linear<B>,
    pub(super) layer_scale2: Tensor<B, 1>,
    pub(super) norm2: Norm<B>,
    pub(super) mlp1: Linear<B>,
    pub(super) mlp2: Linear<B>,
}

/// project_in, the blocks, the mean over tokens, to_logits.
#[derive(Clone, Debug)]
pub struct Transformer<B: Backend> {
    heads: usize,
    pub(super) project_in: Linear<B>,
    pub(super) blocks: Vec<Block<B>>,
    pub(super) to_logits: Linear<B>,
}

impl<B: Backend> Transformer<B> {
    /// From its parameters, flat, in the order of [`TransformerLayout`].
    pub fn new(config: &ModelConfig, values: &Tensor<B, 1>) -> Self {
        Self::of(config, |range| values.clone().slice(range))
    }

    /// From its parameters, each as `part` gives it for its place.
    pub(super) fn of(config: &ModelConfig, part: impl Fn(Range<usize>) -> Tensor<B, 1>) -> Self {
        let layout = TransformerLayout::new(config);
        let vector = |range: &Range<usize>| part(range.clone());
        let linear = |place: &LinearPlace| Linear {
            weight: vector(&place.weight).reshape([place.outputs, place.inputs]),
            bias: (!place.bias.is_empty()).then(|| vector(&place.bias)),
        };
        let norm =
            |place: &NormPlace| Norm { weight: vector(&place.weight), bias: vector(&place.bias) };
        let blocks = layout.blocks.iter().map(|block| Block {
            layer_scale1: vector(&block.layer_scale1),
            norm1: norm(&block.norm1),
            qkv: linear(&block.qkv),
            attn_out: linear(&block.attn_out),
            layer_scale2: vector(&block.layer_scale2),
            norm2: norm(&block.norm2),
            mlp1: linear(&block.mlp1),
            mlp2: linear(&block.mlp2),
        });
        Self {
            heads: config.heads(),
            project_in: linear(&layout.project_in),
            blocks: blocks.collect(),
            to_logits: linear(&layout.to_logits),
        }
    }

    /// Logits `[N, K]` from tokens `[N, T, D+1]`.
    pub fn forward(&self, tokens: Tensor<B, 3>) -> Tensor<B, 2> {
        let mut x = self.project_in.forward(tokens);
        for block in &self.blocks {
            x = block.forward(x, self.heads);
        }
        let logits = self.to_logits.forward(x.mean_dim(1));
        let [n, _, classes] = logits.dims();
        logits.reshape([n, classes])
    }
}

impl<B: Backend> Block<B> {
    fn forward(&self, x: Tensor<B, 3>, heads: usize) -> Tensor<B, 3> {
        let attended = self.attend(self.norm1.forward(x.clone()), heads);
        let x = x + attended * self.layer_scale1.clone().unsqueeze();
        let hidden = activation::gelu(self.mlp1.forward(self.norm2.forward(x.clone())));
        x + self.mlp2.forward(hidden) * self.layer_scale2.clone().unsqueeze()
    }

    fn attend(&self, x: Tensor<B, 3>, heads: usize) -> Tensor<B, 3> {
        let [query, key, value] = split_heads(self.qkv.forward(x), heads);
        let scale = score_scale(&query);
        let probs = rowwise::attention_probs(query.matmul(key.transpose()), scale);
        self.attn_out.forward(join_heads(probs.matmul(value)))
    }
}

/// Queries, keys and values, `[N, heads, T, dim]` each, from `[N, T, 3·D]`: (q|k|v, head, dim).
fn split_heads<B: Backend>(qkv: Tensor<B, 3>, heads: usize) -> [Tensor<B, 4>; 3] {
    let [n, t, columns] = qkv.dims();
    let qkv = qkv.reshape([n, t, 3 * heads, columns / (3 * heads)]).swap_dims(1, 2);
    [0, 1, 2].map(|part| qkv.clone().narrow(1, part * heads, heads))
}

/// `[N, heads, T, dim]` as `[N, T, heads·dim]`.
fn join_heads<B: Backend>(heads: Tensor<B, 4>) -> Tensor<B, 3> {
    heads.swap_dims(1, 2).flatten(2, 3)
}

/// 1/√dim, by which scores are scaled.
fn score_scale<B: Backend>(query: &Tensor<B, 4>) -> f64 {
    let [.., dim] = query.dims();
    (dim as f64).powf(-0.5)
}
