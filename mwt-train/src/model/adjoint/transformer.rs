//! The Transformer with its adjoint in closed form.
//!
//! Saved are each block's input and what its attention gathered; norms, hidden layers and attention
//! probabilities are computed again, one block at a time, so memory does not grow with the blocks times T².
//!
//! A weight's gradient is a product for each image, and the sum over images is taken where a block's gradients are put
//! together ([`pack`](crate::model::pieces::pack)).

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use crate::model::attention::{Attended, Attention, Heads, by_head};
use crate::model::operation::{TransformerGrads, TransformerInputs, TransformerOp};
use crate::model::pieces::{Terms, blank};
use crate::model::product::Product;
use crate::model::rowwise::Rowwise;
use crate::model::tokens::{tokens, tokens_backward};
use crate::model::transformer::{Block, Linear, Norm, Transformer};
use crate::settings::Precision;
use crate::weights::layout::TransformerLayout;

/// The Transformer that computes again what its backward pass needs.
#[derive(Debug)]
pub struct AdjointTransformer;

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub struct SavedBlocks<B: Backend> {
    /// The parameters, each as it is used.
    transformer: Transformer<B>,
    /// λ(φ_k - θ + β).
    tokens: Tensor<B, 3>,
    /// One for each block.
    blocks: Vec<SavedBlock<B>>,
    /// The mean of the last block's output, `[1, N, D]`.
    mean: Tensor<B, 3>,
}

/// What a block's backward needs of its forward.
#[derive(Clone, Debug)]
struct SavedBlock<B: Backend> {
    /// Its input, `[N, T, D]`.
    input: Tensor<B, 3>,
    /// What its attention gathered.
    attended: Attended<B>,
    /// The weight of queries, keys and values, [`by_head`].
    qkv: Tensor<B, 2>,
}

impl<B: Attention> TransformerOp<B> for AdjointTransformer {
    type Saved = SavedBlocks<B>;

    fn forward(inputs: &TransformerInputs<B>) -> (Tensor<B, 2>, Self::Saved) {
        let TransformerInputs { config, offsets, beta, values, precision } = inputs;
        let transformer = Transformer::of(config, |range| B::piece(values, range));
        let products = Products(*precision);
        let tokens = tokens(config, offsets.clone(), beta.clone());
        let mut x = products.biased(&transformer.project_in, tokens.clone());
        let mut blocks = Vec::new();
        for block in &transformer.blocks {
            let qkv = by_head(&block.qkv.weight, config.heads());
            let heads = products.columns_of_rows(&qkv, norm(&block.norm1, &x));
            let heads = Heads::new(heads, config.heads());
            let attended = B::attend(&heads, *precision);
            let branch = products.rows_of_columns(&block.attn_out, attended.gathered.clone());
            blocks.push(SavedBlock { input: x.clone(), attended, qkv });
            let middle = residual(x, branch, &block.attn_out, &block.layer_scale1);
            let mlp = products.rows(&block.mlp1, norm(&block.norm2, &middle));
            let [hidden, _] = B::gelu_slope(mlp, bias(&block.mlp1));
            let mlp = products.rows(&block.mlp2, hidden);
            x = residual(middle, mlp, &block.mlp2, &block.layer_scale2);
        }
        let [n, _, d] = x.dims();
        let mean = x.mean_dim(1).reshape([1, n, d]);
        let logits = products.biased(&transformer.to_logits, mean.clone()).flatten(0, 1);
        (logits, SavedBlocks { transformer, tokens, blocks, mean })
    }

