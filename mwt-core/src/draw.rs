//! Which samples an inner step looks at.
//!
//! A draw puts the positions of the model's grid into an order for each step, of which the step looks at the first P.
//! The order is computed position by position from a seed: no table, no state, no memory, so a microcontroller, a GPU
//! thread and a test draw the same ones. It can be asked both ways: which position comes at a place, and at which place
//! a position comes.
//!
//! Where samples are missing a step looks further down its order, so that it finds about as many as of a whole signal.

use crate::grid::Extents;

/// The draw of a model: part of the bundle, the same in training and inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "text::Text", into = "text::Text"))]
pub struct Draw {
    /// How the steps' positions relate.
    pub kind: DrawKind,
    /// Chooses among the draws of that kind.
    pub seed: u32,
}

/// How the positions of the inner steps relate to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawKind {
    /// The paper's: each step draws its positions afresh from all of them, without replacement. In training
    /// each signal and step has its own seed; in inference the seed is the bundle's.
    Random,
    /// One fixed shuffled partition: step j looks at the j-th P positions of one permutation (wrapping
    /// around when k·P exceeds the grid), the same for every signal, in training and in inference.
    Partition,
    /// Each step looks at one position of every cell of the grid, another one each step until the cell has no more.
    /// In training each signal has its own order of a cell's positions; in inference the seed is the bundle's.
    Stratified {
        /// Sides of a cell; cells at the grid's end are cut off by it.
        cell: Extents,
    },
}

#[cfg(feature = "serde")]
mod text {
    //! A draw as text: the kind is a word, and a cell stands beside it where there is one.

    use serde::{Deserialize, Serialize};

    use super::{Draw, DrawKind};
    use crate::grid::Extents;

    #[derive(Serialize, Deserialize)]
    enum Word {
        Random,
        Partition,
        Stratified,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Text {
        kind: Word,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cell: Option<Extents>,
        seed: u32,
    }

    impl From<Draw> for Text {
        fn from(draw: Draw) -> Self {
            let (kind, cell) = match draw.kind {
                DrawKind::Random => (Word::Random, None),
                DrawKind::Partition => (Word::Partition, None),
                DrawKind::Stratified { cell } => (Word::Stratified, Some(cell)),
            };
            Self { kind, cell, seed: draw.seed }
        }
    }

    impl TryFrom<Text> for Draw {
        type Error = &'static str;

        fn try_from(text: Text) -> Result<Self, Self::Error> {
            let kind = match (text.kind, text.cell) {
                (Word::Stratified, Some(cell)) => DrawKind::Stratified { cell },
                (Word::Random, None) => DrawKind::Random,
                (Word::Partition, None) => DrawKind::Partition,
                (Word::Stratified, None) => return Err("a stratified draw needs a cell"),
                (_, Some(_)) => return Err("only a stratified draw has a cell"),
            };
            Ok(Self { kind, seed: text.seed })
        }
    }
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

    /// One position of every cell for each step.
    pub const fn stratified(seed: u32, cell: Extents) -> Self {
        Self { kind: DrawKind::Stratified { cell }, seed }
    }

    /// The draw of inner step `step` when each step looks at `pixels_per_step` positions of a grid.
    pub fn step(self, step: usize, pixels_per_step: usize, extents: Extents) -> StepDraw {
        let positions = extents.positions();
        let order = match self.kind {
            DrawKind::Random => {
                let key = mix(self.seed ^ mix(step as u32 + 1));
                Order::Shuffled { permutation: Permutation::new(positions, key), start: 0 }
            }
            DrawKind::Partition => Order::Shuffled {
                permutation: Permutation::new(positions, self.seed),
                start: step.wrapping_mul(pixels_per_step).checked_rem(positions).unwrap_or(0),
            },
            DrawKind::Stratified { cell } => Order::Cells(Cells {
                extents,
                cell,
                cells: extents.cells(cell).unwrap_or(extents),
                step,
                seed: self.seed,
            }),
        };
        StepDraw { order, positions, count: pixels_per_step }
    }
}

/// The positions of one inner step.
#[derive(Clone, Copy, Debug)]
pub struct StepDraw {
    order: Order,
    /// How many positions the grid has.
    positions: usize,
    /// How many of the order the step looks at.
    count: usize,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    /// From place `start` of a permutation on, around its end.
    Shuffled {
        permutation: Permutation,
        start: usize,
    },
    Cells(Cells),
}

impl StepDraw {
    /// How many positions the step looks at: P, or more where samples are missing.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The step for a signal that has `there` samples: as many positions, up to all, as hold P of those, if they are spread
    /// evenly.
    pub fn for_samples(self, there: usize) -> Self {
        let wanted = self.count as u64 * self.positions as u64;
        let reach = if there == 0 { self.positions as u64 } else { wanted.div_ceil(there as u64) };
        let count = reach.min(self.positions as u64) as usize;
        Self { count, ..self }
    }

