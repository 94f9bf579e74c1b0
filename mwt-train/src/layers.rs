//! From a preset, a file, flags and `--set` to the settings of a run: each layer changes some keys of the one below.

use std::collections::BTreeMap;
use std::path::Path;

use mwt_core::{ImageSize, ModelConfig};
use toml::{Table, Value};

use crate::augment::AugmentSettings;
use crate::data::{Dataset, LoadOptions};
use crate::keys::{self, flatten};
use crate::settings::{DataSettings, Settings, TrainSettings};

/// The preset when nothing names one.
const PRESET: &str = "micro";

/// Settings under way.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    preset: Option<String>,
    /// What was set, by key; the last one to set a key wins.
    set: BTreeMap<&'static str, Value>,
}

impl Layers {
    /// A preset, which goes before that of a file.
    ///
    /// # Errors
    /// A name that no preset has.
    pub fn preset(&mut self, name: &str) -> Result<(), String> {
        let names = ModelConfig::PRESETS.map(|(name, _)| name);
        if !names.contains(&name) {
            let hint = keys::nearest(name, names.into_iter());
            let hint = hint.map_or_else(String::new, |n| format!("; did you mean {n}?"));
            return Err(format!("there is no preset {name} among {}{hint}", names.join(", ")));
        }
        self.preset.get_or_insert_with(|| name.to_owned());
        Ok(())
    }

    /// The keys of a TOML file: any part of a `settings.toml`, and `preset` at its top.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn file(&mut self, path: &Path) -> Result<(), String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let text = std::fs::read_to_string(path).map_err(|e| named(&e))?;
        let mut table: Table =
            text.parse().map_err(|e: toml::de::Error| named(&e.message().replace('\n', " ")))?;
        match table.remove("preset") {
            Some(Value::String(name)) => self.preset(&name).map_err(|e| named(&e))?,
            Some(other) => return Err(named(&format!("preset is {other}, must be text"))),
            None => {}
        }
        for (key, value) in flatten(&table) {
            self.set(&key, value).map_err(|e| named(&e))?;
        }
        Ok(())
    }

    /// One key.
    ///
    /// # Errors
    /// An unknown key, or a value that it cannot have.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<(), String> {
        let key = keys::find(key)?;
        self.set.insert(key.name, key.value(value.into())?);
        Ok(())
    }

    /// `key=value`, the value as TOML writes it; text needs no quotes.
    ///
    /// # Errors
    /// No `=`, or as [`set`](Self::set).
    pub fn assign(&mut self, assignment: &str) -> Result<(), String> {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| format!("{assignment} is no assignment: write key=value"))?;
        let (key, text) = (key.trim(), text.trim());
        let parsed = format!("value = {text}").parse::<Table>().ok();
        let value = parsed.and_then(|mut table| table.remove("value"));
        self.set(key, value.unwrap_or_else(|| Value::String(text.to_owned())))
    }

    /// Where the images come from.
    ///
    /// # Errors
    /// None named.
    pub fn data(&self) -> Result<DataSettings, String> {
        if !self.set.contains_key("data.source") {
            return Err("which images? Give --data DIR, or --data digits".into());
        }
        self.merged(&defaults(ModelConfig::MICRO)).map(|settings| settings.data)
    }

    /// The settings of a run on a data set; on the preset's images where there is none.
    ///
    /// # Errors
    /// One line naming the key, its value and what it must be.
    pub fn settings(&self, set: Option<&Dataset>) -> Result<Settings, String> {
        let name = self.preset.as_deref().unwrap_or(PRESET);
        let mut model = ModelConfig::preset(name).unwrap_or(ModelConfig::MICRO);
        if let Some(set) = set {
            let size = ImageSize { height: set.height(), width: set.width() };
            model = model.with_image(size, set.channels());
            model.classes = set.classes.len();
            let facts = [
                ("model.image.height", size.height),
                ("model.image.width", size.width),
                ("model.channels", model.channels),
                ("model.classes", model.classes),
            ];
            for (key, found) in facts {
                if self.set.get(key).is_some_and(|value| *value != Value::Integer(found as i64)) {
                    let value = &self.set[key];
                    return Err(format!("{key} is {value}, the data set's is {found}"));
                }
            }
        }
        if let Some(share) = self.set.get("model.sampling").and_then(Value::as_float) {
            model.pixels_per_step = ((share * model.image.pixels() as f64) as usize).max(1);
        }
        if let Some(seed) = self.set.get("train.seed").and_then(Value::as_integer) {
            model.draw.seed = seed as u32;
        }
        model.draw.kind = mwt_core::draw::DrawKind::Partition;
        let settings = self.merged(&defaults(model))?;
        settings.check()?;
        Ok(settings)
    }

    /// What was set, over `below`.
    fn merged(&self, below: &Settings) -> Result<Settings, String> {
        let mut table = Table::try_from(below).map_err(|e| e.to_string())?;
        for (key, value) in &self.set {
            if *key == "model.sampling" {
                continue;
            }
            let mut section = &mut table;
            let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
            for part in path.split('.').filter(|part| !part.is_empty()) {
                let inner = section.entry(part).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(inner) = inner else { return Err(format!("{part}: a section")) };
                section = inner;
            }
            section.insert(name.to_owned(), value.clone());
        }
        table.try_into().map_err(|e: toml::de::Error| e.message().replace('\n', " "))
    }
}

