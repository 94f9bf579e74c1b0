//! The Transformer on one image: tokens to logits, and back.
//!
//! Kept for the backward are each block's input, what its attention gathered with each row's log-sum-exp, and
//! the stream between its halves; scores, norms and hidden layers are computed again.

use mwt_core::{ModelConfig, math};
use mwt_infer::kernels::{Init, Kernel, Mat, MatMut};

use super::add;
use super::weights::{Block, Layout, Linear, Norm};

const NORM_EPS: f32 = 1e-5;
/// Queries whose scores are held at a time.
const QUERIES: usize = 64;

/// Parameters, with the transposes ([inputs, outputs]) of all linear weights in the same places.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) layout: Layout,
    pub(super) values: Vec<f32>,
    transposed: Vec<f32>,
}

impl Weights {
    pub(super) fn new<K: Kernel>(kernel: K, config: &ModelConfig, values: Vec<f32>) -> Self {
        let layout = Layout::new(config);
        let mut transposed = vec![0.0; layout.len];
        for Linear { weight, inputs, outputs, .. } in layout.linears() {
            let from = Mat::dense(&values[weight.clone()], *outputs, *inputs);
            let to = MatMut::dense(&mut transposed[weight.clone()], *inputs, *outputs);
            kernel.transpose(from, to);
        }
        Self { layout, values, transposed }
    }

    /// y = x·Wᵀ + b.
    fn forward<K: Kernel>(&self, kernel: K, linear: &Linear, x: &[f32], y: &mut [f32]) {
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
        linear: &Linear,
        x: &[f32],
        y_bar: &[f32],
        x_bar: &mut [f32],
        grads: &mut [f32],
    ) {
        let (rows, Linear { inputs, outputs, .. }) = (x.len() / linear.inputs, linear);
        let y_bar_view = Mat::dense(y_bar, rows, *outputs);
        let weight = Mat::dense(&self.values[linear.weight.clone()], *outputs, *inputs);
        kernel.gemm(y_bar_view, weight, Init::Zero, MatMut::dense(x_bar, rows, *inputs));
        let weight_bar = MatMut::dense(&mut grads[linear.weight.clone()], *outputs, *inputs);
        kernel.gemm_tn(y_bar_view, Mat::dense(x, rows, *inputs), weight_bar);
        if !linear.bias.is_empty() {
            y_bar.chunks_exact(*outputs).for_each(|row| add(&mut grads[linear.bias.clone()], row));
        }
    }

    fn norm(&self, norm: &Norm, x: &[f32], y: &mut [f32]) {
        let (weight, bias) = (&self.values[norm.weight.clone()], &self.values[norm.bias.clone()]);
        for (x, y) in x.chunks_exact(weight.len()).zip(y.chunks_exact_mut(weight.len())) {
            let (mean, scale) = moments(x);
            for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                *y = (x - mean) * scale * w + b;
            }
        }
    }

    /// Adds to x̄ what comes through a layer norm, and to its gradient.
    fn norm_backward(
        &self,
        norm: &Norm,
        x: &[f32],
        y_bar: &[f32],
        x_bar: &mut [f32],
        grads: &mut [f32],
    ) {
        let weight = &self.values[norm.weight.clone()];
        let d = weight.len();
        let rows = x.chunks_exact(d).zip(y_bar.chunks_exact(d)).zip(x_bar.chunks_exact_mut(d));
        for ((x, y_bar), x_bar) in rows {
            let (mean, scale) = moments(x);
            let weight_bar = grads[norm.weight.clone()].iter_mut();
            for ((g, x), y) in weight_bar.zip(x).zip(y_bar) {
                *g += y * (x - mean) * scale;
            }
            add(&mut grads[norm.bias.clone()], y_bar);
            let (mut sum, mut along) = (0.0, 0.0);
            for ((x, y), w) in x.iter().zip(y_bar).zip(weight) {
                sum += y * w;
                along += y * w * (x - mean) * scale;
            }
            let (sum, along) = (sum / d as f32, along / d as f32);
            for (((x_bar, x), y), w) in x_bar.iter_mut().zip(x).zip(y_bar).zip(weight) {
                *x_bar += scale * (y * w - sum - (x - mean) * scale * along);
            }
        }
    }
}

/// Mean and 1/√(variance + eps) of a row.
fn moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = x.iter().sum::<f32>() / n;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    (mean, 1.0 / (variance + NORM_EPS).sqrt())
}

