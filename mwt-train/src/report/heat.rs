//! Matrices as colours: the confusion of classes, and the inner learning rates.

use image::{Rgb, RgbImage, imageops};
use mwt_core::ModelConfig;

use super::canvas::{INK, LINE, PAPER, fill, text, text_up};
use super::letters::{self, width};
use crate::util::text::shown;
use crate::weights::Weights;

/// White, through blue, to nearly black.
fn shade(share: f32) -> Rgb<u8> {
    const STOPS: [[f32; 3]; 4] =
        [[255.0, 255.0, 255.0], [158.0, 202.0, 225.0], [33.0, 113.0, 181.0], [8.0, 29.0, 88.0]];
    let at = share.clamp(0.0, 1.0) * 3.0;
    let (below, rest) = ((at as usize).min(2), at - (at as usize).min(2) as f32);
    Rgb(std::array::from_fn(|c| {
        (STOPS[below][c] * (1.0 - rest) + STOPS[below + 1][c] * rest) as u8
    }))
}

/// The most pixels of a class's name.
const NAME: u32 = 220;

/// A cell for each pair of classes: the share of a class's images (row) that got an answer (column).
pub(super) fn confusion(counts: &[Vec<usize>], labels: &[String]) -> RgbImage {
    let n = counts.len() as u32;
    let cell = (640 / n.max(1)).clamp(4, 56);
    let named = cell > LINE;
    let labels: Vec<String> = labels.iter().map(|label| shown(label)).collect();
    let names = if named { letters::names(&labels, NAME) } else { labels.clone() };
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    // Names that are no wider than their column stand upright.
    let upright = widest < cell;
    let left = if named { widest + 12 } else { 8 };
    let top = if !named {
        8
    } else if upright {
        LINE + 12
    } else {
        widest + 12
    };
    let lacking = named && names.iter().any(|name| letters::lacks(name));
    let notes = 1 + u32::from(lacking);
    let note = "row: right class, column: answer";
    let lettered = if named { width(note) + 8 } else { 0 };
    let size = ((left + n * cell + 8).max(lettered), top + n * cell + notes * LINE + 16);
    let mut picture = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (row, (counts, name)) in counts.iter().zip(&names).enumerate() {
        let all = counts.iter().sum::<usize>().max(1) as f32;
        let y = top + row as u32 * cell;
        if named {
            let at = i64::from(y + (cell - LINE) / 2);
            text(&mut picture, 4, at, name, INK);
            let x = left + row as u32 * cell;
            if upright {
                text(&mut picture, i64::from(x + (cell - width(name)) / 2), 6, name, INK);
            } else {
                let x = i64::from(x + (cell - LINE) / 2);
                text_up(&mut picture, x, i64::from(top) - 8, name, INK);
            }
        }
        for (column, count) in counts.iter().enumerate() {
            let (x, share) = (left + column as u32 * cell, *count as f32 / all);
            // The root lets rare mistakes show.
            fill(&mut picture, x, y, cell - 1, cell - 1, shade(share.sqrt()));
            let number = count.to_string();
            if named && *count > 0 && width(&number) < cell {
                let colour = if share.sqrt() > 0.5 { PAPER } else { INK };
                let x = i64::from(x + (cell - width(&number)) / 2);
                text(&mut picture, x, i64::from(y + (cell - LINE) / 2), &number, colour);
            }
        }
    }
    let below = i64::from(top + n * cell + 6);
    text(&mut picture, 4, below, note, INK);
    if lacking {
        let y = below + i64::from(LINE);
        text(&mut picture, 4, y, "\u{25a1}: a character that the picture has no letter for", INK);
    }
    picture
}

