//! The letters of pictures: Noto Sans Mono for Latin, GNU Unifont for all other scripts.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Height of a letter in pixels.
pub(super) const HEIGHT: u32 = 16;

/// What stands for a letter that neither font has.
const LACKING: char = '\u{25a1}';

/// What stands for the middle of a name that is too long.
const CUT: &str = "..";

/// Pixels of half a square, which a Latin letter takes.
fn cell() -> u32 {
    get_raster_width(FontWeight::Regular, RasterHeight::Size16) as u32
}

/// Whether a font has a letter.
fn is_drawn(letter: char) -> bool {
    get_raster(letter, FontWeight::Regular, RasterHeight::Size16).is_some()
        || unifont::get_glyph(letter).is_some()
}

/// Whether some of a text's letters are in no font, so that squares stand for them.
pub(super) fn lacks(text: &str) -> bool {
    text.chars().any(|letter| !is_drawn(letter))
}

/// Whether a mark is drawn onto the letter before it.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{3099}' | '\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Halves of a square that a letter takes.
fn cells(letter: char) -> u32 {
    if is_mark(letter) {
        return 0;
    }
    let known = get_raster(letter, FontWeight::Regular, RasterHeight::Size16).is_some();
    let full = !known && unifont::get_glyph(letter).is_some_and(|glyph| glyph.is_fullwidth());
    1 + u32::from(full)
}

/// Width of a text in pixels.
pub(super) fn width(text: &str) -> u32 {
    text.chars().map(cells).sum::<u32>() * cell()
}

/// Calls `dot` with x, y and cover, 0 to 1, for each pixel of a text.
pub(super) fn draw(text: &str, mut dot: impl FnMut(u32, u32, f32)) {
    let mut left = 0;
    for letter in text.chars() {
        let letter = if is_drawn(letter) { letter } else { LACKING };
        let wide = cells(letter) * cell();
        if let Some(glyph) = get_raster(letter, FontWeight::Regular, RasterHeight::Size16) {
            for (y, row) in glyph.rows().enumerate() {
                for (x, cover) in row.iter().enumerate() {
                    dot(left + x as u32, y as u32, f32::from(*cover) / 255.0);
                }
            }
        } else if let Some(glyph) = unifont::get_glyph(letter) {
            // In the middle of its cells; a mark in those of its letter.
            let own = glyph.get_width() as u32;
            let at = if wide == 0 {
                left.saturating_sub(cell())
            } else {
                left + (wide - own.min(wide)) / 2
            };
            for (y, x) in (0..HEIGHT).flat_map(|y| (0..own).map(move |x| (y, x))) {
                if glyph.get_pixel(x as usize, y as usize) {
                    dot(at + x, y, 1.0);
                }
            }
        }
        left += wide;
    }
}

/// Names of at most so many pixels, as different as they were: of those that are longer the middle is left out, and where
/// that makes two of them alike, their number stands at the end.
pub(super) fn names(labels: &[String], most: u32) -> Vec<String> {
    let names: Vec<String> = labels.iter().map(|label| shortened(label, "", most)).collect();
    let alike = |n: usize| {
        names[n] != labels[n]
            && names.iter().enumerate().any(|(m, name)| m != n && *name == names[n])
    };
    (0..labels.len())
        .map(|n| {
            if alike(n) { shortened(&labels[n], &format!("#{n}"), most) } else { names[n].clone() }
        })
        .collect()
}

/// A name with `end` behind it, without its middle where it is too long.
fn shortened(label: &str, end: &str, most: u32) -> String {
    let letters: Vec<char> = label.chars().collect();
    if end.is_empty() && width(label) <= most {
        return label.to_owned();
    }
    let tail = |n: usize| letters[letters.len() - n..].iter().collect::<String>();
    for kept in (0..letters.len()).rev() {
        // Names differ at the end more often than in the middle.
        let (head, rest) = if end.is_empty() { (kept.div_ceil(2), kept / 2) } else { (kept, 0) };
        let head: String = letters[..head].iter().collect();
        let name = format!("{head}{CUT}{}{end}", tail(rest));
        if width(&name) <= most {
            return name;
        }
    }
    end.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// The rows of a text, a bit for each pixel.
    fn drawn(text: &str) -> Vec<Vec<bool>> {
        let mut rows = vec![vec![false; width(text) as usize]; HEIGHT as usize];
        draw(text, |x, y, cover| {
            if let Some(pixel) = rows[y as usize].get_mut(x as usize) {
                *pixel |= cover > 0.3;
            }
        });
        rows
    }

    #[test]
    fn scripts_have_letters_of_their_own() {
        let square = drawn("\u{25a1}");
        for text in
            ["ä", "ß", "ř", "Ω", "λ", "Ж", "я", "日", "本", "手", "ひ", "カ", "한", "א", "ع"]
        {
            assert!(!lacks(text), "{text}");
            let letter = drawn(text);
            assert!(
                letter.concat().contains(&true) && letter != square && letter != drawn("?"),
                "{text}"
            );
        }
        assert_ne!(drawn("日"), drawn("本"));
        assert_eq!(width("日本"), 2 * width("ab"));
        // Beyond the plane that the fonts cover: a square, and a word about it.
        assert!(lacks("🙂") && drawn("🙂") == square);
        // An accent that comes as a mark is drawn onto its letter, as file names of some systems have it.
        assert_eq!(width("e\u{301}"), width("e"));
        let [with, without] = ["e\u{301}", "e"].map(drawn);
        assert!(with != without && with[8..] == without[8..]);
    }

    #[test]
    fn long_names_stay_different() {
        let most = width("0123456789");
        let labels = owned(&[
            "short",
            "golden retriever",
            "golden delicious",
            "golden relever",
            "日本語の長い名前です",
        ]);
        let names = names(&labels, most);
        assert_eq!(names[0], "short");
        for (n, name) in names.iter().enumerate() {
            assert!(width(name) <= most, "{name}");
            assert!(names[..n].iter().all(|other| other != name), "{name}");
        }
        assert_eq!(names[2], "gold..ious");
        // Alike at both ends: their numbers tell them apart.
        assert!(names[1].ends_with("#1") && names[3].ends_with("#3"), "{names:?}");
    }
}
