//! The built-in series: motions of a hand-held accelerometer, drawn from a seed.
//!
//! Each signal is 64 samples at a nominal 50 Hz of what a three-axis sensor in a moving hand reads,
//! in g: the acceleration of one of eight gestures, of random size, tempo and timing; a trembling,
//! drifting hand; gravity; all turned a little, because nobody holds a device straight; and noise.
//! A part of the signals is what a busy or battery-powered sensor delivers: samples are taken a
//! little early or late, and some are missing, alone or in a gap.
//!
//! Only additions, multiplications, divisions and square roots are used, and [`sin_cos`] and [`exp`],
//! which are made of them: equal seeds give equal bytes on every platform.

use core::f32::consts::TAU;

use mwt_core::Extents;
use mwt_core::math::{exp, sin_cos};

use super::built_in::{BuiltIn, rotation};
use super::error::DataError;
use super::options::{LoadOptions, SignalParts};
use crate::util::random::Rng;

/// Samples of a signal.
const LENGTH: usize = 64;
/// Samples per second.
const RATE: f32 = 50.0;
/// The sensor's axes: x to the right, y forwards, z up.
const AXES: usize = 3;
const X: usize = 0;
const Y: usize = 1;
const Z: usize = 2;
/// From the first sample to the last, in seconds.
const SPAN: f32 = (LENGTH - 1) as f32 / RATE;

const SET: BuiltIn = BuiltIn {
    name: "gestures",
    classes: &[
        "still",
        "shake",
        "circle",
        "swipe left",
        "swipe right",
        "tap twice",
        "figure eight",
        "lift",
    ],
    extents: Extents::series(LENGTH),
    channels: AXES,
    test: 1_000,
    stream: 0x6765_7374,
};

/// Draws the training and the test signals.
pub(super) fn load(options: &LoadOptions) -> Result<SignalParts, DataError> {
    SET.load(options.gestures_train, options, draw_signal)
}

/// A part of a motion, along one axis; accelerations in g, times in seconds.
enum Part {
    /// To and fro without end.
    Swing { size: f32, tempo: f32, phase: f32 },
    /// Speeds up, then slows down again: one period of a sine.
    Push { size: f32, start: f32, length: f32 },
    /// A blow that rings and dies away.
    Knock { size: f32, start: f32, tempo: f32, decay: f32 },
}

impl Part {
    /// The acceleration at a time.
    fn at(&self, time: f32) -> f32 {
        match *self {
            Part::Swing { size, tempo, phase } => size * sin_cos(TAU * tempo * time + phase).0,
            Part::Push { size, start, length } => {
                let part = (time - start) / length;
                let moves = (0.0..1.0).contains(&part);
                if moves { size * sin_cos(TAU * part).0 } else { 0.0 }
            }
            Part::Knock { size, start, tempo, decay } => {
                let since = time - start;
                if since < 0.0 {
                    return 0.0;
                }
                size * exp(-since / decay) * sin_cos(TAU * tempo * since).1
            }
        }
    }
}

/// Draws one signal, `[64, 3]`.
fn draw_signal(class: usize, rng: &mut Rng, signal: &mut [f32]) {
    let mut parts = gesture(class, rng);
    for axis in [X, Y, Z] {
        parts.push((axis, swing(rng, 0.01..0.06, 7.0..12.0)));
        parts.push((axis, swing(rng, 0.02..0.12, 0.1..0.6)));
    }
    let turn = Turn::new(rng);
    let noise = rng.between(0.02, 0.1);
    let timing = Timing::new(rng);
    for (i, sample) in signal.chunks_exact_mut(AXES).enumerate() {
        let late = rng.between(-timing.jitter, timing.jitter);
        let time = (i as f32 + late) / RATE;
        // At rest the sensor reads 1 g upwards.
        let mut reading = [0.0, 0.0, 1.0];
        for (axis, part) in &parts {
            reading[*axis] += part.at(time);
        }
        let reading = turn.apply(reading);
        // Both are drawn for every sample, so that one that is missing changes no other.
        let lost = rng.between(0.0, 1.0) < timing.loss;
        for (value, reading) in sample.iter_mut().zip(reading) {
            // The sum of three even spreads is nearly a bell curve.
            let bell: f32 = (0..3).map(|_| rng.between(-1.0, 1.0)).sum();
            *value = reading + noise * bell;
        }
        if lost || timing.gap.contains(&i) {
            sample.fill(f32::NAN);
        }
    }
}

