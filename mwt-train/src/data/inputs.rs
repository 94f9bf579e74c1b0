//! How the numbers of a data set become targets of the fit.

use mwt_core::bundle::{Input, SampleType};
use mwt_core::grid::InputScaling;
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use super::signals::Signals;

/// The numbers that a model takes: what a bundle's header says of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Type of a number.
    pub sample: SampleType,
    /// One for each channel, or one for all.
    pub scalings: Vec<InputScaling>,
}

impl Default for Inputs {
    /// Pictures: bytes that become [-1, 1].
    fn default() -> Self {
        Self { sample: SampleType::U8, scalings: vec![InputScaling::SYMMETRIC] }
    }
}

impl Inputs {
    /// Three standard deviations of a channel to either side of its mean become [-1, 1], as these signals have them.
    pub fn of(signals: &Signals) -> Self {
        let channel = |c: usize| {
            let values = signals.values.iter().skip(c).step_by(signals.channels);
            let there = values.filter(|v| v.is_finite()).map(|v| f64::from(*v));
            // Mean and sum of squared distances from it, in one pass (Welford).
            let (n, mean, squares) = there.fold((0.0, 0.0, 0.0), |(n, mean, squares), v| {
                let (n, from) = (n + 1.0, v - mean);
                let mean = mean + from / n;
                (n, mean, squares + from * (v - mean))
            });
            let deviation = (squares / f64::max(n, 1.0)).sqrt();
            // A channel that never changes says nothing, whatever its scale.
            let scale = if deviation > 0.0 { 1.0 / (3.0 * deviation) } else { 1.0 };
            InputScaling { scale: scale as f32, offset: (-mean * scale) as f32 }
        };
        Self { sample: SampleType::F32, scalings: (0..signals.channels).map(channel).collect() }
    }

    /// The scaling of a channel.
    pub fn scaling(&self, channel: usize) -> InputScaling {
        let one = self.scalings.get(if self.scalings.len() == 1 { 0 } else { channel });
        one.copied().unwrap_or(InputScaling::SYMMETRIC)
    }

    /// The targets of a signal of `channels` channels; NaN where a sample is missing.
    pub fn targets(&self, numbers: &Numbers<'_>, channels: usize) -> Vec<f32> {
        let value = |(i, number): (usize, f32)| self.scaling(i % channels).value(number);
        numbers.to_f32().into_iter().enumerate().map(value).collect()
    }

    /// The scalings as a bundle has them.
    pub fn encode(&self) -> Vec<u8> {
        Input::encode(&self.scalings)
    }
}

#[cfg(test)]
mod tests {
    use mwt_core::Extents;

    use super::*;

    #[test]
    fn channels_are_scaled_by_their_own_spread_and_holes_stay() {
        let values = vec![1.0, 100.0, 3.0, f32::NAN, 5.0, 100.0];
        let extents = Extents::series(3);
        let signals = Signals { extents, channels: 2, values, labels: vec![0] };
        let inputs = Inputs::of(&signals);
        // The first channel has mean 3 and variance 8/3, the second never changes.
        let deviation = (8.0f32 / 3.0).sqrt();
        let targets = inputs.targets(&Numbers::F32(&signals.values), 2);
        assert!((targets[0] + 2.0 / (3.0 * deviation)).abs() < 1e-6, "{targets:?}");
        assert!(targets[2].abs() < 1e-6 && targets[3].is_nan());
        assert_eq!((targets[1], targets[5]), (0.0, 0.0));
        let picture = Inputs::default().targets(&Numbers::U8([0, 255][..].into()), 1);
        assert_eq!(picture, [-1.0, 1.0]);
    }
}
