//! From the fitted weights to what the Transformer reads (docs/METHOD.md, "Tokens").

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

/// φ - θ `[N, |θ|]` as the classifier sees it: equal in value, with the gradient scaled by `w_cls`.
pub fn boundary<B: Backend>(offsets: Tensor<B, 2>, w_cls: f64) -> Tensor<B, 2> {
    if w_cls == 1.0 {
        offsets
    } else if w_cls == 0.0 {
        offsets.detach()
    } else {
        offsets.clone() * w_cls + offsets.detach() * (1.0 - w_cls)
    }
}

/// λ(φ - θ + β), `[N, T, D+1]`, from φ - θ `[N, |θ|]` and β `[T, D+1]`.
pub fn tokens<B: Backend>(
    config: &ModelConfig,
    offsets: Tensor<B, 2>,
    beta: Tensor<B, 2>,
) -> Tensor<B, 3> {
    let (d, [n, _]) = (config.dim, offsets.dims());
    let layers = (0..config.hidden_layers)
        .map(|l| {
            let (weight, bias) = config.layer_ranges(l + 1);
            // W [D, D] and b [D] follow each other, so they are a [D+1, D] whose columns are the tokens.
            let layer = offsets.clone().slice([0..n, weight.start..bias.end]);
            layer.reshape([n, d + 1, d]).swap_dims(1, 2)
        })
        .collect();
    (Tensor::cat(layers, 1) + beta.unsqueeze()) * config.lambda
}

/// The adjoint of [`tokens`]: the gradients of φ - θ `[N, |θ|]`, whose first layer no token shows, and of β `[T, D+1]`.
pub fn tokens_backward<B: Backend>(
    config: &ModelConfig,
    tokens_bar: Tensor<B, 3>,
) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let (d, [n, t, len]) = (config.dim, tokens_bar.dims());
    let bar = tokens_bar * config.lambda;
    let first = Tensor::zeros([n, config.layer_ranges(0).1.end], &bar.device());
    let layers = (0..config.hidden_layers).map(|l| {
        let layer = bar.clone().slice([0..n, l * d..(l + 1) * d]);
        layer.swap_dims(1, 2).flatten(1, 2)
    });
    let offsets_bar = Tensor::cat(std::iter::once(first).chain(layers).collect(), 1);
    (offsets_bar, bar.sum_dim(0).reshape([t, len]))
}
