//! The Transformer on one image: tokens to logits, and back.
//!
//! SavedBlock for the backward are each block's input, what its attention attended with each row's log-sum-exp, and
//! the stream between its halves; scores, norms and hidden layers are computed again.

use std::ops::Range;

use mwt_core::ModelConfig;
use mwt_infer::kernels::{Init, Kernel, Mat, MatMut};

use super::rows;
use crate::weights::layout::{BlockPlaces, LinearPlace, NormPlace, TransformerLayout};

/// Unused values between the rows of a matrix with T columns. Without them rows would often lie a power of two apart,
/// and the values of a column would compete for a few sets of the first-level cache.
const GAP: usize = 16;
/// Queries whose scores are held at a time.
const QUERIES: usize = 64;

/// Parameters, with the transposes ([inputs, outputs]) of all linear weights in the same places.
#[derive(Clone, Debug)]
pub(super) struct TransformerWeights {
    pub(super) layout: TransformerLayout,
    pub(super) values: Vec<f32>,
    transposed: Vec<f32>,
}

impl TransformerWeights {
    pub(super) fn new<K: Kernel>(kernel: K, config: &ModelConfig, values: Vec<f32>) -> Self {
        let layout = TransformerLayout::new(config);
        let mut transposed = vec![0.0; layout.len];
        for LinearPlace { weight, inputs, outputs, .. } in layout.linears() {
            let from = Mat::dense(&values[weight.clone()], *outputs, *inputs);
            let to = MatMut::dense(&mut transposed[weight.clone()], *inputs, *outputs);
            kernel.transpose(from, to);
        }
        Self { layout, values, transposed }
    }

    /// y = x·Wᵀ + b.
    fn forward<K: Kernel>(&self, kernel: K, linear: &LinearPlace, x: &[f32], y: &mut [f32]) {
        let rows = x.len() / linear.inputs;
        let weight = &self.transposed[linear.weight.clone()];
        let bias = &self.values[linear.bias.clone()];
        let init = if bias.is_empty() { Init::Zero } else { Init::Bias(bias) };
        let weight = Mat::dense(weight, linear.inputs, linear.outputs);
        let y = MatMut::dense(y, rows, linear.outputs);
        kernel.gemm(Mat::dense(x, rows, linear.inputs), weight, init, y);
    }

    /// x̄ = ȳ·W; adds ȳᵀ·x and Σ ȳ to the layer's gradient.
    fn backward<K: Kernel>(
        &self,
        kernel: K,
        linear: &LinearPlace,
        x: &[f32],
        y_bar: &[f32],
        x_bar: &mut [f32],
        grads: &mut [f32],
    ) {
        let (rows, LinearPlace { inputs, outputs, .. }) = (x.len() / linear.inputs, linear);
        let y_bar_view = Mat::dense(y_bar, rows, *outputs);
        let weight = Mat::dense(&self.values[linear.weight.clone()], *outputs, *inputs);
        kernel.gemm(y_bar_view, weight, Init::Zero, MatMut::dense(x_bar, rows, *inputs));
        let weight_bar = MatMut::dense(&mut grads[linear.weight.clone()], *outputs, *inputs);
        kernel.gemm_tn(y_bar_view, Mat::dense(x, rows, *inputs), weight_bar);
        if !linear.bias.is_empty() {
            kernel.add_rows(y_bar_view, &mut grads[linear.bias.clone()]);
        }
    }

