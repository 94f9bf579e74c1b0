//! All settings by their keys.

use toml::{Table, Value};

use super::error::SettingsError;
use super::key::Key;
use super::sections::{AugmentSettings, DataSettings, MODEL_KEYS, TrainSettings};

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
