//! The model as tensors of any burn back end.
//!
//! - The readable reference, in ordinary tensor operations: [`inner`] fits, [`tokens`](mod@tokens) and [`transformer`] read.
//! - What trains: both halves as operations with a backward of their own ([`operation`]), which a back end implements
//!   ([`MwtBackend`]): natively on the CPU, in closed form ([`adjoint`]) on GPUs, with what lies between the matrix
//!   products as kernels ([`pointwise`], [`rowwise`]).

pub mod adjoint;
pub mod backend;
pub mod inner;
pub mod operation;
pub mod params;
pub mod pointwise;
pub mod rowwise;
pub mod tokens;
pub mod transformer;

pub use backend::{MwtBackend, TrainBackend};
pub use inner::{Fitted, Pixels, Siren};
pub use operation::{FitInputs, ReadInputs};
pub use params::Params;
pub use transformer::Transformer;

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

/// A model whose tensors are ready for use: views of [`Params`], one autodiff graph with them.
#[derive(Clone, Debug)]
pub struct Model<B: Backend> {
    config: ModelConfig,
    /// θ, `[|θ|]`.
    theta: Tensor<B, 1>,
    /// Wo `[C, D]`, bo `[C]` and out_scale `[C]`, flat.
    head: Tensor<B, 1>,
    /// α, `[k, |θ|]` (one row when shared).
    pub alpha: Tensor<B, 2>,
    /// β, `[T, D+1]`.
    beta: Tensor<B, 2>,
    /// The Transformer's parameters, flat.
    transformer: Tensor<B, 1>,
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
        let [siren, alpha, classifier] = params.groups();
        let (c, m) = (config.channels, config.theta_len());
        let part = |values: &Tensor<B, 1>, range: Range<usize>| values.clone().slice(range);
        // out_scale lies before θ, Wo and bo behind it.
        let theta = part(siren, c..c + m);
        let head = vec![part(siren, c + m..siren.dims()[0]), part(siren, 0..c)];
        let (tokens, len) = (config.tokens(), config.token_len());
        let beta = part(classifier, 0..tokens * len);
        Self {
            config,
            theta,
            head: Tensor::cat(head, 0),
            alpha: alpha.clone().reshape([config.alpha_rows(), m]),
            beta: beta.reshape([tokens, len]),
            transformer: part(classifier, tokens * len..classifier.dims()[0]),
        }
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// θ and the head, layer by layer.
    pub fn siren(&self) -> Siren<B> {
        Siren::new(&self.config, &self.theta, &self.head)
    }

    /// The reader of the tokens, layer by layer.
    pub fn transformer(&self) -> Transformer<B> {
        Transformer::new(&self.config, &self.transformer)
    }

    /// What fitting these pixels computes from.
    pub fn fit_inputs(&self, pixels: &Pixels<B>) -> FitInputs<B> {
        let Self { config, theta, head, alpha, .. } = self.clone();
        FitInputs { config, theta, alpha, head, pixels: pixels.clone() }
    }

    /// What reading these φ - θ `[N, |θ|]` computes from.
    pub fn read_inputs(&self, offsets: Tensor<B, 2>) -> ReadInputs<B> {
        let Self { config, beta, transformer, .. } = self.clone();
        ReadInputs { config, offsets, beta, values: transformer }
    }

    /// Fits every image of a batch and classifies it. The gradient of whatever is made of the logits reaches
    /// θ, α and the head scaled by `w_cls`, β and the Transformer unscaled (paper, section 3.3); 0 cuts the
    /// classifier off from the SIREN, which is the paper's WT.
    pub fn forward(&self, pixels: &Pixels<B>, w_cls: f64) -> Output<B>
    where
        B: MwtBackend,
    {
        let fitted = B::fit(self.fit_inputs(pixels));
        // Cut off for good where nothing is to come back: the fit then has no backward pass.
        let offsets = fitted.offsets.clone();
        let offsets = if w_cls == 0.0 { offsets.detach() } else { offsets };
        Output { logits: B::read(self.read_inputs(offsets), w_cls), fitted }
    }

    /// λ(φ - θ + β), `[N, T, D+1]`, from φ - θ, `[N, |θ|]`.
    pub fn tokens(&self, offsets: Tensor<B, 2>) -> Tensor<B, 3> {
        tokens::tokens(&self.config, offsets, self.beta.clone())
    }
}