    /// As [`backward`](Self::backward) of y = s ⊙ (x·Wᵀ + b), with the gradient of s, and without the product again:
    /// with G = ȳᵀ·x and g = Σ ȳ, W̄ is s ⊙ G row by row, b̄ is s ⊙ g, and s̄ is the sum of W ⊙ G over each row + b ⊙ g.
    #[allow(clippy::too_many_arguments)] // the operands of one equation
    fn scaled_backward<K: Kernel>(
        &self,
        kernel: K,
        (linear, scale): (&LinearPlace, &Range<usize>),
        x: &[f32],
        y_bar: &[f32],
        x_bar: &mut [f32],
        grads: &mut [f32],
        product: &mut [f32],
    ) {
        let (rows, LinearPlace { inputs, outputs, .. }) = (x.len() / linear.inputs, linear);
        let y_bar = Mat::dense(y_bar, rows, *outputs);
        let (weights, scales) = (&self.values[linear.weight.clone()], &self.values[scale.clone()]);
        let product = &mut product[..inputs * outputs];
        kernel.compiled(
            #[inline(always)]
            || {
                let weights = weights.chunks_exact(*inputs).zip(scales);
                for (product, (weight, s)) in product.chunks_exact_mut(*inputs).zip(weights) {
                    product.iter_mut().zip(weight).for_each(|(p, w)| *p = s * w);
                }
            },
        );
        let scaled = Mat::dense(product, *outputs, *inputs);
        kernel.gemm(y_bar, scaled, Init::Zero, MatMut::dense(x_bar, rows, *inputs));
        product.fill(0.0);
        let view = MatMut::dense(product, *outputs, *inputs);
        kernel.gemm_tn(y_bar, Mat::dense(x, rows, *inputs), view);
        let mut sums = vec![0.0; *outputs];
        kernel.add_rows(y_bar, &mut sums);
        kernel.compiled(
            #[inline(always)]
            || {
                let products = product.chunks_exact(*inputs).zip(weights.chunks_exact(*inputs));
                for (i, ((product, weight), sum)) in products.zip(&sums).enumerate() {
                    let weight_bar = &mut grads[linear.weight.clone()][i * inputs..][..*inputs];
                    rows::add_times(weight_bar, scales[i], product);
                    grads[linear.bias.start + i] += scales[i] * sum;
                    let bias = self.values[linear.bias.start + i];
                    grads[scale.start + i] += rows::dot(weight, product) + bias * sum;
                }
            },
        );
    }

    fn norm<K: Kernel>(&self, kernel: K, norm: &NormPlace, x: &[f32], y: &mut [f32]) {
        let (weight, bias) = (&self.values[norm.weight.clone()], &self.values[norm.bias.clone()]);
        kernel.compiled(
            #[inline(always)]
            || rows::norm(x, weight, bias, y),
        );
    }

    /// Adds to x̄ what comes through a layer norm, and to its gradient.
    fn norm_backward<K: Kernel>(
        &self,
        kernel: K,
        norm: &NormPlace,
        x: &[f32],
        y_bar: &[f32],
        x_bar: &mut [f32],
        grads: &mut [f32],
    ) {
        let weight = &self.values[norm.weight.clone()];
        // The bias follows the weight.
        let (weight_bar, bias_bar) =
            grads[norm.weight.start..norm.bias.end].split_at_mut(weight.len());
        kernel.compiled(
            #[inline(always)]
            || rows::norm_backward(x, weight, y_bar, x_bar, [weight_bar, bias_bar]),
        );
    }
}

/// What a block keeps of the forward, in one slice: input `[T, D]`, attended `[T, D]`, log-sum-exp `[heads, T]`,
/// middle `[T, D]`.
struct SavedBlock;

impl SavedBlock {
    fn len(config: &ModelConfig) -> usize {
        config.tokens() * (3 * config.dim + config.heads())
    }

    fn split<'k>(config: &ModelConfig, saved: &'k [f32]) -> [&'k [f32]; 4] {
        let (size, lse) = (config.tokens() * config.dim, config.tokens() * config.heads());
        let (input, rest) = saved.split_at(size);
        let (attended, rest) = rest.split_at(size);
        let (lse, middle) = rest.split_at(lse);
        [input, attended, lse, middle]
    }

    fn split_mut<'k>(config: &ModelConfig, saved: &'k mut [f32]) -> [&'k mut [f32]; 4] {
        let (size, lse) = (config.tokens() * config.dim, config.tokens() * config.heads());
        let (input, rest) = saved.split_at_mut(size);
        let (attended, rest) = rest.split_at_mut(size);
        let (lse, middle) = rest.split_at_mut(lse);
        [input, attended, lse, middle]
    }
}

/// Values that an image keeps for the backward.
pub(super) fn saved_len(config: &ModelConfig) -> usize {
    config.blocks * SavedBlock::len(config) + config.dim
}

/// The memory of a thread.
pub(super) struct ImageTransformer<K> {
    kernel: K,
    config: ModelConfig,
    /// λ(φ - θ + β) of the image at hand and its gradient, `[T, D+1]`.
    tokens: Vec<f32>,
    tokens_bar: Vec<f32>,
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    /// Keys and values transposed, [2D, T + GAP].
    transposed: Vec<f32>,
    hidden: Vec<f32>,
    activated: Vec<f32>,
    branch: Vec<f32>,
    scores: Vec<f32>,
    x_bar: Vec<f32>,
    branch_bar: Vec<f32>,
    hidden_bar: Vec<f32>,
    qkv_bar: Vec<f32>,
    scores_bar: Vec<f32>,
    /// A product of gradients as large as a weight.
    product: Vec<f32>,
}

