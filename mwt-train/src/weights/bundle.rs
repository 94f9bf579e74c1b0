//! Between learned values and the tensors of a bundle, which are transposed and cut up differently.

use std::collections::BTreeMap;

use mwt_core::Bundle;
use mwt_core::bundle::Linear;
use mwt_core::layout::{BlockTensor, Tensor};
use mwt_core::quant::Matrix;

use super::arrays::{Array, Weights};
use super::layout::specs;
use super::names::{block, in_block};

impl Weights {
    /// A tensor in the shape that a bundle has it in.
    pub fn bundle_tensor(&self, tensor: Tensor) -> Vec<f32> {
        let d = self.config().dim;
        let transposed = |name: &str, columns| transpose(self.values(name), columns);
        match tensor {
            Tensor::SirenWeight(l) => self.values(&format!("siren_rgb.sirens.{}", 2 * l)).to_vec(),
            Tensor::SirenBias(l) => {
                self.values(&format!("siren_rgb.sirens.{}", 2 * l + 1)).to_vec()
            }
            Tensor::SirenHeadWeight => transposed("siren_rgb.out.weight", d),
            Tensor::SirenHeadBias => self.values("siren_rgb.out.bias").to_vec(),
            Tensor::OutScale => self.values("siren_rgb.out_scale").to_vec(),
            Tensor::AlphaWeight { step, layer } => self.alpha(step, layer, false).to_vec(),
            Tensor::AlphaBias { step, layer } => self.alpha(step, layer, true).to_vec(),
            Tensor::Beta(l) => {
                let size = d * (d + 1);
                let rows = &self.values("classifier.base")[(l - 1) * size..l * size];
                transpose(rows, d + 1)
            }
            Tensor::ProjectIn => transposed("classifier.project_in.weight", d + 1),
            Tensor::ProjectInBias => self.values("classifier.project_in.bias").to_vec(),
            Tensor::ToLogits => transposed("classifier.to_logits.weight", d),
            Tensor::ToLogitsBias => self.values("classifier.to_logits.bias").to_vec(),
            Tensor::Block(b, tensor) => self.block_tensor(b, tensor),
        }
    }

    fn block_tensor(&self, b: usize, tensor: BlockTensor) -> Vec<f32> {
        let (d, hidden) = (self.config().dim, self.config().mlp_width());
        let plain = |name: &str| self.values(&in_block(b, name)).to_vec();
        let weight = |name: &str, columns| {
            transpose(self.values(&in_block(b, &format!("{name}.weight"))), columns)
        };
        // Queries, keys and values of all heads are thirds of one [3·heads·head_dim, D].
        let third = |n: usize| {
            let qkv = self.values(&in_block(b, &format!("{}.weight", block::QKV)));
            transpose(&qkv[n * d * d..(n + 1) * d * d], d)
        };
        match tensor {
            BlockTensor::Norm1Weight => plain(&format!("{}.weight", block::NORM1)),
            BlockTensor::Norm1Bias => plain(&format!("{}.bias", block::NORM1)),
            BlockTensor::Query => third(0),
            BlockTensor::Key => third(1),
            BlockTensor::Value => third(2),
            BlockTensor::AttnOut => weight(block::ATTN_OUT, d),
            BlockTensor::AttnOutBias => plain(&format!("{}.bias", block::ATTN_OUT)),
            BlockTensor::LayerScale1 => plain(block::LAYER_SCALE1),
            BlockTensor::Norm2Weight => plain(&format!("{}.weight", block::NORM2)),
            BlockTensor::Norm2Bias => plain(&format!("{}.bias", block::NORM2)),
            BlockTensor::Mlp1 => weight(block::MLP1, d),
            BlockTensor::Mlp1Bias => plain(&format!("{}.bias", block::MLP1)),
            BlockTensor::Mlp2 => weight(block::MLP2, hidden),
            BlockTensor::Mlp2Bias => plain(&format!("{}.bias", block::MLP2)),
            BlockTensor::LayerScale2 => plain(block::LAYER_SCALE2),
        }
    }

