//! The built-in data set: handwriting-like digits, drawn from a seed.
//!
//! Each image takes one way to write its digit from [`GLYPHS`], wobbles it,
//! slants, turns, stretches and shifts it, and draws it with a pen of random
//! width and brightness onto a noisy ground.
//!
//! Only additions, multiplications, divisions and square roots are used, which
//! IEEE 754 rounds the same way everywhere. So equal seeds give equal bytes on
//! every platform, which the sines of different maths libraries would not.

use super::error::DataError;
use super::glyphs::{GLYPHS, Glyph, Point};
use super::image::zeroed;
use super::options::LoadOptions;
use super::split::Split;
use crate::util::random::Rng;

/// Height and width of every image.
const SIDE: usize = 28;
/// Pixels of one image.
const PIXELS: usize = SIDE * SIDE;

/// Random streams, apart so that no test image repeats a training image.
const TRAIN_STREAM: u64 = 0;
const TEST_STREAM: u64 = 1;

/// Height of an unscaled digit, in pixels.
const HEIGHT: f32 = 18.0;
/// Width of an unscaled digit, in pixels.
const WIDTH: f32 = 15.0;
/// Straight pieces between two points of a stroke.
const PIECES: usize = 8;

/// Draws the training and the test digits.
pub(super) fn load(options: &LoadOptions) -> Result<(Vec<String>, Split, Split), DataError> {
    let limit = options.limit.unwrap_or(usize::MAX);
    let draw = |count: usize, stream| {
        let mut rng = Rng::new(options.seed, stream);
        draw_split(count.min(limit), &mut rng)
    };
    Ok((
        (0..GLYPHS.len()).map(|digit| digit.to_string()).collect(),
        draw(options.digits_train, TRAIN_STREAM)?,
        draw(options.digits_test, TEST_STREAM)?,
    ))
}

/// Draws `count` digits: each equally often, up to one, and in random order.
fn draw_split(count: usize, rng: &mut Rng) -> Result<Split, DataError> {
    let shape = (SIDE, SIDE, 1);
    let mut bytes = zeroed(count, shape)?;
    let mut digits: Vec<usize> = (0..count).map(|i| i % GLYPHS.len()).collect();
    rng.shuffle(&mut digits);
    for (image, &digit) in bytes.chunks_exact_mut(PIXELS).zip(&digits) {
        draw_digit(digit, rng, image);
    }
    let labels = digits.into_iter().map(|digit| digit as u16).collect();
    Split::from_bytes(bytes, shape, labels)
}

/// Draws one digit into the pixels of one image.
fn draw_digit(digit: usize, rng: &mut Rng, image: &mut [u8]) {
    let variants = GLYPHS[digit];
    let glyph: Glyph = variants[rng.below(variants.len())];
    let wobble = Wobble::new(rng);
    let affine = Affine::new(rng);
    let mut canvas = Canvas::new(rng.between(0.8, 1.7));
    for stroke in glyph {
        let curve = smooth(stroke);
        let mut placed = curve.into_iter().map(|p| affine.apply(wobble.apply(p)));
        let Some(mut from) = placed.next() else {
            continue;
        };
        for to in placed {
            canvas.line(from, to);
            from = to;
        }
    }
    let brightness = rng.between(150.0, 255.0);
    let noise = rng.between(4.0, 24.0);
    for (pixel, ink) in image.iter_mut().zip(canvas.ink()) {
        // The sum of three even spreads is nearly a bell curve.
        let bell: f32 = (0..3).map(|_| rng.between(-1.0, 1.0)).sum();
        // `as` clamps to 0..=255.
        *pixel = (brightness * ink + noise * bell + 0.5) as u8;
    }
}

