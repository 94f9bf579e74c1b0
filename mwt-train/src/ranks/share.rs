//! What of a number of things is whose.

use std::ops::Range;

/// Which of several ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub(crate) rank: usize,
    pub(crate) count: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { rank: 0, count: 1 };

    /// The rank's places among `n`: they follow each other from rank to rank and differ in number by one at most.
    pub fn of(self, n: usize) -> Range<usize> {
        let start = |rank: usize| (rank as u128 * n as u128 / self.count as u128) as usize;
        start(self.rank)..start(self.rank + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_each_other_and_are_even() {
        for (n, count) in [(0, 3), (7, 3), (32, 4), (5, 8), (1_000_003, 7)] {
            let shares: Vec<_> = (0..count).map(|rank| Share { rank, count }.of(n)).collect();
            assert_eq!((shares[0].start, shares[count - 1].end), (0, n));
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths = shares.iter().map(ExactSizeIterator::len);
            assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
        }
        assert_eq!(Share::WHOLE.of(9), 0..9);
    }
}
