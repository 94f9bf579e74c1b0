//! Batches made ahead of their use, on a thread of their own: images read and varied, pixels drawn and gathered.

use std::sync::mpsc::sync_channel;
use std::thread;

use rayon::prelude::*;

use super::batch::{self, DrawSeed, DrawnPixels, Sampler};
use super::example::Example;
use super::position::Position;
use crate::data::{DataError, Split};
use crate::ranks::Share;
use crate::settings::Settings;

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
    /// Of this process's share of the batch.
    pub(crate) pixels: DrawnPixels,
    pub(crate) labels: Vec<u16>,
    /// Images of the whole batch.
    pub(crate) images: usize,
}

/// Runs `train` on a share of each of the batches of a phase from a position on; they come in their order, whatever thread makes them, up to
/// the first that cannot be made. When `train` ends early, so does the making.
pub(crate) fn run_ahead<R>(
    split: &Split,
    sampler: &Sampler,
    settings: &Settings,
    from: Position,
    share: Share,
    train: impl FnOnce(&mut dyn Iterator<Item = Result<Batch, DataError>>) -> R,
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
                    let own = share.of(indices.len());
                    let (first, images) = (own.start, indices.len());
                    let indices = &indices[own];
                    let pixels = pixels(split, sampler, settings, step, first, indices);
                    let batch = pixels.map(|pixels| Batch {
                        epoch,
                        done: i + 1,
                        last: i + 1 == count,
                        pixels,
                        labels: indices.iter().map(|n| split.labels[*n]).collect(),
                        images,
                    });
                    let failed = batch.is_err();
                    // Nobody listens any more, or there is nothing more to be heard.
                    if sender.send(batch).is_err() || failed {
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
    first: usize,
    indices: &[usize],
) -> Result<DrawnPixels, DataError> {
    let examples = indices
        .par_iter()
        .enumerate()
        .map(|(place, n)| Example::varied(split, *n, settings, step, first + place))
        .collect::<Result<Vec<_>, DataError>>()?;
    Ok(sampler.draw(&examples, DrawSeed::Training { seed: settings.train.seed, step, first }))
}

#[cfg(test)]
mod tests {
    use mwt_core::ModelConfig;

    use super::*;
    use crate::settings::Layers;

    /// Settings of two epochs of batches of two.
    fn settings() -> Settings {
        let mut layers = Layers::default();
        layers.preset("nano").unwrap();
        layers.assign("train.batch=2").unwrap();
        layers.assign("train.epochs=2").unwrap();
        layers.settings(None).unwrap()
    }

    /// What it takes to draw four pixels from an image of 8×8.
    fn sampler() -> Sampler {
        let model = ModelConfig { pixels_per_step: 4, ..ModelConfig::NANO };
        Sampler::new(&model.with_extents(mwt_core::Extents::image(8, 8), 1))
    }

    fn places(from: Position, take: usize) -> Vec<(u64, usize, bool, Vec<u16>)> {
        let split = Split::from_bytes(vec![0; 7 * 64], (8, 8, 1), (0..7).collect()).unwrap();
        run_ahead(&split, &sampler(), &settings(), from, Share::WHOLE, |batches| {
            let batches = batches.map(Result::unwrap).take(take);
            batches.map(|b| (b.epoch, b.done, b.last, b.labels)).collect()
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

    /// A folder of images that are decoded as they are used: six of a class to train on, each of its own grey.
    fn folder() -> (tempfile::TempDir, Split) {
        let dir = tempfile::tempdir().unwrap();
        for (folder, images) in [("train/a", 6), ("test/a", 1)] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            for n in 0..images {
                let file = dir.path().join(folder).join(format!("{n}.png"));
                image::GrayImage::from_pixel(8, 8, image::Luma([n])).save(file).unwrap();
            }
        }
        let options = crate::data::LoadOptions { memory: 0, ..Default::default() };
        let set = crate::data::load(&dir.path().display().to_string(), &options).unwrap();
        (dir, set.train)
    }

    /// Of two ranks each reads the images of its share of a batch alone: the files of the other's may be gone.
    #[test]
    fn a_rank_decodes_the_images_of_its_share_alone() {
        for rank in 0..2 {
            let (dir, split) = folder();
            let share = Share { rank, count: 2 };
            let epoch = |n| batch::epoch(&split, 2, settings().train.seed, n);
            // Images that are this rank's in one epoch may be the other's in the next.
            let own: Vec<usize> =
                epoch(0).iter().flat_map(|batch| &batch[share.of(2)]).copied().collect();
            assert_eq!(own.len(), 3);
            for n in (0..6).filter(|n| !own.contains(n)) {
                std::fs::remove_file(dir.path().join(format!("train/a/{n}.png"))).unwrap();
            }
            let run = |share| {
                let (sampler, settings, from) = (sampler(), settings(), Position::default());
                run_ahead(&split, &sampler, &settings, from, share, |batches| {
                    batches.take(3).filter(Result::is_ok).count()
                })
            };
            assert_eq!((run(share), run(Share { rank: 1 - rank, count: 2 })), (3, 0));
        }
    }

    /// An image whose file is gone, or another, ends the batches with its error, wherever in the epoch its turn comes.
    #[test]
    fn an_image_that_cannot_be_read_any_more_ends_the_batches() {
        let (dir, split) = folder();
        let run = || {
            run_ahead(
                &split,
                &sampler(),
                &settings(),
                Position::default(),
                Share::WHOLE,
                |batches| batches.map(|batch| batch.map(drop)).collect::<Vec<_>>(),
            )
        };
        assert!(run().len() == 6 && run().iter().all(Result::is_ok));
        let path = dir.path().join("train/a/4.png");
        std::fs::copy(dir.path().join("train/a/3.png"), &path).unwrap();
        let error = run().pop().unwrap().unwrap_err().to_string();
        assert!(error.contains("4.png: has other bytes"), "{error}");
        std::fs::remove_file(path).unwrap();
        let mut batches = run();
        let error = batches.pop().unwrap().unwrap_err().to_string();
        assert!(error.contains("4.png") && batches.len() < 3, "{error}");
        assert!(batches.iter().all(Result::is_ok));
    }
}