/// |α| of each layer (down: inputs, then the bias; across: neurons) and step, on one scale.
pub(super) fn alpha(weights: &Weights) -> RgbImage {
    let config = weights.config();
    let rows = config.alpha_rows();
    let d = config.dim;
    let scale = (160 / d as u32).max(1);
    let (w, gap) = (d as u32 * scale, 10);
    let heights: Vec<u32> =
        (0..=config.hidden_layers).map(|l| panel_rows(config, l) * scale).collect();
    let (left, top) = (width("layer 0") + 12, LINE + 10);
    let height = top + heights.iter().map(|h| h.max(&LINE) + gap).sum::<u32>() + LINE + 8;
    let mut picture = RgbImage::from_pixel(left + rows as u32 * (w + gap), height, PAPER);
    let all: Vec<Vec<f32>> = (0..rows)
        .map(|j| {
            weights.values(&format!("meta_sgd.meta_lrs_w.{j}")).iter().map(|a| a.abs()).collect()
        })
        .collect();
    // The largest of nearly all: a few outliers would leave the rest white.
    let mut sorted: Vec<f32> = all.concat();
    sorted.sort_by(f32::total_cmp);
    let largest =
        sorted.get(sorted.len() * 99 / 100).copied().unwrap_or(1.0).max(f32::MIN_POSITIVE);
    for (j, values) in all.iter().enumerate() {
        let x = left + j as u32 * (w + gap);
        text(&mut picture, i64::from(x), 4, &format!("step {}", j + 1), INK);
        let mut y = top;
        for (l, height) in heights.iter().enumerate() {
            if j == 0 {
                text(&mut picture, 4, i64::from(y), &format!("layer {l}"), INK);
            }
            let range = config.layer_ranges(l);
            let layer = values.get(range.0.start..range.1.end).unwrap_or_default();
            let panel = RgbImage::from_fn(d as u32, panel_rows(config, l), |x, y| {
                let value = layer.get(y as usize * d + x as usize).copied().unwrap_or_default();
                shade(value / largest)
            });
            let panel = imageops::resize(&panel, w, *height, imageops::FilterType::Nearest);
            imageops::replace(&mut picture, &panel, i64::from(x), i64::from(y));
            y += height.max(&LINE) + gap;
        }
    }
    let note = format!("white: 0, darkest: |alpha| of {largest:.2e} and more");
    text(&mut picture, 4, i64::from(height - LINE - 4), &note, INK);
    picture
}

/// Rows of a layer's α: its inputs and the bias.
fn panel_rows(config: &ModelConfig, layer: usize) -> u32 {
    config.layer_inputs(layer) as u32 + 1
}

/// Mean |α| of each layer and step: `[L + 1][k]`.
pub(super) fn mean_alpha(weights: &Weights) -> Vec<Vec<f32>> {
    let config = weights.config();
    let mean = |l: usize, j: usize| {
        let range = config.layer_ranges(l);
        let values = weights.values(&format!("meta_sgd.meta_lrs_w.{j}"));
        let layer = values.get(range.0.start..range.1.end).unwrap_or_default();
        layer.iter().map(|a| a.abs()).sum::<f32>() / layer.len().max(1) as f32
    };
    (0..=config.hidden_layers)
        .map(|l| (0..config.alpha_rows()).map(|j| mean(l, j)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pixels of a part of a picture that are not paper.
    fn inked(picture: &RgbImage, x: u32, y: u32, w: u32, h: u32) -> usize {
        let pixels = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y)));
        pixels.filter(|(x, y)| *picture.get_pixel(*x, *y) != PAPER).count()
    }

    #[test]
    fn classes_are_named_at_their_rows_and_columns() {
        let counts = vec![vec![5, 1], vec![0, 6]];
        let labels = |names: [&str; 2]| names.map(str::to_owned);
        // Names that have room above their columns: one line of them.
        let short = confusion(&counts, &labels(["ä", "日"]));
        assert_eq!(short.dimensions().1, LINE + 12 + 2 * 56 + LINE + 16);
        // Longer ones go upwards, and differ where the names do.
        let long = confusion(&counts, &labels(["Käse aus Holland", "Käse aus Hessen"]));
        let widest = width("Käse aus Holland");
        assert_eq!(long.dimensions().1, widest + 12 + 2 * 56 + LINE + 16);
        let column = |n: u32| inked(&long, widest + 12 + n * 56 + 20, 0, LINE, widest + 4);
        assert!(column(0) > column(1) && column(1) > 0, "{} {}", column(0), column(1));
        // What no font has is told of in a line of its own.
        let square = confusion(&counts, &labels(["🙂", "b"]));
        assert_eq!(square.height(), short.height() + LINE);
    }
}
