//! The sizes of a model and everything that follows from them.

use core::ops::Range;

use crate::draw::{Draw, DrawKind};
use crate::error::ConfigError;
use crate::grid::Extents;

/// The sizes and constants of one Meta Weight Transformer, under the paper's symbols.
///
/// A configuration is plain data. [`check`](Self::check) tells whether it is within the limits; a
/// [`Bundle`](crate::Bundle) only ever holds one that is, and every derived size below is then free of
/// overflow on a 32-bit target, but for [`alpha_len`](Self::alpha_len), which is why the bundle reader
/// counts bytes in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ModelConfig {
    /// D: neurons of a sine layer, and width of the Transformer. A multiple of 8; above 64 a multiple of 64.
    #[cfg_attr(feature = "serde", serde(alias = "width"))]
    pub dim: usize,
    /// L: hidden D→D sine layers behind the first one.
    pub hidden_layers: usize,
    /// k: inner gradient steps.
    #[cfg_attr(feature = "serde", serde(alias = "steps"))]
    pub inner_steps: usize,
    /// B: Transformer blocks.
    pub blocks: usize,
    /// Width of a block's MLP in units of D.
    pub mlp_mult: usize,
    /// C: values of a sample, such as colours or the axes of an accelerometer.
    pub channels: usize,
    /// K: classes.
    pub classes: usize,
    /// The grid of the signals that the model is for: an image's height and width, a series' length. Its E axes are
    /// the SIREN's inputs.
    #[cfg_attr(feature = "serde", serde(alias = "image"))]
    pub extents: Extents,
    /// P: positions of the grid drawn for each inner step, max(1, ⌊s·H·W⌋) for an image.
    pub pixels_per_step: usize,
    /// ω: frequency of the first sine layer, and of that layer alone.
    pub omega: f32,
    /// λ: scale of the tokens, 500 in the paper.
    pub lambda: f32,
    /// One α for all steps, so that k may differ between training and use.
    pub shared_alpha: bool,
    /// Which positions each inner step looks at.
    pub draw: Draw,
}

const MNIST: Extents = Extents::image(28, 28);
const CIFAR: Extents = Extents::image(32, 32);

impl ModelConfig {
    /// For tests: D 16, L 2, k 3, B 2, all pixels of 8×8 grey images.
    pub const NANO: Self = Self {
        dim: 16,
        hidden_layers: 2,
        inner_steps: 3,
        blocks: 2,
        mlp_mult: 1,
        channels: 1,
        classes: 10,
        extents: Extents::image(8, 8),
        pixels_per_step: 64,
        omega: 10.0,
        lambda: 500.0,
        shared_alpha: false,
        draw: Draw::partition(0),
    };

    /// For microcontrollers: D 32, L 2, k 4, B 4; each pixel of 28×28 grey images seen once.
    pub const MICRO: Self = Self {
        dim: 32,
        inner_steps: 4,
        blocks: 4,
        extents: MNIST,
        pixels_per_step: 196,
        ..Self::NANO
    };

    /// For large microcontrollers: D 64, L 2, k 4, B 6 on 28×28 grey images.
    pub const SMALL: Self = Self { dim: 64, blocks: 6, ..Self::MICRO };

    /// The paper's MWT on 32×32 colour images: D 128, L 4, k 6, B 10, s = 1/k.
    pub const BASE: Self = Self {
        dim: 128,
        hidden_layers: 4,
        inner_steps: 6,
        blocks: 10,
        channels: 3,
        extents: CIFAR,
        pixels_per_step: 170,
        ..Self::NANO
    };

    /// The paper's MWT-W: [`BASE`](Self::BASE) with an MLP four times as wide.
    pub const WIDE: Self = Self { mlp_mult: 4, ..Self::BASE };

    /// The paper's MWT-L: [`BASE`](Self::BASE) with D 256.
    pub const LARGE: Self = Self { dim: 256, ..Self::BASE };

    /// For motion sensors on microcontrollers: [`MICRO`](Self::MICRO) for series of 64 samples of three axes, half of
    /// them seen in each step.
    pub const WRIST: Self = Self {
        channels: 3,
        classes: 8,
        extents: Extents::series(64),
        pixels_per_step: 32,
        ..Self::MICRO
    };

    /// For volumes: D 32, L 2, k 4, B 4; an eighth of 16×16×16 positions seen in each step.
    pub const SOLID: Self =
        Self { extents: Extents::volume(16, 16, 16), pixels_per_step: 512, ..Self::MICRO };

