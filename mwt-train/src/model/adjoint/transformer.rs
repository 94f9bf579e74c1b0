//! The Transformer with its adjoint in closed form.
//!
//! Saved are each block's input and what its attention gathered, `[N, T, D]` both; norms, hidden layers and attention
//! probabilities are computed again, one block at a time, so memory does not grow with the blocks times T².

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use crate::model::operation::{TransformerGrads, TransformerInputs, TransformerOp};
use crate::model::product::Product;
use crate::model::rowwise::Rowwise;
use crate::model::tokens::{tokens, tokens_backward};
use crate::model::transformer::{
    Block, Linear, Norm, Transformer, join_heads, score_scale, split_heads,
};
use crate::settings::Precision;

/// The most attention probabilities that are held at once: attention goes over the images in groups of as many as that
/// allows.
const PROBS_AT_ONCE: usize = 1 << 26;

/// The Transformer that computes again what its backward pass needs.
#[derive(Debug)]
pub struct AdjointTransformer;

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub struct SavedBlocks<B: Backend> {
    /// Each block's input and what its attention gathered.
    blocks: Vec<[Tensor<B, 3>; 2]>,
    /// The last block's output.
    last: Tensor<B, 3>,
}

impl<B: Rowwise + Product> TransformerOp<B> for AdjointTransformer {
    type Saved = SavedBlocks<B>;

    fn forward(inputs: &TransformerInputs<B>) -> (Tensor<B, 2>, Self::Saved) {
        let TransformerInputs { config, offsets, beta, values, precision } = inputs;
        let transformer = Transformer::new(config, values);
        let linear = |linear: &Linear<B>, x| linear_forward(linear, x, *precision);
        let tokens = tokens(config, offsets.clone(), beta.clone());
        let mut x = linear(&transformer.project_in, tokens);
        let mut blocks = Vec::new();
        for block in &transformer.blocks {
            let normed = norm(&block.norm1, &x);
            let qkv = split_heads(linear(&block.qkv, normed), config.heads());
            let attended = attend(&qkv, PROBS_AT_ONCE, *precision);
            blocks.push([x.clone(), attended.clone()]);
            let middle = x + linear(&block.attn_out, attended) * row(&block.layer_scale1);
            let [hidden, _] = B::gelu_slope(linear(&block.mlp1, norm(&block.norm2, &middle)));
            x = middle + linear(&block.mlp2, hidden) * row(&block.layer_scale2);
        }
        let logits = linear(&transformer.to_logits, x.clone().mean_dim(1));
        (logits.flatten(0, 1), SavedBlocks { blocks, last: x })
    }

    fn backward(
        inputs: &TransformerInputs<B>,
        saved: &Self::Saved,
        logits_bar: Tensor<B, 2>,
    ) -> TransformerGrads<B> {
        let TransformerInputs { config, offsets, beta, values, precision } = inputs;
        let transformer = Transformer::new(config, values);
        let [n, t, d] = saved.last.dims();
        let mut back = Back { precision: *precision, bars: Vec::new() };
        let (last, logits_bar) =
            (saved.last.clone().mean_dim(1), logits_bar.reshape([n, 1, config.classes]));
        let mean_bar = back.linear(&transformer.to_logits, last, logits_bar);
        let mut x_bar = (mean_bar / t as f64).expand([n, t, d]);
        for (block, [x, attended]) in transformer.blocks.iter().zip(&saved.blocks).rev() {
            x_bar = back.block(config, block, x, attended, x_bar);
        }
        let tokens = tokens(config, offsets.clone(), beta.clone());
        let tokens_bar = back.linear(&transformer.project_in, tokens, x_bar);
        let (offsets, beta) = tokens_backward(config, tokens_bar);
        back.bars.reverse();
        TransformerGrads { offsets, beta, values: Tensor::cat(back.bars, 0) }
    }
}

/// The way back.
struct Back<B: Backend> {
    precision: Precision,
    /// Gradients of parameters, flat, from the last to the first.
    bars: Vec<Tensor<B, 1>>,
}

impl<B: Rowwise + Product> Back<B> {
    /// x̄ of a block from that of its output, x + s₁ ⊙ attention(x) + s₂ ⊙ mlp(…).
    fn block(
        &mut self,
        config: &ModelConfig,
        block: &Block<B>,
        x: &Tensor<B, 3>,
        attended: &Tensor<B, 3>,
        out_bar: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let precision = self.precision;
        let linear = |linear: &Linear<B>, x| linear_forward(linear, x, precision);
        let branch = linear(&block.attn_out, attended.clone());
        let middle = x.clone() + branch.clone() * row(&block.layer_scale1);

        let normed = norm(&block.norm2, &middle);
        let [hidden, slope] = B::gelu_slope(linear(&block.mlp1, normed.clone()));
        let mlp = linear(&block.mlp2, hidden.clone());
        let mlp_bar = out_bar.clone() * row(&block.layer_scale2);
        let scale2_bar = sum(mlp * out_bar.clone());
        let hidden_bar = self.linear(&block.mlp2, hidden, mlp_bar);
        let normed_bar = self.linear(&block.mlp1, normed, hidden_bar * slope);
        let middle_bar = out_bar + self.norm(&block.norm2, middle, normed_bar);
        self.bars.push(scale2_bar);

        let branch_bar = middle_bar.clone() * row(&block.layer_scale1);
        let scale1_bar = sum(branch * middle_bar.clone());
        let attended_bar = self.linear(&block.attn_out, attended.clone(), branch_bar);
        let normed = norm(&block.norm1, x);
        let qkv = split_heads(linear(&block.qkv, normed.clone()), config.heads());
        let qkv_bar = attend_backward(&qkv, attended_bar, PROBS_AT_ONCE, precision);
        let normed_bar = self.linear(&block.qkv, normed, qkv_bar);
        let x_bar = middle_bar + self.norm(&block.norm1, x.clone(), normed_bar);
        self.bars.push(scale1_bar);
        x_bar
    }

