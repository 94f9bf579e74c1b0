//! Batches made ahead of their use, on a thread of their own: images varied, pixels drawn and gathered.

use std::sync::mpsc::sync_channel;
use std::thread;

use ndarray::CowArray;
use rayon::prelude::*;

use crate::batch::{self, DrawSeed, Gathered, Sampler};
use crate::data::Split;
use crate::settings::Settings;
use crate::trainer::Position;

/// Batches that lie ready at most.
const AHEAD: usize = 3;

/// A batch, and its place in the run.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) epoch: u64,
    /// Batches of the epoch done when this one is.
    pub(crate) done: usize,
    /// Whether it is the epoch's last one.
    pub(crate) last: bool,
    pub(crate) pixels: Gathered,
    pub(crate) labels: Vec<u16>,
}

/// Runs `train` on the batches of a phase from a position on; they come in their order, whatever thread makes them. When
/// `train` ends early, so does the making.
pub(crate) fn run_ahead<R>(
    split: &Split,
    sampler: &Sampler,
    settings: &Settings,
    from: Position,
    train: impl FnOnce(&mut dyn Iterator<Item = Batch>) -> R,
) -> R {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            let seed = settings.train.seed;
            let (mut step, mut skip) = (from.step, from.batch);
            for epoch in from.epoch..settings.train.epochs {
                let batches = batch::epoch(split, settings.train.batch, seed, epoch);
                let count = batches.len();
                for (i, indices) in batches.into_iter().enumerate().skip(skip) {
                    let batch = Batch {
                        epoch,
                        done: i + 1,
                        last: i + 1 == count,
                        pixels: pixels(split, sampler, settings, step, &indices),
                        labels: indices.iter().map(|n| split.labels[*n]).collect(),
                    };
                    // Nobody listens any more.
                    if sender.send(batch).is_err() {
                        return;
                    }
                    step += 1;
                }
                skip = 0;
            }
        });
        train(&mut receiver.into_iter())
    })
}

fn pixels(
    split: &Split,
    sampler: &Sampler,
    settings: &Settings,
    step: u64,
    indices: &[usize],
) -> Gathered {
    let (augment, seed) = (settings.augment, settings.train.seed);
    let images = indices.par_iter().enumerate().map(|(place, n)| {
        let image = split.image(*n);
        if augment.is_off() {
            return CowArray::from(image);
        }
        CowArray::from(augment.vary(image, seed, step, place))
    });
    let images: Vec<_> = images.collect();
    let images: Vec<_> = images.iter().map(|image| image.view()).collect();
    sampler.gather(&images, DrawSeed::Training { seed, step })
}

#[cfg(test)]
mod tests {
    use mwt_core::ModelConfig;

    use super::*;
    use crate::layers::Layers;

    fn places(from: Position, take: usize) -> Vec<(u64, usize, bool, Vec<u16>)> {
        let split = Split::from_bytes(vec![0; 7 * 64], (8, 8, 1), (0..7).collect()).unwrap();
        let mut layers = Layers::default();
        layers.preset("nano").unwrap();
        layers.assign("train.batch=2").unwrap();
        layers.assign("train.epochs=2").unwrap();
        let settings = layers.settings(None).unwrap();
        let model = ModelConfig { pixels_per_step: 4, ..ModelConfig::NANO };
        let model = model.with_image(mwt_core::ImageSize { height: 8, width: 8 }, 1);
        run_ahead(&split, &Sampler::new(&model), &settings, from, |batches| {
            batches.take(take).map(|b| (b.epoch, b.done, b.last, b.labels)).collect()
        })
    }

    #[test]
    fn batches_come_in_order_from_any_place_and_stop_when_told_to() {
        let all = places(Position::default(), 100);
        let order: Vec<_> = all.iter().map(|b| (b.0, b.1, b.2)).collect();
        assert_eq!(
            order,
            [
                (0, 1, false),
                (0, 2, false),
                (0, 3, true),
                (1, 1, false),
                (1, 2, false),
                (1, 3, true)
            ]
        );
        let later = Position { epoch: 0, batch: 2, step: 2, ..Position::default() };
        assert_eq!(places(later, 100), all[2..]);
        // Far fewer than were made ahead.
        assert_eq!(places(Position::default(), 1), all[..1]);
        assert!(places(Position { epoch: 2, step: 6, ..Position::default() }, 9).is_empty());
    }
}
