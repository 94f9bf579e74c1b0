//! The Transformer with its adjoint in closed form.
//!
//! SavedBlocks are each block's input and what its attention attended, `[N, T, D]` both; norms, hidden layers and probs are
//! computed again, one block at a time, so memory does not grow with the blocks times T².

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use crate::model::operation::{TransformerGrads, TransformerInputs, TransformerOp};
use crate::model::rowwise::Rowwise;
use crate::model::tokens::{tokens, tokens_backward};
use crate::model::transformer::{
    Block, Linear, Norm, Transformer, join_heads, score_scale, split_heads,
};

/// The most attention probabilities that are held at once: attention goes over the images in groups of as many as that
/// allows.
const PROBS_AT_ONCE: usize = 1 << 26;

/// The Transformer that computes again what its backward pass needs.
#[derive(Debug)]
pub struct AdjointTransformer;

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub struct SavedBlocks<B: Backend> {
    /// Each block's input and what its attention attended.
    blocks: Vec<[Tensor<B, 3>; 2]>,
    /// The last block's output.
    last: Tensor<B, 3>,
}

/// Gradients of parameters, flat, from the last to the first.
type Bars<B> = Vec<Tensor<B, 1>>;

impl<B: Rowwise> TransformerOp<B> for AdjointTransformer {
    type Saved = SavedBlocks<B>;

    fn forward(inputs: &TransformerInputs<B>) -> (Tensor<B, 2>, Self::Saved) {
        let TransformerInputs { config, offsets, beta, values } = inputs;
        let transformer = Transformer::new(config, values);
        let tokens = tokens(config, offsets.clone(), beta.clone());
        let mut x = transformer.project_in.forward(tokens);
        let mut blocks = Vec::new();
        for block in &transformer.blocks {
            let normed = norm(&block.norm1, &x);
            let attended =
                attend(&split_heads(block.qkv.forward(normed), config.heads()), PROBS_AT_ONCE);
            blocks.push([x.clone(), attended.clone()]);
            let middle = x + block.attn_out.forward(attended) * row(&block.layer_scale1);
            let [hidden, _] = B::gelu_slope(block.mlp1.forward(norm(&block.norm2, &middle)));
            x = middle + block.mlp2.forward(hidden) * row(&block.layer_scale2);
        }
        let logits = transformer.to_logits.forward(x.clone().mean_dim(1));
        (logits.flatten(0, 1), SavedBlocks { blocks, last: x })
    }

    fn backward(
        inputs: &TransformerInputs<B>,
        saved: &Self::Saved,
        logits_bar: Tensor<B, 2>,
    ) -> TransformerGrads<B> {
        let TransformerInputs { config, offsets, beta, values } = inputs;
        let transformer = Transformer::new(config, values);
        let [n, t, d] = saved.last.dims();
        let mut bars = Bars::new();
        let (last, logits_bar) =
            (saved.last.clone().mean_dim(1), logits_bar.reshape([n, 1, config.classes]));
        let mean_bar = linear_backward(&transformer.to_logits, last, logits_bar, &mut bars);
        let mut x_bar = (mean_bar / t as f64).expand([n, t, d]);
        for (block, [x, attended]) in transformer.blocks.iter().zip(&saved.blocks).rev() {
            x_bar = block_backward(config, block, x, attended, x_bar, &mut bars);
        }
        let tokens = tokens(config, offsets.clone(), beta.clone());
        let tokens_bar = linear_backward(&transformer.project_in, tokens, x_bar, &mut bars);
        let (offsets, beta) = tokens_backward(config, tokens_bar);
        bars.reverse();
        TransformerGrads { offsets, beta, values: Tensor::cat(bars, 0) }
    }
}

