//! What a bundle says about itself, and how that is encoded.

use super::fields::Fields;
#[cfg(feature = "alloc")]
use super::fields::FieldsMut;
use super::input::{Input, SampleType};
use crate::config::ModelConfig;
use crate::draw::{Draw, DrawKind};
use crate::error::{ConfigError, Error};
use crate::grid::Extents;
use crate::quant::{Scheme, Schemes};

/// The header of a bundle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header<'a> {
    /// Sizes and constants of the model.
    pub config: ModelConfig,
    /// Storage of the tensors.
    pub schemes: Schemes,
    /// How the numbers of a signal become values.
    pub input: Input<'a>,
    /// K class labels, separated by line feeds: any text, empty and repeated labels included. Escape it where it is
    /// shown.
    pub labels: &'a str,
    /// Golden samples in the file.
    pub golden_samples: u8,
    /// Where the model comes from.
    pub facts: Facts<'a>,
}

/// Where a model comes from and what it was measured to do. For people: inference reads none of it.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Facts<'a> {
    /// Name of the data set. Any text: escape it where it is shown.
    pub data_set: &'a str,
    /// The program that wrote the file, with its version. Any text.
    pub producer: &'a str,
    /// Seed of the training run.
    pub seed: u64,
    /// Outer steps taken.
    pub outer_steps: u64,
    /// Share of validation samples that the trainer classified right before quantization, in 0..=1.
    pub accuracy: Option<f32>,
    /// PSNR of the same samples after k steps, in dB, before quantization; not NaN.
    pub psnr: Option<f32>,
}