    fn backward(
        inputs: &TransformerInputs<B>,
        saved: &Self::Saved,
        logits_bar: Tensor<B, 2>,
    ) -> TransformerGrads<B> {
        let (config, products) = (&inputs.config, Products(inputs.precision));
        let SavedBlocks { transformer, tokens, blocks, mean } = saved;
        let ([n, t, _], places) = (tokens.dims(), TransformerLayout::new(config));
        let values = blank([1, places.len], &logits_bar.device());

        let logits_bar = logits_bar.reshape([1, n, config.classes]);
        let weight = products.weight_bar(columns(logits_bar.clone()), mean.clone());
        let bias = logits_bar.clone().reshape([n, 1, config.classes]);
        let start = places.to_logits.weight.start;
        let mut values = B::pack(values, start, vec![vec![weight], vec![bias]]);
        let mean_bar = products.rows_backward(&transformer.to_logits, logits_bar) / t as f64;

        let mut x_bar = mean_bar.reshape([n, 1, config.dim]).expand([n, t, config.dim]);
        let blocks = transformer.blocks.iter().zip(blocks).zip(&places.blocks);
        for ((block, saved), places) in blocks.rev() {
            let (bar, pieces) = block_backward(config, products, block, saved, x_bar);
            values = B::pack(values, places.layer_scale1.start, pieces);
            x_bar = bar;
        }
        let weight = products.weight_bar(columns(x_bar.clone()), tokens.clone());
        let pieces = vec![vec![weight], vec![x_bar.clone().sum_dim(1)]];
        let values = B::pack(values, places.project_in.weight.start, pieces);
        let tokens_bar = products.rows_backward(&transformer.project_in, x_bar);
        let (offsets, beta) = tokens_backward(config, tokens_bar);
        TransformerGrads { offsets, beta, values: values.flatten(0, 1) }
    }
}

/// x̄ of a block from that of its output, x + s₁ ⊙ attention(x) + s₂ ⊙ mlp(…), and the gradients of its parameters in their
/// order.
fn block_backward<B: Attention>(
    config: &ModelConfig,
    products: Products,
    block: &Block<B>,
    saved: &SavedBlock<B>,
    out_bar: Tensor<B, 3>,
) -> (Tensor<B, 3>, Vec<Terms<B>>) {
    let SavedBlock { input: x, attended, qkv } = saved;
    let gathered = attended.gathered.clone();
    let branch = products.rows_of_columns(&block.attn_out, gathered.clone());
    let middle = residual(x.clone(), branch.clone(), &block.attn_out, &block.layer_scale1);
    let normed = norm(&block.norm2, &middle);
    let mlp = products.rows(&block.mlp1, normed.clone());
    let [hidden, slope] = B::gelu_slope(mlp, bias(&block.mlp1));
    let mlp = products.rows(&block.mlp2, hidden.clone());

    let [mlp_bar, mlp2_bias, scale2] =
        residual_backward(out_bar.clone(), mlp, &block.mlp2, &block.layer_scale2);
    let mlp2_weight = products.weight_bar(columns(mlp_bar.clone()), hidden);
    let hidden_bar = products.rows_backward(&block.mlp2, mlp_bar);
    let [z_bar, mlp1_bias] = B::hidden_backward(hidden_bar, slope);
    let mlp1_weight = products.weight_bar(columns(z_bar.clone()), normed);
    let normed_bar = products.rows_backward(&block.mlp1, z_bar);
    let [middle_bar, norm2_weight, norm2_bias] =
        B::norm_backward(middle, block.norm2.weight.clone(), normed_bar, out_bar);

    let [branch_bar, out_bias, scale1] =
        residual_backward(middle_bar.clone(), branch, &block.attn_out, &block.layer_scale1);
    let branch_bar = columns(branch_bar);
    let out_weight = products.weight_bar(branch_bar.clone(), columns(gathered));
    let gathered_bar = products.rows_of_columns_backward(&block.attn_out, branch_bar);
    let normed = norm(&block.norm1, x);
    let heads = Heads::new(products.columns_of_rows(qkv, normed.clone()), config.heads());
    let qkv_bar = B::attend_backward(&heads, attended, gathered_bar, products.0);
    let qkv_weight = products.weight_bar(qkv_bar.clone(), normed);
    let normed_bar = products.columns_of_rows_backward(&block.qkv, qkv_bar);
    let [x_bar, norm1_weight, norm1_bias] =
        B::norm_backward(x.clone(), block.norm1.weight.clone(), normed_bar, middle_bar);

    let attention = [scale1, norm1_weight, norm1_bias, qkv_weight, out_weight, out_bias];
    let mlp = [scale2, norm2_weight, norm2_bias, mlp1_weight, mlp1_bias, mlp2_weight, mlp2_bias];
    (x_bar, attention.into_iter().chain(mlp).map(|bar| vec![bar]).collect())
}

