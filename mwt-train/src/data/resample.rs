//! From one sampling rate to another, by a windowed sinc.
//!
//! Each sample is the sum of its neighbours in the source, weighted by sin(πx)/πx under a Hann window
//! of [`ZEROS`] zero crossings to either side, where x is the distance in samples of the slower of the
//! two rates: so what the slower one cannot hold is taken out. Outside the source is silence. The
//! weights are made to sum to 1, so that a constant stays what it is.

use core::f32::consts::PI;
use std::num::NonZeroU32;

use mwt_core::math::sin_cos;

/// Zero crossings of the kernel to either side.
const ZEROS: f32 = 16.0;

/// The rates' ratio where it is above 1: how much wider the kernel is when the target is slower.
fn widening(from: NonZeroU32, to: NonZeroU32) -> f32 {
    (from.get() as f32 / to.get() as f32).max(1.0)
}

/// The samples of the source that the first `length` samples at the rate `to` need.
pub(super) fn frames_for(length: usize, from: NonZeroU32, to: NonZeroU32) -> usize {
    let last = length as u128 * u128::from(from.get()) / u128::from(to.get());
    let beyond = (ZEROS * widening(from, to)) as u128 + 2;
    usize::try_from(last + beyond).unwrap_or(usize::MAX)
}

/// Fills `target` with the source's beginning at another rate.
pub(super) fn resample(source: &[f32], from: NonZeroU32, to: NonZeroU32, target: &mut [f32]) {
    if from == to {
        let count = source.len().min(target.len());
        target[..count].copy_from_slice(&source[..count]);
        target[count..].fill(0.0);
        return;
    }
    let widening = widening(from, to);
    let reach = (ZEROS * widening) as i64 + 1;
    for (n, value) in target.iter_mut().enumerate() {
        // Whole samples and the rest, exactly: a float would drift.
        let place = n as u128 * u128::from(from.get());
        let (whole, rest) = (place / u128::from(to.get()), place % u128::from(to.get()));
        let whole = i64::try_from(whole).unwrap_or(i64::MAX / 2);
        let rest = rest as f32 / to.get() as f32;
        if whole - reach >= source.len() as i64 {
            *value = 0.0;
            continue;
        }
        let (mut sum, mut weights) = (0.0, 0.0);
        for k in -reach..=reach {
            let weight = kernel((k as f32 - rest) / widening);
            weights += weight;
            let sample = usize::try_from(whole + k).ok().and_then(|i| source.get(i));
            sum += weight * sample.copied().unwrap_or(0.0);
        }
        *value = sum / weights;
    }
}

/// The weight of a sample at a distance.
fn kernel(x: f32) -> f32 {
    if x.abs() >= ZEROS {
        return 0.0;
    }
    let window = 0.5 + 0.5 * sin_cos(PI * x / ZEROS).1;
    // Below this a sine is its argument.
    if x.abs() < 1e-3 { window } else { window * sin_cos(PI * x).0 / (PI * x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &[f32], from: u32, to: u32, length: usize) -> Vec<f32> {
        let [from, to] = [from, to].map(|rate| NonZeroU32::new(rate).unwrap());
        let used = frames_for(length, from, to).min(source.len());
        let mut target = vec![9.0; length];
        resample(&source[..used], from, to, &mut target);
        // What lies further behind has no weight.
        let mut whole = vec![9.0; length];
        resample(source, from, to, &mut whole);
        assert_eq!(target, whole);
        target
    }

    fn tone(cycles_per_sample: f64, count: usize) -> Vec<f32> {
        (0..count)
            .map(|n| (std::f64::consts::TAU * cycles_per_sample * n as f64).sin() as f32)
            .collect()
    }

    /// The largest difference, but for both ends, where the silence outside begins.
    fn difference(a: &[f32], b: &[f32]) -> f32 {
        let inner = 200..a.len() - 200;
        a[inner.clone()].iter().zip(&b[inner]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn one_rate_copies() {
        assert_eq!(at(&[1.0, 2.0, 3.0], 5, 5, 2), [1.0, 2.0]);
        assert_eq!(at(&[1.0, 2.0], 5, 5, 4), [1.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn a_constant_stays_what_it_is() {
        for (from, to) in [(3, 2), (2, 3), (44_100, 16_000), (7, 700), (700, 7)] {
            let source = vec![0.5; 20_000];
            let length = (10_000 * to / from) as usize;
            let target = at(&source, from, to, length);
            let middle = &target[length / 2..length / 2 + 10];
            assert!(middle.iter().all(|v| (v - 0.5).abs() < 1e-5), "{from} to {to}: {middle:?}");
        }
    }

    #[test]
    fn tones_keep_their_pitch_and_size() {
        for (from, to) in [(48_000, 16_000), (16_000, 48_000), (44_100, 16_000), (8_000, 11_025)] {
            for hertz in [200.0, 2_500.0] {
                let target =
                    at(&tone(hertz / f64::from(from), from as usize), from, to, to as usize);
                let error = difference(&target, &tone(hertz / f64::from(to), to as usize));
                assert!(error < 3e-3, "{hertz} Hz, {from} to {to}: {error}");
            }
        }
    }

    #[test]
    fn what_the_slower_rate_cannot_hold_is_taken_out() {
        let target = at(&tone(12_000.0 / 48_000.0, 48_000), 48_000, 16_000, 16_000);
        let error = difference(&target, &[0.0; 16_000]);
        assert!(error < 2e-3, "{error}");
    }

    #[test]
    fn an_empty_source_is_silence() {
        assert_eq!(at(&[], 3, 2, 3), [0.0; 3]);
        assert_eq!(at(&[], u32::MAX, 4_000_000, 2), [0.0; 2]);
        assert_eq!(at(&[1.0], 1, u32::MAX, 1).len(), 1);
    }
}
