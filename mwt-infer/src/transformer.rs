//! Reading the fitted weights: tokens λ(φ - θ + β), the blocks, the mean, the logits.
//!
//! Tokens go through in tiles. In each block a first pass writes all keys (transposed) and values; a second
//! one takes a tile through attention, output, norm and MLP, in place. Attention runs over the keys in
//! chunks with a running softmax, so that no T×T matrix exists.

use mwt_core::bundle::{Block, Norm};
use mwt_core::math::exp;
use mwt_core::quant::{Matrix, Vector};
use mwt_core::{Bundle, ModelConfig};

use crate::error::Error;
use crate::fit::layer;
use crate::kernels::{Init, Kernel, Mat, MatMut};
use crate::workspace::{Carve, Plan};

/// eps of the layer norms.
const NORM_EPS: f32 = 1e-5;

/// The scratch of the Transformer.
pub(crate) struct Transformer<'w> {
    /// The residual stream, [T, D].
    x: &'w mut [f32],
    attention: Attention<'w>,
    tile: Tile<'w>,
    /// Tokens of a tile.
    rows: usize,
}

/// What attention needs.
struct Attention<'w> {
    /// Keys, [D, T]: transposed, so that scores are a plain product.
    keys: &'w mut [f32],
    /// Values, [T, D].
    values: &'w mut [f32],
    /// [rows, chunk].
    scores: &'w mut [f32],
    /// Running maximum and sum of each row's softmax.
    softmax: &'w mut [f32],
    /// Keys that are looked at in one go.
    chunk: usize,
}

/// The scratch of a tile of tokens.
struct Tile<'w> {
    /// Tokens [rows, D+1], then normed rows [rows, D].
    norm: &'w mut [f32],
    /// Queries [rows, D], then the MLP's hidden layer [rows, mlp_mult·D].
    query: &'w mut [f32],
    /// What attention gathered, then what a branch adds to the residual stream, [rows, D].
    gathered: &'w mut [f32],
    panel: &'w mut [f32],
}

impl<'w> Transformer<'w> {
    pub(crate) fn new(config: &ModelConfig, scratch: &'w mut [f32]) -> Result<Self, Error> {
        let (plan, mut scratch) = (Plan::new(config), Carve(scratch));
        let (rows, d) = (plan.rows, config.width);
        Ok(Self {
            x: scratch.take(plan.stream)?,
            attention: Attention {
                keys: scratch.take(plan.stream)?,
                values: scratch.take(plan.stream)?,
                scores: scratch.take(rows * plan.keys)?,
                softmax: scratch.take(rows * 2)?,
                chunk: plan.keys,
            },
            tile: Tile {
                query: scratch.take(rows * d.max(config.mlp_width()))?,
                gathered: scratch.take(rows * d)?,
                panel: scratch.take(plan.panel)?,
                norm: scratch.take(rows * config.token_len())?,
            },
            rows,
        })
    }

