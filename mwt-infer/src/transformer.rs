//! Reading the fitted weights: tokens λ(φ - θ + β), the blocks, the mean, the logits.
//!
//! Tokens go through in tiles. In each block a first pass writes all keys and values; a second one takes a
//! tile through attention, output, norm and MLP, in place. Attention runs over the keys in chunks with a
//! running softmax, so that no T×T matrix exists. Scores are [key, query]: with the queries transposed, a small
//! tile of them, both products read their operands as they lie, and the softmax runs down the columns, where
//! neighbouring lanes of a register never need to be added up.

use mwt_core::bundle::{Block, Norm};
use mwt_core::math::NORM_EPS;
use mwt_core::quant::{Matrix, Vector};
use mwt_core::{Bundle, ModelConfig};

use crate::arithmetic::Arithmetic;
use crate::error::Error;
use crate::fit::layer;
use crate::kernels::panels::{self, COLUMNS, ROWS, Step};
use crate::kernels::{Init, Isa, Kernel, Mat, MatMut, with_kernel};
use crate::workspace::{Carve, Plan};

/// The scratch of the Transformer.
pub(crate) struct Transformer<'w> {
    /// The residual stream, `[T, D]`.
    x: &'w mut [f32],
    attention: Attention<'w>,
    tile: Tile<'w>,
    /// Tokens of a tile.
    rows: usize,
    isa: Isa,
    arithmetic: Arithmetic,
}

/// What attention needs.
struct Attention<'w> {
    /// Keys, `[T, D]`.
    keys: &'w mut [f32],
    /// Values, `[T, D]`.
    values: &'w mut [f32],
    /// Running maximum, sum and correction of each query's softmax, [3, rows].
    softmax: &'w mut [f32],
    /// Keys that are looked at in one go.
    chunk: usize,
    /// What keys and values of this block were rounded to.
    rounded: Rounded,
}

/// How keys and values lie in memory.
#[derive(Clone, Copy)]
enum Rounded {
    /// As f32.
    No,
    /// As packed integers of these steps.
    Packed([f32; 2]),
    /// As panels of integers of these steps: all keys, and the values of each chunk of keys.
    Panels([f32; 2]),
}

/// The scratch of a tile of tokens.
struct Tile<'w> {
    /// Tokens `[rows, D+1]`, then normed rows `[rows, D]` or transposed queries `[D, rows]`.
    norm: &'w mut [f32],
    /// Queries `[rows, D]`, then scores `[chunk, rows]`, then the MLP's hidden layer `[rows, mlp_mult·D]`.
    query: &'w mut [f32],
    /// What attention gives, then what a branch adds to the residual stream, `[rows, D]`.
    attended: &'w mut [f32],
    panel: &'w mut [f32],
}

impl<'w> Transformer<'w> {
    pub(crate) fn new(
        config: &ModelConfig,
        isa: Isa,
        arithmetic: Arithmetic,
        scratch: &'w mut [f32],
    ) -> Result<Self, Error> {
        let (plan, mut scratch) = (Plan::new(config), Carve(scratch));
        let (rows, d) = (plan.rows, config.dim);
        Ok(Self {
            x: scratch.take(plan.stream)?,
            attention: Attention {
                keys: scratch.take(plan.stream)?,
                values: scratch.take(plan.stream)?,
                softmax: scratch.take(rows * 3)?,
                chunk: plan.keys,
                rounded: Rounded::No,
            },
            tile: Tile {
                query: scratch.take(rows * plan.query)?,
                attended: scratch.take(rows * d)?,
                norm: scratch.take(rows * config.token_len())?,
                panel: scratch.take(plan.panel)?,
            },
            rows,
            isa,
            arithmetic,
        })
    }

    /// The first phase: x = project_in(λ(φ - θ + β)).
    #[inline(never)]
    pub(crate) fn tokens(&mut self, bundle: &Bundle<'_>, phi: &[f32]) {
        with_kernel!(self.isa, kernel => self.project_tokens(kernel, bundle, phi));
    }

