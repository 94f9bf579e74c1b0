//! The Transformer that reads the tokens.

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use mwt_core::ModelConfig;

use super::params::Cursor;

/// eps of the layer norms.
const NORM_EPS: f64 = 1e-5;

/// A linear layer y = x·Wᵀ + b, W `[outputs, inputs]` as the reference has it.
#[derive(Clone, Debug)]
struct Linear<B: Backend> {
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// Appends the values, flat.
    fn push(&self, values: &mut Vec<Tensor<B, 1>>) {
        values.push(self.weight.clone().flatten(0, 1));
        values.extend(self.bias.clone());
    }

    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [n, t, d] = x.dims();
        let [out, _] = self.weight.dims();
        // One product over all rows of the batch instead of one an image.
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
struct Norm<B: Backend> {
    weight: Tensor<B, 1>,
    bias: Tensor<B, 1>,
}

impl<B: Backend> Norm<B> {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let centred = x.clone() - x.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        let normed = centred / (variance + NORM_EPS).sqrt();
        normed * self.weight.clone().unsqueeze() + self.bias.clone().unsqueeze()
    }
}

#[derive(Clone, Debug)]
struct Block<B: Backend> {
    layer_scale1: Tensor<B, 1>,
    norm1: Norm<B>,
    qkv: Linear<B>,
    attn_out: Linear<B>,
    layer_scale2: Tensor<B, 1>,
    norm2: Norm<B>,
    mlp1: Linear<B>,
    mlp2: Linear<B>,
}

/// project_in, the blocks, the mean over tokens, to_logits.
#[derive(Clone, Debug)]
pub struct Transformer<B: Backend> {
    heads: usize,
    project_in: Linear<B>,
    blocks: Vec<Block<B>>,
    to_logits: Linear<B>,
}

impl<B: Backend> Transformer<B> {
    pub(super) fn take(config: &ModelConfig, next: &mut Cursor<'_, B>) -> Self {
        let (d, hidden) = (config.width, config.mlp_width());
        let project_in = Linear { weight: next.take([d, d + 1]), bias: Some(next.take([d])) };
        let blocks = (0..config.blocks)
            .map(|_| Block {
                layer_scale1: next.take([d]),
                norm1: Norm { weight: next.take([d]), bias: next.take([d]) },
                qkv: Linear { weight: next.take([3 * d, d]), bias: None },
                attn_out: Linear { weight: next.take([d, d]), bias: Some(next.take([d])) },
                layer_scale2: next.take([d]),
                norm2: Norm { weight: next.take([d]), bias: next.take([d]) },
                mlp1: Linear { weight: next.take([hidden, d]), bias: Some(next.take([hidden])) },
                mlp2: Linear { weight: next.take([d, hidden]), bias: Some(next.take([d])) },
            })
            .collect();
        let to_logits = Linear {
            weight: next.take([config.classes, d]),
            bias: Some(next.take([config.classes])),
        };
        Self { heads: config.heads(), project_in, blocks, to_logits }
    }

    /// Every parameter, flat, in the order of [`specs`](crate::weights::specs).
    pub fn values(&self) -> Tensor<B, 1> {
        let mut values = Vec::new();
        self.project_in.push(&mut values);
        for block in &self.blocks {
            values.push(block.layer_scale1.clone());
            values.extend([block.norm1.weight.clone(), block.norm1.bias.clone()]);
            block.qkv.push(&mut values);
            block.attn_out.push(&mut values);
            values.push(block.layer_scale2.clone());
            values.extend([block.norm2.weight.clone(), block.norm2.bias.clone()]);
            block.mlp1.push(&mut values);
            block.mlp2.push(&mut values);
        }
        self.to_logits.push(&mut values);
        Tensor::cat(values, 0)
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
        let [n, t, d] = x.dims();
        let dim = d / heads;
        // (q|k|v, head, dim) → three of [N, heads, T, dim].
        let qkv = self.qkv.forward(x).reshape([n, t, 3, heads, dim]);
        let part = |i: usize| {
            let part = qkv.clone().slice([0..n, 0..t, i..i + 1, 0..heads, 0..dim]);
            part.reshape([n, t, heads, dim]).swap_dims(1, 2)
        };
        let scores = part(0).matmul(part(1).transpose()) * (dim as f64).powf(-0.5);
        let gathered = activation::softmax(scores, 3).matmul(part(2));
        self.attn_out.forward(gathered.swap_dims(1, 2).reshape([n, t, d]))
    }
}
