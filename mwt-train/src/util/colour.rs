//! A colour as people write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Red, green and blue, each 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour(pub [u8; 3]);

/// The words among colours.
const NAMES: [(&str, [u8; 3]); 3] = [("white", [255; 3]), ("black", [0; 3]), ("grey", [128; 3])];

/// What a colour may be, for people.
pub const EXPECTED: &str = "white, black, grey or #rrggbb";

/// A text that is no colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no colour: expected {EXPECTED}")]
pub struct NoColour(String);

impl FromStr for Colour {
    type Err = NoColour;

    fn from_str(text: &str) -> Result<Self, NoColour> {
        if let Some((_, rgb)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self(*rgb));
        }
        let digits = text.strip_prefix('#').unwrap_or(text);
        let number = u32::from_str_radix(digits, 16).ok();
        // A sign would be taken for a digit's place.
        let number = number.filter(|_| digits.len() == 6 && !digits.starts_with('+'));
        let [_, rgb @ ..] = number.ok_or_else(|| NoColour(text.to_owned()))?.to_be_bytes();
        Ok(Self(rgb))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, rgb)| *rgb == self.0) {
            Some((name, _)) => f.write_str(name),
            None => {
                let [red, green, blue] = self.0;
                write!(f, "#{red:02x}{green:02x}{blue:02x}")
            }
        }
    }
}

impl TryFrom<String> for Colour {
    type Error = NoColour;

    fn try_from(text: String) -> Result<Self, NoColour> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        colour.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_and_written() {
        for (text, rgb, back) in [
            ("White", [255, 255, 255], "white"),
            ("#102030", [16, 32, 48], "#102030"),
            ("000000", [0, 0, 0], "black"),
        ] {
            let colour: Colour = text.parse().unwrap();
            assert_eq!((colour.0, &*colour.to_string()), (rgb, back));
        }
        for text in ["", "#12345", "#1234567", "+12345", "mauve", "#12345ü"] {
            assert!(text.parse::<Colour>().is_err(), "{text}");
        }
    }
}