impl<K: Kernel> ImageTransformer<K> {
    pub(super) fn new(kernel: K, config: &ModelConfig) -> Self {
        let (t, d) = (config.tokens(), config.dim);
        let values = |columns: usize| vec![0.0; t * columns];
        Self {
            kernel,
            config: *config,
            tokens: values(d + 1),
            tokens_bar: values(d + 1),
            x: values(d),
            normed: values(d),
            qkv: values(3 * d),
            transposed: vec![0.0; 2 * d * (t + GAP)],
            hidden: values(config.mlp_width()),
            activated: values(config.mlp_width()),
            branch: values(d),
            scores: vec![0.0; QUERIES.min(t) * (t + GAP)],
            x_bar: values(d),
            branch_bar: values(d),
            hidden_bar: values(config.mlp_width()),
            qkv_bar: values(3 * d),
            scores_bar: vec![0.0; QUERIES.min(t) * (t + GAP)],
            product: vec![0.0; d * config.mlp_width().max(d)],
        }
    }

    /// Makes the tokens of an image from its φ - θ `[|θ|]` and β.
    pub(super) fn set_tokens(&mut self, offsets: &[f32], beta: &[f32]) {
        let (d, lambda) = (self.config.dim, self.config.lambda);
        for (l, tokens) in self.tokens.chunks_exact_mut(d * (d + 1)).enumerate() {
            let (weight, bias) = self.config.layer_ranges(l + 1);
            // W [D, D] and b [D] follow each other, so they are a [D+1, D] whose columns are the tokens.
            let layer = Mat::dense(&offsets[weight.start..bias.end], d + 1, d);
            self.kernel.transpose(layer, MatMut::dense(tokens, d, d + 1));
        }
        let tokens = &mut self.tokens;
        self.kernel.compiled(
            #[inline(always)]
            || tokens.iter_mut().zip(beta).for_each(|(t, beta)| *t = (*t + beta) * lambda),
        );
    }

    /// From the gradient of the tokens to that of φ - θ; adds to that of β.
    pub(super) fn token_grads(&mut self, offsets_bar: &mut [f32], beta_bar: &mut [f32]) {
        let (d, lambda) = (self.config.dim, self.config.lambda);
        let bars = &mut self.tokens_bar;
        self.kernel.compiled(
            #[inline(always)]
            || {
                for (bar, beta_bar) in bars.iter_mut().zip(beta_bar) {
                    *bar *= lambda;
                    *beta_bar += *bar;
                }
            },
        );
        for (l, tokens_bar) in self.tokens_bar.chunks_exact(d * (d + 1)).enumerate() {
            let (weight, bias) = self.config.layer_ranges(l + 1);
            let layer = MatMut::dense(&mut offsets_bar[weight.start..bias.end], d + 1, d);
            self.kernel.transpose(Mat::dense(tokens_bar, d, d + 1), layer);
        }
    }

    /// The tokens to logits `[K]`.
    pub(super) fn forward(
        &mut self,
        w: &TransformerWeights,
        saved: &mut [f32],
        logits: &mut [f32],
    ) {
        let config = self.config;
        w.forward(self.kernel, &w.layout.project_in, &self.tokens, &mut self.x);
        let (blocks, pooled) = saved.split_at_mut(config.blocks * SavedBlock::len(&config));
        for (block, saved) in
            w.layout.blocks.iter().zip(blocks.chunks_exact_mut(SavedBlock::len(&config)))
        {
            let [input, attended, lse, middle] = SavedBlock::split_mut(&config, saved);
            input.copy_from_slice(&self.x);
            self.attend(w, block, input, attended, lse);
            w.forward(self.kernel, &block.attn_out, attended, &mut self.branch);
            self.add_branch(&w.values[block.layer_scale1.clone()]);
            middle.copy_from_slice(&self.x);
            self.hidden(w, block, middle);
            w.forward(self.kernel, &block.mlp2, &self.activated, &mut self.branch);
            self.add_branch(&w.values[block.layer_scale2.clone()]);
        }
        pooled.fill(0.0);
        self.kernel.add_rows(Mat::dense(&self.x, config.tokens(), config.dim), pooled);
        pooled.iter_mut().for_each(|p| *p /= config.tokens() as f32);
        w.forward(self.kernel, &w.layout.to_logits, pooled, logits);
    }

