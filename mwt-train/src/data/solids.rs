//! The built-in volumes: ten solids in random pose, drawn from a seed.
//!
//! Each signal is the unsigned distance to the surface of one solid on a grid of 16×16×16 positions
//! over [-1, 1]³, in the grid's unit, from formulas that are exact inside and outside. A solid has a
//! bounding sphere of radius 1 at the origin, is then scaled by 0.6 to 0.95, turned any way and
//! shifted a little, and stays within the grid.
//!
//! Only additions, multiplications, divisions and square roots are used: equal seeds give equal bytes
//! on every platform.

use mwt_core::Extents;

use super::built_in::{BuiltIn, rotation};
use super::error::DataError;
use super::options::{LoadOptions, SignalParts};
use super::surface::{Point, Surface, add, dot, scale};
use crate::util::random::Rng;

/// Positions along each axis.
const SIDE: usize = 16;

const SET: BuiltIn = BuiltIn {
    name: "solids",
    classes: &[
        "sphere",
        "cube",
        "cylinder",
        "cone",
        "torus",
        "tetrahedron",
        "octahedron",
        "capsule",
        "cross",
        "prism",
    ],
    extents: Extents::volume(SIDE, SIDE, SIDE),
    channels: 1,
    test: 1_000,
    stream: 0x736f_6c69,
};

/// Draws the training and the test volumes.
pub(super) fn load(options: &LoadOptions) -> Result<SignalParts, DataError> {
    SET.load(options.solids_train, options, draw_volume)
}

/// Draws one volume, `[16, 16, 16]`.
fn draw_volume(class: usize, rng: &mut Rng, volume: &mut [f32]) {
    let surface = solid(class, rng);
    let pose = Pose::new(rng);
    for (position, value) in volume.iter_mut().enumerate() {
        let mut at = [0.0; 3];
        SET.extents.coordinates(position, &mut at);
        // A distance shrinks with its solid.
        *value = pose.size * surface.distance(pose.undo(at));
    }
}

/// A solid of a class, of random proportions where it still is what its name says.
fn solid(class: usize, rng: &mut Rng) -> Surface {
    match SET.classes[class] {
        "cube" => Surface::cube(),
        "cylinder" => Surface::cylinder(rng.between(0.6, 1.4)),
        "cone" => Surface::cone(rng.between(0.9, 1.5)),
        "torus" => Surface::torus(rng.between(0.25, 0.45)),
        "tetrahedron" => Surface::tetrahedron(),
        "octahedron" => Surface::octahedron(),
        "capsule" => Surface::capsule(rng.between(0.35, 0.6)),
        "cross" => Surface::cross(rng.between(0.2, 0.35)),
        "prism" => Surface::prism(rng.between(0.6, 1.2)),
        _ => Surface::sphere(),
    }
}

/// Where a solid is: its size, its turn and its centre.
struct Pose {
    size: f32,
    /// The rows of the rotation matrix.
    turn: [Point; 3],
    centre: Point,
}

impl Pose {
    fn new(rng: &mut Rng) -> Self {
        let size = rng.between(0.6, 0.95);
        let turn = random_rotation(rng);
        // What is left beside the bounding sphere, but not so much that the place tells the size.
        let room = (1.0 - size).min(0.15);
        let centre = [(); 3].map(|()| rng.between(-room, room));
        Pose { size, turn, centre }
    }

    /// From the grid to the place where the solid is at the origin, of radius 1, and not turned.
    fn undo(&self, at: Point) -> Point {
        let from_centre = add(at, scale(self.centre, -1.0));
        // The inverse of a rotation is its transpose: columns in place of rows.
        let [a, b, c] = self.turn;
        let columns = [[a[0], b[0], c[0]], [a[1], b[1], c[1]], [a[2], b[2], c[2]]];
        scale(columns.map(|column| dot(column, from_centre)), 1.0 / self.size)
    }
}

