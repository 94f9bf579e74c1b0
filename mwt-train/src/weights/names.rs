//! The names that the reference's own state dicts give to learned tensors, and the optimiser's groups of them.

/// The optimiser's parameter groups, each with its own learning rate and clipped on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// θ and the SIREN's head.
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
pub(crate) mod block {
    pub(crate) const LAYER_SCALE1: &str = "0.layer_scale";
    pub(crate) const NORM1: &str = "0.norm";
    pub(crate) const QKV: &str = "0.to_qkv";
    pub(crate) const ATTN_OUT: &str = "0.to_out";
    pub(crate) const LAYER_SCALE2: &str = "1.scale";
    pub(crate) const NORM2: &str = "1.m.0";
    pub(crate) const MLP1: &str = "1.m.1";
    pub(crate) const MLP2: &str = "1.m.3";
}

/// The name of a tensor of block `b`.
pub(crate) fn in_block(b: usize, name: &str) -> String {
    format!("classifier.classifier.{b}.{name}")
}
