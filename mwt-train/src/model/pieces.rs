//! Flat tensors and the pieces that they are made of: parameters, φ, and the gradients of both.
//!
//! Cut and joined in ordinary tensor operations, every piece is a kernel of its own on a GPU. The functions are the
//! readable reference.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// What is added up to one piece: tensors `[G, R, C]`, each with a G of its own, over which it is summed.
///
/// A gradient's sum over a batch is left to [`Pieces::pack`], so that what comes before it is as many independent pieces
/// of work as there are images: one product over all N·T rows would have no more to share out than the few tiles of a
/// weight.
pub type Terms<B> = Vec<Tensor<B, 3>>;

/// A back end's own form of these functions, where it has a better one.
pub trait Pieces: Backend {
    /// A range of a flat tensor: a view of it where the back end has one.
    fn piece(flat: &Tensor<Self, 1>, range: Range<usize>) -> Tensor<Self, 1> {
        flat.clone().slice(range)
    }

    /// As [`pack`].
    fn pack(into: Tensor<Self, 2>, start: usize, pieces: Vec<Terms<Self>>) -> Tensor<Self, 2> {
        pack(into, start, pieces)
    }
}

/// `into` `[R, ·]` with the pieces side by side, from the column `start` on.
pub fn pack<B: Backend>(into: Tensor<B, 2>, start: usize, pieces: Vec<Terms<B>>) -> Tensor<B, 2> {
    let [rows, _] = into.dims();
    let pieces = pieces.into_iter().map(|terms| {
        let sums = terms.into_iter().map(|term| {
            let [_, rows, columns] = term.dims();
            term.sum_dim(0).reshape([rows, columns])
        });
        sums.reduce(|sum, term| sum + term).expect("a piece has terms")
    });
    let pieces = Tensor::cat(pieces.collect(), 1);
    let columns = pieces.dims()[1];
    into.slice_assign([0..rows, start..start + columns], pieces)
}

/// The pieces side by side and nothing else, `[R, ΣC]`.
pub fn packed<B: Pieces>(pieces: Vec<Terms<B>>) -> Tensor<B, 2> {
    let first = &pieces[0][0];
    let [_, rows, _] = first.dims();
    let columns = pieces.iter().map(|terms| terms[0].dims()[2]).sum();
    B::pack(blank([rows, columns], &first.device()), 0, pieces)
}

/// Memory for pieces. By way of one dimension: CUDA pads the rows of what is made with two, and a tensor with padded rows
/// is not flattened without a copy.
pub fn blank<B: Backend>([rows, columns]: [usize; 2], device: &B::Device) -> Tensor<B, 2> {
    Tensor::<B, 1>::empty([rows * columns], device).reshape([rows, columns])
}
