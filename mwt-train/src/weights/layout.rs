//! The order of all learned values, written once: which tensors there are, under which names and in which shapes, and
//! where each lies in its group's flat values.
//!
//! [`specs`] names them for files, [`params`](crate::model::params) holds each group as one flat tensor,
//! and both forms of the Transformer, in tensors and on the CPU's kernels, take their views from here.

use std::ops::Range;

use mwt_core::ModelConfig;

use super::names::{Group, Spec, block, in_block};

/// Places of the groups' parts, each in its own group's flat values.
#[derive(Clone, Debug)]
pub struct Layout {
    /// out_scale `[C]`, in [`Group::Siren`](super::Group).
    pub out_scale: Range<usize>,
    /// θ, `[|θ|]`.
    pub theta: Range<usize>,
    /// Wo `[C, D]`, then bo `[C]`.
    pub siren_head: Range<usize>,
    /// β `[T, D+1]`, in [`Group::Classifier`](super::Group).
    pub beta: Range<usize>,
    /// All of the Transformer, whose own places count from here.
    pub transformer: Range<usize>,
}

/// Places of the Transformer's parameters, from the first of them on.
#[derive(Clone, Debug)]
pub struct TransformerLayout {
    /// Tokens `[D+1]` to the residual stream `[D]`.
    pub project_in: LinearPlace,
    /// Blocks, first to last.
    pub blocks: Vec<BlockPlaces>,
    /// The mean token `[D]` to logits `[K]`.
    pub to_logits: LinearPlace,
    /// Values of all parameters.
    pub len: usize,
}

/// A linear layer's weight `[outputs, inputs]` and bias `[outputs]`; the bias is empty where there is none.
#[derive(Clone, Debug)]
pub struct LinearPlace {
    /// Weight.
    pub weight: Range<usize>,
    /// Bias.
    pub bias: Range<usize>,
    /// Columns of the weight.
    pub inputs: usize,
    /// Rows of the weight.
    pub outputs: usize,
}

/// A layer norm's factor and offset, `[D]` each; the offset follows the factor.
#[derive(Clone, Debug)]
pub struct NormPlace {
    /// Factor.
    pub weight: Range<usize>,
    /// Offset.
    pub bias: Range<usize>,
}

/// A block's parameters, in their order.
#[derive(Clone, Debug)]
pub struct BlockPlaces {
    /// ls1, `[D]`.
    pub layer_scale1: Range<usize>,
    /// Norm before the attention.
    pub norm1: NormPlace,
    /// Queries, keys and values of all heads, `[3·D, D]`, without a bias.
    pub qkv: LinearPlace,
    /// to_out.
    pub attn_out: LinearPlace,
    /// ls2, `[D]`.
    pub layer_scale2: Range<usize>,
    /// Norm before the MLP.
    pub norm2: NormPlace,
    /// First layer of the MLP.
    pub mlp1: LinearPlace,
    /// Second layer of the MLP.
    pub mlp2: LinearPlace,
}

/// Gives out places one after the other and tells each tensor's name and shape.
struct Walk<'s> {
    at: usize,
    see: &'s mut dyn FnMut(String, &[usize]),
}

impl Walk<'_> {
    fn take(&mut self, name: String, shape: &[usize]) -> Range<usize> {
        let start = self.at;
        self.at += shape.iter().product::<usize>();
        (self.see)(name, shape);
        start..self.at
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) -> LinearPlace {
        let weight = self.take(format!("{name}.weight"), &[outputs, inputs]);
        let bias =
            if bias { self.take(format!("{name}.bias"), &[outputs]) } else { self.at..self.at };
        LinearPlace { weight, bias, inputs, outputs }
    }

    fn norm(&mut self, name: &str, d: usize) -> NormPlace {
        let weight = self.take(format!("{name}.weight"), &[d]);
        NormPlace { weight, bias: self.take(format!("{name}.bias"), &[d]) }
    }
}

impl TransformerLayout {
    /// The places in a model of this configuration.
    pub fn new(config: &ModelConfig) -> Self {
        Self::walk(config, &mut |_, _| {})
    }