    /// The next one of each block: x through block `b`.
    #[inline(never)]
    pub(crate) fn block(&mut self, bundle: &Bundle<'_>, b: usize) {
        with_kernel!(self.isa, kernel => self.through(kernel, bundle.config(), &bundle.block(b)));
    }

    /// The last one: the mean over the tokens, and its logits.
    #[inline(never)]
    pub(crate) fn logits(&mut self, bundle: &Bundle<'_>, logits: &mut [f32]) -> Result<(), Error> {
        let config = bundle.config();
        let d = config.dim;
        let mean = self.tile.attended.get_mut(..d).unwrap_or_default();
        mean.fill(0.0);
        for row in self.x.chunks_exact(d.max(1)) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
        }
        mean.iter_mut().for_each(|m| *m /= config.tokens() as f32);
        let (head, panel) = (bundle.to_logits(), &mut *self.tile.panel);
        with_kernel!(self.isa, kernel => {
            linear((kernel, Arithmetic::F32), mean, &head.weight, Some(head.bias), logits, panel);
        });
        if logits.iter().all(|l| l.is_finite()) { Ok(()) } else { Err(Error::Diverged) }
    }

    fn project_tokens<K: Kernel>(&mut self, kernel: K, bundle: &Bundle<'_>, phi: &[f32]) {
        let config = bundle.config();
        let (d, project_in) = (config.dim, bundle.project_in());
        let Tile { norm, panel, .. } = &mut self.tile;
        for (l, x) in self.x.chunks_exact_mut((d * d).max(1)).enumerate() {
            for (n, x) in x.chunks_mut((self.rows * d).max(1)).enumerate() {
                let tile =
                    norm.get_mut(..x.len() / d.max(1) * config.token_len()).unwrap_or_default();
                tokens(bundle, phi, l + 1, n * self.rows, tile);
                linear(
                    (kernel, self.arithmetic),
                    tile,
                    &project_in.weight,
                    Some(project_in.bias),
                    x,
                    panel,
                );
            }
        }
    }

    fn through<K: Kernel>(&mut self, kernel: K, config: &ModelConfig, block: &Block<'_>) {
        let d = config.dim;
        let Tile { norm, query, attended, panel } = &mut self.tile;
        for (n, x) in self.x.chunks((self.rows * d).max(1)).enumerate() {
            let Attention { keys, values, .. } = &mut self.attention;
            let norm = normed(kernel, x, &block.norm1, norm);
            let range = n * self.rows * d..n * self.rows * d + x.len();
            let key = keys.get_mut(range.clone()).unwrap_or_default();
            linear((kernel, self.arithmetic), norm, &block.key, None, key, panel);
            let value = values.get_mut(range).unwrap_or_default();
            linear((kernel, self.arithmetic), norm, &block.value, None, value, panel);
        }
        self.attention.round(kernel, config, self.arithmetic, norm);
        for x in self.x.chunks_mut((self.rows * d).max(1)) {
            let attended = attended.get_mut(..x.len()).unwrap_or_default();
            let normed1 = normed(kernel, x, &block.norm1, norm);
            let queries = query.get_mut(..x.len()).unwrap_or_default();
            linear((kernel, self.arithmetic), normed1, &block.query, None, queries, panel);
            // The normed rows are done with: the transposed queries take their place, then the output.
            let out = norm.get_mut(..x.len()).unwrap_or_default();
            let rows = x.len() / d.max(1);
            let out = if let Rounded::Panels(_) = self.attention.rounded {
                // Of panels there is half as much, and the weights' panels lie behind them.
                &mut *norm
            } else {
                kernel.transpose(Mat::dense(queries, rows, d), MatMut::dense(out, d, rows));
                out
            };
            self.attention.attend(kernel, config, out, query, attended);
            let out = norm.get_mut(..x.len()).unwrap_or_default();
            linear(
                (kernel, self.arithmetic),
                attended,
                &block.attn_out.weight,
                Some(block.attn_out.bias),
                out,
                panel,
            );
            kernel.add_scaled(x, out, block.layer_scale1);

            let normed2 = normed(kernel, x, &block.norm2, norm);
            let hidden = query.get_mut(..x.len() * config.mlp_mult).unwrap_or_default();
            linear(
                (kernel, self.arithmetic),
                normed2,
                &block.mlp1.weight,
                Some(block.mlp1.bias),
                hidden,
                panel,
            );
            kernel.gelu(hidden);
            linear(
                (kernel, self.arithmetic),
                hidden,
                &block.mlp2.weight,
                Some(block.mlp2.bias),
                attended,
                panel,
            );
            kernel.add_scaled(x, attended, block.layer_scale2);
        }
    }
}

