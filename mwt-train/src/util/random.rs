//! A small random generator whose numbers are the same on every platform.

/// SplitMix64, by Steele, Lea and Flood (2014).
///
/// Only integer arithmetic and exact scaling are used, so equal seeds give equal
/// numbers everywhere. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator for one of several independent streams of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        // All SplitMix64 sequences lie on one long cycle. Hashing seed and
        // stream puts the starting points far apart even for 0, 1, 2, ...
        let start = Rng { state: seed }.next_u64();
        let state = Rng { state: start ^ stream }.next_u64();
        Rng { state }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The high half of the product is below `n`, so it fits again.
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number in `low..high`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        // 24 bits are what an f32 holds exactly.
        let unit = (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_sequence() {
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn stays_in_range() {
        let mut rng = Rng::new(1, 2);
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert!((0..1000).all(|_| (-2.0..2.0).contains(&rng.between(-2.0, 2.0))));
    }

    #[test]
    fn streams_differ() {
        let first = Rng::new(7, 0).next_u64();
        assert_ne!(first, Rng::new(7, 1).next_u64());
        assert_ne!(first, Rng::new(8, 0).next_u64());
    }
}