    /// The `i`-th position of the step's order. Up to P they are distinct; a stratified draw whose cells are not all whole
    /// may then repeat some.
    pub fn index(&self, i: usize) -> usize {
        match &self.order {
            Order::Shuffled { permutation, start } => {
                let n = permutation.len as usize;
                let at = start + i;
                permutation.apply(if at >= n { at - n.min(at) } else { at })
            }
            Order::Cells(cells) => cells.position(i),
        }
    }

    /// Whether `position` is one of them.
    pub fn contains(&self, position: usize) -> bool {
        let place = match &self.order {
            Order::Shuffled { permutation, start } => {
                let at = permutation.invert(position);
                if at >= *start { at - start } else { at + permutation.len as usize - start }
            }
            Order::Cells(cells) => cells.place(position),
        };
        position < self.positions && place < self.count
    }
}

/// One position of every cell, then another one of every cell, and so on.
#[derive(Clone, Copy, Debug)]
struct Cells {
    extents: Extents,
    cell: Extents,
    /// How many cells there are along each axis.
    cells: Extents,
    step: usize,
    seed: u32,
}

/// One cell.
struct Cell {
    /// Its first position along each axis.
    first: [usize; 3],
    /// What the grid's end leaves of its sides.
    extents: Extents,
    /// The order in which steps take its positions.
    order: Permutation,
}

impl Cells {
    fn cell(&self, cell: usize) -> Cell {
        let (mut first, mut sides) = (self.cells.indices(cell), [1; 3]);
        for (axis, (first, side)) in first.iter_mut().zip(&mut sides).enumerate() {
            *first *= self.cell.side(axis);
            *side = self.cell.side(axis).min(self.extents.side(axis).saturating_sub(*first));
        }
        let [a, b, c] = sides;
        let extents = Extents::volume(a, b, c);
        let key = mix(self.seed ^ mix(cell as u32 + 1));
        Cell { first, extents, order: Permutation::new(extents.positions(), key) }
    }

    /// The `i`-th position of the step's order.
    fn position(&self, i: usize) -> usize {
        let cells = self.cells.positions();
        let round = i.checked_div(cells).unwrap_or(0);
        let Cell { first: [a, b, c], extents, order } = self.cell(i - round * cells);
        let taken = (self.step + round).checked_rem(order.len as usize).unwrap_or(0);
        let [x, y, z] = extents.indices(order.apply(taken));
        self.extents.position([a + x, b + y, c + z])
    }

    /// The place of a position in the step's order.
    fn place(&self, position: usize) -> usize {
        let at = self.extents.indices(position);
        let (mut along, mut within) = (at, at);
        for (axis, along) in along.iter_mut().enumerate() {
            *along = along.checked_div(self.cell.side(axis)).unwrap_or(0);
        }
        let cell = self.cells.position(along);
        let Cell { first, extents, order } = self.cell(cell);
        within.iter_mut().zip(first).for_each(|(at, first)| *at = at.saturating_sub(first));
        let len = order.len as usize;
        // Rounds from this step's own on until the cell's order comes to the position.
        let taken = order.invert(extents.position(within));
        let rounds = taken + len - self.step.checked_rem(len).unwrap_or(0);
        rounds.checked_rem(len).unwrap_or(0) * self.cells.positions() + cell
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

    /// What [`apply`](Self::apply) takes to `value`; 0 for a value past the end.
    pub fn invert(&self, value: usize) -> usize {
        if value >= self.len as usize {
            return 0;
        }
        let mut at = value as u32;
        loop {
            at = self.unfeistel(at);
            if at < self.len {
                return at as usize;
            }
        }
    }

    fn feistel(&self, value: u32) -> u32 {
        let (mut low, mut high) = self.halves(value);
        for round in 0..3 {
            high ^= self.of_low(low, round);
            low ^= self.of_high(high, round);
        }
        high << self.low | low
    }

    fn unfeistel(&self, value: u32) -> u32 {
        let (mut low, mut high) = self.halves(value);
        for round in (0..3).rev() {
            low ^= self.of_high(high, round);
            high ^= self.of_low(low, round);
        }
        high << self.low | low
    }

    fn halves(&self, value: u32) -> (u32, u32) {
        (value & ((1 << self.low) - 1), value >> self.low)
    }

    /// What a round adds to the high half.
    fn of_low(&self, low: u32, round: u32) -> u32 {
        let hashed = mix(low.wrapping_add(self.key).wrapping_add(round.wrapping_mul(0x9e37_79b9)));
        hashed & ((1 << self.high) - 1)
    }

    /// What a round adds to the low half.
    fn of_high(&self, high: u32, round: u32) -> u32 {
        let hashed =
            mix(high.wrapping_add(!self.key).wrapping_add(round.wrapping_mul(0x85eb_ca6b)));
        hashed & ((1 << self.low) - 1)
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
                assert_eq!(p.invert(p.apply(i)), i, "len {len}");
            }
        }
    }

    const IMAGE: Extents = Extents::image(28, 28);

    fn positions(draw: StepDraw) -> Vec<usize> {
        (0..draw.count()).map(|i| draw.index(i)).collect()
    }

