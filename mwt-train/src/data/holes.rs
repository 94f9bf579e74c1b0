//! Samples left out of a signal, so that a model is trained for, and tested on, what a sensor loses.

use mwt_core::Extents;

use crate::settings::Missing;
use crate::util::random::Rng;

/// Which samples of a grid are there when a `share` of them is missing: `true` at those positions. At least one stays of
/// those that the signal has, which `known` tells.
pub fn holes(
    extents: Extents,
    kind: Missing,
    share: f32,
    known: impl Fn(usize) -> bool,
    rng: &mut Rng,
) -> Vec<bool> {
    let kind = match kind {
        Missing::Mixed => {
            [Missing::Samples, Missing::Rows, Missing::Columns, Missing::Blocks, Missing::Stretches]
                [rng.below(5)]
        }
        kind => kind,
    };
    let last = extents.axes() - 1;
    let mut there = match kind {
        Missing::Samples | Missing::Mixed => {
            (0..extents.positions()).map(|_| rng.between(0.0, 1.0) >= share).collect()
        }
        Missing::Rows => lines(extents, 0, share, rng),
        Missing::Columns => lines(extents, last, share, rng),
        Missing::Blocks => {
            // A box of the share's volume, as like the grid as can be.
            let side = share.powf(1.0 / extents.axes() as f32);
            span(extents, |_| side, rng)
        }
        Missing::Stretches => span(extents, |axis| if axis == 0 { share } else { 1.0 }, rng),
    };
    if !there.iter().enumerate().any(|(position, there)| *there && known(position)) {
        let known: Vec<_> = (0..there.len()).filter(|position| known(*position)).collect();
        if !known.is_empty() {
            there[known[rng.below(known.len())]] = true;
        }
    }
    there
}

/// Where a position lies along an axis.
fn along(extents: Extents, position: usize, axis: usize) -> usize {
    let stride: usize = extents.sides()[axis + 1..].iter().product();
    position / stride % extents.side(axis)
}

/// Whole lines across an axis are missing, each by itself.
fn lines(extents: Extents, axis: usize, share: f32, rng: &mut Rng) -> Vec<bool> {
    let there: Vec<_> = (0..extents.side(axis)).map(|_| rng.between(0.0, 1.0) >= share).collect();
    (0..extents.positions()).map(|position| there[along(extents, position, axis)]).collect()
}

/// One box is missing, whose sides are these shares of the grid's.
fn span(extents: Extents, share: impl Fn(usize) -> f32, rng: &mut Rng) -> Vec<bool> {
    let missing: Vec<_> = (0..extents.axes())
        .map(|axis| {
            let side = extents.side(axis);
            let len = ((share(axis) * side as f32).round() as usize).min(side);
            let first = rng.below(side - len + 1);
            first..first + len
        })
        .collect();
    let inside = |position: usize| {
        missing.iter().enumerate().all(|(axis, m)| m.contains(&along(extents, position, axis)))
    };
    (0..extents.positions()).map(|position| !inside(position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Extents = Extents::image(20, 30);

    fn missing(extents: Extents, kind: Missing, share: f32, seed: u64) -> Vec<bool> {
        holes(extents, kind, share, |_| true, &mut Rng::new(seed, 0))
    }

    fn share_of(there: &[bool]) -> f32 {
        there.iter().filter(|t| !**t).count() as f32 / there.len() as f32
    }

    #[test]
    fn the_share_is_kept_and_something_is_always_there() {
        let kinds = [
            Missing::Samples,
            Missing::Rows,
            Missing::Columns,
            Missing::Blocks,
            Missing::Stretches,
            Missing::Mixed,
        ];
        for kind in kinds {
            for extents in [IMAGE, Extents::series(100), Extents::volume(6, 7, 8)] {
                let of = |share| (0..200).map(move |seed| missing(extents, kind, share, seed));
                assert!(of(0.0).all(|there| !there.contains(&false)), "{kind:?}");
                assert!(of(1.0).all(|there| there.contains(&true)), "{kind:?}");
                let mean = of(0.5).map(|there| share_of(&there)).sum::<f32>() / 200.0;
                assert!((mean - 0.5).abs() < 0.08, "{kind:?} {extents:?}: {mean}");
            }
        }
    }

    #[test]
    fn what_stays_is_something_that_the_signal_has() {
        let series = Extents::series(50);
        for seed in 0..100 {
            let mut rng = Rng::new(seed, 0);
            let there = holes(series, Missing::Samples, 0.9, |at| at == 7 || at == 31, &mut rng);
            assert!(there[7] || there[31], "{seed}");
        }
        let none = holes(series, Missing::Samples, 1.0, |_| false, &mut Rng::new(0, 0));
        assert!(!none.contains(&true));
    }

    #[test]
    fn each_kind_has_its_shape() {
        let rows = missing(IMAGE, Missing::Rows, 0.5, 1);
        assert!(rows.chunks(30).all(|row| row.iter().all(|t| *t == row[0])));
        let columns = missing(IMAGE, Missing::Columns, 0.5, 2);
        assert!(columns.chunks(30).all(|row| row == &columns[..30]));
        let stretch = missing(Extents::series(100), Missing::Stretches, 0.3, 3);
        let first = stretch.iter().position(|t| !t).unwrap();
        let expected: Vec<_> = (0..100).map(|i| !(first..first + 30).contains(&i)).collect();
        assert_eq!(stretch, expected);
        // A box of 10 × 15.
        let block = missing(IMAGE, Missing::Blocks, 0.25, 4);
        assert_eq!(block.iter().filter(|t| !**t).count(), 150);
        assert_eq!(block.chunks(30).filter(|row| row.contains(&false)).count(), 10);
    }
}