/// A rotation, every one equally likely: the quaternion of a point drawn evenly from a ball.
fn random_rotation(rng: &mut Rng) -> [Point; 3] {
    let (quaternion, square) = loop {
        let q = [(); 4].map(|()| rng.between(-1.0, 1.0));
        let square: f32 = q.iter().map(|v| v * v).sum();
        // A third of the cube's points; near 0 rounding would show.
        if (0.01..1.0).contains(&square) {
            break (q, square);
        }
    };
    let length = square.sqrt();
    rotation(quaternion.map(|v| v / length))
}

#[cfg(test)]
mod tests {
    use super::super::built_in::checksum;
    use super::*;

    fn few(limit: usize) -> SignalParts {
        load(&LoadOptions { limit: Some(limit), ..LoadOptions::default() }).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_everywhere() {
        let (_, train, test) = few(100);
        let hashes = [&train, &test].map(|signals| checksum(&signals.values));
        // A change here is a change of the data set: results of before and after cannot be compared.
        assert_eq!(hashes, [0xe892_13cf_8401_96ef, 0x2f9b_176c_bc12_1bb7], "{hashes:#018x?}");
    }

    #[test]
    fn a_set_has_its_size_and_shape() {
        let (classes, train, test) = load(&LoadOptions::default()).unwrap();
        assert_eq!((classes.len(), train.labels.len(), test.labels.len()), (10, 4_000, 1_000));
        assert_eq!((train.extents, train.channels), (Extents::volume(16, 16, 16), 1));
        assert_eq!(train.values.len(), 4_000 * 4_096);
        assert!(train.values.iter().chain(&test.values).all(|v| (0.0..2.2).contains(v)));
    }

    #[test]
    fn every_solid_is_in_the_grid_and_neighbours_differ_by_no_more_than_a_step() {
        let (_, train, _) = few(200);
        let step = 2.0 / (SIDE - 1) as f32;
        for volume in train.values.chunks(SIDE * SIDE * SIDE) {
            let nearest = volume.iter().copied().fold(f32::INFINITY, f32::min);
            // No surface is farther from some position than half a cell's diagonal.
            assert!(nearest < 0.87 * step, "{nearest}");
            for row in volume.chunks(SIDE) {
                assert!(row.windows(2).all(|w| (w[0] - w[1]).abs() <= step + 1e-4));
            }
        }
    }

    #[test]
    fn a_pose_turns_scales_and_shifts() {
        let mut rng = Rng::new(4, 2);
        for _ in 0..100 {
            let pose = Pose::new(&mut rng);
            let reach: f32 = dot(pose.centre, pose.centre).sqrt();
            assert!(pose.centre.iter().all(|c| c.abs() + pose.size <= 1.0), "{reach}");
            let square = |v| dot(v, v);
            let [a, b] = [[0.1, -0.4, 0.7], [0.9, 0.2, -0.3]];
            let apart = add(pose.undo(a), scale(pose.undo(b), -1.0));
            let want = square(add(a, scale(b, -1.0))) / (pose.size * pose.size);
            assert!((square(apart) - want).abs() < 1e-4);
            assert!(square(pose.undo(pose.centre)) < 1e-10);
        }
    }

    /// How much of the space is how far away does not depend on the pose, but for the size.
    #[test]
    fn classes_can_be_told_apart_but_not_by_a_histogram() {
        let (_, train, test) = few(800);
        let features = |volume: &[f32]| {
            let mut sorted = volume.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            (0..16).map(|n| sorted[n * 256 + 128]).collect::<Vec<f32>>()
        };
        let numbers = SIDE * SIDE * SIDE;
        let known: Vec<_> = train.values.chunks(numbers).map(features).collect();
        let nearest = |volume: &[f32]| {
            let own = features(volume);
            let square =
                |a: &[f32]| a.iter().zip(&own).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
            let squares = known.iter().map(|other| square(other)).enumerate();
            squares.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let judged = test.values.chunks(numbers).zip(&test.labels).take(400);
        let right = judged.filter(|(volume, label)| train.labels[nearest(volume)] == **label);
        let right = right.count();
        assert!((120..360).contains(&right), "{right} of 400");
    }
}