/// The parts that make up a gesture of a class.
fn gesture(class: usize, rng: &mut Rng) -> Vec<(usize, Part)> {
    match SET.classes[class] {
        "shake" => {
            let tempo = rng.between(2.5, 5.5);
            let side = swing(rng, 0.3..1.4, tempo..tempo);
            vec![(X, side), (Y, swing(rng, 0.0..0.4, tempo..tempo))]
        }
        "circle" => around(rng, 0.9..2.2, 1.0),
        "figure eight" => around(rng, 0.7..1.4, 2.0),
        "swipe left" => swipe(rng, -1.0),
        "swipe right" => swipe(rng, 1.0),
        "tap twice" => {
            let apart = rng.between(0.15, 0.45);
            let first = rng.between(0.05, SPAN - apart - 0.1);
            let (tempo, decay) = (rng.between(10.0, 20.0), rng.between(0.02, 0.06));
            let mut tap = |start| {
                let size = -rng.between(0.5, 1.6);
                (Z, Part::Knock { size, start, tempo, decay })
            };
            vec![tap(first), tap(first + apart)]
        }
        "lift" => {
            let push = push(rng, 0.2..0.8, 0.5..0.9);
            vec![(Z, push)]
        }
        // Still: nothing but the hand.
        _ => Vec::new(),
    }
}

/// A swing of random size, tempo and phase.
fn swing(rng: &mut Rng, size: core::ops::Range<f32>, tempo: core::ops::Range<f32>) -> Part {
    Part::Swing {
        size: rng.between(size.start, size.end),
        tempo: rng.between(tempo.start, tempo.end),
        phase: rng.between(0.0, TAU),
    }
}

/// A push of random size and length, wholly within the signal.
fn push(rng: &mut Rng, size: core::ops::Range<f32>, length: core::ops::Range<f32>) -> Part {
    let length = rng.between(length.start, length.end);
    Part::Push {
        size: rng.between(size.start, size.end),
        start: rng.between(0.0, SPAN - length),
        length,
    }
}

/// A push to the left (-1) or right (1), never quite straight.
fn swipe(rng: &mut Rng, direction: f32) -> Vec<(usize, Part)> {
    let length = rng.between(0.25, 0.6);
    let start = rng.between(0.0, SPAN - length);
    let size = direction * rng.between(0.3, 1.2);
    let forwards = rng.between(-0.25, 0.25);
    vec![(X, Part::Push { size, start, length }), (Y, Part::Push { size: forwards, start, length })]
}

/// A loop in the plane of x and y, either way round: a circle where both axes swing at one tempo, a
/// figure eight where y swings `times` 2 as fast.
fn around(rng: &mut Rng, tempo: core::ops::Range<f32>, times: f32) -> Vec<(usize, Part)> {
    let tempo = rng.between(tempo.start, tempo.end);
    let phase = rng.between(0.0, TAU);
    let size = rng.between(0.2, 0.7);
    let way = if rng.below(2) == 0 { 1.0 } else { -1.0 };
    let across = way * size * rng.between(0.7, 1.3);
    // A quarter ahead, so that a circle's axes do not pass 0 together.
    let ahead = if times == 1.0 { TAU / 4.0 } else { 0.0 };
    vec![
        (X, Part::Swing { size, tempo, phase }),
        (Y, Part::Swing { size: across, tempo: times * tempo, phase: times * phase + ahead }),
    ]
}

/// When samples are taken, and which are lost.
struct Timing {
    /// The most that a sample is early or late, in samples.
    jitter: f32,
    /// The share of samples lost alone.
    loss: f32,
    /// The samples lost together.
    gap: core::ops::Range<usize>,
}

impl Timing {
    fn new(rng: &mut Rng) -> Self {
        // A third of the signals each: uneven times, single losses, a gap.
        let jitter = if rng.below(3) == 0 { rng.between(0.1, 0.45) } else { 0.0 };
        let loss = if rng.below(3) == 0 { rng.between(0.05, 0.3) } else { 0.0 };
        let gap = if rng.below(3) == 0 { 4 + rng.below(12) } else { 0 };
        let start = rng.below(LENGTH - gap);
        Timing { jitter, loss, gap: start..start + gap }
    }
}

/// How the device is held: a turn about a random axis.
struct Turn {
    rows: [[f32; AXES]; AXES],
}

impl Turn {
    fn new(rng: &mut Rng) -> Self {
        // A quaternion 1 + xi + yj + zk: the tangents of half the angles, up to 20 degrees about
        // each axis, give the matrix by arithmetic alone.
        let [x, y, z] = [X, Y, Z].map(|_| rng.between(-0.18, 0.18));
        let n = 1.0 + x * x + y * y + z * z;
        Turn { rows: rotation([1.0, x, y, z]).map(|row| row.map(|number| number / n)) }
    }

