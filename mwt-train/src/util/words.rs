//! A signal's grid in words.

use mwt_core::Extents;

use super::text::shown;

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

/// Names in words: the first few of them, and how many more there are.
pub fn list<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<_> = names.iter().take(most).map(|name| shown(name.as_ref())).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(&["a", "b\n"], 2), "a, b\\n");
        assert_eq!(list(&["a", "b", "c", "d"], 2), "a, b and 2 more");
    }
}
