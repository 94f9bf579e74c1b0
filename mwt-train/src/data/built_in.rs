//! What the built-in sets of signals have in common: balanced classes in random order, and a random
//! stream for each signal, so that they can be drawn in parallel and in any number.

use std::path::Path;

use mwt_core::Extents;
use rayon::prelude::*;

use super::error::DataError;
use super::options::{LoadOptions, SignalParts};
use super::room::room;
use super::signals::Signals;
use crate::util::random::Rng;

/// A set that is drawn from a seed.
pub(super) struct BuiltIn {
    /// The source name.
    pub(super) name: &'static str,
    /// Names of the classes.
    pub(super) classes: &'static [&'static str],
    /// The grid of every signal.
    pub(super) extents: Extents,
    /// Numbers of a sample.
    pub(super) channels: usize,
    /// Signals to test on.
    pub(super) test: usize,
    /// Keeps the random streams of the sets apart.
    pub(super) stream: u32,
}

impl BuiltIn {
    /// Draws `train` training signals and the test signals; `draw` fills in one signal of a class.
    pub(super) fn load(
        &self,
        train: usize,
        options: &LoadOptions,
        draw: impl Fn(usize, &mut Rng, &mut [f32]) + Sync,
    ) -> Result<SignalParts, DataError> {
        let names = self.classes.iter().map(|name| name.to_string());
        let base = u64::from(self.stream) << 32;
        let train = self.split(train, base, options, &draw)?;
        // Apart, so that no test signal repeats a training signal.
        let test = self.split(self.test, base | 1 << 31, options, &draw)?;
        Ok((names.collect(), train, test))
    }

    /// Draws a split: each class equally often, up to one, and in random order.
    ///
    /// The limit takes from the front, so that a signal is the same whatever the limit is.
    fn split(
        &self,
        count: usize,
        stream: u64,
        options: &LoadOptions,
        draw: &(impl Fn(usize, &mut Rng, &mut [f32]) + Sync),
    ) -> Result<Signals, DataError> {
        let numbers = self.extents.positions() * self.channels;
        let path = Path::new(self.name);
        // For all, whatever the limit: their order is drawn for all.
        let mut values = room(path, count, self.extents, self.channels, options)?;
        let mut classes: Vec<usize> = (0..count).map(|i| i % self.classes.len()).collect();
        Rng::new(options.seed, stream).shuffle(&mut classes);
        classes.truncate(options.limit.unwrap_or(usize::MAX));
        values.resize(classes.len() * numbers, 0.0);
        values.par_chunks_exact_mut(numbers).zip(&classes).enumerate().for_each(
            |(i, (signal, &class))| {
                // Stream 0 of the split was the order's.
                draw(class, &mut Rng::new(options.seed, stream + 1 + i as u64), signal);
            },
        );
        Ok(Signals {
            extents: self.extents,
            channels: self.channels,
            values,
            labels: classes.into_iter().map(|class| class as u16).collect(),
        })
    }
}

/// The rotation of a quaternion w + xi + yj + zk, times the square of its length: its rows.
pub(super) fn rotation([w, x, y, z]: [f32; 4]) -> [[f32; 3]; 3] {
    [
        [w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
}

/// FNV-1a of all bits, for the tests that hold a set to its bytes.
#[cfg(test)]
pub(super) fn checksum(values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: BuiltIn = BuiltIn {
        name: "numbers",
        classes: &["a", "b", "c"],
        extents: Extents::image(2, 2),
        channels: 3,
        test: 10,
        stream: 9,
    };

    fn load(options: &LoadOptions) -> SignalParts {
        SET.load(100, options, |class, rng, signal| {
            signal.fill_with(|| class as f32 + rng.between(0.0, 0.5));
        })
        .unwrap()
    }

    #[test]
    fn classes_are_balanced_and_in_random_order() {
        let (names, train, test) = load(&LoadOptions::default());
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((train.labels.len(), train.values.len()), (100, 1200));
        assert_eq!((test.labels.len(), test.values.len()), (10, 120));
        for (signal, &label) in train.values.chunks(12).zip(&train.labels) {
            assert!(signal.iter().all(|v| *v as u16 == label));
        }
        for class in 0..3 {
            let count = train.labels.iter().filter(|&&label| label == class).count();
            assert!((33..=34).contains(&count));
        }
        let runs = train.labels.windows(2).filter(|w| (w[0] + 1) % 3 == w[1]);
        assert!(runs.count() < 60);
    }

    #[test]
    fn more_than_memory_holds_are_refused() {
        let few = LoadOptions { limit: Some(1), ..LoadOptions::default() };
        let error = SET.load(usize::MAX, &few, |_, _, _| ()).unwrap_err();
        assert!(matches!(error, DataError::SignalsTooLarge { .. }));
    }

    #[test]
    fn a_limit_takes_the_first_and_changes_none() {
        let (_, all, all_test) = load(&LoadOptions::default());
        let (_, few, few_test) = load(&LoadOptions { limit: Some(20), ..LoadOptions::default() });
        assert_eq!(
            (few.labels.as_slice(), few.values.as_slice()),
            (&all.labels[..20], &all.values[..240])
        );
        assert_eq!(few_test, all_test);
        assert!(
            load(&LoadOptions { limit: Some(0), ..LoadOptions::default() }).1.values.is_empty()
        );
        assert_ne!(load(&LoadOptions { seed: 1, ..LoadOptions::default() }).1, all);
    }
}
