//! One setting: its name, what its value may be, and what it means.

use toml::Value;

use super::error::SettingsError;
use super::value::ValueType;
use crate::util::colour;

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`, as in `settings.toml`.
    pub name: &'static str,
    /// What its value is.
    pub kind: ValueType,
    /// What it means, as it is documented.
    pub(super) text: &'static str,
    /// The name that it had in earlier versions, which is still read.
    pub old: Option<&'static str>,
    /// Whether the command line has a flag for it.
    pub flag: bool,
}

impl Key {
    /// What it means, as a phrase without its full stop.
    pub fn meaning(&self) -> &'static str {
        phrase(self.text)
    }

    /// Name of its flag, without the dashes: the last word of its name, but for two.
    pub fn flag_name(&self) -> Option<String> {
        let word = match self.name {
            "data.source" => "data",
            "model.draw.kind" => "draw",
            name => name.rsplit('.').next().unwrap_or(name),
        };
        self.flag.then(|| word.replace('_', "-"))
    }

    /// The name that its flag had in earlier versions.
    pub fn old_flag_name(&self) -> Option<String> {
        let old = self.old.filter(|_| self.flag)?;
        Some(old.rsplit('.').next().unwrap_or(old).replace('_', "-"))
    }

    /// The value as it is stored, checked: an integer for a number is one, a word may be written in any case.
    ///
    /// # Errors
    /// [`SettingsError::Value`] with the key, the value and what it must be.
    pub fn value(&self, value: Value) -> Result<Value, SettingsError> {
        use ValueType::{Choice, Colour, Integer, Number, Shares, Sides, Size, Switch, Text};
        let value = match (self.kind, value) {
            (Number(_), Value::Integer(n)) => Value::Float(n as f64),
            (Shares, Value::Array(shares)) => {
                let float = |share: Value| share.as_integer().map_or(share, |n| (n as f64).into());
                Value::Array(shares.into_iter().map(float).collect())
            }
            // One share alone is the largest.
            (Shares, Value::Float(most)) => Value::Array(vec![0.0.into(), most.into()]),
            (Choice(words), Value::String(text)) => {
                let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
                Value::String(known.map_or(text, |(word, _)| (*word).to_owned()))
            }
            (_, value) => value,
        };
        let right = match (self.kind, &value) {
            (Text, Value::String(_)) | (Switch, Value::Boolean(_)) => true,
            (Choice(words), Value::String(text)) => words.iter().any(|(word, _)| word == text),
            (Colour, Value::String(text)) => text.parse::<colour::Colour>().is_ok(),
            (Integer(range), Value::Integer(n)) => range.contains(*n as f64),
            (Number(range), Value::Float(x)) => range.contains(*x),
            (Size, Value::Array(sides)) => sides.len() == 2 && sides.iter().all(is_side),
            (Shares, Value::Array(shares)) => {
                let shares: Vec<_> = shares.iter().filter_map(Value::as_float).collect();
                matches!(shares[..], [least, most] if 0.0 <= least && least <= most && most < 1.0)
            }
            (Sides, Value::Array(sides)) => {
                (1..=3).contains(&sides.len()) && sides.iter().all(is_side)
            }
            _ => false,
        };
        if right {
            return Ok(value);
        }
        Err(SettingsError::Value { key: self.name, value, allowed: self.kind })
    }
}

fn is_side(value: &Value) -> bool {
    value.as_integer().is_some_and(|side| side > 0)
}

/// A documentation text as a phrase.
pub(crate) fn phrase(text: &'static str) -> &'static str {
    text.trim().trim_end_matches('.')
}
