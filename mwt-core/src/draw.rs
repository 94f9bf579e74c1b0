//! Which pixels an inner step looks at.
//!
//! A draw is a keyed permutation of the pixels, computed index by index: no table, no state, no memory,
//! so a microcontroller, a GPU thread and a test draw the same pixels from a seed alone.

use serde::{Deserialize, Serialize};

/// The pixel draw of a model: part of the bundle, the same in training and inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// How the steps' pixels relate.
    pub kind: DrawKind,
    /// Chooses the permutation.
    pub seed: u32,
}

/// How the pixels of the inner steps relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrawKind {
    /// The paper's: each step draws its pixels afresh from all of them, without replacement. In training
    /// each image and step has its own seed; in inference the seed is the bundle's.
    Random,
    /// One fixed shuffled partition: step j looks at the j-th P pixels of one permutation (wrapping
    /// around when k·P exceeds the pixels), the same for every image, in training and in inference.
    Partition,
}

impl Draw {
    /// A fresh random draw for each step.
    pub const fn random(seed: u32) -> Self {
        Self { kind: DrawKind::Random, seed }
    }

    /// One fixed partition over the steps.
    pub const fn partition(seed: u32) -> Self {
        Self { kind: DrawKind::Partition, seed }
    }

    /// The draw of inner step `step` when each step looks at `pixels_per_step` of `samples` pixels.
    pub fn step(self, step: usize, pixels_per_step: usize, samples: usize) -> StepDraw {
        match self.kind {
            DrawKind::Random => StepDraw {
                permutation: Permutation::new(samples, mix(self.seed ^ mix(step as u32 + 1))),
                start: 0,
            },
            DrawKind::Partition => StepDraw {
                permutation: Permutation::new(samples, self.seed),
                start: step.wrapping_mul(pixels_per_step).checked_rem(samples).unwrap_or(0),
            },
        }
    }
}

/// How many of `samples` pixels a step draws when the model draws `pixels_per_step` of `pixels`: the same share,
/// at least one.
pub fn share(pixels_per_step: usize, pixels: usize, samples: usize) -> usize {
    if samples == pixels {
        return pixels_per_step;
    }
    let n = (pixels_per_step as u64 * samples as u64).checked_div(pixels as u64).unwrap_or(0);
    (n as usize).clamp(1, samples.max(1))
}

/// The pixels of one inner step.
#[derive(Clone, Copy, Debug)]
pub struct StepDraw {
    permutation: Permutation,
    start: usize,
}

impl StepDraw {
    /// The `i`-th pixel of the step, 0 ≤ i < P ≤ number of pixels: distinct for distinct i.
    pub fn index(&self, i: usize) -> usize {
        let n = self.permutation.len as usize;
        let at = self.start + i;
        self.permutation.apply(if at >= n { at - n.min(at) } else { at })
    }
}

/// A keyed permutation of 0..len: a six-round Feistel network over the next power of two, walked until
/// it lands inside the range. At most two evaluations on average.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    len: u32,
    key: u32,
    /// Bits of the low and of the high half.
    low: u32,
    high: u32,
}

impl Permutation {
    /// The permutation of 0..`len` that belongs to `key`. `len` ≤ 2²⁴ (an image of 4096 × 4096).
    pub fn new(len: usize, key: u32) -> Self {
        let len = len.min(1 << 24) as u32;
        let bits = (32 - len.saturating_sub(1).leading_zeros()).max(2);
        Self { len, key, low: bits / 2, high: bits - bits / 2 }
    }

    /// Where `index` < len goes.
    pub fn apply(&self, index: usize) -> usize {
        if index >= self.len as usize {
            return 0;
        }
        let mut at = index as u32;
        // A permutation of the power of two returns to the range it started from, so this ends.
        loop {
            at = self.feistel(at);
            if at < self.len {
                return at as usize;
            }
        }
    }

    fn feistel(&self, value: u32) -> u32 {
        let (low_mask, high_mask) = ((1 << self.low) - 1, (1 << self.high) - 1);
        let (mut low, mut high) = (value & low_mask, value >> self.low);
        for round in 0..3u32 {
            high ^= mix(low.wrapping_add(self.key).wrapping_add(round.wrapping_mul(0x9e37_79b9)))
                & high_mask;
            low ^= mix(high.wrapping_add(!self.key).wrapping_add(round.wrapping_mul(0x85eb_ca6b)))
                & low_mask;
        }
        high << self.low | low
    }
}

/// An integer hash with good avalanche (lowbias32 by Chris Wellons, public domain).
pub const fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    #[test]
    fn every_length_is_permuted() {
        for len in (1..300).chain([784, 1024, 1025, 4096, 102_400]) {
            let p = Permutation::new(len, 7 * len as u32);
            let mut seen = vec![false; len];
            for i in 0..len {
                assert!(!core::mem::replace(&mut seen[p.apply(i)], true), "len {len}");
            }
        }
    }

    #[test]
    fn a_partition_covers_each_pixel_once_and_wraps() {
        let draw = Draw::partition(3);
        let mut all: Vec<_> =
            (0..4).flat_map(|j| (0..196).map(move |i| draw.step(j, 196, 784).index(i))).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..784));
        // k·P = 6·171 > 1024: the last step wraps to the first pixels, still without a repeat in itself.
        let mut last: Vec<_> = (0..171).map(|i| draw.step(5, 171, 1024).index(i)).collect();
        let first = draw.step(0, 171, 1024).index(0);
        assert_eq!(last[169], first);
        last.sort_unstable();
        last.dedup();
        assert_eq!(last.len(), 171);
    }

    #[test]
    fn random_steps_differ_and_spread_evenly() {
        let (n, p) = (784, 196);
        let mut hits = vec![0u32; n];
        for seed in 0..400 {
            let draw = Draw::random(seed);
            assert_ne!(
                draw.step(0, p, n).index(0) + draw.step(0, p, n).index(1) * n,
                draw.step(1, p, n).index(0) + draw.step(1, p, n).index(1) * n
            );
            for i in 0..p {
                hits[draw.step(2, p, n).index(i)] += 1;
            }
        }
        // Each pixel is expected 100 times; χ² of 783 degrees of freedom is below 940 but once in 10⁴
        // (drawing without replacement only lowers it).
        let chi2: f64 = hits.iter().map(|&h| (f64::from(h) - 100.0).powi(2) / 100.0).sum();
        assert!((450.0..940.0).contains(&chi2), "χ² {chi2}");
    }

    #[test]
    fn the_permutation_is_part_of_the_format() {
        // These values may never change: a bundle trained on one partition is useless with another.
        let p: Vec<_> = (0..8).map(|i| Permutation::new(784, 1).apply(i)).collect();
        assert_eq!(p, [471, 78, 97, 687, 514, 273, 91, 542]);
        assert_eq!(share(196, 784, 784), 196);
        assert_eq!(share(196, 784, 100), 25);
        assert_eq!(share(196, 784, 1), 1);
    }
}