    /// The gradient of the tokens; adds to that of the parameters.
    pub(super) fn backward(
        &mut self,
        w: &TransformerWeights,
        saved: &[f32],
        logits_bar: &[f32],
        grads: &mut [f32],
    ) {
        let config = self.config;
        let (blocks, pooled) = saved.split_at(config.blocks * SavedBlock::len(&config));
        let mut pooled_bar = vec![0.0; config.dim];
        w.backward(self.kernel, &w.layout.to_logits, pooled, logits_bar, &mut pooled_bar, grads);
        for row in self.x_bar.chunks_exact_mut(config.dim) {
            row.iter_mut().zip(&pooled_bar).for_each(|(x, p)| *x = p / config.tokens() as f32);
        }
        let saved = blocks.chunks_exact(SavedBlock::len(&config));
        for (block, saved) in w.layout.blocks.iter().zip(saved).rev() {
            let [input, attended, lse, middle] = SavedBlock::split(&config, saved);
            self.mlp_backward(w, block, middle, grads);
            self.attention_backward(w, block, input, attended, lse, grads);
        }
        let (layer, tokens_bar) = (&w.layout.project_in, &mut self.tokens_bar);
        w.backward(self.kernel, layer, &self.tokens, &self.x_bar, tokens_bar, grads);
    }

    /// x += scale ⊙ branch.
    fn add_branch(&mut self, scale: &[f32]) {
        let (x, branch) = (&mut self.x, &self.branch);
        self.kernel.compiled(
            #[inline(always)]
            || rows::add_scaled(x, branch, scale),
        );
    }

    /// The hidden layer of MLP(LN(middle)), before and after its activation.
    fn hidden(&mut self, w: &TransformerWeights, block: &BlockPlaces, middle: &[f32]) {
        w.norm(self.kernel, &block.norm2, middle, &mut self.normed);
        w.forward(self.kernel, &block.mlp1, &self.normed, &mut self.hidden);
        let (hidden, activated) = (&self.hidden, &mut self.activated);
        self.kernel.compiled(
            #[inline(always)]
            || rows::gelu(hidden, activated),
        );
    }

    /// x̄ behind the MLP to x̄ before it.
    fn mlp_backward(
        &mut self,
        w: &TransformerWeights,
        block: &BlockPlaces,
        middle: &[f32],
        grads: &mut [f32],
    ) {
        let kernel = self.kernel;
        self.hidden(w, block, middle);
        let layer = (&block.mlp2, &block.layer_scale2);
        let (activated, x_bar, product) = (&self.activated, &self.x_bar, &mut self.product);
        w.scaled_backward(kernel, layer, activated, x_bar, &mut self.hidden_bar, grads, product);
        let (hidden, hidden_bar) = (&self.hidden, &mut self.hidden_bar);
        kernel.compiled(
            #[inline(always)]
            || rows::gelu_backward(hidden, hidden_bar),
        );
        let normed_bar = &mut self.branch_bar;
        w.backward(kernel, &block.mlp1, &self.normed, &self.hidden_bar, normed_bar, grads);
        w.norm_backward(kernel, &block.norm2, middle, &self.branch_bar, &mut self.x_bar, grads);
    }

    /// Queries, keys and values of LN(input) into `qkv`, keys and values transposed as well.
    fn project(&mut self, w: &TransformerWeights, block: &BlockPlaces, input: &[f32]) {
        let (t, d) = (self.config.tokens(), self.config.dim);
        w.norm(self.kernel, &block.norm1, input, &mut self.normed);
        w.forward(self.kernel, &block.qkv, &self.normed, &mut self.qkv);
        let from = Mat::new(&self.qkv[d..], t, 2 * d, 3 * d);
        let to = MatMut::new(&mut self.transposed, 2 * d, t, t + GAP);
        self.kernel.transpose(from, to);
    }

    /// Attention of LN(input), and each row's log-sum-exp of its scores.
    fn attend(
        &mut self,
        w: &TransformerWeights,
        block: &BlockPlaces,
        input: &[f32],
        attended: &mut [f32],
        lse: &mut [f32],
    ) {
        self.project(w, block, input);
        let (t, d, dim) = (self.config.tokens(), self.config.dim, self.config.head_dim());
        let scale = 1.0 / (dim as f32).sqrt();
        for head in 0..self.config.heads() {
            for first in (0..t).step_by(QUERIES) {
                let rows = QUERIES.min(t - first);
                self.scores(head, first, rows);
                let values = Mat::new(&self.qkv[2 * d + head * dim..], t, dim, 3 * d);
                let place = &mut attended[first * d + head * dim..];
                let lse = &mut lse[head * t + first..][..rows];
                let (kernel, scores) = (self.kernel, &mut self.scores);
                let mut sums = [0.0; QUERIES];
                kernel.compiled(
                    #[inline(always)]
                    || {
                        let rows = scores.chunks_exact_mut(t + GAP).zip(lse).zip(&mut sums);
                        rows.for_each(|((row, lse), sum)| {
                            (*sum, *lse) = rows::softmax(&mut row[..t], scale);
                        });
                    },
                );
                let out = MatMut::new(place, rows, dim, d);
                let weights = Mat::new(scores, rows, t, t + GAP);
                kernel.gemm(weights, values, Init::Zero, out);
                let factors = sums.map(|sum| 1.0 / sum);
                kernel.scale_rows(MatMut::new(place, rows, dim, d), &factors[..rows]);
            }
        }
    }

