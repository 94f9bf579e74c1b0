//! Attention and its adjoint, a group of images at a time.
//!
//! Everything lies as `[…, dim, T]`, a column per token: so queries, keys and values are views of one product, and what
//! the heads gather is one tensor without being joined. With a row per token each of them would be copied first.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::model::pieces::{Pieces, packed};
use crate::model::product::Product;
use crate::model::rowwise::Rowwise;
use crate::settings::Precision;

/// Queries, keys and values, `[N, heads, dim, T]` each.
pub(super) type Heads<B> = [Tensor<B, 4>; 3];

/// Queries, keys and values of (q|k|v, head, dim), `[N, 3·D, T]`.
pub(super) fn split_heads<B: Backend>(qkv: Tensor<B, 3>, heads: usize) -> Heads<B> {
    let [n, columns, t] = qkv.dims();
    let qkv = qkv.reshape([n, 3 * heads, columns / (3 * heads), t]);
    [0, 1, 2].map(|part| qkv.clone().narrow(1, part * heads, heads))
}

/// What the heads gather, one below the other: `[N, D, T]`.
pub(super) fn attend<B: Rowwise + Product>(
    qkv: &Heads<B>,
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let [_, heads, dim, t] = qkv[0].dims();
    let groups = groups(qkv, at_once).map(|(_, [query, key, value])| {
        let [n, ..] = query.dims();
        let probs = B::attention_probs(product(query.transpose(), key), score_scale(dim));
        product(value, probs.transpose()).reshape([n, heads * dim, t])
    });
    joined(groups)
}

/// The gradient of queries, keys and values, `[N, 3·D, T]`, from that of what was attended, `[N, D, T]`.
pub(super) fn attend_backward<B: Rowwise + Product + Pieces>(
    qkv: &Heads<B>,
    attended_bar: Tensor<B, 3>,
    at_once: usize,
    precision: Precision,
) -> Tensor<B, 3> {
    let product = |a, b| B::product(a, b, precision);
    let [_, heads, dim, t] = qkv[0].dims();
    let scale = score_scale(dim);
    let groups = groups(qkv, at_once).map(|(start, [query, key, value])| {
        let [n, ..] = query.dims();
        let bar = attended_bar.clone().narrow(0, start, n).reshape([n, heads, dim, t]);
        let probs = B::attention_probs(product(query.clone().transpose(), key.clone()), scale);
        let value_bar = product(bar.clone(), probs.clone());
        let probs_bar = product(bar.transpose(), value);
        let scores_bar = B::attention_probs_backward(probs, probs_bar, scale);
        let query_bar = product(key, scores_bar.clone().transpose());
        let key_bar = product(query, scores_bar);
        let bars = [query_bar, key_bar, value_bar].map(|bar| {
            let columns = heads * dim * t;
            vec![bar.reshape([1, n, columns])]
        });
        packed(bars.to_vec()).reshape([n, 3 * heads * dim, t])
    });
    joined(groups)
}

/// 1/√dim, by which scores are scaled.
fn score_scale(dim: usize) -> f64 {
    (dim as f64).powf(-0.5)
}

/// The first image, queries, keys and values of as many images as have no more than `at_once` probs, or of one.
fn groups<B: Backend>(qkv: &Heads<B>, at_once: usize) -> impl Iterator<Item = (usize, Heads<B>)> {
    let [n, heads, _, t] = qkv[0].dims();
    let group = (at_once / (heads * t * t)).clamp(1, n);
    (0..n).step_by(group).map(move |start| {
        let part = |part: &Tensor<B, 4>| part.clone().narrow(0, start, group.min(n - start));
        (start, qkv.each_ref().map(part))
    })
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
        let (qkv, bar) = (split_heads(random(3 * 8), 2), random(8));
        let run = |at_once: usize| {
            let bars = attend_backward(&qkv, bar.clone(), at_once, Precision::F32);
            [host(attend(&qkv, at_once, Precision::F32)), host(bars)]
        };
        let all = run(usize::MAX);
        assert!(all.iter().flatten().any(|value| *value != 0.0));
        for (at_once, images) in [(1, 1), (2 * 2 * 3 * 3, 2), (5 * 2 * 3 * 3, 5)] {
            assert_eq!(groups(&qkv, at_once).next().unwrap().1[0].dims()[0], images);
            assert_eq!(run(at_once), all, "{images} images at a time");
        }
    }
}