    /// α of one layer's W or b, cut out of the flat row of a step.
    fn alpha(&self, step: usize, layer: usize, bias: bool) -> &[f32] {
        let (weights, biases) = self.config().layer_ranges(layer);
        let row = self.values(&format!("meta_sgd.meta_lrs_w.{step}"));
        &row[if bias { biases } else { weights }]
    }
}

/// The values that a bundle holds, as its reader decodes them, under the reference's names.
pub fn from_bundle(bundle: &Bundle<'_>) -> Weights {
    let config = *bundle.config();
    let mut arrays = BTreeMap::new();
    let mut put = |name: String, values: Vec<f32>| {
        arrays.insert(name, values);
    };
    let (mut alphas, layers) = (vec![Vec::new(); config.alpha_rows()], config.hidden_layers);
    for l in 0..=layers {
        let theta = bundle.theta(l);
        put(format!("siren_rgb.sirens.{}", 2 * l), rows(&theta.weight));
        put(format!("siren_rgb.sirens.{}", 2 * l + 1), theta.bias.iter().collect());
        for (step, alpha) in alphas.iter_mut().enumerate() {
            let stored = bundle.alpha(step, l);
            alpha.extend(rows(&stored.weight));
            alpha.extend(stored.bias.iter());
        }
    }
    for (j, alpha) in alphas.into_iter().enumerate() {
        put(format!("meta_sgd.meta_lrs_w.{j}"), alpha);
    }
    let head = bundle.siren_head();
    put("siren_rgb.out.weight".into(), columns(&head.weight));
    put("siren_rgb.out.bias".into(), head.bias.iter().collect());
    put("siren_rgb.out_scale".into(), head.scale.iter().collect());
    let base = (1..=layers).flat_map(|l| columns(&bundle.beta(l))).collect();
    put("classifier.base".into(), base);
    let mut linear = |name: String, linear: Linear<'_>| {
        put(format!("{name}.weight"), columns(&linear.weight));
        put(format!("{name}.bias"), linear.bias.iter().collect());
    };
    linear("classifier.project_in".into(), bundle.project_in());
    linear("classifier.to_logits".into(), bundle.to_logits());
    for b in 0..config.blocks {
        let stored = bundle.block(b);
        linear(in_block(b, block::ATTN_OUT), stored.attn_out);
        linear(in_block(b, block::MLP1), stored.mlp1);
        linear(in_block(b, block::MLP2), stored.mlp2);
    }
    for b in 0..config.blocks {
        let stored = bundle.block(b);
        let qkv = [&stored.query, &stored.key, &stored.value].into_iter().flat_map(columns);
        put(in_block(b, &format!("{}.weight", block::QKV)), qkv.collect());
        for (name, norm) in [(block::NORM1, stored.norm1), (block::NORM2, stored.norm2)] {
            put(in_block(b, &format!("{name}.weight")), norm.weight.iter().collect());
            put(in_block(b, &format!("{name}.bias")), norm.bias.iter().collect());
        }
        put(in_block(b, block::LAYER_SCALE1), stored.layer_scale1.iter().collect());
        put(in_block(b, block::LAYER_SCALE2), stored.layer_scale2.iter().collect());
    }
    let arrays = specs(&config)
        .into_iter()
        .filter_map(|s| {
            Some((s.name.clone(), Array { values: arrays.remove(&s.name)?, shape: s.shape }))
        })
        .collect();
    // Names and shapes are those of `specs`, so nothing is missing or wrong.
    Weights::new(config, arrays).expect("the tensors of the specs")
}

/// A stored matrix row by row.
fn rows(matrix: &Matrix<'_>) -> Vec<f32> {
    let mut values = vec![0.0; matrix.rows * matrix.columns];
    for (i, row) in values.chunks_exact_mut(matrix.columns).enumerate() {
        matrix.read(i, 0, row);
    }
    values
}

/// A stored matrix column by column: `[outputs, inputs]`, as the reference has its linear layers.
fn columns(matrix: &Matrix<'_>) -> Vec<f32> {
    transpose(&rows(matrix), matrix.columns)
}

/// The transpose of a matrix of `columns` columns.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| values.iter().skip(c).step_by(columns)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_turns_rows_to_columns() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
