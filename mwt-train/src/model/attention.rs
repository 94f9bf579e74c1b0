//! Attention and its adjoint: of each head of each image by itself.
//!
//! Everything lies as `[…, dim, T]`, a column per token: so queries, keys and values are views of one product, and what
//! the heads gather is one tensor without being joined. With a row per token each of them would be copied first.
//!
//! The functions are the readable reference, in ordinary tensor operations: they hold what each query has of each key, T×T
//! for each head, of a group of images at a time. On GPUs one kernel does without ([`Attention`]).

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::pieces::{Pieces, packed};
use super::product::Product;
use super::rowwise::Rowwise;
use crate::settings::Precision;

/// The most attention probabilities that are held at once: the functions go over the images in groups of as many as that
/// allows.
const PROBS_AT_ONCE: usize = 1 << 26;

/// A back end's own form of attention, where it has a better one.
pub trait Attention: Rowwise + Product + Pieces {
    /// As [`attend`].
    fn attend(qkv: &Heads<Self>, precision: Precision) -> Attended<Self> {
        attend_in_groups(qkv, precision)
    }

    /// As [`attend_backward`]; `attended` is what [`attend`](Self::attend) gave.
    fn attend_backward(
        qkv: &Heads<Self>,
        _attended: &Attended<Self>,
        gathered_bar: Tensor<Self, 3>,
        precision: Precision,
    ) -> Tensor<Self, 3> {
        attend_in_groups_backward(qkv, gathered_bar, precision)
    }
}

/// [`attend`] with as many probabilities at once as are allowed.
pub(super) fn attend_in_groups<B: Rowwise + Product>(
    qkv: &Heads<B>,
    precision: Precision,
) -> Attended<B> {
    Attended { gathered: attend(qkv, PROBS_AT_ONCE, precision), log_sums: None }
}

/// [`attend_backward`] with as many probabilities at once as are allowed.
pub(super) fn attend_in_groups_backward<B: Rowwise + Product + Pieces>(
    qkv: &Heads<B>,
    gathered_bar: Tensor<B, 3>,
    precision: Precision,
) -> Tensor<B, 3> {
    attend_backward(qkv, gathered_bar, PROBS_AT_ONCE, precision)
}

/// What the heads gather, and what the way back needs besides.
#[derive(Clone, Debug)]
pub struct Attended<B: Backend> {
    /// The heads' one below the other, `[N, D, T]`.
    pub gathered: Tensor<B, 3>,
    /// ln Σ exp(score) of each query, `[N·heads, 1, T]`, where probabilities are computed again from it.
    pub log_sums: Option<Tensor<B, 3>>,
}

/// Queries, keys and values of every head of every image.
///
/// The heads of all images are one dimension with one stride: burn's products by NVIDIA's memory accelerator take all
/// leading dimensions for one, and would read something else where those of a view do not follow each other. So a head's
/// queries, keys and values lie together, for which the rows of their weight are put in another order ([`by_head`]).
#[derive(Clone, Debug)]
pub struct Heads<B: Backend> {
    /// Of an image.
    pub(super) heads: usize,
    /// `[N·heads, 3·dim, T]`: queries, then keys, then values.
    pub(super) qkv: Tensor<B, 3>,
}

/// The weight of queries, keys and values, `[3·D, D]`, with its rows in the order (head, q|k|v, dim) instead of
/// (q|k|v, head, dim).
pub fn by_head<B: Backend>(weight: &Tensor<B, 2>, heads: usize) -> Tensor<B, 2> {
    let [rows, columns] = weight.dims();
    let parts = weight.clone().reshape([3, heads, rows / (3 * heads) * columns]);
    parts.swap_dims(0, 1).reshape([rows, columns])
}

impl<B: Backend> Heads<B> {
    /// Of (head, q|k|v, dim), `[N, 3·D, T]`.
    pub fn new(qkv: Tensor<B, 3>, heads: usize) -> Self {
        let [n, columns, t] = qkv.dims();
        Self { heads, qkv: qkv.reshape([n * heads, columns / heads, t]) }
    }

