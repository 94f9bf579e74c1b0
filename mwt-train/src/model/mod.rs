//! The model as tensors of any burn back end.

pub mod adjoint;
pub mod backend;
pub mod inner;
pub mod operation;
pub mod params;
pub mod pointwise;
pub mod tokens;
pub mod transformer;

pub use backend::{MwtBackend, TrainBackend};
pub use inner::{Fitted, Pixels, Siren};
pub use operation::Inputs;
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
        let inputs = Inputs::new(&self.config, &self.siren, &self.alpha, pixels);
        self.read(B::fit(inputs), w_cls)
    }

    /// The second half of [`forward`](Self::forward): classifies what was fitted.
    pub fn read(&self, fitted: Fitted<B>, w_cls: f64) -> Output<B>
    where
        B: MwtBackend,
    {
        // Cut off for good where nothing is to come back: the fit then has no backward pass.
        let offsets = fitted.offsets.clone();
        let offsets = if w_cls == 0.0 { offsets.detach() } else { offsets };
        let logits = B::read(&self.config, &self.transformer, &self.beta, offsets, w_cls);
        Output { fitted, logits }
    }

    /// λ(φ - θ + β), `[N, T, D+1]`, from φ - θ, `[N, |θ|]`.
    pub fn tokens(&self, offsets: Tensor<B, 2>) -> Tensor<B, 3> {
        tokens::tokens(&self.config, offsets, self.beta.clone())
    }
}