    fn apply(&self, [x, y, z]: [f32; AXES]) -> [f32; AXES] {
        self.rows.map(|[a, b, c]| a * x + b * y + c * z)
    }
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
        let (_, train, test) = few(200);
        let hashes = [&train, &test].map(|signals| checksum(&signals.values));
        // A change here is a change of the data set: results of before and after cannot be compared.
        assert_eq!(hashes, [0xd62e_e16e_d8a6_e7f1, 0x6ee4_0992_93df_6d9c], "{hashes:#018x?}");
    }

    #[test]
    fn a_set_has_its_size_and_shape() {
        let (classes, train, test) = load(&LoadOptions::default()).unwrap();
        assert_eq!((classes.len(), train.labels.len(), test.labels.len()), (8, 6_000, 1_000));
        assert_eq!((train.extents, train.channels), (Extents::series(64), 3));
        assert_eq!(train.values.len(), 6_000 * 64 * 3);
        assert!(train.values.iter().all(|v| v.is_nan() || v.abs() < 6.0));
    }

    #[test]
    fn samples_are_lost_whole_in_a_part_of_the_signals() {
        let (_, train, _) = few(3_000);
        let mut with_losses = 0;
        for signal in train.values.chunks(LENGTH * AXES) {
            let lost: Vec<bool> = signal
                .chunks(AXES)
                .map(|sample| {
                    let missing = sample.iter().filter(|v| v.is_nan()).count();
                    assert!(missing == 0 || missing == AXES);
                    missing > 0
                })
                .collect();
            let count = lost.iter().filter(|lost| **lost).count();
            assert!(count < LENGTH * 3 / 4, "{count}");
            with_losses += usize::from(count > 0);
        }
        // 1 - (2/3)² of them.
        assert!((1_500..1_850).contains(&with_losses), "{with_losses}");
    }

    #[test]
    fn gravity_is_on_the_upward_axis() {
        let (_, train, _) = few(2_000);
        let mut sums = [0.0; AXES];
        let mut count = 0.0;
        for sample in train.values.chunks(AXES).filter(|sample| !sample[0].is_nan()) {
            sums.iter_mut().zip(sample).for_each(|(sum, v)| *sum += f64::from(*v));
            count += 1.0;
        }
        let [x, y, z] = sums.map(|sum| sum / count);
        assert!(x.abs() < 0.03 && y.abs() < 0.03 && (0.93..1.0).contains(&z), "{x} {y} {z}");
    }

    #[test]
    fn a_turn_keeps_lengths_and_right_angles() {
        let mut rng = Rng::new(3, 1);
        for _ in 0..100 {
            let turn = Turn::new(&mut rng);
            let [a, b] = [[1.0, 2.0, 3.0], [-2.0, 1.0, 0.0]].map(|v| turn.apply(v));
            let dot = |a: [f32; 3], b: [f32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
            assert!((dot(a, a) - 14.0).abs() < 1e-4 && dot(a, b).abs() < 1e-5);
            assert!(turn.rows[2][2] > 0.85);
        }
    }

    #[test]
    fn parts_follow_their_formulas() {
        let push = Part::Push { size: 2.0, start: 0.5, length: 0.4 };
        assert_eq!((push.at(0.49), push.at(0.91)), (0.0, 0.0));
        assert!((push.at(0.6) - 2.0).abs() < 1e-5 && (push.at(0.8) + 2.0).abs() < 1e-5);
        let knock = Part::Knock { size: -1.0, start: 0.2, tempo: 10.0, decay: 0.1 };
        assert_eq!((knock.at(0.19), knock.at(0.2)), (0.0, -1.0));
        assert!((knock.at(0.3) + (-1.0f32).exp()).abs() < 1e-3);
        let swing = Part::Swing { size: 3.0, tempo: 2.0, phase: 0.0 };
        assert!((swing.at(0.125) - 3.0).abs() < 1e-5);
    }

    /// The nearest training signal, sample by sample, is a poor judge of when things happen.
    #[test]
    fn classes_can_be_told_apart_but_not_by_comparing_samples() {
        let (_, train, test) = few(600);
        let numbers = LENGTH * AXES;
        let distance = |a: &[f32], b: &[f32]| {
            let pairs = a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
            let (sum, count) =
                pairs.fold((0.0, 0.0), |(sum, n), (a, b)| (sum + (a - b) * (a - b), n + 1.0));
            sum / count
        };
        let nearest = |signal: &[f32]| {
            let all = train.values.chunks(numbers).map(|other| distance(signal, other));
            all.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let judged = test.values.chunks(numbers).zip(&test.labels).take(400);
        let right = judged.filter(|(signal, label)| train.labels[nearest(signal)] == **label);
        let right = right.count();
        assert!((160..360).contains(&right), "{right} of 400");
    }
}