    /// The first image, queries, keys and values of as many images as have no more than `at_once` probs, or of one.
    fn groups(&self, at_once: usize) -> impl Iterator<Item = (usize, [Tensor<B, 3>; 3])> {
        let ([batch, columns, t], heads) = (self.qkv.dims(), self.heads);
        let (n, dim) = (batch / heads, columns / 3);
        let group = (at_once / (heads * t * t)).clamp(1, n);
        (0..n).step_by(group).map(move |start| {
            let count = group.min(n - start) * heads;
            let images = self.qkv.clone().narrow(0, start * heads, count);
            (start, [0, 1, 2].map(|part| images.clone().narrow(1, part * dim, dim)))
        })
    }
}

/// What the heads gather, one below the other: `[N, D, T]`.
pub fn attend<B: Rowwise + Product>(
    qkv: &Heads<B>,
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let groups = qkv.groups(at_once).map(|(_, [query, key, value])| {
        let [batch, dim, t] = query.dims();
        let probs = probs(query, key, precision);
        let gathered = product(value, probs.transpose());
        gathered.reshape([batch / qkv.heads, qkv.heads * dim, t])
    });
    joined(groups)
}

/// The gradient of queries, keys and values, of (q|k|v, head, dim) `[N, 3·D, T]`, from that of what the heads gathered,
/// `[N, D, T]`.
pub fn attend_backward<B: Rowwise + Product + Pieces>(
    qkv: &Heads<B>,
    gathered_bar: Tensor<B, 3>,
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let groups = qkv.groups(at_once).map(|(start, [query, key, value])| {
        let [batch, dim, t] = query.dims();
        let n = batch / qkv.heads;
        let bar = gathered_bar.clone().narrow(0, start, n).reshape([batch, dim, t]);
        let probs = probs(query.clone(), key.clone(), precision);
        let value_bar = product(bar.clone(), probs.clone());
        let probs_bar = product(bar.transpose(), value);
        let [probs, probs_bar] = [probs, probs_bar].map(|of| of.reshape([batch, 1, t, t]));
        let scores_bar = B::attention_probs_backward(probs, probs_bar, score_scale(dim));
        let scores_bar = scores_bar.reshape([batch, t, t]);
        let query_bar = product(key, scores_bar.clone().transpose());
        let key_bar = product(query, scores_bar);
        let columns = qkv.heads * dim * t;
        let bars = [query_bar, key_bar, value_bar].map(|bar| vec![bar.reshape([1, n, columns])]);
        packed(bars.to_vec()).reshape([n, 3 * qkv.heads * dim, t])
    });
    joined(groups)
}

/// What each query, a row, has of each key.
fn probs<B: Rowwise + Product>(
    query: Tensor<B, 3>,
    key: Tensor<B, 3>,
    precision: Precision,
) -> Tensor<B, 3> {
    let [batch, dim, t] = query.dims();
    let scores = B::product(query.transpose(), key, precision).reshape([batch, 1, t, t]);
    B::attention_probs(scores, score_scale(dim)).reshape([batch, t, t])
}

/// 1/√dim, by which scores are scaled.
pub fn score_scale(dim: usize) -> f64 {
    (dim as f64).powf(-0.5)
}

/// The groups' results, one after the other.
fn joined<B: Backend>(groups: impl Iterator<Item = Tensor<B, 3>>) -> Tensor<B, 3> {
    let mut groups: Vec<_> = groups.collect();
    if groups.len() == 1 { groups.remove(0) } else { Tensor::cat(groups, 0) }
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
        let random = |columns: usize| {
            Tensor::<Flex, 3>::random([5, columns, 3], Distribution::Default, &device)
        };
        let (qkv, bar) = (Heads::new(random(3 * 8), 2), random(8));
        let run = |at_once: usize| {
            let bars = attend_backward(&qkv, bar.clone(), at_once, Precision::F32);
            [host(attend(&qkv, at_once, Precision::F32)), host(bars)]
        };
        let all = run(usize::MAX);
        assert!(all.iter().flatten().any(|value| *value != 0.0));
        for (at_once, images) in [(1, 1), (2 * 2 * 3 * 3, 2), (5 * 2 * 3 * 3, 5)] {
            assert_eq!(qkv.groups(at_once).next().unwrap().1[0].dims()[0], 2 * images);
            assert_eq!(run(at_once), all, "{images} images at a time");
        }
    }
}