/// Products with the weights W `[outputs, inputs]` of linear layers. What they meet are rows `[N, T, ·]`, or columns
/// `[N, ·, T]` around the attention.
#[derive(Clone, Copy)]
struct Products(Precision);

impl Products {
    /// x·Wᵀ: one product over all rows of the batch.
    fn rows<B: Product>(self, linear: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([n, t, _], [outputs, _]) = (x.dims(), linear.weight.dims());
        let product = B::product(x.flatten(0, 1), linear.weight.clone().transpose(), self.0);
        product.reshape([n, t, outputs])
    }

    /// x·Wᵀ + b.
    fn biased<B: Product>(self, linear: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
        self.rows(linear, x) + bias(linear).unsqueeze()
    }

    /// x̄ of [`rows`](Self::rows).
    fn rows_backward<B: Product>(self, linear: &Linear<B>, y_bar: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([n, t, _], [_, inputs]) = (y_bar.dims(), linear.weight.dims());
        B::product(y_bar.flatten(0, 1), linear.weight.clone(), self.0).reshape([n, t, inputs])
    }

    /// W·xᵀ, columns from rows.
    fn columns_of_rows<B: Product>(self, weight: &Tensor<B, 2>, x: Tensor<B, 3>) -> Tensor<B, 3> {
        B::product(weight.clone().unsqueeze(), columns(x), self.0)
    }

    /// x̄ of [`columns_of_rows`](Self::columns_of_rows), rows from columns; the layer's rows are in their own order again.
    fn columns_of_rows_backward<B: Product>(
        self,
        linear: &Linear<B>,
        y_bar: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        B::product(columns(y_bar), linear.weight.clone().unsqueeze(), self.0)
    }

    /// x·Wᵀ, rows from columns xᵀ.
    fn rows_of_columns<B: Product>(self, linear: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
        B::product(columns(x), linear.weight.clone().transpose().unsqueeze(), self.0)
    }

    /// x̄ of [`rows_of_columns`](Self::rows_of_columns), columns from columns.
    fn rows_of_columns_backward<B: Product>(
        self,
        linear: &Linear<B>,
        y_bar: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        B::product(linear.weight.clone().transpose().unsqueeze(), y_bar, self.0)
    }

    /// An image's part of W̄, `[N, 1, outputs·inputs]`, from the columns of ȳ and the rows of x.
    fn weight_bar<B: Product>(self, y_bar: Tensor<B, 3>, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let bar = B::product(y_bar, x, self.0);
        let [n, outputs, inputs] = bar.dims();
        bar.reshape([n, 1, outputs * inputs])
    }
}

/// Columns `[N, ·, T]` of rows `[N, T, ·]`, or rows of columns.
fn columns<B: Backend>(rows: Tensor<B, 3>) -> Tensor<B, 3> {
    rows.swap_dims(1, 2)
}

fn bias<B: Backend>(linear: &Linear<B>) -> Tensor<B, 1> {
    linear.bias.clone().expect("a layer with a bias")
}

fn norm<B: Rowwise>(norm: &Norm<B>, x: &Tensor<B, 3>) -> Tensor<B, 3> {
    B::norm(x.clone(), norm.weight.clone(), norm.bias.clone())
}

/// x + s ⊙ (p + b), where p is the layer's product.
fn residual<B: Rowwise>(
    x: Tensor<B, 3>,
    product: Tensor<B, 3>,
    linear: &Linear<B>,
    scale: &Tensor<B, 1>,
) -> Tensor<B, 3> {
    B::residual(x, product, bias(linear), scale.clone())
}

/// p̄, b̄ and s̄ of [`residual`].
fn residual_backward<B: Rowwise>(
    out_bar: Tensor<B, 3>,
    product: Tensor<B, 3>,
    linear: &Linear<B>,
    scale: &Tensor<B, 1>,
) -> [Tensor<B, 3>; 3] {
    B::residual_backward(out_bar, product, bias(linear), scale.clone())
}