    #[test]
    fn a_partition_covers_each_position_once_and_wraps() {
        let draw = Draw::partition(3);
        let mut all: Vec<_> = (0..4).flat_map(|j| positions(draw.step(j, 196, IMAGE))).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..784));
        // k·P = 6·171 > 1024: the last step wraps to the first positions, still without a repeat in itself.
        let step = |j| positions(draw.step(j, 171, Extents::image(32, 32)));
        let mut last = step(5);
        assert_eq!(last[169], step(0)[0]);
        last.sort_unstable();
        last.dedup();
        assert_eq!(last.len(), 171);
    }

    #[test]
    fn random_steps_differ_and_spread_evenly() {
        let p = 196;
        let mut hits = vec![0u32; 784];
        for seed in 0..400 {
            let draw = Draw::random(seed);
            let [first, second, third] = [0, 1, 2].map(|j| positions(draw.step(j, p, IMAGE)));
            assert_ne!(first[..2], second[..2]);
            third.into_iter().for_each(|at| hits[at] += 1);
        }
        // Each position is expected 100 times; χ² of 783 degrees of freedom is below 940 but once in 10⁴
        // (drawing without replacement only lowers it).
        let chi2: f64 = hits.iter().map(|&h| (f64::from(h) - 100.0).powi(2) / 100.0).sum();
        assert!((450.0..940.0).contains(&chi2), "χ² {chi2}");
    }

    #[test]
    fn a_stratified_step_has_one_position_of_every_cell_and_the_steps_have_all() {
        let grids = [
            (Extents::image(28, 28), Extents::image(2, 2)),
            (Extents::image(5, 7), Extents::image(2, 3)),
            (Extents::series(100), Extents::series(3)),
            (Extents::volume(4, 5, 3), Extents::volume(2, 2, 2)),
        ];
        for (extents, cell) in grids {
            let (draw, cells) = (Draw::stratified(9, cell), extents.cells(cell).unwrap());
            let mut seen = vec![0; extents.positions()];
            for j in 0..cell.positions() {
                let step = draw.step(j, cells.positions(), extents);
                for (i, at) in positions(step).into_iter().enumerate() {
                    // The i-th position lies in the i-th cell.
                    let [at_cell, at_grid] = [cells.indices(i), extents.indices(at)];
                    for axis in 0..3 {
                        assert_eq!(at_grid[axis] / cell.side(axis), at_cell[axis], "{extents:?}");
                    }
                    seen[at] += 1;
                }
            }
            // A whole cell is seen once, one that is cut off again and again.
            assert!(seen.iter().all(|n| *n >= 1), "{extents:?}");
            assert_eq!(seen.iter().sum::<usize>(), cells.positions() * cell.positions());
        }
    }

    #[test]
    fn a_step_contains_its_positions_and_no_others() {
        let extents = Extents::image(5, 7);
        let cell = Extents::image(2, 3);
        for draw in [Draw::random(4), Draw::partition(5), Draw::stratified(6, cell)] {
            let count = if matches!(draw.kind, DrawKind::Stratified { .. }) { 9 } else { 12 };
            for j in 0..7 {
                let step = draw.step(j, count, extents);
                let mut inside: Vec<_> = (0..40).filter(|at| step.contains(*at)).collect();
                let mut drawn = positions(step);
                inside.sort_unstable();
                drawn.sort_unstable();
                assert_eq!(inside, drawn, "{draw:?} step {j}");
            }
        }
    }

    /// Where half of the samples are missing a step looks at twice as many positions, of which its own come first.
    #[test]
    fn a_step_reaches_further_where_samples_are_missing() {
        let cell = Extents::image(2, 2);
        for draw in [Draw::random(4), Draw::partition(5), Draw::stratified(6, cell)] {
            for j in 0..4 {
                let step = draw.step(j, 196, IMAGE);
                let further = step.for_samples(392);
                assert_eq!((step.for_samples(784).count(), further.count()), (196, 392));
                assert_eq!(positions(further)[..196], positions(step));
                let inside = (0..784).filter(|at| further.contains(*at));
                let mut drawn = positions(further);
                drawn.sort_unstable();
                assert!(inside.eq(drawn), "{draw:?} step {j}");
                // Few, or none: all that there is.
                for there in [0, 1, 195] {
                    let mut all = positions(step.for_samples(there));
                    all.sort_unstable();
                    assert!(all.into_iter().eq(0..784), "{draw:?}");
                }
            }
        }
    }

    #[test]
    fn the_permutation_is_part_of_the_format() {
        // These values may never change: a bundle trained on one partition is useless with another.
        let p: Vec<_> = (0..8).map(|i| Permutation::new(784, 1).apply(i)).collect();
        assert_eq!(p, [471, 78, 97, 687, 514, 273, 91, 542]);
        let stratified = Draw::stratified(1, Extents::image(2, 2)).step(0, 196, IMAGE);
        assert_eq!(positions(stratified)[..8], [0, 31, 33, 6, 36, 11, 41, 42]);
    }
}