    /// φ to logits.
    pub(crate) fn logits<K: Kernel>(
        &mut self,
        kernel: K,
        bundle: &Bundle<'_>,
        phi: &[f32],
        logits: &mut [f32],
    ) -> Result<(), Error> {
        let config = bundle.config();
        self.project_tokens(kernel, bundle, phi);
        for b in 0..config.blocks {
            self.block(kernel, config, &bundle.block(b));
        }
        let d = config.width;
        let mean = self.tile.gathered.get_mut(..d).unwrap_or_default();
        mean.fill(0.0);
        for row in self.x.chunks_exact(d) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
        }
        mean.iter_mut().for_each(|m| *m /= config.tokens() as f32);
        let head = bundle.to_logits();
        linear(kernel, mean, &head.weight, Some(head.bias), logits, self.tile.panel);
        if logits.iter().all(|l| l.is_finite()) { Ok(()) } else { Err(Error::Diverged) }
    }

    /// x = project_in(λ(φ - θ + β)).
    fn project_tokens<K: Kernel>(&mut self, kernel: K, bundle: &Bundle<'_>, phi: &[f32]) {
        let config = bundle.config();
        let (d, project_in) = (config.width, bundle.project_in());
        let Tile { norm, panel, .. } = &mut self.tile;
        for (l, x) in self.x.chunks_exact_mut(d * d).enumerate() {
            for (n, x) in x.chunks_mut(self.rows * d).enumerate() {
                let tile = norm.get_mut(..x.len() / d * config.token_len()).unwrap_or_default();
                tokens(bundle, phi, l + 1, n * self.rows, tile);
                linear(kernel, tile, &project_in.weight, Some(project_in.bias), x, panel);
            }
        }
    }

    fn block<K: Kernel>(&mut self, kernel: K, config: &ModelConfig, block: &Block<'_>) {
        let (d, t) = (config.width, config.tokens());
        let Tile { norm, query, gathered, panel } = &mut self.tile;
        for (n, x) in self.x.chunks(self.rows * d).enumerate() {
            let Attention { keys, values, .. } = &mut self.attention;
            let first = n * self.rows;
            let norm = normed(kernel, x, &block.norm1, norm, d);
            let key = query.get_mut(..x.len()).unwrap_or_default();
            linear(kernel, norm, &block.key, None, key, panel);
            for (i, key) in key.chunks_exact(d).enumerate() {
                let column = keys.get_mut(first + i..).unwrap_or_default();
                column.iter_mut().step_by(t).zip(key).for_each(|(to, from)| *to = *from);
            }
            let value = values.get_mut(first * d..first * d + x.len()).unwrap_or_default();
            linear(kernel, norm, &block.value, None, value, panel);
        }
        for x in self.x.chunks_mut(self.rows * d) {
            let gathered = gathered.get_mut(..x.len()).unwrap_or_default();
            let normed1 = normed(kernel, x, &block.norm1, norm, d);
            let queries = query.get_mut(..x.len()).unwrap_or_default();
            linear(kernel, normed1, &block.query, None, queries, panel);
            self.attention.attend(kernel, config, queries, gathered);
            // The normed rows are done with: the attention's output takes their place.
            let out = norm.get_mut(..x.len()).unwrap_or_default();
            linear(kernel, gathered, &block.attn_out.weight, Some(block.attn_out.bias), out, panel);
            add_scaled(x, out, d, block.layer_scale1);

            let normed2 = normed(kernel, x, &block.norm2, norm, d);
            let hidden = query.get_mut(..x.len() * config.mlp_mult).unwrap_or_default();
            linear(kernel, normed2, &block.mlp1.weight, Some(block.mlp1.bias), hidden, panel);
            kernel.gelu(hidden);
            linear(kernel, hidden, &block.mlp2.weight, Some(block.mlp2.bias), gathered, panel);
            add_scaled(x, gathered, d, block.layer_scale2);
        }
    }
}

impl Attention<'_> {
    /// softmax(q·Kᵀ/√head_dim)·V of each head for a tile of queries, into `out`; both [rows, D].
    fn attend<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        queries: &[f32],
        out: &mut [f32],
    ) {
        let (d, t, dim) = (config.width, config.tokens(), config.head_dim());
        let rows = queries.len() / d;
        let scale = 1.0 / libm::sqrtf(dim as f32);
        let states = self.softmax.as_chunks_mut::<2>().0;
        out.fill(0.0);
        for head in (0..d).step_by(dim) {
            let q = Mat::new(queries.get(head..).unwrap_or_default(), rows, dim, d);
            states.fill([f32::NEG_INFINITY, 0.0]);
            for first in (0..t).step_by(self.chunk) {
                let count = self.chunk.min(t - first);
                let k = self.keys.get(head * t + first..).unwrap_or_default();
                let k = Mat::new(k, dim, count, t);
                kernel.gemm(q, k, Init::Zero, MatMut::dense(self.scores, rows, count));
                let scores = self.scores.chunks_exact_mut(count).zip(out.chunks_exact_mut(d));
                for ([max, sum], (scores, out)) in states.iter_mut().zip(scores) {
                    let highest =
                        scores.iter().fold(f32::NEG_INFINITY, |m, s| if *s > m { *s } else { m });
                    let highest = scale * highest;
                    if highest > *max {
                        // What was gathered so far was weighted against the old maximum.
                        let correction = exp(*max - highest);
                        *max = highest;
                        *sum *= correction;
                        let out = out.get_mut(head..head + dim).unwrap_or_default();
                        out.iter_mut().for_each(|o| *o *= correction);
                    }
                    *sum += kernel.exp_sum(scores, scale, *max);
                }
                let v = self.values.get(first * d + head..).unwrap_or_default();
                let v = Mat::new(v, count, dim, d);
                let gathered = MatMut::new(out.get_mut(head..).unwrap_or_default(), rows, dim, d);
                kernel.gemm(Mat::dense(self.scores, rows, count), v, Init::Add, gathered);
            }
            for ([_, sum], out) in states.iter().zip(out.chunks_exact_mut(d)) {
                let out = out.get_mut(head..head + dim).unwrap_or_default();
                out.iter_mut().for_each(|o| *o /= sum);
            }
        }
    }
}

