//! One training signal as a step sees it: varied, scaled, with samples left out.

use mwt_core::ModelConfig;

use crate::data::{DataError, Inputs, Numbers, Split, holes};
use crate::settings::Settings;
use crate::util::random::Rng;

/// The random stream that leaves samples out.
const HOLES_STREAM: u64 = 0x686f_6c65;

/// A signal's targets, and which of its samples the inner steps may look at.
#[derive(Clone, Debug)]
pub struct Example {
    /// `[positions, C]`; NaN where the data set has no sample.
    pub targets: Vec<f32>,
    /// `false` at the positions that are left out; none is when it is empty. The outer reconstruction loss looks at them all
    /// the same, so that θ and α learn to fill them in.
    pub there: Vec<bool>,
    /// Whether the data set has every sample.
    complete: bool,
}

impl Example {
    /// A signal as it is.
    ///
    /// # Errors
    /// As [`Split::numbers`].
    pub fn plain(split: &Split, n: usize) -> Result<Self, DataError> {
        Ok(Self::of(split.inputs().targets(&split.numbers(n)?, split.channels())))
    }

    fn of(targets: Vec<f32>) -> Self {
        let complete = !targets.iter().any(|v| v.is_nan());
        Self { targets, there: Vec::new(), complete }
    }

    /// A picture of bytes, `[positions, C]`.
    pub fn picture(bytes: &[u8]) -> Self {
        Self::of(Inputs::default().targets(&Numbers::U8(bytes.into()), 1))
    }

    /// A training signal, varied for its place in an outer step: the same for equal seeds, steps and places.
    ///
    /// # Errors
    /// As [`Split::numbers`].
    pub fn varied(
        split: &Split,
        n: usize,
        settings: &Settings,
        step: u64,
        place: usize,
    ) -> Result<Self, DataError> {
        let seed = settings.train.seed;
        let mut example = if settings.augment.is_off() {
            Self::plain(split, n)?
        } else if let Numbers::F32(values) = split.numbers(n)? {
            let shape = (split.extents(), split.channels());
            let inputs = split.inputs();
            Self::of(settings.augment.vary_signal(values, shape, inputs, seed, step, place))
        } else {
            let image = settings.augment.vary(split.image(n)?.view(), seed, step, place);
            let bytes = Numbers::U8(image.as_slice().unwrap_or_default().into());
            Self::of(split.inputs().targets(&bytes, split.channels()))
        };
        let data = &settings.data;
        let [least, most] = data.missing;
        if most > 0.0 {
            let stream = HOLES_STREAM ^ (step << 32) ^ ((place as u64) << 8);
            let mut rng = Rng::new(seed, stream);
            let complete = f64::from(rng.between(0.0, 1.0)) < data.complete;
            let share = rng.between(least as f32, most as f32);
            if !complete {
                let (extents, channels) = (split.extents(), split.channels());
                let known = |position| example.is_known(channels, position);
                let there = holes(extents, data.missing_kind, share, known, &mut rng);
                example.there = there;
            }
        }
        Ok(example)
    }

    /// Whether no sample is missing or left out.
    pub(super) fn is_complete(&self) -> bool {
        self.there.is_empty() && self.complete
    }

    /// Whether the inner steps may look at a position.
    pub(super) fn may_be_seen(&self, config: &ModelConfig, position: usize) -> bool {
        self.there.get(position).copied().unwrap_or(true)
            && self.is_known(config.channels, position)
    }

    /// Whether the data set has a sample there.
    pub(super) fn is_known(&self, channels: usize, position: usize) -> bool {
        let values =
            self.targets.get(position * channels..(position + 1) * channels).unwrap_or_default();
        values.iter().all(|v| !v.is_nan())
    }
}