/// The settings when nothing is set.
fn defaults(model: ModelConfig) -> Settings {
    Settings {
        data: DataSettings {
            source: String::new(),
            held_out: 5000,
            limit: None,
            image_size: None,
            memory_gib: DataSettings::MEMORY_GIB,
            digits: LoadOptions::default().digits_train,
        },
        train: TrainSettings::default(),
        augment: AugmentSettings::default(),
        model,
    }
}

/// The default of a key as text; nothing where it has none of its own.
pub fn default_of(key: &keys::Key) -> Option<String> {
    let table = Table::try_from(defaults(ModelConfig::MICRO)).ok()?;
    // An augmentation that is off is not written.
    let augment = Table::try_from(AugmentSettings::default()).ok()?;
    let name = key.name;
    let from_data = ["data.source", "model.pixels_per_step", "model.draw.seed"].contains(&name);
    let all = flatten(&table).into_iter();
    let augment = flatten(&augment).into_iter().map(|(inner, v)| (format!("augment.{inner}"), v));
    let value = all.chain(augment).find(|(found, _)| *found == name).map(|(_, value)| value);
    value.filter(|_| !from_data).map(|value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KEYS;

    /// A setting that is added without a key, or a key without a setting, fails here.
    #[test]
    fn every_setting_has_its_key() {
        let mut all = defaults(ModelConfig::MICRO);
        all.data.limit = Some(1);
        all.data.image_size = Some((1, 1));
        all.augment.flip = true;
        let table = Table::try_from(all).unwrap();
        let mut settings: Vec<String> = flatten(&table).into_iter().map(|(key, _)| key).collect();
        settings.push("model.sampling".into());
        let mut keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        settings.sort();
        keys.sort_unstable();
        assert_eq!(settings, keys);
        for key in KEYS.iter().filter(|key| default_of(key).is_some()) {
            let value = flatten(&table).into_iter().find(|(name, _)| name == key.name).unwrap().1;
            key.value(value).unwrap();
        }
    }

    #[test]
    fn the_last_layer_wins() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        let text = "preset = \"small\"\n[train]\nepochs = 3\nclip = 2\n[model]\nblocks = 2\n[model.draw]\nkind = \"random\"\n";
        std::fs::write(&file, text).unwrap();
        let mut layers = Layers::default();
        layers.file(&file).unwrap();
        layers.set("train.batch", 8).unwrap();
        layers.assign("train.epochs = 7").unwrap();
        layers.assign("data.source=some/where").unwrap();
        layers.assign("train.seed=9").unwrap();
        layers.assign("model.sampling=0.5").unwrap();
        let settings = layers.settings(None).unwrap();
        assert_eq!((settings.train.epochs, settings.train.batch, settings.train.clip), (7, 8, 2.0));
        assert_eq!((settings.model.dim, settings.model.blocks), (64, 2));
        assert_eq!(settings.model.draw, mwt_core::Draw::random(9));
        assert_eq!(settings.model.pixels_per_step, 392);
        assert_eq!(layers.data().unwrap().source, "some/where");
        // A preset that was named before goes before the file's.
        let mut layers = Layers::default();
        layers.preset("nano").unwrap();
        layers.file(&file).unwrap();
        assert_eq!(layers.settings(None).unwrap().model.dim, 16);
    }

    #[test]
    fn what_cannot_be_set_is_refused_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        let from = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let error = Layers::default().file(&file).unwrap_err();
            assert!(error.contains("a.toml: ") && !error.contains('\n'), "{error}");
            error
        };
        assert!(from("[train]\nepoch = 3").ends_with("did you mean train.epochs?"));
        assert!(from("[train]\nepochs = 0").contains("must be integer at least 1"));
        assert!(from("preset = \"tiny\"").contains("no preset tiny among nano, micro"));
        from("[train\n");
        let mut layers = Layers::default();
        assert!(layers.assign("train.epochs").unwrap_err().contains("key=value"));
        assert!(layers.data().unwrap_err().contains("--data"));
        layers.assign("model.dim=12").unwrap();
        assert!(!layers.settings(None).unwrap_err().contains('\n'));
    }
}