/// Tokens of neurons `first..` of hidden layer `l` into `out`, [rows, D+1].
pub(crate) fn tokens(bundle: &Bundle<'_>, phi: &[f32], l: usize, first: usize, out: &mut [f32]) {
    /// Neurons whose stored values are decoded in one go.
    const CHUNK: usize = 8;
    let config = bundle.config();
    let (d, len) = (config.width, config.token_len());
    let (theta, beta) = (bundle.theta(l), bundle.beta(l));
    let (weight, bias) = layer(config, phi, l);
    for (n, out) in out.chunks_mut(CHUNK * len).enumerate() {
        let (neuron, count) = (first + n * CHUNK, out.len() / len);
        let (mut theta_row, mut beta_row) = ([0.0; CHUNK], [0.0; CHUNK]);
        let theta_biases = theta.bias.from(neuron);
        for input in 0..len {
            // Row `input` of φ, θ and β from this neuron on; the last row is the bias.
            let phi_row = if input < d {
                theta.weight.read(input, neuron, &mut theta_row[..count]);
                weight.get(input * d + neuron..)
            } else {
                theta_row.iter_mut().zip(theta_biases.iter()).for_each(|(t, v)| *t = v);
                bias.get(neuron..)
            };
            beta.read(input, neuron, &mut beta_row[..count]);
            let offsets = phi_row.unwrap_or_default().iter().zip(&theta_row).zip(&beta_row);
            let column = out.get_mut(input..).unwrap_or_default().iter_mut().step_by(len);
            for (token, ((phi, theta), beta)) in column.zip(offsets) {
                *token = config.lambda * (phi - theta + beta);
            }
        }
    }
}

/// y = x·W + bias for as many rows as `x` holds.
fn linear<K: Kernel>(
    kernel: K,
    x: &[f32],
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    y: &mut [f32],
    panel: &mut [f32],
) {
    let rows = x.len() / w.rows.max(1);
    kernel.linear(Mat::dense(x, rows, w.rows), w, bias, MatMut::dense(y, rows, w.columns), panel);
}

/// Layer norm of each row of `x` into `out`, of which the rows are given back.
fn normed<'o, K: Kernel>(
    kernel: K,
    x: &[f32],
    norm: &Norm<'_>,
    out: &'o mut [f32],
    d: usize,
) -> &'o [f32] {
    let out = out.get_mut(..x.len()).unwrap_or_default();
    for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
        let n = d as f32;
        let mean = kernel.sum(x) / n;
        out.iter_mut().zip(x).for_each(|(o, x)| *o = x - mean);
        let variance = kernel.dot(out, out) / n;
        let scale = 1.0 / libm::sqrtf(variance + NORM_EPS);
        let affine = norm.weight.iter().zip(norm.bias.iter());
        out.iter_mut().zip(affine).for_each(|(o, (w, b))| *o = *o * scale * w + b);
    }
    out
}

/// x += scale ⊙ branch, row by row.
fn add_scaled(x: &mut [f32], branch: &[f32], d: usize, scale: Vector<'_>) {
    for (x, branch) in x.chunks_exact_mut(d).zip(branch.chunks_exact(d)) {
        let scaled = branch.iter().zip(scale.iter());
        x.iter_mut().zip(scaled).for_each(|(x, (b, s))| *x += s * b);
    }
}
