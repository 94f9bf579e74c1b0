//! Augmentation of series and volumes: what sensors do differently each time. They start sooner or later, are scaled by
//! another factor, take samples a little early or late, and are noisy.

use mwt_core::Extents;

use super::inputs::Inputs;
use super::numbers::Numbers;
use crate::settings::AugmentSettings;
use crate::util::random::Rng;

/// The random streams of the variations: each setting has its own, so that none disturbs another.
const SHIFT_STREAM: u64 = 0x7368_6674;
const GAIN_STREAM: u64 = 0x6761_696e;
const JITTER_STREAM: u64 = 0x6a69_7474;
const NOISE_STREAM: u64 = 0x6e6f_6973;

impl AugmentSettings {
    /// The targets of a variation of a signal, `[positions, C]`, NaN where a sample is missing. Like a varied image it
    /// follows from the run's seed, the outer step and the signal's place in the batch.
    pub fn vary_signal(
        &self,
        values: &[f32],
        (extents, channels): (Extents, usize),
        inputs: &Inputs,
        seed: u64,
        step: u64,
        place: usize,
    ) -> Vec<f32> {
        let rng = |stream: u64| Rng::new(seed, stream ^ (step << 32) ^ ((place as u64) << 8));
        // Numbers of all samples at one place along the first axis.
        let row = values.len() / extents.side(0).max(1);
        let mut values = jittered(values, row, self.jitter, &mut rng(JITTER_STREAM));
        let shift = rng(SHIFT_STREAM).below(2 * self.shift + 1) as isize - self.shift as isize;
        if let Some(moved) = shifted(&values, row, shift) {
            values = moved;
        }
        let gain = 1.0 + rng(GAIN_STREAM).between(-self.gain, self.gain);
        values.iter_mut().for_each(|value| *value *= gain);
        let mut targets = inputs.targets(&Numbers::F32(&values), channels);
        if self.noise > 0.0 {
            let mut rng = rng(NOISE_STREAM);
            targets.iter_mut().for_each(|target| *target += self.noise * bell(&mut rng));
        }
        targets
    }
}

/// Samples taken early or late by up to `most` of the distance to the next, all of a row together: their values lie on the
/// lines between the samples. One beside the end or a missing sample stays, so that no more are missing than were.
fn jittered(values: &[f32], row: usize, most: f32, rng: &mut Rng) -> Vec<f32> {
    let mut jittered = values.to_vec();
    for (i, out) in jittered.chunks_exact_mut(row.max(1)).enumerate() {
        let late = rng.between(-most, most);
        let beside = if late < 0.0 { i.checked_sub(1) } else { Some(i + 1) };
        let beside = beside.and_then(|i| values.get(i * row..(i + 1) * row)).unwrap_or_default();
        for (value, beside) in out.iter_mut().zip(beside) {
            if !beside.is_nan() {
                *value += late.abs() * (beside - *value);
            }
        }
    }
    jittered
}

/// All rows moved by so many, NaN where none came from; `None` where no value would be left.
fn shifted(values: &[f32], row: usize, by: isize) -> Option<Vec<f32>> {
    let len = values.len();
    let moved = by.unsigned_abs().saturating_mul(row).min(len);
    let mut shifted = vec![f32::NAN; len];
    if by >= 0 {
        shifted[moved..].copy_from_slice(&values[..len - moved]);
    } else {
        shifted[..len - moved].copy_from_slice(&values[moved..]);
    }
    shifted.iter().any(|value| !value.is_nan()).then_some(shifted)
}

/// A number of mean 0 and standard deviation 1: the sum of three even spreads is nearly a bell curve.
fn bell(rng: &mut Rng) -> f32 {
    (0..3).map(|_| rng.between(-1.0, 1.0)).sum()
}

#[cfg(test)]
mod tests {
    use mwt_core::bundle::SampleType;
    use mwt_core::grid::InputScaling;

    use super::*;

    const NAN: f32 = f32::NAN;

    /// Targets are the values themselves.
    fn plain() -> Inputs {
        let scaling = InputScaling { scale: 1.0, offset: 0.0 };
        Inputs { sample: SampleType::F32, scalings: vec![scaling] }
    }

    fn vary(settings: &AugmentSettings, values: &[f32], step: u64, place: usize) -> Vec<f32> {
        let shape = (Extents::series(values.len() / 2), 2);
        settings.vary_signal(values, shape, &plain(), 1, step, place)
    }

    /// A series of two channels, a ramp and its negative.
    fn ramp(len: usize) -> Vec<f32> {
        (0..len).flat_map(|i| [i as f32, -(i as f32)]).collect()
    }

