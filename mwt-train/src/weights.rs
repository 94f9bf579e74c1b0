//! A model's learned values on the host, under the names of the reference's own state dicts.
//!
//! This is where everything meets: the trainer's tensors, checkpoints, `.pt` and safetensors import, and the
//! tensors of a bundle, which are transposed and cut up differently.

use std::collections::BTreeMap;

use mwt_core::bundle::Linear;
use mwt_core::layout::{BlockTensor, Tensor};
use mwt_core::quant::Matrix;
use mwt_core::{Bundle, ModelConfig};

/// The optimiser's parameter groups, each with its own rate and clipped on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// θ and the head.
    Siren,
    /// α.
    Alpha,
    /// The Transformer and β.
    Classifier,
}

impl Group {
    /// In the order of settings and reports.
    pub const ALL: [Self; 3] = [Self::Siren, Self::Alpha, Self::Classifier];

    /// Name in settings and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Siren => "siren",
            Self::Alpha => "alpha",
            Self::Classifier => "classifier",
        }
    }
}

/// Name and shape of one learned tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The reference's name, its checkpoint key in front: `siren_rgb.out.weight`.
    pub name: String,
    /// The reference's shape.
    pub shape: Vec<usize>,
    /// Its optimiser group.
    pub group: Group,
}

impl Spec {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names of the tensors of a Transformer block, without `classifier.classifier.{b}.`.
mod block {
    pub(super) const LAYER_SCALE1: &str = "0.layer_scale";
    pub(super) const NORM1: &str = "0.norm";
    pub(super) const QKV: &str = "0.to_qkv";
    pub(super) const ATTN_OUT: &str = "0.to_out";
    pub(super) const LAYER_SCALE2: &str = "1.scale";
    pub(super) const NORM2: &str = "1.m.0";
    pub(super) const MLP1: &str = "1.m.1";
    pub(super) const MLP2: &str = "1.m.3";
}

/// The name of a tensor of block `b`.
fn in_block(b: usize, name: &str) -> String {
    format!("classifier.classifier.{b}.{name}")
}

/// Every learned tensor, in the order in which the reference's optimiser numbers them.
pub fn specs(config: &ModelConfig) -> Vec<Spec> {
    let (d, c, layers) = (config.dim, config.channels, config.hidden_layers);
    let mut specs = Vec::new();
    let mut push = |group, name: String, shape: &[usize]| {
        specs.push(Spec { name, shape: shape.to_vec(), group });
    };
    push(Group::Siren, "siren_rgb.out_scale".into(), &[c]);
    for l in 0..=layers {
        let weight = [config.layer_inputs(l), d];
        push(Group::Siren, format!("siren_rgb.sirens.{}", 2 * l), &weight);
        push(Group::Siren, format!("siren_rgb.sirens.{}", 2 * l + 1), &[d]);
    }
    push(Group::Siren, "siren_rgb.out.weight".into(), &[c, d]);
    push(Group::Siren, "siren_rgb.out.bias".into(), &[c]);
    for j in 0..config.alpha_rows() {
        push(Group::Alpha, format!("meta_sgd.meta_lrs_w.{j}"), &[1, config.theta_len()]);
    }
    let mut push = |name: String, shape: &[usize]| push(Group::Classifier, name, shape);
    push("classifier.base".into(), &[1, config.tokens(), d + 1]);
    push("classifier.project_in.weight".into(), &[d, d + 1]);
    push("classifier.project_in.bias".into(), &[d]);
    for b in 0..config.blocks {
        let mut push = |name: String, shape: &[usize]| push(in_block(b, &name), shape);
        let hidden = config.mlp_width();
        push(block::LAYER_SCALE1.into(), &[d]);
        push(format!("{}.weight", block::NORM1), &[d]);
        push(format!("{}.bias", block::NORM1), &[d]);
        push(format!("{}.weight", block::QKV), &[3 * d, d]);
        push(format!("{}.weight", block::ATTN_OUT), &[d, d]);
        push(format!("{}.bias", block::ATTN_OUT), &[d]);
        push(block::LAYER_SCALE2.into(), &[d]);
        push(format!("{}.weight", block::NORM2), &[d]);
        push(format!("{}.bias", block::NORM2), &[d]);
        push(format!("{}.weight", block::MLP1), &[hidden, d]);
        push(format!("{}.bias", block::MLP1), &[hidden]);
        push(format!("{}.weight", block::MLP2), &[d, hidden]);
        push(format!("{}.bias", block::MLP2), &[d]);
    }
    push("classifier.to_logits.weight".into(), &[config.classes, d]);
    push("classifier.to_logits.bias".into(), &[config.classes]);
    specs
}

/// Values of every tensor, group by group: the tensors of a group follow each other in [`specs`], and the groups do.
pub fn join<'v>(specs: &[Spec], values: impl IntoIterator<Item = &'v [f32]>) -> [Vec<f32>; 3] {
    let mut groups = Group::ALL.map(|_| Vec::new());
    for (spec, values) in specs.iter().zip(values) {
        groups[spec.group as usize].extend_from_slice(values);
    }
    groups
}

