//! Curves over the outer steps, or over another size.

use image::{Rgb, RgbImage};

use crate::evaluate::missing::MissingRow;
use crate::evaluate::steps::StepRow;

use super::canvas::{INK, LINE, PALE, PAPER, line, text};
use super::letters::width;

const WIDTH: u32 = 600;
const HEIGHT: u32 = 360;
/// Room for the scale on the left and the steps below.
const LEFT: u32 = 72;
const BOTTOM: u32 = 52;
const TOP: u32 = 56;
const RIGHT: u32 = 24;
/// Points of a curve; more are averaged.
const POINTS: usize = 300;

const COLOURS: [Rgb<u8>; 3] = [Rgb([31, 119, 180]), Rgb([214, 96, 20]), Rgb([44, 140, 60])];

/// A named curve: (x, value).
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Accuracy and PSNR over the share of samples that is missing; nothing of fewer than two shares.
pub(crate) fn of_missing(rows: &[MissingRow]) -> Option<RgbImage> {
    let curve = |name, value: &dyn Fn(&MissingRow) -> f32| Curve {
        name,
        points: rows.iter().map(|r| (100.0 * f64::from(r.share), f64::from(value(r)))).collect(),
    };
    let curves = [
        curve("accuracy in %", &|row| 100.0 * row.accuracy.mean),
        curve("PSNR in dB", &|row| row.psnr),
    ];
    chart("accuracy and PSNR", "% of the samples missing", &curves, false)
}

/// Accuracy and PSNR over the inner steps; nothing of fewer than two steps.
pub(crate) fn of_steps(rows: &[StepRow]) -> Option<RgbImage> {
    let curve = |name, value: &dyn Fn(&StepRow) -> f32| Curve {
        name,
        points: rows.iter().map(|r| (r.steps as f64, f64::from(value(r)))).collect(),
    };
    let curves =
        [curve("accuracy in %", &|row| 100.0 * row.accuracy), curve("PSNR in dB", &|row| row.psnr)];
    chart("accuracy and PSNR", "inner steps", &curves, false)
}

/// A picture of up to three curves on one scale over what `below` names; nothing where no curve has two points.
pub(super) fn chart(
    title: &str,
    below: &str,
    curves: &[Curve],
    logarithmic: bool,
) -> Option<RgbImage> {
    let scaled = |v: f64| if logarithmic { v.log10() } else { v };
    let drawn = curves.iter().zip(COLOURS).map(|(curve, colour)| {
        let points = thinned(&curve.points).into_iter().map(|(x, y)| (x, scaled(y)));
        let points = points.filter(|(_, y)| y.is_finite()).collect();
        (Curve { name: curve.name, points }, colour)
    });
    let curves: Vec<_> = drawn.filter(|(curve, _)| curve.points.len() > 1).collect();
    let all = || curves.iter().flat_map(|(curve, _)| &curve.points);
    let steps = all().map(|p| p.0).fold(0.0, f64::max);
    let (low, high) = all().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
    if curves.is_empty() || steps <= 0.0 {
        return None;
    }
    let room = ((high - low) * 0.05).max(1e-6);
    let (low, high) = (low - room, high + room);
    let (w, h) = (f64::from(WIDTH - LEFT - RIGHT), f64::from(HEIGHT - TOP - BOTTOM));
    let at = |(x, y): (f64, f64)| {
        let x = f64::from(LEFT) + x / steps * w;
        let y = f64::from(HEIGHT - BOTTOM) - (y - low) / (high - low) * h;
        (x as f32, y as f32)
    };

    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, PAPER);
    text(&mut picture, i64::from(LEFT), 10, title, INK);
    for tick in ticks(low, high, logarithmic) {
        let (left, right) = (at((0.0, tick)), at((steps, tick)));
        line(&mut picture, left, right, 1.0, PALE);
        let label = number(if logarithmic { 10f64.powf(tick) } else { tick });
        let x = i64::from(LEFT) - i64::from(width(&label)) - 8;
        text(&mut picture, x, left.1 as i64 - i64::from(LINE / 2), &label, INK);
    }
    for tick in ticks(0.0, steps, false) {
        let (x, y) = at((tick, low));
        line(&mut picture, (x, y), (x, y + 5.0), 1.0, INK);
        let label = number(tick);
        text(&mut picture, x as i64 - i64::from(width(&label) / 2), y as i64 + 8, &label, INK);
    }
    line(&mut picture, at((0.0, low)), at((steps, low)), 1.5, INK);
    let x = i64::from(WIDTH - RIGHT - width(below));
    text(&mut picture, x, i64::from(HEIGHT - LINE - 6), below, INK);
    let mut x = i64::from(LEFT);
    for (Curve { name, points }, colour) in curves {
        for pair in points.windows(2) {
            line(&mut picture, at(pair[0]), at(pair[1]), 2.0, colour);
        }
        let y = (10 + LINE + LINE / 2 + 6) as f32;
        line(&mut picture, (x as f32, y), (x as f32 + 22.0, y), 3.0, colour);
        text(&mut picture, x + 30, y as i64 - i64::from(LINE / 2), name, INK);
        x += i64::from(30 + width(name) + 28);
    }
    Some(picture)
}

/// Means of neighbouring points where there are many.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let of = |chunk: &[(f64, f64)]| {
        let n = chunk.len() as f64;
        let sum = chunk.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    points.chunks(points.len().div_ceil(POINTS).max(1)).map(of).collect()
}

/// Round values between two ends: 1, 2 or 5 of a power of ten apart; on a logarithmic scale powers of ten where there are
/// enough of them.
fn ticks(low: f64, high: f64, logarithmic: bool) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|s| s * power).find(|s| *s >= rough);
    let mut step = step.unwrap_or(rough);
    if logarithmic && high - low > 2.0 {
        step = step.max(1.0).round();
    }
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A number as short as its size allows.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e5 || (size > 0.0 && size < 1e-3) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1000.0, false), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(ticks(-3.1, 1.2, true), [-3.0, -2.0, -1.0, 0.0, 1.0]);
        assert_eq!(
            [0.0, 0.25, 1500.0, 2e5, 1e-4].map(number),
            ["0", "0.25", "1500", "2.0e5", "1.0e-4"]
        );
    }

    #[test]
    fn a_curve_of_one_point_is_none() {
        let curve = |points| Curve { name: "a", points };
        assert!(chart("t", "x", &[curve(vec![(1.0, 1.0)])], false).is_none());
        assert!(chart("t", "x", &[curve(vec![(1.0, f64::NAN), (2.0, 0.0)])], true).is_none());
        let picture = chart("t", "x", &[curve(vec![(1.0, 1.0), (2.0, 3.0)])], false).unwrap();
        assert!(picture.pixels().any(|p| *p == COLOURS[0]));
    }
}
