//! Settings by their keys: what a value may be, and what each is held to.

use std::fmt;

use toml::{Table, Value};

use super::error::SettingsError;
use super::sections::{AugmentSettings, DataSettings, MODEL_KEYS, TrainSettings};

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

    fn contains(self, value: f64) -> bool {
        match self {
            Self::Within(low, high) => low <= value && value <= high,
            Self::Above(low, high) => low < value && value <= high,
            Self::Below(low, high) => low <= value && value < high,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(low, ..) if self.is_open() => write!(f, "at least {low}"),
            Self::Above(low, ..) if self.is_open() => write!(f, "above {low}"),
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
    /// `[height, width]`.
    Size,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Switch => f.write_str("true or false"),
            Self::Integer(range) => write!(f, "integer {range}"),
            Self::Number(range) => write!(f, "number {range}"),
            Self::Choice(words) => {
                f.write_str(&words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" | "))
            }
            Self::Size => f.write_str("[height, width]"),
        }
    }
}

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

/// All of them, in the order of `settings.toml`.
pub fn all() -> impl Iterator<Item = &'static Key> {
    let sections = [DataSettings::KEYS, TrainSettings::KEYS, AugmentSettings::KEYS, MODEL_KEYS];
    sections.into_iter().flatten()
}

/// The key of that name, today's or an earlier one.
///
/// # Errors
/// [`SettingsError::UnknownKey`] with the nearest name.
pub fn find(name: &str) -> Result<&'static Key, SettingsError> {
    if let Some(key) = all().find(|key| key.name == name || key.old == Some(name)) {
        return Ok(key);
    }
    let nearest = nearest(name, all().map(|key| key.name));
    Err(SettingsError::UnknownKey { name: name.to_owned(), nearest })
}

/// The name most like `name`, where one is like it at all.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// Less alike than this, two names are only chance.
    const ALIKE: f64 = 0.8;
    let alike = |other: &str| {
        // The last word alone is as good as the whole.
        let last = other.rsplit('.').next().unwrap_or_default();
        strsim::jaro_winkler(other, name).max(strsim::jaro_winkler(last, name))
    };
    let scored = names.map(|other| (alike(other), other)).filter(|(score, _)| *score >= ALIKE);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
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
        use ValueType::{Choice, Integer, Number, Size, Switch, Text};
        let value = match (self.kind, value) {
            (Number(_), Value::Integer(n)) => Value::Float(n as f64),
            (Choice(words), Value::String(text)) => {
                let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
                Value::String(known.map_or(text, |(word, _)| (*word).to_owned()))
            }
            (_, value) => value,
        };
        let right = match (self.kind, &value) {
            (Text, Value::String(_)) | (Switch, Value::Boolean(_)) => true,
            (Choice(words), Value::String(text)) => words.iter().any(|(word, _)| word == text),
            (Integer(range), Value::Integer(n)) => range.contains(*n as f64),
            (Number(range), Value::Float(x)) => range.contains(*x),
            (Size, Value::Array(sides)) => {
                sides.len() == 2 && sides.iter().all(|s| s.as_integer().is_some_and(|s| s > 0))
            }
            _ => false,
        };
        if right {
            return Ok(value);
        }
        Err(SettingsError::Value { key: self.name, value, allowed: self.kind })
    }
}

/// A documentation text as a phrase.
pub fn phrase(text: &'static str) -> &'static str {
    text.trim().trim_end_matches('.')
}

/// The settings in a table by their keys.
pub(super) fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(section) => {
                let section = flatten(section).into_iter();
                all.extend(section.map(|(inner, value)| (format!("{name}.{inner}"), value)));
            }
            value => all.push((name.clone(), value.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: impl Into<Value>) -> String {
        find(name).unwrap().value(value.into()).unwrap_err().to_string()
    }

    #[test]
    fn values_are_held_to_their_kind_and_range() {
        assert_eq!(refused("train.w_cls", 1.5), "train.w_cls is 1.5, must be number in 0..=1");
        assert_eq!(refused("train.warmup", 1.0), "train.warmup is 1.0, must be number in 0..1");
        assert!(refused("train.epochs", "ten").contains("must be integer at least 1"));
        assert!(refused("train.clip", f64::NAN).contains("above 0"));
        assert!(refused("augment.flip", 1).contains("true or false"));
        assert!(refused("train.mode", "wt").contains("mwt | wt-simultaneous | wt-sequential"));
        assert!(
            refused("data.image_size", Value::Array(vec![28.into()])).contains("[height, width]")
        );
        let value = |name: &str, value: Value| find(name).unwrap().value(value).unwrap();
        assert_eq!(value("train.clip", 2.into()), Value::Float(2.0));
        assert_eq!(value("model.draw.kind", "random".into()), Value::String("Random".into()));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let hint = |name: &str| find(name).unwrap_err().to_string();
        assert_eq!(
            hint("train.epoch"),
            "there is no setting train.epoch; did you mean train.epochs?"
        );
        assert!(hint("w_cl").ends_with("did you mean train.w_cls?"));
        assert!(hint("model.depth").contains("did you mean model."));
        assert_eq!(hint("momentum"), "there is no setting momentum");
    }

    /// Names of earlier versions lead to today's keys, and no two keys share a name or a flag.
    #[test]
    fn earlier_names_are_found() {
        assert_eq!(find("data.held_out").unwrap().name, "data.validation");
        assert_eq!(find("train.rate_siren").unwrap().flag_name().unwrap(), "lr-siren");
        assert_eq!(find("train.rate_siren").unwrap().old_flag_name().unwrap(), "rate-siren");
        assert_eq!(find("model.steps").unwrap().name, "model.inner_steps");
        let names = || all().flat_map(|key| [Some(key.name), key.old].into_iter().flatten());
        let flags = all().flat_map(|key| [key.flag_name(), key.old_flag_name()]).flatten();
        for mut words in [names().map(str::to_owned).collect::<Vec<_>>(), flags.collect()] {
            let count = words.len();
            words.sort();
            words.dedup();
            assert_eq!(words.len(), count);
        }
    }
}