/// What a block keeps of the forward, in one slice: input `[T, D]`, gathered `[T, D]`, log-sum-exp `[heads, T]`,
/// middle `[T, D]`.
struct Kept;

impl Kept {
    fn len(config: &ModelConfig) -> usize {
        config.tokens() * (3 * config.width + config.heads())
    }

    fn split<'k>(config: &ModelConfig, kept: &'k [f32]) -> [&'k [f32]; 4] {
        let (size, lse) = (config.tokens() * config.width, config.tokens() * config.heads());
        let (input, rest) = kept.split_at(size);
        let (gathered, rest) = rest.split_at(size);
        let (lse, middle) = rest.split_at(lse);
        [input, gathered, lse, middle]
    }

    fn split_mut<'k>(config: &ModelConfig, kept: &'k mut [f32]) -> [&'k mut [f32]; 4] {
        let (size, lse) = (config.tokens() * config.width, config.tokens() * config.heads());
        let (input, rest) = kept.split_at_mut(size);
        let (gathered, rest) = rest.split_at_mut(size);
        let (lse, middle) = rest.split_at_mut(lse);
        [input, gathered, lse, middle]
    }
}

/// Values that an image keeps for the backward.
pub(super) fn kept_len(config: &ModelConfig) -> usize {
    config.blocks * Kept::len(config) + config.width
}

/// The memory of a thread.
pub(super) struct Reader<K> {
    kernel: K,
    config: ModelConfig,
    x: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    /// Keys and values transposed, [2D, T].
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
}

impl<K: Kernel> Reader<K> {
    pub(super) fn new(kernel: K, config: &ModelConfig) -> Self {
        let (t, d) = (config.tokens(), config.width);
        let values = |columns: usize| vec![0.0; t * columns];
        Self {
            kernel,
            config: *config,
            x: values(d),
            normed: values(d),
            qkv: values(3 * d),
            transposed: values(2 * d),
            hidden: values(config.mlp_width()),
            activated: values(config.mlp_width()),
            branch: values(d),
            scores: vec![0.0; QUERIES.min(t) * t],
            x_bar: values(d),
            branch_bar: values(d),
            hidden_bar: values(config.mlp_width()),
            qkv_bar: values(3 * d),
            scores_bar: vec![0.0; QUERIES.min(t) * t],
        }
    }

    /// Tokens `[T, D+1]` to logits `[K]`.
    pub(super) fn forward(
        &mut self,
        w: &Weights,
        tokens: &[f32],
        kept: &mut [f32],
        logits: &mut [f32],
    ) {
        let config = self.config;
        w.forward(self.kernel, &w.layout.project_in, tokens, &mut self.x);
        let (blocks, pooled) = kept.split_at_mut(config.blocks * Kept::len(&config));
        for (block, kept) in w.layout.blocks.iter().zip(blocks.chunks_exact_mut(Kept::len(&config)))
        {
            let [input, gathered, lse, middle] = Kept::split_mut(&config, kept);
            input.copy_from_slice(&self.x);
            self.attend(w, block, input, gathered, lse);
            w.forward(self.kernel, &block.attn_out, gathered, &mut self.branch);
            add_scaled(&mut self.x, &self.branch, &w.values[block.layer_scale1.clone()]);
            middle.copy_from_slice(&self.x);
            self.mlp(w, block, middle);
            add_scaled(&mut self.x, &self.branch, &w.values[block.layer_scale2.clone()]);
        }
        pooled.fill(0.0);
        self.x.chunks_exact(config.width).for_each(|row| add(pooled, row));
        pooled.iter_mut().for_each(|p| *p /= config.tokens() as f32);
        w.forward(self.kernel, &w.layout.to_logits, pooled, logits);
    }