impl Attention<'_> {
    /// Rounds all keys and values to integers, where that is asked for and pays.
    fn round<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        arithmetic: Arithmetic,
        scratch: &mut [f32],
    ) {
        /// Tokens from which on the products are long enough to pay for the rounding.
        const TOKENS: usize = 128;
        self.rounded = Rounded::No;
        let (d, t, dim) = (config.dim, config.tokens(), config.head_dim());
        if arithmetic == Arithmetic::F32 {
            return;
        }
        if K::INTEGER_PANELS {
            // The scratch has room for as many weights as there are in a tile's queries.
            if dim == d && self.chunk <= d {
                self.round_to_panels(d, scratch);
            }
            return;
        }
        let even = dim.is_multiple_of(2) && t.is_multiple_of(2) && self.chunk.is_multiple_of(2);
        if !K::FASTER || !even || t < TOKENS {
            return;
        }
        let key = kernel.largest(self.keys) / panels::limit(dim);
        let value = kernel.largest(self.values) / panels::limit(self.chunk);
        kernel.pack_columns(self.keys, reciprocal(key));
        kernel.pack_rows(self.values, d, reciprocal(value));
        self.rounded = Rounded::Packed([key, value]);
    }

    /// Rounds all keys and values to panels, in place: they take the first half of their memory.
    fn round_to_panels(&mut self, d: usize, scratch: &mut [f32]) {
        let key = Step::new(panels::largest(self.keys), d);
        let value = Step::new(panels::largest(self.values), self.chunk);
        let pack_keys = |x: Mat<'_>, to: &mut [f32]| panels::pack_rows::<ROWS>(x, key.factor, to);
        let pack_values =
            |x: Mat<'_>, to: &mut [f32]| panels::pack_columns::<COLUMNS>(x, value.factor, to);
        in_place(self.keys, d, self.chunk, scratch, pack_keys);
        in_place(self.values, d, self.chunk, scratch, pack_values);
        self.rounded = Rounded::Panels([key.size, value.size]);
    }

    /// softmax(q·Kᵀ/√head_dim)·V of each head for a tile of queries, into `out` `[rows, D]`. The queries are `[D, rows]`,
    /// or for panels `[rows, D]` at the start of `scores`, which is scratch otherwise; so are `queries` afterwards.
    #[inline(never)]
    fn attend<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        queries: &mut [f32],
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let (d, t, dim) = (config.dim, config.tokens(), config.head_dim());
        let rows = out.len() / d.max(1);
        let mut scale = 1.0 / libm::sqrtf(dim as f32);
        // Known ahead, none of what follows for other integers than the kernel's is compiled.
        let rounded = match self.rounded {
            Rounded::Packed(steps) if K::FASTER => Rounded::Packed(steps),
            Rounded::Panels(steps) if K::INTEGER_PANELS => Rounded::Panels(steps),
            _ => Rounded::No,
        };
        let weight_limit = panels::limit(self.chunk);
        let (mut queries, mut weight_panels) = (queries, &mut [][..]);
        match rounded {
            Rounded::No => {}
            Rounded::Packed([key, _]) => {
                let query = kernel.largest(queries) / panels::limit(dim);
                kernel.pack_rows(queries, rows, reciprocal(query));
                scale *= query * key;
            }
            Rounded::Panels([key, _]) => {
                let all = scores.get(..rows * d).unwrap_or_default();
                let query = Step::new(panels::largest(all), d);
                let len = panels::panels_len::<COLUMNS>(rows, d);
                (queries, weight_panels) = queries.split_at_mut_checked(len).unwrap_or_default();
                panels::pack_rows::<COLUMNS>(Mat::dense(all, rows, d), query.factor, queries);
                scale *= query.size * key;
            }
        }
        let (max, rest) = self.softmax.split_at_mut_checked(rows).unwrap_or_default();
        let (sum, rest) = rest.split_at_mut_checked(rows).unwrap_or_default();
        let correction = rest.get_mut(..rows).unwrap_or_default();
        out.fill(0.0);
        for head in (0..d).step_by(dim.max(1)) {
            let out = out.get_mut(head..).unwrap_or_default();
            max.fill(f32::NEG_INFINITY);
            sum.fill(0.0);
            for first in (0..t).step_by(self.chunk.max(1)) {
                let count = self.chunk.min(t - first);
                let scores = scores.get_mut(..count * rows).unwrap_or_default();
                let view = MatMut::dense(scores, count, rows);
                match rounded {
                    Rounded::No => {
                        let k = self.keys.get(first * d + head..).unwrap_or_default();
                        let q = queries.get(head * rows..).unwrap_or_default();
                        let (k, q) = (Mat::new(k, count, dim, d), Mat::dense(q, dim, rows));
                        kernel.gemm(k, q, Init::Zero, view);
                    }
                    Rounded::Packed(_) => {
                        let k = self.keys.get((first * d + head) / 2..).unwrap_or_default();
                        let q = queries.get(head / 2 * rows..).unwrap_or_default();
                        let k = Mat::new(k, count, dim / 2, d / 2);
                        kernel.packed_product(k, Mat::dense(q, dim / 2, rows), view);
                    }
                    Rounded::Panels(_) => {
                        let k = self.keys.get(first * d / 2..).unwrap_or_default();
                        panels::product(k, queries, d, 1.0, Init::Zero, view);
                    }
                }
                let view = MatMut::dense(scores, count, rows);
                kernel.softmax(view, scale, max, sum, correction);
                // What came so far was weighted against the old maximum.
                if first > 0 && correction.iter().any(|c| *c != 1.0) {
                    kernel.scale_rows(MatMut::new(out, rows, dim, d), correction);
                }
                let view = MatMut::new(out, rows, dim, d);
                match rounded {
                    Rounded::No => {
                        let v = self.values.get(first * d + head..).unwrap_or_default();
                        let weights = Mat::dense(scores, count, rows);
                        kernel.gemm_tn(weights, Mat::new(v, count, dim, d), view);
                    }
                    // No weight is larger than 1 by as much as rounding would notice.
                    Rounded::Packed([_, value]) => {
                        kernel.pack_rows(scores, rows, weight_limit);
                        let v = self.values.get(first / 2 * d + head..).unwrap_or_default();
                        let weights = Mat::dense(scores, count / 2, rows);
                        let v = Mat::new(v, count / 2, dim, d);
                        kernel.packed_product_tn(weights, v, value / weight_limit, view);
                    }
                    Rounded::Panels([_, value]) => {
                        let weights = Mat::dense(scores, count, rows);
                        panels::pack_columns::<ROWS>(weights, weight_limit, weight_panels);
                        let len = panels::panels_len::<ROWS>(rows, count);
                        let weights = weight_panels.get(..len).unwrap_or_default();
                        let v = self.values.get(first * d / 2..).unwrap_or_default();
                        let v =
                            v.get(..panels::panels_len::<COLUMNS>(d, count)).unwrap_or_default();
                        let scale = value / weight_limit;
                        panels::product(weights, v, count, scale, Init::Add, view);
                    }
                }
            }
            sum.iter_mut().for_each(|s| *s = 1.0 / *s);
            kernel.scale_rows(MatMut::new(out, rows, dim, d), sum);
        }
    }
}

