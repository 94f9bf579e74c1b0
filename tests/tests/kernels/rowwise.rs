use mwt_tests::train::Tested;
use mwt_train::model::rowwise;

use super::{Lies, same};

/// Sums over an image's rows may come in parts: their sum over all.
fn sums<B: Tested, const COUNT: usize>(
    bars: [burn::tensor::Tensor<B, 3>; COUNT],
) -> [burn::tensor::Tensor<B, 3>; COUNT] {
    bars.map(|bar| bar.sum_dim(0))
}

pub(super) fn kernels<B: Tested>([n, t, d]: [usize; 3], lies: Lies) {
    let draw = |most: f64| lies.random::<B, 3>([n, t, d], most);
    let [x, bar, beside] = [draw(4.0), draw(4.0), draw(4.0)];
    let [weight, bias] = [4.0, 4.0].map(|most| lies.vector::<B>(d, most));
    let name = |what: &str| format!("{what} {lies:?}");
    // Sums over all rows.
    let all = 1e-4 * (n * t) as f32 + 1e-4;

    let want = rowwise::norm(x.clone(), weight.clone(), bias.clone());
    let got = B::norm(x.clone(), weight.clone(), bias.clone());
    same(&name("norm"), [got], [want], 1e-4);

    let inputs = || (x.clone(), weight.clone(), bar.clone(), beside.clone());
    let (a, b, c, e) = inputs();
    let [want, want_weight, want_bias] = rowwise::norm_backward(a, b, c, e);
    let (a, b, c, e) = inputs();
    let [got, got_weight, got_bias] = B::norm_backward(a, b, c, e);
    // A row of one value has the variance 0: what is left is rounding, times 1/√ε.
    let within = if d == 1 { 1e-2 } else { 1e-3 };
    same(&name("norm_backward"), [got], [want], within);
    let want = sums([want_weight, want_bias]);
    same(&name("norm_backward"), sums([got_weight, got_bias]), want, within.max(all));

    let inputs = || (x.clone(), bar.clone(), bias.clone(), weight.clone());
    let (a, b, c, e) = inputs();
    let want = rowwise::residual(a, b, c, e);
    let (a, b, c, e) = inputs();
    same(&name("residual"), [B::residual(a, b, c, e)], [want], 1e-5);
    let (a, b, c, e) = inputs();
    let [want, want_bias, want_scale] = rowwise::residual_backward(a, b, c, e);
    let (a, b, c, e) = inputs();
    let [got, got_bias, got_scale] = B::residual_backward(a, b, c, e);
    same(&name("residual_backward"), [got], [want], 1e-5);
    let want = sums([want_bias, want_scale]);
    same(&name("residual_backward"), sums([got_bias, got_scale]), want, all);

    let want = rowwise::gelu_slope(x.clone(), bias.clone());
    same(&name("gelu_slope"), B::gelu_slope(x.clone(), bias), want, 1e-5);
    let [want, want_bias] = rowwise::hidden_backward(bar.clone(), x.clone());
    let [got, got_bias] = B::hidden_backward(bar, x);
    same(&name("hidden_backward"), [got], [want], 1e-5);
    same(&name("hidden_backward"), sums([got_bias]), sums([want_bias]), all);

    let (scores, bar) =
        (lies.random::<B, 4>([n, 3, t, d], 30.0), lies.random::<B, 4>([n, 3, t, d], 4.0));
    let want = rowwise::attention_probs(scores.clone(), 0.25);
    let got = B::attention_probs(scores.clone(), 0.25);
    same(&name("attention_probs"), [got], [want], 1e-6);
    let want = rowwise::attention_probs_backward(scores.clone() / 30.0, bar.clone(), 0.25);
    let got = B::attention_probs_backward(scores / 30.0, bar, 0.25);
    same(&name("attention_probs_backward"), [got], [want], 1e-5 * d as f32 + 1e-5);
}