    /// NaN equals NaN.
    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn off_is_the_signal_itself_and_variations_follow_from_the_place() {
        let series = ramp(9);
        assert_eq!(vary(&AugmentSettings::default(), &series, 5, 6), series);
        let all = AugmentSettings {
            shift: 2,
            gain: 0.2,
            noise: 0.1,
            jitter: 0.4,
            ..AugmentSettings::default()
        };
        let bits = |step, place| bits(&vary(&all, &series, step, place));
        assert_eq!(bits(5, 6), bits(5, 6));
        assert_ne!(bits(5, 6), bits(5, 7));
        assert_ne!(bits(5, 6), bits(6, 6));
    }

    #[test]
    fn shifts_move_rows_and_leave_holes() {
        let series = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let of = |by| shifted(&series, 2, by).map(|s| bits(&s));
        assert_eq!(of(1), Some(bits(&[NAN, NAN, 1.0, 2.0, 3.0, 4.0])));
        assert_eq!(of(-2), Some(bits(&[5.0, 6.0, NAN, NAN, NAN, NAN])));
        assert_eq!(of(0), Some(bits(&series)));
        assert_eq!((of(3), of(-9)), (None, None));
        // What would lose all stays, and every shift comes.
        let settings = AugmentSettings { shift: 4, ..AugmentSettings::default() };
        let mut seen: Vec<_> =
            (0..300).map(|step| bits(&vary(&settings, &series, step, 0))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn gain_is_one_factor_for_all_channels() {
        let settings = AugmentSettings { gain: 0.25, ..AugmentSettings::default() };
        let gains: Vec<f32> = (0..200)
            .map(|step| {
                let varied = vary(&settings, &[1.0, -2.0, 4.0, NAN], step, 0);
                assert_eq!(varied[..3], [varied[0], -2.0 * varied[0], 4.0 * varied[0]]);
                assert!(varied[3].is_nan());
                varied[0]
            })
            .collect();
        assert!(gains.iter().all(|gain| (0.75..1.25).contains(gain)));
        assert!(gains.iter().any(|g| *g < 0.8) && gains.iter().any(|g| *g > 1.2));
    }

    /// On a ramp the value tells the time at which a sample was taken.
    #[test]
    fn jitter_takes_values_between_neighbours() {
        let settings = AugmentSettings { jitter: 0.4, ..AugmentSettings::default() };
        let mut most = 0f32;
        for step in 0..100 {
            let varied = vary(&settings, &ramp(8), step, 3);
            for (i, pair) in varied.chunks(2).enumerate() {
                assert!((pair[0] + pair[1]).abs() < 1e-5, "both channels at one time");
                most = most.max((pair[0] - i as f32).abs());
            }
            assert!(varied[0] >= 0.0 && varied[14] <= 7.0);
        }
        assert!(most > 0.35 && most <= 0.4 + 1e-5, "{most}");
        // No sample is lost to its neighbour's absence.
        let holes = [1.0, NAN, 3.0, NAN, 5.0, NAN];
        let varied = jittered(&holes, 1, 1.0, &mut Rng::new(0, 0));
        assert_eq!(bits(&varied), bits(&holes));
    }

    #[test]
    fn noise_has_its_deviation_in_targets() {
        let settings = AugmentSettings { noise: 0.3, ..AugmentSettings::default() };
        let mut series = vec![0.0; 20_000];
        series[7] = NAN;
        let varied = vary(&settings, &series, 0, 0);
        assert!(varied[7].is_nan());
        let there = || varied.iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v));
        let (mean, square) =
            (there().sum::<f64>() / 2e4, there().map(|v| v * v).sum::<f64>() / 2e4);
        assert!(mean.abs() < 0.01 && (square.sqrt() - 0.3).abs() < 0.01, "{mean} {square}");
    }

    /// The first axis of a volume is its depth.
    #[test]
    fn volumes_move_by_layers() {
        let volume: Vec<f32> = (0..8).map(|v| v as f32).collect();
        let settings = AugmentSettings { shift: 1, ..AugmentSettings::default() };
        let shape = (Extents::volume(2, 2, 2), 1);
        let varied: Vec<_> = (0..50)
            .map(|s| bits(&settings.vary_signal(&volume, shape, &plain(), 0, s, 0)))
            .collect();
        let down = bits(&[NAN, NAN, NAN, NAN, 0.0, 1.0, 2.0, 3.0]);
        assert!(varied.contains(&down));
    }
}