/// x̄ of a block from that of its output, x + s₁ ⊙ attention(x) + s₂ ⊙ mlp(…).
fn block_backward<B: Rowwise>(
    config: &ModelConfig,
    block: &Block<B>,
    x: &Tensor<B, 3>,
    attended: &Tensor<B, 3>,
    out_bar: Tensor<B, 3>,
    bars: &mut Bars<B>,
) -> Tensor<B, 3> {
    let branch = block.attn_out.forward(attended.clone());
    let middle = x.clone() + branch.clone() * row(&block.layer_scale1);

    let normed = norm(&block.norm2, &middle);
    let [hidden, slope] = B::gelu_slope(block.mlp1.forward(normed.clone()));
    let mlp = block.mlp2.forward(hidden.clone());
    let mlp_bar = out_bar.clone() * row(&block.layer_scale2);
    let scale2_bar = sum(mlp * out_bar.clone());
    let hidden_bar = linear_backward(&block.mlp2, hidden, mlp_bar, bars);
    let normed_bar = linear_backward(&block.mlp1, normed, hidden_bar * slope, bars);
    let middle_bar = out_bar + norm_backward(&block.norm2, middle, normed_bar, bars);
    bars.push(scale2_bar);

    let branch_bar = middle_bar.clone() * row(&block.layer_scale1);
    let scale1_bar = sum(branch * middle_bar.clone());
    let attended_bar = linear_backward(&block.attn_out, attended.clone(), branch_bar, bars);
    let normed = norm(&block.norm1, x);
    let qkv = split_heads(block.qkv.forward(normed.clone()), config.heads());
    let qkv_bar = attend_backward(&qkv, attended_bar, PROBS_AT_ONCE);
    let normed_bar = linear_backward(&block.qkv, normed, qkv_bar, bars);
    let x_bar = middle_bar + norm_backward(&block.norm1, x.clone(), normed_bar, bars);
    bars.push(scale1_bar);
    x_bar
}

/// What the heads gather, side by side: `[N, T, D]`.
fn attend<B: Rowwise>(qkv: &[Tensor<B, 4>; 3], at_once: usize) -> Tensor<B, 3> {
    let groups = groups(qkv, at_once).map(|[query, key, value]| {
        let scale = score_scale(&query);
        join_heads(B::attention_probs(query.matmul(key.transpose()), scale).matmul(value))
    });
    Tensor::cat(groups.collect(), 0)
}

/// The gradient of queries, keys and values, `[N, T, 3·D]`, from that of what was attended.
fn attend_backward<B: Rowwise>(
    qkv: &[Tensor<B, 4>; 3],
    attended_bar: Tensor<B, 3>,
    at_once: usize,
) -> Tensor<B, 3> {
    let [_, heads, t, dim] = qkv[0].dims();
    let mut start = 0;
    let groups = groups(qkv, at_once).map(|[query, key, value]| {
        let (scale, [n, ..]) = (score_scale(&query), query.dims());
        let bar = attended_bar.clone().narrow(0, start, n);
        start += n;
        let bar = bar.reshape([n, t, heads, dim]).swap_dims(1, 2);
        let probs = B::attention_probs(query.clone().matmul(key.clone().transpose()), scale);
        let value_bar = probs.clone().transpose().matmul(bar.clone());
        let probs_bar = bar.matmul(value.transpose());
        let scores_bar = B::attention_probs_backward(probs, probs_bar, scale);
        let query_bar = scores_bar.clone().matmul(key);
        let key_bar = scores_bar.transpose().matmul(query);
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

/// x̄ of a layer norm.
fn norm_backward<B: Rowwise>(
    norm: &Norm<B>,
    x: Tensor<B, 3>,
    y_bar: Tensor<B, 3>,
    bars: &mut Bars<B>,
) -> Tensor<B, 3> {
    let [x_bar, weight_bar] = B::norm_backward(x, norm.weight.clone(), y_bar.clone());
    bars.extend([sum(y_bar), sum(weight_bar)]);
    x_bar
}

/// x̄ of y = x·Wᵀ + b.
fn linear_backward<B: Backend>(
    linear: &Linear<B>,
    x: Tensor<B, 3>,
    y_bar: Tensor<B, 3>,
    bars: &mut Bars<B>,
) -> Tensor<B, 3> {
    let ([n, t, inputs], rows) = (x.dims(), y_bar.clone().flatten::<2>(0, 1));
    if linear.bias.is_some() {
        bars.push(sum(y_bar));
    }
    bars.push(rows.clone().transpose().matmul(x.flatten(0, 1)).flatten(0, 1));
    rows.matmul(linear.weight.clone()).reshape([n, t, inputs])
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
            let bars = attend_backward(&qkv, bar.clone(), at_once);
            [host(attend(&qkv, at_once)), host(bars)]
        };
        let all = run(PROBS_AT_ONCE);
        assert!(all.iter().flatten().any(|value| *value != 0.0));
        for (at_once, images) in [(1, 1), (2 * 2 * 3 * 3, 2), (5 * 2 * 3 * 3, 5)] {
            assert_eq!(groups(&qkv, at_once).next().unwrap()[0].dims()[0], images);
            assert_eq!(run(at_once), all, "{images} images at a time");
        }
    }
}