    /// x̄ of a layer norm.
    fn norm(&mut self, norm: &Norm<B>, x: Tensor<B, 3>, y_bar: Tensor<B, 3>) -> Tensor<B, 3> {
        let [x_bar, weight_bar] = B::norm_backward(x, norm.weight.clone(), y_bar.clone());
        self.bars.extend([sum(y_bar), sum(weight_bar)]);
        x_bar
    }

    /// x̄ of y = x·Wᵀ + b.
    fn linear(&mut self, linear: &Linear<B>, x: Tensor<B, 3>, y_bar: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([n, t, inputs], rows) = (x.dims(), y_bar.clone().flatten::<2>(0, 1));
        if linear.bias.is_some() {
            self.bars.push(sum(y_bar));
        }
        let weight_bar = B::product(rows.clone().transpose(), x.flatten(0, 1), self.precision);
        self.bars.push(weight_bar.flatten(0, 1));
        B::product(rows, linear.weight.clone(), self.precision).reshape([n, t, inputs])
    }
}

/// What the heads gather, side by side: `[N, T, D]`.
fn attend<B: Rowwise + Product>(
    qkv: &[Tensor<B, 4>; 3],
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let groups = groups(qkv, at_once).map(|[query, key, value]| {
        let scale = score_scale(&query);
        let probs = B::attention_probs(product(query, key.transpose()), scale);
        join_heads(product(probs, value))
    });
    Tensor::cat(groups.collect(), 0)
}

/// The gradient of queries, keys and values, `[N, T, 3·D]`, from that of what was attended.
fn attend_backward<B: Rowwise + Product>(
    qkv: &[Tensor<B, 4>; 3],
    attended_bar: Tensor<B, 3>,
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let [_, heads, t, dim] = qkv[0].dims();
    let mut start = 0;
    let groups = groups(qkv, at_once).map(|[query, key, value]| {
        let (scale, [n, ..]) = (score_scale(&query), query.dims());
        let bar = attended_bar.clone().narrow(0, start, n);
        start += n;
        let bar = bar.reshape([n, t, heads, dim]).swap_dims(1, 2);
        let probs = B::attention_probs(product(query.clone(), key.clone().transpose()), scale);
        let value_bar = product(probs.clone().transpose(), bar.clone());
        let probs_bar = product(bar, value.transpose());
        let scores_bar = B::attention_probs_backward(probs, probs_bar, scale);
        let query_bar = product(scores_bar.clone(), key);
        let key_bar = product(scores_bar.transpose(), query);
        Tensor::cat([query_bar, key_bar, value_bar].map(join_heads).to_vec(), 2)
    });
    Tensor::cat(groups.collect(), 0)
}

/// Queries, keys and values of as many images as have no more than `at_once` probs, or of one.
fn groups<B: Backend>(
    qkv: &[Tensor<B, 4>; 3],
    at_once: usize,
) -> impl Iterator<Item = [Tensor<B, 4>; 3]> {
    let [n, heads, t, _] = qkv[0].dims();
    let group = (at_once / (heads * t * t)).clamp(1, n);
    (0..n).step_by(group).map(move |start| {
        qkv.each_ref().map(|part| part.clone().narrow(0, start, group.min(n - start)))
    })
}

fn norm<B: Rowwise>(norm: &Norm<B>, x: &Tensor<B, 3>) -> Tensor<B, 3> {
    B::norm(x.clone(), norm.weight.clone(), norm.bias.clone())
}

/// y = x·Wᵀ + b: one product over all rows of the batch.
fn linear_forward<B: Product>(
    linear: &Linear<B>,
    x: Tensor<B, 3>,
    precision: Precision,
) -> Tensor<B, 3> {
    let ([n, t, inputs], [outputs, _]) = (x.dims(), linear.weight.dims());
    let weight = linear.weight.clone().transpose();
    linear
        .biased(B::product(x.reshape([n * t, inputs]), weight, precision))
        .reshape([n, t, outputs])
}

/// The sum over all rows of all images.
fn sum<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 1> {
    values.flatten::<2>(0, 1).sum_dim(0).flatten(0, 1)
}

/// `[D]` as it meets `[N, T, D]`.
fn row<B: Backend>(values: &Tensor<B, 1>) -> Tensor<B, 3> {
    values.clone().unsqueeze()
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::Distribution;

    use super::*;
    use crate::model::params::host;

    /// Five images of two heads and three tokens: one, two or all at a time.
    #[test]
    fn attention_in_groups_is_attention() {
        let device = Default::default();
        let random = || Tensor::<Flex, 4>::random([5, 2, 3, 4], Distribution::Default, &device);
        let (qkv, bar) = ([random(), random(), random()], join_heads(random()));
        let run = |at_once: usize| {
            let bars = attend_backward(&qkv, bar.clone(), at_once, Precision::F32);
            [host(attend(&qkv, at_once, Precision::F32)), host(bars)]
        };
        let all = run(PROBS_AT_ONCE);
        assert!(all.iter().flatten().any(|value| *value != 0.0));
        for (at_once, images) in [(1, 1), (2 * 2 * 3 * 3, 2), (5 * 2 * 3 * 3, 5)] {
            assert_eq!(groups(&qkv, at_once).next().unwrap()[0].dims()[0], images);
            assert_eq!(run(at_once), all, "{images} images at a time");
        }
    }
}