/// The inverse of [`join`].
pub fn split(specs: &[Spec], groups: &[Vec<f32>; 3]) -> Vec<Vec<f32>> {
    let mut starts = [0; 3];
    let part = |spec: &Spec| {
        let start = &mut starts[spec.group as usize];
        *start += spec.len();
        groups[spec.group as usize][*start - spec.len()..*start].to_vec()
    };
    specs.iter().map(part).collect()
}

/// What is wrong with a set of named tensors.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Tensors that a model of this configuration has, and the set lacks.
    #[error("missing tensors: {0}")]
    Missing(String),
    /// Tensors of other shapes than the configuration calls for: each with both.
    #[error("tensors of wrong shapes: {0}")]
    Shapes(String),
}

/// A named tensor: its shape and its values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Shape.
    pub shape: Vec<usize>,
    /// Values, row by row.
    pub values: Vec<f32>,
}

/// All learned values of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    config: ModelConfig,
    arrays: BTreeMap<String, Array>,
}

impl Weights {
    /// Takes the tensors of a model out of `arrays`; others are left out.
    ///
    /// # Errors
    /// All tensors that are missing, or all that have another shape.
    pub fn new(
        config: ModelConfig,
        mut arrays: BTreeMap<String, Array>,
    ) -> Result<Self, WeightsError> {
        let specs = specs(&config);
        let missing: Vec<_> =
            specs.iter().filter(|s| !arrays.contains_key(&s.name)).map(|s| &*s.name).collect();
        if !missing.is_empty() {
            return Err(WeightsError::Missing(missing.join(", ")));
        }
        let (mut taken, mut wrong) = (BTreeMap::new(), Vec::new());
        for spec in specs {
            let Some(array) = arrays.remove(&spec.name) else { continue };
            if array.shape != spec.shape || array.values.len() != spec.len() {
                wrong.push(format!("{} {:?}, expected {:?}", spec.name, array.shape, spec.shape));
            }
            taken.insert(spec.name, array);
        }
        if !wrong.is_empty() {
            return Err(WeightsError::Shapes(wrong.join("; ")));
        }
        Ok(Self { config, arrays: taken })
    }

    /// The configuration.
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The same values under another configuration of the same shapes (another draw, image size, …).
    ///
    /// # Errors
    /// A tensor that would change its shape.
    pub fn with_config(self, config: ModelConfig) -> Result<Self, WeightsError> {
        Self::new(config, self.arrays)
    }

    /// The tensors by name.
    pub const fn arrays(&self) -> &BTreeMap<String, Array> {
        &self.arrays
    }

    /// The values of a tensor. Empty for a name that the model does not have.
    pub fn values(&self, name: &str) -> &[f32] {
        self.arrays.get(name).map_or(&[], |a| &a.values)
    }

    /// θ in its flat order: W0, b0, …, W_L, b_L.
    pub fn theta(&self) -> Vec<f32> {
        let layers = 0..2 * (self.config.hidden_layers + 1);
        layers.flat_map(|i| self.values(&format!("siren_rgb.sirens.{i}"))).copied().collect()
    }

    /// A tensor in the shape that a bundle has it in.
    pub fn bundle_tensor(&self, tensor: Tensor) -> Vec<f32> {
        let d = self.config.dim;
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
        let (d, hidden) = (self.config.dim, self.config.mlp_width());
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
        let (weights, biases) = self.config.layer_ranges(layer);
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
    Weights { config, arrays }
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
    fn specs_count_what_the_paper_counts() {
        let values = |group| -> usize {
            specs(&ModelConfig::BASE).iter().filter(|s| s.group == group).map(Spec::len).sum()
        };
        assert_eq!(values(Group::Siren), 66_432 + 3 * 128 + 6);
        assert_eq!(values(Group::Alpha), 398_592);
        assert!((1_070_000..1_090_000).contains(&values(Group::Classifier)));
    }

    #[test]
    fn groups_join_and_split() {
        let specs = specs(&ModelConfig::NANO);
        let values: Vec<Vec<f32>> =
            specs.iter().enumerate().map(|(i, s)| vec![i as f32; s.len()]).collect();
        let groups = join(&specs, values.iter().map(Vec::as_slice));
        assert_eq!(split(&specs, &groups), values);
        // One group after the other is one tensor after the other.
        assert_eq!(groups.concat(), values.concat());
    }

    #[test]
    fn a_wrong_set_is_refused_by_name() {
        let config = ModelConfig::NANO;
        let mut arrays: BTreeMap<_, _> = specs(&config)
            .into_iter()
            .map(|s| (s.name.clone(), Array { values: vec![0.0; s.len()], shape: s.shape }))
            .collect();
        assert!(Weights::new(config, arrays.clone()).is_ok());
        let wide = ModelConfig { mlp_mult: 2, ..config };
        let error = Weights::new(wide, arrays.clone()).unwrap_err().to_string();
        assert!(error.contains("1.m.1.weight") && error.contains("[16, 16]"), "{error}");
        arrays.remove("classifier.base");
        let error = Weights::new(config, arrays).unwrap_err().to_string();
        assert_eq!(error, "missing tensors: classifier.base");
    }

    #[test]
    fn transposing_turns_rows_to_columns() {
        assert_eq!(transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
