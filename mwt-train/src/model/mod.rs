//! The model as tensors of any burn back end, in several forms that the same tests hold to the same numbers
//! (ARCHITECTURE.md, "The five forms of the fit").
//!
//! - The readable reference, in ordinary tensor operations: [`inner`] fits; [`tokens`](mod@tokens) and [`transformer`]
//!   classify.
//! - What trains: both halves as operations of burn's autodiff graph with a backward pass of their own ([`operation`]).
//!   A back end chooses a form of each ([`MwtBackend`]): on the CPU `cpu`, on mwt-infer's kernels; on GPUs `gpu`, with
//!   a kernel for each step of the fit, and otherwise [`adjoint`], in closed form on the back end's matrix products, with
//!   kernels for what lies between them ([`pointwise`], [`rowwise`], [`pieces`]), for [`attention`], and for the optimiser
//!   ([`update`]).

pub mod adjoint;
pub mod attention;
pub mod backend;
#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "cube")]
mod gpu;
pub mod inner;
pub mod operation;
pub mod params;
pub mod pieces;
pub mod pointwise;
pub mod product;
pub mod rowwise;
pub mod tokens;
pub mod transformer;
pub mod update;

pub use backend::{MwtBackend, TrainBackend};
pub use inner::{Fitted, Pixels, Siren};
pub use operation::{FitInputs, TransformerInputs};
pub use params::Params;
pub use pieces::Pieces;
pub use product::Product;
pub use transformer::Transformer;
pub use update::Update;

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use crate::settings::Precision;
use crate::weights::layout::Layout;

/// A model whose tensors are ready for use: views of [`Params`], one autodiff graph with them.
#[derive(Clone, Debug)]
pub struct Model<B: Backend> {
    config: ModelConfig,
    /// θ, `[|θ|]`.
    theta: Tensor<B, 1>,
    /// Wo `[C, D]`, bo `[C]` and out_scale `[C]`, flat.
    siren_head: Tensor<B, 1>,
    /// α, `[k, |θ|]` (one row when shared).
    pub alpha: Tensor<B, 2>,
    /// β, `[T, D+1]`.
    beta: Tensor<B, 2>,
    /// The Transformer's parameters, flat.
    transformer: Tensor<B, 1>,
    /// Of the Transformer's products.
    precision: Precision,
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
        let layout = Layout::new(&config);
        let part = |values: &Tensor<B, 1>, range: Range<usize>| values.clone().slice(range);
        // Files have out_scale first; the operations have it behind Wo and bo.
        let siren_head = vec![part(siren, layout.siren_head), part(siren, layout.out_scale)];
        Self {
            config,
            theta: part(siren, layout.theta),
            siren_head: Tensor::cat(siren_head, 0),
            alpha: alpha.clone().reshape([config.alpha_rows(), config.theta_len()]),
            beta: part(classifier, layout.beta).reshape([config.tokens(), config.token_len()]),
            transformer: part(classifier, layout.transformer),
            precision: Precision::F32,
        }
    }

    /// The same with the Transformer's products in a precision that the device has.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// θ and the SIREN's head, layer by layer.
    pub fn siren(&self) -> Siren<B> {
        Siren::new(&self.config, &self.theta, &self.siren_head)
    }

    /// The Transformer, layer by layer.
    pub fn transformer(&self) -> Transformer<B> {
        Transformer::new(&self.config, &self.transformer)
    }

    /// The inputs for fitting these pixels.
    pub fn fit_inputs(&self, pixels: &Pixels<B>) -> FitInputs<B> {
        let Self { config, theta, siren_head, alpha, .. } = self.clone();
        FitInputs { config, theta, alpha, siren_head, pixels: pixels.clone() }
    }

    /// The inputs for classifying these φ - θ, `[N, |θ|]`.
    pub fn transformer_inputs(&self, offsets: Tensor<B, 2>) -> TransformerInputs<B> {
        let Self { config, beta, transformer, precision, .. } = self.clone();
        TransformerInputs { config, offsets, beta, values: transformer, precision }
    }

    /// Fits every image of a batch and classifies it. The gradient of whatever is made of the logits reaches
    /// θ, α and the SIREN's head scaled by `w_cls`, β and the Transformer unscaled (docs/METHOD.md, "Outer loop"); 0 cuts the
    /// classifier off from the SIREN, which is the paper's WT.
    pub fn forward(&self, pixels: &Pixels<B>, w_cls: f64) -> Output<B>
    where
        B: MwtBackend,
    {
        let fitted = B::fit(self.fit_inputs(pixels));
        // Cut off for good where nothing is to come back: the fit then has no backward pass.
        let offsets = fitted.offsets.clone();
        let offsets = if w_cls == 0.0 { offsets.detach() } else { offsets };
        Output { logits: B::transformer(self.transformer_inputs(offsets), w_cls), fitted }
    }

    /// λ(φ - θ + β), `[N, T, D+1]`, from φ - θ, `[N, |θ|]`.
    pub fn tokens(&self, offsets: Tensor<B, 2>) -> Tensor<B, 3> {
        tokens::tokens(&self.config, offsets, self.beta.clone())
    }
}