impl<'a> Header<'a> {
    /// The class labels in order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.labels.split('\n')
    }

    /// The label of a class; empty when there is no such class.
    pub fn label(&self, class: usize) -> &'a str {
        // Through bytes, as splitting text keeps a panic that cannot come.
        let feeds = self.labels.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut feeds = feeds.map(|(at, _)| at);
        let start = match class.checked_sub(1) {
            None => Some(0),
            Some(before) => feeds.nth(before).map(|feed| feed + 1),
        };
        let end = feeds.next().unwrap_or(self.labels.len());
        start.and_then(|start| self.labels.get(start..end)).unwrap_or_default()
    }

    /// Bytes of the signal of one golden sample.
    pub(crate) fn signal_bytes(&self) -> u64 {
        let values = self.config.extents.positions() as u64 * self.config.channels as u64;
        values * self.input.sample.bytes() as u64
    }

    /// Bytes of one golden sample: a signal, then its logits.
    pub(crate) fn golden_bytes(&self) -> u64 {
        self.signal_bytes() + 4 * self.config.classes as u64
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.config.check()?;
        // Counted in bytes: the search of `str::split` has a panic that the compiler cannot rule out.
        let separators = self.labels.bytes().filter(|byte| *byte == b'\n').count();
        if separators + 1 != self.config.classes {
            return Err(Error::Labels);
        }
        if !self.input.fits(self.config.channels) || !self.input.is_valid() {
            return Err(Error::InputScaling);
        }
        let Facts { accuracy, psnr, .. } = self.facts;
        if !accuracy.is_none_or(|a| (0.0..=1.0).contains(&a)) || psnr.is_some_and(f32::is_nan) {
            return Err(Error::Facts);
        }
        Ok(())
    }

    /// Decodes the header of a file of format version 1 or 2, which is not yet checked.
    pub(super) fn read(bytes: &'a [u8], version: u16) -> Result<Self, Error> {
        let mut fields = Fields::new(bytes);
        let f = &mut fields;
        let mut config = ModelConfig {
            dim: f.size(),
            hidden_layers: f.size(),
            inner_steps: f.size(),
            blocks: f.size(),
            mlp_mult: f.size(),
            channels: f.size(),
            classes: f.size(),
            extents: if version == 1 { extents(f, 2) } else { sized_extents(f) },
            pixels_per_step: f.size(),
            omega: f.f32(),
            lambda: f.f32(),
            shared_alpha: f.bool(),
            draw: Draw::random(0),
        };
        let kind = match f.variant(if version == 1 { 2 } else { 3 }) {
            0 => DrawKind::Random,
            1 => DrawKind::Partition,
            _ => DrawKind::Stratified { cell: extents(f, config.axes()) },
        };
        config.draw = Draw { kind, seed: f.u32() };
        let mut scheme = || match f.variant(3) {
            0 => Scheme::Int8,
            1 => Scheme::F16,
            _ => Scheme::F32,
        };
        let schemes =
            Schemes { theta: scheme(), alpha: scheme(), beta: scheme(), transformer: scheme() };
        let input = if version == 1 {
            Input::new(SampleType::U8, f.take(8))
        } else {
            let sample = match f.variant(3) {
                0 => SampleType::U8,
                1 => SampleType::I16,
                _ => SampleType::F32,
            };
            // More channels than there may be are refused with the configuration.
            Input::new(sample, f.take(8 * config.channels.min(ModelConfig::MAX_CHANNELS)))
        };
        let header = Self {
            config,
            schemes,
            input,
            labels: f.str(),
            golden_samples: f.byte(),
            facts: Facts {
                data_set: f.str(),
                producer: f.str(),
                seed: f.u64(),
                outer_steps: f.u64(),
                accuracy: f.optional_f32(),
                psnr: f.optional_f32(),
            },
        };
        fields.end()?;
        // What version 1 cannot say, though its bytes could.
        if version == 1 && header.config.channels > 4 {
            return Err(ConfigError::Channels.into());
        }
        if version == 1 && header.config.extents.sides().iter().any(|side| *side > 4096) {
            return Err(ConfigError::Extents.into());
        }
        Ok(header)
    }

    /// The lowest format version that can hold this: a device that was not updated then reads every model that it could
    /// run.
    #[cfg(feature = "alloc")]
    pub(super) fn version(&self) -> u16 {
        let ModelConfig { extents, channels, draw, .. } = &self.config;
        let one_scaling = (1..*channels).all(|c| self.input.scaling(c) == self.input.scaling(0));
        let first = extents.axes() == 2
            && extents.sides().iter().all(|side| *side <= 4096)
            && *channels <= 4
            && !matches!(draw.kind, DrawKind::Stratified { .. })
            && self.input.sample == SampleType::U8
            && one_scaling;
        if first { 1 } else { 2 }
    }

    /// Encodes the header for a format version that can hold it.
    #[cfg(feature = "alloc")]
    pub(super) fn encode(&self, version: u16) -> alloc::vec::Vec<u8> {
        let mut f = FieldsMut::default();
        let c = &self.config;
        for size in
            [c.dim, c.hidden_layers, c.inner_steps, c.blocks, c.mlp_mult, c.channels, c.classes]
        {
            f.size(size);
        }
        if version > 1 {
            f.size(c.axes());
        }
        c.extents.sides().iter().for_each(|side| f.size(*side));
        f.size(c.pixels_per_step);
        f.f32(c.omega);
        f.f32(c.lambda);
        f.byte(u8::from(c.shared_alpha));
        match c.draw.kind {
            DrawKind::Random => f.byte(0),
            DrawKind::Partition => f.byte(1),
            DrawKind::Stratified { cell } => {
                f.byte(2);
                cell.sides().iter().for_each(|side| f.size(*side));
            }
        }
        f.u64(u64::from(c.draw.seed));
        let Schemes { theta, alpha, beta, transformer } = self.schemes;
        [theta, alpha, beta, transformer].iter().for_each(|scheme| f.byte(*scheme as u8));
        if version == 1 {
            f.0.extend(self.input.scalings().iter().take(8));
        } else {
            f.byte(self.input.sample as u8);
            for channel in 0..c.channels {
                let scaling = self.input.scaling(channel);
                f.f32(scaling.scale);
                f.f32(scaling.offset);
            }
        }
        f.str(self.labels);
        f.byte(self.golden_samples);
        f.str(self.facts.data_set);
        f.str(self.facts.producer);
        f.u64(self.facts.seed);
        f.u64(self.facts.outer_steps);
        f.optional_f32(self.facts.accuracy);
        f.optional_f32(self.facts.psnr);
        f.0
    }
}

/// Extents with their number of axes before them.
fn sized_extents(fields: &mut Fields<'_>) -> Extents {
    let axes = fields.size();
    extents(fields, axes)
}

fn extents(fields: &mut Fields<'_>, axes: usize) -> Extents {
    let mut sides = [1; Extents::MAX_AXES];
    for side in sides.iter_mut().take(axes) {
        *side = fields.size();
    }
    sides.get(..axes).and_then(Extents::new).unwrap_or_else(|| {
        fields.fail();
        Extents::series(1)
    })
}
