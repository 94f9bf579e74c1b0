//! The model as tensors of any burn back end.

pub mod backend;
pub mod inner;
pub mod params;
pub mod transformer;

pub use backend::{MwtBackend, TrainBackend};
pub use inner::{Fitted, Pixels, Siren};
pub use params::Params;
pub use transformer::Transformer;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

/// A model whose tensors are ready for use: views of [`Params`], one autodiff graph with them.
#[derive(Clone, Debug)]
pub struct Model<B: Backend> {
    config: ModelConfig,
    /// θ and the head.
    pub siren: Siren<B>,
    /// α, `[k, |θ|]` (one row when shared).
    pub alpha: Tensor<B, 2>,
    /// β, `[T, D+1]`.
    pub beta: Tensor<B, 2>,
    /// The reader of the tokens.
    pub transformer: Transformer<B>,
}

/// What one pass over a batch gives.
#[derive(Clone, Debug)]
pub struct Output<B: Backend> {
    /// φ_k - θ, and the reconstruction loss on the last draw.
    pub fitted: Fitted<B>,
    /// `[N, K]`.
    pub logits: Tensor<B, 2>,
}

impl<B: Backend> Model<B> {
    /// The model with these parameters.
    pub fn new(params: &Params<B>) -> Self {
        let config = *params.config();
        let mut next = params.cursor();
        let siren = Siren::take(&config, &mut next);
        let rows = (0..config.alpha_rows()).map(|_| next.take([1, config.theta_len()])).collect();
        let alpha = Tensor::cat(rows, 0);
        let beta = next.take([config.tokens(), config.token_len()]);
        let transformer = Transformer::take(&config, &mut next);
        Self { config, siren, alpha, beta, transformer }
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Fits every image of a batch and classifies it. The gradient of whatever is made of the logits reaches
    /// θ, α and the head scaled by `w_cls`, β and the Transformer unscaled (paper, section 3.3); 0 cuts the
    /// classifier off from the SIREN, which is the paper's WT.
    pub fn forward(&self, pixels: &Pixels<B>, w_cls: f64) -> Output<B>
    where
        B: MwtBackend,
    {
        self.read(B::fit(&self.config, &self.siren, &self.alpha, pixels), w_cls)
    }

    /// The second half of [`forward`](Self::forward): classifies what was fitted.
    pub fn read(&self, fitted: Fitted<B>, w_cls: f64) -> Output<B>
    where
        B: MwtBackend,
    {
        let tokens = self.tokens(self.boundary(&fitted, w_cls));
        let logits = B::read(&self.config, &self.transformer, tokens);
        Output { fitted, logits }
    }

    /// φ - θ as the classifier sees it: equal in value, with the gradient scaled by `w_cls`.
    pub fn boundary(&self, fitted: &Fitted<B>, w_cls: f64) -> Tensor<B, 2> {
        let offsets = fitted.offsets.clone();
        if w_cls == 1.0 {
            offsets
        } else if w_cls == 0.0 {
            offsets.detach()
        } else {
            offsets.clone() * w_cls + offsets.detach() * (1.0 - w_cls)
        }
    }

    /// λ(φ - θ + β), `[N, T, D+1]`, from φ - θ, `[N, |θ|]`.
    pub fn tokens(&self, offsets: Tensor<B, 2>) -> Tensor<B, 3> {
        let (d, [n, _]) = (self.config.width, offsets.dims());
        let layers = (0..self.config.hidden_layers)
            .map(|l| {
                let (weight, bias) = self.config.layer_ranges(l + 1);
                // W [D, D] and b [D] follow each other, so they are a [D+1, D] whose columns are the tokens.
                let layer = offsets.clone().slice([0..n, weight.start..bias.end]);
                layer.reshape([n, d + 1, d]).swap_dims(1, 2)
            })
            .collect();
        (Tensor::cat(layers, 1) + self.beta.clone().unsqueeze()) * self.config.lambda
    }
}