    /// The gradient of the tokens; adds to that of the parameters.
    pub(super) fn backward(
        &mut self,
        w: &Weights,
        tokens: &[f32],
        kept: &[f32],
        logits_bar: &[f32],
        tokens_bar: &mut [f32],
        grads: &mut [f32],
    ) {
        let config = self.config;
        let (blocks, pooled) = kept.split_at(config.blocks * Kept::len(&config));
        let mut pooled_bar = vec![0.0; config.width];
        w.backward(self.kernel, &w.layout.to_logits, pooled, logits_bar, &mut pooled_bar, grads);
        for row in self.x_bar.chunks_exact_mut(config.width) {
            row.iter_mut().zip(&pooled_bar).for_each(|(x, p)| *x = p / config.tokens() as f32);
        }
        let kept = blocks.chunks_exact(Kept::len(&config));
        for (block, kept) in w.layout.blocks.iter().zip(kept).rev() {
            let [input, gathered, lse, middle] = Kept::split(&config, kept);
            self.mlp_backward(w, block, middle, grads);
            self.attention_backward(w, block, input, gathered, lse, grads);
        }
        w.backward(self.kernel, &w.layout.project_in, tokens, &self.x_bar, tokens_bar, grads);
    }

    /// MLP(LN(middle)) into `branch`.
    fn mlp(&mut self, w: &Weights, block: &Block, middle: &[f32]) {
        w.norm(&block.norm2, middle, &mut self.normed);
        w.forward(self.kernel, &block.mlp1, &self.normed, &mut self.hidden);
        self.activated.copy_from_slice(&self.hidden);
        self.kernel.gelu(&mut self.activated);
        w.forward(self.kernel, &block.mlp2, &self.activated, &mut self.branch);
    }

    /// x̄ behind the MLP to x̄ before it.
    fn mlp_backward(&mut self, w: &Weights, block: &Block, middle: &[f32], grads: &mut [f32]) {
        self.mlp(w, block, middle);
        self.branch_backward(&w.values, &block.layer_scale2, grads);
        let (hidden_bar, activated) = (&mut self.hidden_bar, &self.activated);
        w.backward(self.kernel, &block.mlp2, activated, &self.branch_bar, hidden_bar, grads);
        for (bar, x) in self.hidden_bar.iter_mut().zip(&self.hidden) {
            *bar *= gelu_slope(*x);
        }
        let normed_bar = &mut self.branch_bar;
        w.backward(self.kernel, &block.mlp1, &self.normed, &self.hidden_bar, normed_bar, grads);
        w.norm_backward(&block.norm2, middle, &self.branch_bar, &mut self.x_bar, grads);
    }

    /// The gradient of a branch that was added as scale ⊙ branch, into `branch_bar`.
    fn branch_backward(
        &mut self,
        values: &[f32],
        scale: &std::ops::Range<usize>,
        grads: &mut [f32],
    ) {
        let scales = &values[scale.clone()];
        let (d, scales_bar) = (scales.len(), &mut grads[scale.clone()]);
        let rows = self.branch_bar.chunks_exact_mut(d).zip(self.x_bar.chunks_exact(d));
        for ((bar, x_bar), branch) in rows.zip(self.branch.chunks_exact(d)) {
            for i in 0..d {
                bar[i] = x_bar[i] * scales[i];
                scales_bar[i] += x_bar[i] * branch[i];
            }
        }
    }

    /// Queries, keys and values of LN(input) into `qkv`, keys and values transposed as well.
    fn project(&mut self, w: &Weights, block: &Block, input: &[f32]) {
        let (t, d) = (self.config.tokens(), self.config.width);
        w.norm(&block.norm1, input, &mut self.normed);
        w.forward(self.kernel, &block.qkv, &self.normed, &mut self.qkv);
        let from = Mat::new(&self.qkv[d..], t, 2 * d, 3 * d);
        self.kernel.transpose(from, MatMut::dense(&mut self.transposed, 2 * d, t));
    }

    /// Attention of LN(input), and each row's log-sum-exp of its scores.
    fn attend(
        &mut self,
        w: &Weights,
        block: &Block,
        input: &[f32],
        gathered: &mut [f32],
        lse: &mut [f32],
    ) {
        self.project(w, block, input);
        let (t, d, dim) = (self.config.tokens(), self.config.width, self.config.head_dim());
        for head in 0..self.config.heads() {
            for first in (0..t).step_by(QUERIES) {
                let rows = QUERIES.min(t - first);
                self.scores(head, first, rows);
                let lse = &mut lse[head * t + first..][..rows];
                for (scores, lse) in self.scores.chunks_exact_mut(t).zip(lse) {
                    let max =
                        scores.iter().fold(f32::NEG_INFINITY, |m, s| if *s > m { *s } else { m });
                    scores.iter_mut().for_each(|s| *s = math::exp(*s - max));
                    let sum = self.kernel.sum(scores);
                    scores.iter_mut().for_each(|s| *s /= sum);
                    *lse = max + sum.ln();
                }
                let values = Mat::new(&self.qkv[2 * d + head * dim..], t, dim, 3 * d);
                let out = MatMut::new(&mut gathered[first * d + head * dim..], rows, dim, d);
                self.kernel.gemm(Mat::dense(&self.scores, rows, t), values, Init::Zero, out);
            }
        }
    }

