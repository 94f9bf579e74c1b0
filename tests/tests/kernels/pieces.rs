use burn::tensor::Tensor;
use mwt_tests::train::Tested;
use mwt_train::model::params::host;
use mwt_train::model::pieces::{Terms, pack};

use super::{Lies, same};

/// Packs pieces into the middle of a tensor, in the back end's way and in ordinary operations.
fn check<B: Tested>(what: &str, pieces: Vec<Terms<B>>) {
    let [_, rows, _] = pieces[0][0].dims();
    let columns: usize = pieces.iter().map(|terms| terms[0].dims()[2]).sum();
    let into = Lies::Whole.random::<B, 2>([rows, columns + 7], 1.0);
    let want = pack(into.clone(), 3, pieces.clone());
    // `into` is still used: what is written must not reach it.
    let before = host(into.clone());
    let got = B::pack(into.clone(), 3, pieces.clone());
    assert_eq!(host(into.clone()), before, "{what}");
    let terms: usize = pieces.iter().flatten().map(|term| term.dims()[0]).sum();
    let within = 1e-6 * terms as f32 + 1e-6;
    same(what, [got], [want.clone()], within);
    // Nor copied where nobody else does.
    same(what, [B::pack(into, 3, pieces)], [want], within);
}

pub(super) fn kernels<B: Tested>([n, p, d]: [usize; 3], lies: Lies) {
    let draw = |groups: usize, columns: usize| lies.random::<B, 3>([groups, n, columns], 1.0);
    // Copies side by side, and sums of a few.
    check("pack", vec![vec![draw(1, d)], vec![draw(1, p * d), draw(1, p * d)], vec![draw(1, 1)]]);
    // Sums of many.
    check("pack", vec![vec![draw(p, d), draw(1, d)], vec![draw(70, 2 * d)], vec![draw(1, p)]]);
}

/// More pieces than a launch takes, a piece of more terms, and views of parts of a tensor.
pub(super) fn many<B: Tested>() {
    let draw =
        |groups: usize, columns: usize| Lies::Whole.random::<B, 3>([groups, 2, columns], 1.0);
    check("pack", (1..40).map(|columns| vec![draw(columns % 3 + 1, columns)]).collect());
    let long = |columns: usize| (1..40).map(|groups| draw(groups, columns)).collect();
    check("pack", vec![long(5), vec![draw(1, 1)], long(33)]);

    let flat = Lies::Whole.random::<B, 1>([1000], 1.0);
    for range in [0..1000, 0..3, 128..131, 128..1000, 5..9, 999..1000, 256..512] {
        let (piece, slice) = (B::piece(&flat, range.clone()), flat.clone().slice(range));
        // As what is computed from it sees it, too.
        same("piece", [piece.clone() * 2.0, piece], [slice.clone() * 2.0, slice], 0.0);
    }
    // A piece of a piece, and of a view that is not contiguous.
    let piece = B::piece(&B::piece(&flat, 128..900), 128..200);
    same("piece", [piece], [flat.slice(256..328)], 0.0);
    let column: Tensor<B, 1> =
        Lies::Whole.random::<B, 2>([300, 2], 1.0).slice([0..300, 1..2]).reshape([300]);
    same("piece", [B::piece(&column, 128..140)], [column.slice(128..140)], 0.0);
}
