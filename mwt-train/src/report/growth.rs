//! How the cost of an outer step grows, as a picture.

use image::{RgbImage, imageops};

use super::chart::{Curve, chart};

/// What was measured along one of the sizes that cost depends on.
pub(crate) struct Axis {
    /// What the size is.
    pub(crate) name: &'static str,
    /// (size, milliseconds per step, peak MiB), from the smallest size up.
    pub(crate) points: Vec<(f64, f64, f64)>,
}

/// One chart per axis, two in a row: time and memory as multiples of those of the smallest size, from 0 on. Nothing where an
/// axis has fewer than two points.
pub(crate) fn growth(axes: &[Axis]) -> Option<RgbImage> {
    let charts: Vec<RgbImage> = axes.iter().map(axis).collect::<Option<_>>()?;
    let (w, h) = charts.first()?.dimensions();
    let mut picture = RgbImage::new(2 * w, h * charts.len().div_ceil(2) as u32);
    for (n, chart) in charts.iter().enumerate() {
        let (x, y) = (n as u32 % 2 * w, n as u32 / 2 * h);
        imageops::replace(&mut picture, chart, x.into(), y.into());
    }
    Some(picture)
}

fn axis(axis: &Axis) -> Option<RgbImage> {
    let &(size, time, memory) = axis.points.first()?;
    let curve = |name, of: fn(&(f64, f64, f64)) -> f64, first: f64| {
        let points = axis.points.iter().map(|p| (p.0 / size, of(p) / first));
        Curve { name, points: points.collect() }
    };
    let curves = [
        curve("time", |p| p.1, time),
        curve("memory", |p| p.2, memory),
        Curve {
            name: "in proportion",
            points: axis.points.iter().map(|p| (p.0 / size, p.0 / size)).collect(),
        },
    ];
    chart(axis.name, &format!("times {size}"), &curves, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_axes_are_two_rows() {
        let axis = || Axis { name: "N", points: vec![(2.0, 1.0, 10.0), (4.0, 3.0, 11.0)] };
        let one = growth(&[axis()]).unwrap();
        let four = growth(&[axis(), axis(), axis(), axis()]).unwrap();
        assert_eq!((four.width(), four.height()), (one.width(), 2 * one.height()));
        assert!(growth(&[Axis { name: "N", points: vec![(1.0, 1.0, 1.0)] }]).is_none());
    }
}