    /// Scaled scores of some queries of a head, `[rows, T]`.
    fn scores(&mut self, head: usize, first: usize, rows: usize) {
        let (t, d, dim) = (self.config.tokens(), self.config.width, self.config.head_dim());
        let queries = Mat::new(&self.qkv[first * 3 * d + head * dim..], rows, dim, 3 * d);
        let keys = Mat::dense(&self.transposed[head * dim * t..], dim, t);
        let scores = MatMut::dense(&mut self.scores, rows, t);
        self.kernel.gemm(queries, keys, Init::Zero, scores);
        let scale = 1.0 / (dim as f32).sqrt();
        self.scores[..rows * t].iter_mut().for_each(|s| *s *= scale);
    }

    /// x̄ behind the attention to x̄ before it.
    fn attention_backward(
        &mut self,
        w: &Weights,
        block: &Block,
        input: &[f32],
        gathered: &[f32],
        lse: &[f32],
        grads: &mut [f32],
    ) {
        let (t, d, dim) = (self.config.tokens(), self.config.width, self.config.head_dim());
        let scale = 1.0 / (dim as f32).sqrt();
        w.forward(self.kernel, &block.attn_out, gathered, &mut self.branch);
        self.branch_backward(&w.values, &block.layer_scale1, grads);
        let gathered_bar = &mut self.branch;
        w.backward(self.kernel, &block.attn_out, gathered, &self.branch_bar, gathered_bar, grads);
        let gathered_bar = std::mem::take(&mut self.branch);
        self.project(w, block, input);
        self.qkv_bar.fill(0.0);
        for head in 0..self.config.heads() {
            let at = head * dim;
            for first in (0..t).step_by(QUERIES) {
                let rows = QUERIES.min(t - first);
                self.scores(head, first, rows);
                let out_bar = Mat::new(&gathered_bar[first * d + at..], rows, dim, d);
                let values = Mat::dense(&self.transposed[(d + at) * t..], dim, t);
                let bars = MatMut::dense(&mut self.scores_bar, rows, t);
                self.kernel.gemm(out_bar, values, Init::Zero, bars);
                let tile = self.scores.chunks_exact_mut(t).zip(self.scores_bar.chunks_exact_mut(t));
                for (row, (scores, bars)) in tile.take(rows).enumerate() {
                    let place = (first + row) * d + at;
                    let (out, out_bar) = (&gathered[place..][..dim], &gathered_bar[place..][..dim]);
                    let along = self.kernel.dot(out, out_bar);
                    let lse = lse[head * t + first + row];
                    for (p, bar) in scores.iter_mut().zip(bars) {
                        *p = math::exp(*p - lse);
                        *bar = *p * (*bar - along) * scale;
                    }
                }
                let p = Mat::dense(&self.scores, rows, t);
                let p_bar = Mat::dense(&self.scores_bar, rows, t);
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
        self.branch = gathered_bar;
        let normed_bar = &mut self.branch_bar;
        w.backward(self.kernel, &block.qkv, &self.normed, &self.qkv_bar, normed_bar, grads);
        w.norm_backward(&block.norm1, input, &self.branch_bar, &mut self.x_bar, grads);
    }
}

/// x += scale ⊙ branch, row by row.
fn add_scaled(x: &mut [f32], branch: &[f32], scale: &[f32]) {
    for (x, branch) in x.chunks_exact_mut(scale.len()).zip(branch.chunks_exact(scale.len())) {
        x.iter_mut().zip(branch).zip(scale).for_each(|((x, b), s)| *x += b * s);
    }
}

/// gelu'(x) = Φ(x) + x·φ(x), of the normal distribution.
fn gelu_slope(x: f32) -> f32 {
    /// 1/√(2π).
    const DENSITY: f32 = 0.398_942_3;
    let cumulative = 0.5 * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2));
    cumulative + x * DENSITY * math::exp(-0.5 * x * x)
}