    /// Scores of some queries of a head, `[rows, T]`.
    fn scores(&mut self, head: usize, first: usize, rows: usize) {
        let (t, d, dim) = (self.config.tokens(), self.config.dim, self.config.head_dim());
        let queries = Mat::new(&self.qkv[first * 3 * d + head * dim..], rows, dim, 3 * d);
        let keys = Mat::new(&self.transposed[head * dim * (t + GAP)..], dim, t, t + GAP);
        let scores = MatMut::new(&mut self.scores, rows, t, t + GAP);
        self.kernel.gemm(queries, keys, Init::Zero, scores);
    }

    /// x̄ behind the attention to x̄ before it.
    fn attention_backward(
        &mut self,
        w: &TransformerWeights,
        block: &BlockPlaces,
        input: &[f32],
        attended: &[f32],
        lse: &[f32],
        grads: &mut [f32],
    ) {
        let (t, d, dim) = (self.config.tokens(), self.config.dim, self.config.head_dim());
        let scale = 1.0 / (dim as f32).sqrt();
        let kernel = self.kernel;
        let mut attended_bar = std::mem::take(&mut self.branch);
        let layer = (&block.attn_out, &block.layer_scale1);
        let (x_bar, product) = (&self.x_bar, &mut self.product);
        w.scaled_backward(kernel, layer, attended, x_bar, &mut attended_bar, grads, product);
        self.project(w, block, input);
        self.qkv_bar.fill(0.0);
        for head in 0..self.config.heads() {
            let at = head * dim;
            for first in (0..t).step_by(QUERIES) {
                let rows = QUERIES.min(t - first);
                self.scores(head, first, rows);
                let out_bar = Mat::new(&attended_bar[first * d + at..], rows, dim, d);
                let values = Mat::new(&self.transposed[(d + at) * (t + GAP)..], dim, t, t + GAP);
                let bars = MatMut::new(&mut self.scores_bar, rows, t, t + GAP);
                self.kernel.gemm(out_bar, values, Init::Zero, bars);
                let tile = self.scores.chunks_exact_mut(t + GAP);
                let tile = tile.zip(self.scores_bar.chunks_exact_mut(t + GAP));
                kernel.compiled(
                    #[inline(always)]
                    || {
                        for (row, (scores, bars)) in tile.take(rows).enumerate() {
                            let place = (first + row) * d + at..(first + row) * d + at + dim;
                            let along = rows::dot(&attended[place.clone()], &attended_bar[place]);
                            let lse = lse[head * t + first + row];
                            let (scores, bars) = (&mut scores[..t], &mut bars[..t]);
                            rows::softmax_backward(scores, bars, (scale, lse, along));
                        }
                    },
                );
                let p = Mat::new(&self.scores, rows, t, t + GAP);
                let p_bar = Mat::new(&self.scores_bar, rows, t, t + GAP);
                let keys = Mat::new(&self.qkv[d + at..], t, dim, 3 * d);
                let queries = Mat::new(&self.qkv[first * 3 * d + at..], rows, dim, 3 * d);
                let bar = &mut self.qkv_bar;
                let query_bar = MatMut::new(&mut bar[first * 3 * d + at..], rows, dim, 3 * d);
                self.kernel.gemm(p_bar, keys, Init::Add, query_bar);
                let key_bar = MatMut::new(&mut bar[d + at..], t, dim, 3 * d);
                self.kernel.gemm_tn(p_bar, queries, key_bar);
                let value_bar = MatMut::new(&mut bar[2 * d + at..], t, dim, 3 * d);
                self.kernel.gemm_tn(p, out_bar, value_bar);
            }
        }
        self.branch = attended_bar;
        let normed_bar = &mut self.branch_bar;
        w.backward(self.kernel, &block.qkv, &self.normed, &self.qkv_bar, normed_bar, grads);
        w.norm_backward(self.kernel, &block.norm1, input, &self.branch_bar, &mut self.x_bar, grads);
    }
}