    /// Every preset with its name, smallest first: those for images, then the others.
    pub const PRESETS: [(&'static str, Self); 8] = [
        ("nano", Self::NANO),
        ("micro", Self::MICRO),
        ("small", Self::SMALL),
        ("base", Self::BASE),
        ("wide", Self::WIDE),
        ("large", Self::LARGE),
        ("wrist", Self::WRIST),
        ("solid", Self::SOLID),
    ];

    /// The preset of that name.
    pub fn preset(name: &str) -> Option<Self> {
        Self::PRESETS.iter().find(|(n, _)| *n == name).map(|(_, config)| *config)
    }

    /// This model for signals on another grid and with another number of channels; the share of positions drawn
    /// for each step stays.
    pub const fn with_extents(mut self, extents: Extents, channels: usize) -> Self {
        let share = (self.pixels_per_step, self.extents.positions());
        self.extents = extents;
        self.channels = channels;
        let p = (share.0 as u64 * extents.positions() as u64 / share.1 as u64) as usize;
        self.pixels_per_step = if p == 0 { 1 } else { p };
        self
    }

    /// Refuses a configuration outside the limits that the arithmetic and the bundle format are made for.
    ///
    /// # Errors
    /// The first field found out of its range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        const fn within(value: usize, low: usize, high: usize) -> bool {
            low <= value && value <= high
        }
        if !within(self.dim, 8, 1024)
            || !self.dim.is_multiple_of(8)
            || (self.dim > 64 && !self.dim.is_multiple_of(64))
        {
            return Err(ConfigError::Dim);
        }
        if !within(self.hidden_layers, 1, 16) {
            return Err(ConfigError::HiddenLayers);
        }
        if !within(self.inner_steps, 1, 64) {
            return Err(ConfigError::InnerSteps);
        }
        if !within(self.blocks, 1, 64) {
            return Err(ConfigError::Blocks);
        }
        if !within(self.mlp_mult, 1, 8) {
            return Err(ConfigError::MlpMult);
        }
        if !within(self.channels, 1, Self::MAX_CHANNELS) {
            return Err(ConfigError::Channels);
        }
        if !within(self.classes, 2, 65_535) {
            return Err(ConfigError::Classes);
        }
        if !self.extents.within_limits() {
            return Err(ConfigError::Extents);
        }
        if !within(self.pixels_per_step, 1, self.extents.positions()) {
            return Err(ConfigError::PixelsPerStep);
        }
        if let DrawKind::Stratified { cell } = self.draw.kind
            && !matches!(self.extents.cells(cell), Some(cells) if cells.positions() == self.pixels_per_step)
        {
            return Err(ConfigError::Cell);
        }
        // A NaN fails these comparisons too.
        if !(self.omega > 0.0 && self.omega <= 1000.0) {
            return Err(ConfigError::Omega);
        }
        if !(self.lambda > 0.0 && self.lambda <= 1e6) {
            return Err(ConfigError::Lambda);
        }
        Ok(())
    }

    /// The most channels a model may have.
    pub const MAX_CHANNELS: usize = 16;

    /// E: coordinates of a sample.
    pub const fn axes(&self) -> usize {
        self.extents.axes()
    }

    /// Inputs of sine layer `layer` (0 is the first): E coordinates, then D.
    pub const fn layer_inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.axes() } else { self.dim }
    }

    /// |θ| = (E + 1)·D + L(D² + D): adapted values.
    pub const fn theta_len(&self) -> usize {
        self.first_layer_len() + self.hidden_layers * (self.dim * self.dim + self.dim)
    }

    /// Values of W0 and b0.
    const fn first_layer_len(&self) -> usize {
        (self.axes() + 1) * self.dim
    }

    /// Where W and b of sine layer `layer` lie in the flat order of θ, α and φ: W0, b0, …, W_L, b_L, each W
    /// `[inputs, D]` row by row.
    pub const fn layer_ranges(&self, layer: usize) -> (Range<usize>, Range<usize>) {
        let d = self.dim;
        let start = match layer.checked_sub(1) {
            None => 0,
            Some(hidden) => self.first_layer_len() + hidden * (d * d + d),
        };
        let bias = start + self.layer_inputs(layer) * d;
        (start..bias, bias..bias + d)
    }

    /// Rows of α: k, or 1 when all steps share one.
    pub const fn alpha_rows(&self) -> usize {
        if self.shared_alpha { 1 } else { self.inner_steps }
    }

    /// Values of α.
    pub const fn alpha_len(&self) -> u64 {
        self.alpha_rows() as u64 * self.theta_len() as u64
    }

    /// T = L·D: tokens, one for each neuron of the hidden layers.
    pub const fn tokens(&self) -> usize {
        self.hidden_layers * self.dim
    }

    /// D + 1: values of a token, a neuron's incoming offsets and its bias offset.
    pub const fn token_len(&self) -> usize {
        self.dim + 1
    }

    /// Values of one attention head: 64, or D below that.
    pub const fn head_dim(&self) -> usize {
        if self.dim < 64 { self.dim } else { 64 }
    }

    /// Attention heads.
    pub const fn heads(&self) -> usize {
        self.dim / self.head_dim()
    }

    /// Width of a block's MLP.
    pub const fn mlp_width(&self) -> usize {
        self.mlp_mult * self.dim
    }

    /// Multiply-adds to fit one signal.
    pub const fn fit_macs(&self) -> u64 {
        let (d, l, c) = (self.dim as u64, self.hidden_layers as u64, self.channels as u64);
        let e = self.axes() as u64;
        let forward = e * d + l * d * d + d * c;
        let gradient = e * d + 2 * l * d * d + d * c;
        self.inner_steps as u64 * self.pixels_per_step as u64 * (forward + gradient)
    }

    /// Multiply-adds of the Transformer for one signal.
    pub const fn transformer_macs(&self) -> u64 {
        let (d, t) = (self.dim as u64, self.tokens() as u64);
        let block = 4 * t * d * d + 2 * t * t * d + 2 * t * d * self.mlp_width() as u64;
        t * (d + 1) * d + self.blocks as u64 * block + d * self.classes as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_sized_as_in_the_paper() {
        for (name, config) in ModelConfig::PRESETS {
            assert_eq!(config.check(), Ok(()), "{name}");
            assert_eq!(ModelConfig::preset(name), Some(config));
        }
        assert_eq!(ModelConfig::BASE.theta_len(), 66_432);
        assert_eq!(ModelConfig::BASE.alpha_len(), 398_592);
        assert_eq!(ModelConfig::LARGE.theta_len(), 263_936);
        assert_eq!((ModelConfig::BASE.heads(), ModelConfig::LARGE.heads()), (2, 4));
        assert_eq!((ModelConfig::MICRO.theta_len(), ModelConfig::MICRO.tokens()), (2208, 64));
        assert_eq!(ModelConfig::preset("huge"), None);
        // The layers follow each other and fill θ.
        let base = ModelConfig::BASE;
        let end = (0..=base.hidden_layers).fold(0, |end, l| {
            let (weight, bias) = base.layer_ranges(l);
            assert_eq!((weight.start, weight.end), (end, bias.start));
            assert_eq!(weight.len(), base.layer_inputs(l) * base.dim);
            bias.end
        });
        assert_eq!(end, base.theta_len());
    }

    #[test]
    fn each_limit_has_its_own_error() {
        let ok = ModelConfig::MICRO;
        let cases = [
            (ModelConfig { dim: 12, ..ok }, ConfigError::Dim),
            (ModelConfig { dim: 96, ..ok }, ConfigError::Dim),
            (ModelConfig { dim: 2048, ..ok }, ConfigError::Dim),
            (ModelConfig { hidden_layers: 0, ..ok }, ConfigError::HiddenLayers),
            (ModelConfig { inner_steps: 65, ..ok }, ConfigError::InnerSteps),
            (ModelConfig { blocks: 0, ..ok }, ConfigError::Blocks),
            (ModelConfig { mlp_mult: 9, ..ok }, ConfigError::MlpMult),
            (ModelConfig { channels: 17, ..ok }, ConfigError::Channels),
            (ModelConfig { classes: 1, ..ok }, ConfigError::Classes),
            (ModelConfig { extents: Extents::image(0, 28), ..ok }, ConfigError::Extents),
            (
                ModelConfig { draw: Draw::stratified(0, Extents::image(2, 3)), ..ok },
                ConfigError::Cell,
            ),
            (ModelConfig { pixels_per_step: 785, ..ok }, ConfigError::PixelsPerStep),
            (ModelConfig { omega: f32::NAN, ..ok }, ConfigError::Omega),
            (ModelConfig { lambda: f32::INFINITY, ..ok }, ConfigError::Lambda),
        ];
        for (config, error) in cases {
            assert_eq!(config.check(), Err(error));
        }
    }

    #[test]
    fn another_image_keeps_the_share_of_pixels() {
        let wide = ModelConfig::MICRO.with_extents(Extents::image(32, 32), 3);
        assert_eq!((wide.pixels_per_step, wide.channels), (256, 3));
        assert_eq!(ModelConfig::NANO.with_extents(MNIST, 1).pixels_per_step, 784);
    }
}