    /// The same, telling each tensor's name and shape in their order.
    fn walk(config: &ModelConfig, see: &mut dyn FnMut(String, &[usize])) -> Self {
        let (d, hidden) = (config.dim, config.mlp_width());
        let mut walk = Walk { at: 0, see };
        let project_in = walk.linear("classifier.project_in", d, d + 1, true);
        let blocks = (0..config.blocks)
            .map(|b| {
                let name = |part: &str| in_block(b, part);
                BlockPlaces {
                    layer_scale1: walk.take(name(block::LAYER_SCALE1), &[d]),
                    norm1: walk.norm(&name(block::NORM1), d),
                    qkv: walk.linear(&name(block::QKV), 3 * d, d, false),
                    attn_out: walk.linear(&name(block::ATTN_OUT), d, d, true),
                    layer_scale2: walk.take(name(block::LAYER_SCALE2), &[d]),
                    norm2: walk.norm(&name(block::NORM2), d),
                    mlp1: walk.linear(&name(block::MLP1), hidden, d, true),
                    mlp2: walk.linear(&name(block::MLP2), d, hidden, true),
                }
            })
            .collect();
        let to_logits = walk.linear("classifier.to_logits", config.classes, d, true);
        Self { project_in, blocks, to_logits, len: walk.at }
    }

    /// Every linear layer.
    pub fn linears(&self) -> impl Iterator<Item = &LinearPlace> {
        let blocks = self.blocks.iter().flat_map(|b| [&b.qkv, &b.attn_out, &b.mlp1, &b.mlp2]);
        [&self.project_in, &self.to_logits].into_iter().chain(blocks)
    }
}

impl Layout {
    /// The places in a model of this configuration.
    pub fn new(config: &ModelConfig) -> Self {
        let (c, m, beta) =
            (config.channels, config.theta_len(), config.tokens() * config.token_len());
        let head = c * config.dim + c;
        Self {
            out_scale: 0..c,
            theta: c..c + m,
            siren_head: c + m..c + m + head,
            beta: 0..beta,
            transformer: beta..beta + TransformerLayout::new(config).len,
        }
    }
}

/// Every learned tensor, in the order in which the reference's optimiser numbers them.
pub fn specs(config: &ModelConfig) -> Vec<Spec> {
    let (d, c) = (config.dim, config.channels);
    let mut specs = Vec::new();
    let mut push = |group, name: String, shape: &[usize]| {
        specs.push(Spec { name, shape: shape.to_vec(), group });
    };
    push(Group::Siren, "siren_rgb.out_scale".into(), &[c]);
    for l in 0..=config.hidden_layers {
        let weight = [config.layer_inputs(l), d];
        push(Group::Siren, format!("siren_rgb.sirens.{}", 2 * l), &weight);
        push(Group::Siren, format!("siren_rgb.sirens.{}", 2 * l + 1), &[d]);
    }
    push(Group::Siren, "siren_rgb.out.weight".into(), &[c, d]);
    push(Group::Siren, "siren_rgb.out.bias".into(), &[c]);
    for j in 0..config.alpha_rows() {
        push(Group::Alpha, format!("meta_sgd.meta_lrs_w.{j}"), &[1, config.theta_len()]);
    }
    push(Group::Classifier, "classifier.base".into(), &[1, config.tokens(), d + 1]);
    TransformerLayout::walk(config, &mut |name, shape| push(Group::Classifier, name, shape));
    specs
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

    /// The places are where the specs of a group, one after the other, put each tensor.
    #[test]
    fn places_agree_with_the_specs() {
        let config = ModelConfig { channels: 3, mlp_mult: 2, ..ModelConfig::NANO };
        let place = |name: &str| {
            let specs = specs(&config);
            let spec = specs.iter().find(|s| s.name == name).unwrap();
            let before = specs.iter().take_while(|s| s.name != name);
            let start: usize = before.filter(|s| s.group == spec.group).map(Spec::len).sum();
            start..start + spec.len()
        };
        let layout = Layout::new(&config);
        assert_eq!(layout.out_scale, place("siren_rgb.out_scale"));
        assert_eq!(layout.theta.start, place("siren_rgb.sirens.0").start);
        assert_eq!(layout.siren_head.start, place("siren_rgb.out.weight").start);
        assert_eq!(layout.siren_head.end, place("siren_rgb.out.bias").end);
        assert_eq!(layout.beta, place("classifier.base"));
        assert_eq!(layout.transformer.end, place("classifier.to_logits.bias").end);
        let transformer = TransformerLayout::new(&config);
        let behind = |range: &Range<usize>| {
            let start = layout.transformer.start;
            start + range.start..start + range.end
        };
        let block = &transformer.blocks[1];
        assert_eq!(behind(&block.qkv.weight), place("classifier.classifier.1.0.to_qkv.weight"));
        assert_eq!(behind(&block.mlp2.bias), place("classifier.classifier.1.1.m.3.bias"));
        assert!(block.qkv.bias.is_empty());
        assert_eq!(behind(&block.norm2.bias).start, behind(&block.norm2.weight).end);
    }
}
