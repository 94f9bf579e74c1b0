//! Fits of signals that are no pictures: series as curves, of volumes the middle layer.

use image::{Rgb, RgbImage};
use mwt_core::{Bundle, Extents};
use mwt_infer::{Classifier, Range, Signal, WorkspaceBuf};

use super::chart::{Curve, chart};
use super::picture;
use crate::data::Split;
use crate::evaluate::EvaluateError;
use crate::util::text::shown;

/// Channels of a series that are drawn.
const CHANNELS: usize = 3;
/// Where a sample is missing.
const HOLE: Rgb<u8> = Rgb([250, 210, 200]);

/// A row for each signal, and the fit after the last step: a chart for each of a series' first channels, or the middle
/// layers of a volume and of its fit, of one channel. `None` where there is nothing to draw.
///
/// # Errors
/// A signal that cannot be read, or that mwt-infer refuses or cannot fit.
pub(crate) fn fits(
    bundle: &Bundle<'_>,
    split: &Split,
    labels: &[String],
    scale: u32,
) -> Result<Option<RgbImage>, EvaluateError> {
    let config = *bundle.config();
    let (extents, channels) = (config.extents, config.channels);
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
    classifier.set_range(Range::Any);
    let mut rows = Vec::new();
    for (n, label) in split.labels.iter().enumerate() {
        let numbers = split.numbers(n)?;
        classifier.fit(&Signal::new(numbers.for_infer(), extents, channels)?)?;
        let signal = numbers.to_f32();
        let mut fit = vec![0f32; signal.len()];
        classifier.reconstruct(extents, &mut fit)?;
        rows.extend(if extents.axes() == 1 {
            let name = labels.get(usize::from(*label)).map_or("", String::as_str);
            curves(&signal, &fit, channels, name)
        } else {
            Some(layers(&signal, &fit, extents, channels))
        });
    }
    Ok((!rows.is_empty())
        .then(|| picture::grid(&rows, if extents.axes() == 1 { 1 } else { scale })))
}

/// A chart for each channel; `None` when one has too few samples for a curve.
fn curves(signal: &[f32], fit: &[f32], channels: usize, name: &str) -> Option<Vec<RgbImage>> {
    let channel = |c: usize| {
        let curve = |name, values: &[f32]| {
            let values = values.iter().skip(c).step_by(channels);
            let points = values.enumerate().map(|(i, v)| (i as f64, f64::from(*v))).collect();
            Curve { name, points }
        };
        let curves = [curve("signal", signal), curve("fit", fit)];
        chart(&format!("{}, channel {c}", shown(name)), "sample", &curves, false)
    };
    (0..channels.min(CHANNELS)).map(channel).collect()
}

/// The middle layer of the first channel of a signal and of its fit, from the signal's least value in black to its largest in
/// white.
fn layers(signal: &[f32], fit: &[f32], extents: Extents, channels: usize) -> Vec<RgbImage> {
    let [height, width] = match *extents.sides() {
        [height, width] => [height, width],
        _ => [extents.side(1), extents.side(2)],
    };
    let layer = height * width;
    let middle = extents.positions() / layer.max(1) / 2;
    let values = |of: &[f32]| -> Vec<f32> {
        of.iter().step_by(channels).skip(middle * layer).take(layer).copied().collect()
    };
    let (signal, fit) = (values(signal), values(fit));
    // Comparisons with NaN leave the bounds as they are.
    let (low, high) =
        signal.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let grey = |values: &[f32]| {
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let value = values[y as usize * width + x as usize];
            match value.is_nan() {
                true => HOLE,
                false => {
                    Rgb([(255.0 * (value - low) / (high - low).max(f32::MIN_POSITIVE)) as u8; 3])
                }
            }
        })
    };
    vec![grey(&signal), grey(&fit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_layer_is_drawn_from_least_to_largest() {
        let volume: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mut fit = volume.clone();
        fit[5] = f32::NAN;
        let pictures = layers(&volume, &fit, Extents::volume(3, 2, 2), 1);
        let pixels = |picture: &RgbImage| picture.pixels().map(|p| p.0[0]).collect::<Vec<_>>();
        // The second of three layers: 4, 5, 6, 7.
        assert_eq!(pixels(&pictures[0]), [0, 85, 170, 255]);
        assert_eq!(pictures[1].get_pixel(1, 0), &HOLE);
    }

    #[test]
    fn a_series_has_a_chart_for_each_channel() {
        let series: Vec<f32> = (0..20).map(|v| v as f32).collect();
        assert_eq!(curves(&series, &series, 2, "a").unwrap().len(), 2);
        assert!(curves(&series[..2], &series[..2], 2, "a").is_none());
    }
}
