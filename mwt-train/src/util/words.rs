//! A signal's grid in words.

use mwt_core::Extents;

/// Sides of a grid as people write them: 28×28.
pub fn grid(extents: &Extents) -> String {
    extents.sides().iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// What signals on a grid are called, such as `series of 64`.
pub fn kind(extents: Extents) -> String {
    let word = ["series", "images", "volumes"][extents.axes().clamp(1, 3) - 1];
    format!("{word} of {}", grid(&extents))
}

/// A signal's grid and channels in words, such as `series of 64, 3 channels`.
pub fn shape(extents: Extents, channels: usize) -> String {
    let ending = if channels == 1 { "" } else { "s" };
    format!("{}, {channels} channel{ending}", kind(extents))
}