/// Packs some rows of `x` at a time, to lie one after the other at its start.
fn in_place(
    x: &mut [f32],
    d: usize,
    rows: usize,
    scratch: &mut [f32],
    pack: impl Fn(Mat<'_>, &mut [f32]),
) {
    for first in (0..x.len()).step_by((rows * d).max(1)) {
        let chunk = x.get(first..).unwrap_or_default();
        let len = chunk.len().min(rows * d);
        let chunk = chunk.get(..len).unwrap_or_default();
        let packed = scratch.get_mut(..len / 2).unwrap_or_default();
        pack(Mat::dense(chunk, len / d.max(1), d), packed);
        let to = x.get_mut(first / 2..).unwrap_or_default();
        to.iter_mut().zip(packed).for_each(|(to, packed)| *to = *packed);
    }
}

/// 1/x, and 0 where x is so small that 1/x may overflow: what has no magnitude to speak of is rounded to 0.
fn reciprocal(x: f32) -> f32 {
    if x < f32::MIN_POSITIVE { 0.0 } else { 1.0 / x }
}

/// Tokens of neurons `first..` of hidden layer `l` into `out`, `[rows, D+1]`.
pub(crate) fn tokens(bundle: &Bundle<'_>, phi: &[f32], l: usize, first: usize, out: &mut [f32]) {
    /// Neurons whose stored values are decoded in one go.
    const CHUNK: usize = 8;
    let config = bundle.config();
    let (d, len) = (config.dim, config.token_len());
    let (theta, beta) = (bundle.theta(l), bundle.beta(l));
    let (weight, bias) = layer(config, phi, l);
    for (n, out) in out.chunks_mut((CHUNK * len).max(1)).enumerate() {
        let (neuron, count) = (first + n * CHUNK, (out.len() / len.max(1)).min(CHUNK));
        let (mut theta_row, mut beta_row) = ([0.0; CHUNK], [0.0; CHUNK]);
        let theta_biases = theta.bias.from(neuron);
        for input in 0..len {
            // Row `input` of φ, θ and β from this neuron on; the last row is the bias.
            let phi_row = if input < d {
                theta.weight.read(input, neuron, theta_row.get_mut(..count).unwrap_or_default());
                weight.get(input * d + neuron..)
            } else {
                theta_row.iter_mut().zip(theta_biases.iter()).for_each(|(t, v)| *t = v);
                bias.get(neuron..)
            };
            beta.read(input, neuron, beta_row.get_mut(..count).unwrap_or_default());
            let offsets = phi_row.unwrap_or_default().iter().zip(&theta_row).zip(&beta_row);
            let column = out.get_mut(input..).unwrap_or_default().iter_mut().step_by(len.max(1));
            for (token, ((phi, theta), beta)) in column.zip(offsets) {
                *token = config.lambda * (phi - theta + beta);
            }
        }
    }
}

/// y = x·W + bias for as many rows as `x` holds.
fn linear<K: Kernel>(
    (kernel, arithmetic): (K, Arithmetic),
    x: &[f32],
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    y: &mut [f32],
    panel: &mut [f32],
) {
    let rows = x.len() / w.rows.max(1);
    let (x, y) = (Mat::dense(x, rows, w.rows), MatMut::dense(y, rows, w.columns));
    match arithmetic {
        Arithmetic::F32 => kernel.linear(x, w, bias, y, panel),
        Arithmetic::Int8 => kernel.linear_int8(x, w, bias, y, panel),
    }
}

/// Layer norm of each row of `x` into `out`, of which the rows are given back.
fn normed<'o, K: Kernel>(kernel: K, x: &[f32], norm: &Norm<'_>, out: &'o mut [f32]) -> &'o [f32] {
    let out = out.get_mut(..x.len()).unwrap_or_default();
    kernel.layer_norm(x, norm.weight, norm.bias, NORM_EPS, out);
    out
}
