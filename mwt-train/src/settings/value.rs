//! What a setting's value may be.

use std::fmt;

use crate::util::colour;

/// The values that a number may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Both ends included.
    Within(f64, f64),
    /// The lower end excluded.
    Above(f64, f64),
    /// The upper end excluded.
    Below(f64, f64),
}

impl Range {
    /// Whether the upper end is only there against nonsense.
    fn is_open(self) -> bool {
        let (Self::Within(_, high) | Self::Above(_, high) | Self::Below(_, high)) = self;
        high >= 1e9
    }

    fn is_exceeded_by(self, value: f64) -> bool {
        let (Self::Within(_, high) | Self::Above(_, high) | Self::Below(_, high)) = self;
        value > high
    }

    pub(super) fn contains(self, value: f64) -> bool {
        match self {
            Self::Within(low, high) => low <= value && value <= high,
            Self::Above(low, high) => low < value && value <= high,
            Self::Below(low, high) => low <= value && value < high,
        }
    }
}

/// Without an upper end that is only there against nonsense; the alternate form has it.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.is_open() && !f.alternate();
        match self {
            Self::Within(low, ..) if open => write!(f, "at least {low}"),
            Self::Above(low, ..) if open => write!(f, "above {low}"),
            Self::Within(low, high) => write!(f, "in {low}..={high}"),
            Self::Above(low, high) => write!(f, "above {low} and at most {high}"),
            Self::Below(low, high) => write!(f, "in {low}..{high}"),
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueType {
    /// Text.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// One of these words, each with its meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// A word for a colour, or `#rrggbb`.
    Colour,
    /// `[height, width]`.
    Size,
    /// Least and largest of some shares.
    Shares,
    /// One to three sides of a grid.
    Sides,
}

impl ValueType {
    /// Whether a number is above what is allowed.
    pub(super) fn is_exceeded_by(self, value: f64) -> bool {
        match self {
            Self::Integer(range) | Self::Number(range) => range.is_exceeded_by(value),
            _ => false,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Switch => f.write_str("true or false"),
            Self::Integer(range) if f.alternate() => write!(f, "integer {range:#}"),
            Self::Number(range) if f.alternate() => write!(f, "number {range:#}"),
            Self::Integer(range) => write!(f, "integer {range}"),
            Self::Number(range) => write!(f, "number {range}"),
            Self::Choice(words) => {
                f.write_str(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" | "))
            }
            Self::Colour => f.write_str(colour::EXPECTED),
            Self::Size => f.write_str("[height, width]"),
            Self::Shares => f.write_str("[least, largest] in 0..1"),
            Self::Sides => f.write_str("[length], [height, width] or [depth, height, width]"),
        }
    }
}