/// A Catmull-Rom spline through the points, as a fine polyline.
fn smooth(points: &[Point]) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    let closed = last > 1 && points[0] == points[last];
    let mut curve: Vec<Point> = points.first().copied().into_iter().collect();
    for i in 0..last {
        // The neighbours outside decide the direction at both ends. A closed
        // curve goes round; an open one ends with the end repeated.
        let before = match (i, closed) {
            (0, true) => points[last - 1],
            _ => points[i.saturating_sub(1)],
        };
        let after = match (i + 1 == last, closed) {
            (true, true) => points[1],
            _ => points[(i + 2).min(last)],
        };
        let (from, to) = (points[i], points[i + 1]);
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            curve.push((
                spline([before.0, from.0, to.0, after.0], t),
                spline([before.1, from.1, to.1, after.1], t),
            ));
        }
    }
    curve
}

/// One coordinate of the spline between `b` and `c`, for `t` from 0 to 1.
fn spline([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let linear = c - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cubic = 3.0 * (b - c) + d - a;
    b + 0.5 * t * (linear + t * (square + t * cubic))
}

/// An unsteady hand: a smooth field of random shifts over the glyph's box.
///
/// A field rather than a shift for each point, because strokes that meet in the
/// glyph must still meet afterwards.
struct Wobble {
    /// Shifts at the nodes of a grid, rows first.
    nodes: [[Point; Self::CELLS + 1]; Self::CELLS + 1],
}

impl Wobble {
    const CELLS: usize = 3;
    const REACH: f32 = 0.075;

    fn new(rng: &mut Rng) -> Self {
        let mut nodes = [[(0.0, 0.0); Self::CELLS + 1]; Self::CELLS + 1];
        for node in nodes.as_flattened_mut() {
            node.0 = rng.between(-Self::REACH, Self::REACH);
            node.1 = rng.between(-Self::REACH, Self::REACH);
        }
        Wobble { nodes }
    }

    /// Shifts a point by the mean of the four nodes around it, by nearness.
    fn apply(&self, (x, y): Point) -> Point {
        // Splines may swing out of the box a little; the outer cells go on.
        let cell = |v: f32| ((v * Self::CELLS as f32) as usize).min(Self::CELLS - 1);
        let (column, row) = (cell(x), cell(y));
        let u = x * Self::CELLS as f32 - column as f32;
        let v = y * Self::CELLS as f32 - row as f32;
        let mut shifted = (x, y);
        for (r, weight_y) in [(row, 1.0 - v), (row + 1, v)] {
            for (c, weight_x) in [(column, 1.0 - u), (column + 1, u)] {
                let (dx, dy) = self.nodes[r][c];
                shifted.0 += weight_x * weight_y * dx;
                shifted.1 += weight_x * weight_y * dy;
            }
        }
        shifted
    }
}

/// From the glyph's box to pixels: a stretch, a slant, a turn and a shift.
struct Affine {
    scale: Point,
    shear: f32,
    cos: f32,
    sin: f32,
    shift: Point,
}

impl Affine {
    fn new(rng: &mut Rng) -> Self {
        // The tangent of half the angle, up to 7.5 degrees either way, gives
        // sine and cosine by arithmetic alone.
        let half = rng.between(-0.1317, 0.1317);
        let size = rng.between(0.8, 1.1);
        Affine {
            scale: (WIDTH * size * rng.between(0.8, 1.15), HEIGHT * size * rng.between(0.95, 1.05)),
            shear: rng.between(-0.2, 0.25),
            cos: (1.0 - half * half) / (1.0 + half * half),
            sin: 2.0 * half / (1.0 + half * half),
            shift: (rng.between(-2.5, 2.5), rng.between(-2.5, 2.5)),
        }
    }

    fn apply(&self, (x, y): Point) -> Point {
        let y = (y - 0.5) * self.scale.1;
        // Handwriting leans to the right, where y is smaller.
        let x = (x - 0.5) * self.scale.0 - self.shear * y;
        let centre = (SIDE - 1) as f32 / 2.0;
        (
            centre + self.cos * x - self.sin * y + self.shift.0,
            centre + self.sin * x + self.cos * y + self.shift.1,
        )
    }
}

/// Where the pen has been: for each pixel, how near.
struct Canvas {
    /// Half the width of the pen, in pixels.
    radius: f32,
    /// Squared distance of each pixel to the nearest line, rows first.
    distances: [f32; PIXELS],
}

impl Canvas {
    fn new(radius: f32) -> Self {
        Canvas { radius, distances: [f32::INFINITY; PIXELS] }
    }

    /// Draws a straight line.
    fn line(&mut self, from: Point, to: Point) {
        // Pixels further away than this get no ink from this line.
        let reach = self.radius + 1.0;
        // `as` clamps below at 0; a range that ends before it begins is empty.
        let range = |a: f32, b: f32| {
            let end = (a.max(b) + reach + 1.0) as usize;
            (a.min(b) - reach) as usize..end.min(SIDE)
        };
        for y in range(from.1, to.1) {
            for x in range(from.0, to.0) {
                let distance = &mut self.distances[y * SIDE + x];
                *distance = distance.min(squared_distance((x as f32, y as f32), from, to));
            }
        }
    }

    /// The ink on each pixel, 0 to 1; edges are soft over one pixel.
    fn ink(&self) -> impl Iterator<Item = f32> {
        let edge = self.radius + 0.5;
        let distances = self.distances.iter();
        distances.map(move |d| (edge - d.sqrt()).clamp(0.0, 1.0))
    }
}

/// Squared distance of a point to the line between two others.
fn squared_distance(point: Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let length = dx * dx + dy * dy;
    // How far along the line its nearest point is, 0 to 1.
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (px - along * dx, py - along * dy);
    ex * ex + ey * ey
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn digits(seed: u64, train: usize, test: usize) -> (Vec<String>, Split, Split) {
        load(&LoadOptions {
            seed,
            digits_train: train,
            digits_test: test,
            ..LoadOptions::default()
        })
        .unwrap()
    }

    /// FNV-1a.
    fn checksum(bytes: impl IntoIterator<Item = u8>) -> u64 {
        bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_everywhere() {
        let (_, train, test) = digits(0, 300, 100);
        let hashes =
            [&train, &test].map(|split| checksum(split.to_array().unwrap().iter().copied()));
        // A change here is a change of the data set: results of before and after
        // cannot be compared.
        assert_eq!(hashes, [0xfbf3_9957_09e8_bfd6, 0xd6ab_f66d_d2bf_6b3a], "{hashes:#018x?}");
        assert_ne!(digits(1, 300, 1).1, train);
    }

    #[test]
    fn labels_are_balanced_and_shuffled() {
        let (classes, train, _) = digits(5, 205, 10);
        assert_eq!(classes.len(), 10);
        for digit in 0..10 {
            let count = train.labels.iter().filter(|&&l| l == digit).count();
            assert!((20..=21).contains(&count));
        }
        let runs = train.labels.windows(2).filter(|w| w[0] + 1 == w[1]);
        assert!(runs.count() < 60);
    }

    #[test]
    fn no_image_comes_twice() {
        let (_, train, test) = digits(0, 500, 500);
        let (train, test) = (train.to_array().unwrap(), test.to_array().unwrap());
        let images = train.outer_iter().chain(test.outer_iter());
        let distinct: HashSet<Vec<u8>> = images.map(|i| i.iter().copied().collect()).collect();
        assert_eq!(distinct.len(), 1000);
    }

    #[test]
    fn every_variant_stays_in_its_box() {
        for glyph in GLYPHS.concat() {
            for (x, y) in glyph.iter().flat_map(|stroke| smooth(stroke)) {
                assert!((-0.05..1.05).contains(&x) && (-0.05..1.05).contains(&y));
            }
        }
    }

    #[test]
    fn a_huge_number_of_digits_is_refused() {
        let options = LoadOptions { digits_train: usize::MAX, ..LoadOptions::default() };
        assert!(matches!(load(&options), Err(DataError::TooLarge { .. })));
    }
}
