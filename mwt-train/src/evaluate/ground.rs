//! Whether a picture's background is one that a model knows, from the pictures that its bundle carries.

use mwt_core::Bundle;
use mwt_core::bundle::SampleType;

use crate::data::border;

/// Levels of 255 by which backgrounds may differ and be of one kind, as paper in shade and in light are.
const ALIKE: u8 = 64;

/// Share of a border that must be nearly of one level for it to be a background.
const FLAT: f32 = 0.7;

/// A background that none of a model's own pictures has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unlike {
    /// The level of the picture's border.
    pub(crate) found: u8,
    /// That of the model's own pictures.
    pub(crate) own: u8,
    /// Whether the inverted picture would be alike.
    pub(crate) inverted: bool,
}

impl Unlike {
    /// What to do about it, where the picture was inverted or not.
    pub(crate) fn advice(self, invert: bool) -> String {
        let word = |level: u8| match level {
            0..=85 => "dark",
            86..=170 => "grey",
            _ => "light",
        };
        let advice = match (self.inverted, invert) {
            (true, false) => "try --invert",
            (true, true) => "try without --invert",
            (false, _) => "the answer may mean nothing",
        };
        format!(
            "its background is {} ({}), that of the model's own pictures is {} ({}): {advice}",
            word(self.found),
            self.found,
            word(self.own),
            self.own
        )
    }
}

/// Compares the border of a picture, `[H, W, C]` as the model takes it, with those of the bundle's golden samples. Nothing
/// where these are no pictures, or have no background in common.
pub(crate) fn unlike(bundle: &Bundle<'_>, pixels: &[u8]) -> Option<Unlike> {
    let config = bundle.config();
    let [height, width] = *config.extents.sides() else { return None };
    if bundle.header().input.sample != SampleType::U8 {
        return None;
    }
    // All channels together: a background of another hue is rarely another kind of picture.
    let level = |pixels: &[u8]| {
        let levels: Option<Vec<u32>> = (0..config.channels)
            .map(|c| Some(border(pixels, [height, width], config.channels, c)?.into()))
            .collect();
        let levels = levels.filter(|levels| !levels.is_empty())?;
        Some((levels.iter().sum::<u32>() / levels.len() as u32) as u8)
    };
    let mut own = Vec::new();
    for sample in bundle.golden_samples() {
        let level = level(sample.signal)?;
        if flat(sample.signal, [height, width], config.channels, level) < FLAT {
            return None;
        }
        own.push(level);
    }
    let (low, high) = (*own.iter().min()?, *own.iter().max()?);
    let found = level(pixels)?;
    let near =
        |level: u8| level >= low.saturating_sub(ALIKE) && level <= high.saturating_add(ALIKE);
    if high - low > ALIKE || near(found) {
        return None;
    }
    let own = low + (high - low) / 2;
    Some(Unlike { found, own, inverted: near(255 - found) })
}

/// The share of a border that is nearly of one level.
fn flat(pixels: &[u8], [height, width]: [usize; 2], channels: usize, level: u8) -> f32 {
    let (mut near, mut all) = (0, 0);
    for (n, value) in pixels.iter().enumerate() {
        let (y, x) = (n / channels / width, n / channels % width);
        if y == 0 || x == 0 || y + 1 == height || x + 1 == width {
            all += 1;
            near += usize::from(value.abs_diff(level) <= ALIKE / 2);
        }
    }
    near as f32 / all.max(1) as f32
}
