//! From a preset, a file, flags and `--set` to the settings of a run: each layer changes some keys of the one below.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mwt_core::draw::DrawKind;
use mwt_core::{Extents, ModelConfig};
use toml::{Table, Value};

use super::Settings;
use super::error::SettingsError;
use super::key::Key;
use super::keys::{self, flatten};
use super::sections::{AugmentSettings, DataSettings};
use crate::util::durable::FileError;

/// The preset when nothing names one.
const PRESET: &str = "micro";

/// What a data set tells of the model that can be trained on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// The grid of every signal.
    pub extents: Extents,
    /// C.
    pub channels: usize,
    /// K.
    pub classes: usize,
    /// Whether the signals are images, of bytes; the others are floats.
    pub pictures: bool,
}

/// Settings in the making.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    preset: Option<String>,
    /// The model that the run starts from, in place of a preset.
    start: Option<ModelConfig>,
    /// What was set, by key; the last one to set a key wins.
    set: BTreeMap<&'static str, Value>,
    /// Those of them that a file set: of another run's settings the recipe is taken, not what its data were.
    from_file: BTreeSet<&'static str>,
}

impl Layers {
    /// A preset. The first one to be named counts, so that one of the command line goes before a file's.
    ///
    /// # Errors
    /// [`SettingsError::UnknownPreset`].
    pub fn preset(&mut self, name: &str) -> Result<(), SettingsError> {
        let names = ModelConfig::PRESETS.map(|(name, _)| name);
        if !names.contains(&name) {
            return Err(SettingsError::UnknownPreset {
                name: name.to_owned(),
                names: names.to_vec(),
                nearest: keys::nearest(name, names.into_iter()),
            });
        }
        self.preset.get_or_insert_with(|| name.to_owned());
        Ok(())
    }

    /// The model to start from, where one is named.
    pub fn init(&self) -> Option<&str> {
        self.set.get("train.init").and_then(Value::as_str)
    }

    /// The sizes, constants and draw of the model to start from.
    pub const fn start_from(&mut self, model: ModelConfig) {
        self.start = Some(model);
    }

    /// The keys of a TOML file: any part of a `settings.toml`, and `preset` at its top.
    ///
    /// # Errors
    /// A file that cannot be read, or what is wrong with its settings.
    pub fn file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        self.text(&text).map_err(|e| e.in_file(path))
    }

    fn text(&mut self, text: &str) -> Result<(), SettingsError> {
        let mut table: Table = text.parse()?;
        match table.remove("preset") {
            Some(Value::String(name)) => self.preset(&name)?,
            Some(other) => return Err(SettingsError::PresetValue(other)),
            None => {}
        }
        // What earlier versions wrote for `model.extents`.
        if let Some(Value::Table(model)) = table.get_mut("model")
            && let Some(image) = model.remove("image")
        {
            let side = |name: &str| image.get(name).cloned();
            let sides = ["height", "width"].into_iter().filter_map(side).collect();
            model.insert("extents".into(), Value::Array(sides));
        }
        for (key, value) in flatten(&table) {
            self.set(&key, value)?;
            self.from_file.insert(keys::find(&key)?.name);
        }
        Ok(())
    }

    /// One key.
    ///
    /// # Errors
    /// An unknown key, or a value that it cannot have.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<(), SettingsError> {
        let key = keys::find(key)?;
        self.set.insert(key.name, key.value(value.into())?);
        self.from_file.remove(key.name);
        if key.name == "data.source" {
            // What a file says of its own data set does not hold for this one.
            for of_data in ["data.labels", "data.image_size"] {
                if self.from_file.remove(of_data) {
                    self.set.remove(of_data);
                }
            }
        }
        Ok(())
    }

    /// The value of a key of the model that the data set decides, where it was not a file that set it.
    fn demanded(&self, key: &str) -> Option<&Value> {
        self.set.get(key).filter(|_| !self.from_file.contains(key))
    }

    /// Samples that each inner step looks at, as a file has them: the same share of another grid.
    fn scaled_pixels(&self, extents: Extents) -> Option<usize> {
        let pixels = self
            .set
            .get("model.pixels_per_step")
            .filter(|_| self.from_file.contains("model.pixels_per_step"))?;
        let sides =
            self.set.get("model.extents").filter(|_| self.from_file.contains("model.extents"))?;
        let of_file: usize = sides
            .as_array()?
            .iter()
            .map(|side| side.as_integer().and_then(|side| usize::try_from(side).ok()))
            .try_fold(1, |n: usize, side| n.checked_mul(side?))?;
        let share = pixels.as_integer()? as f64 / of_file.max(1) as f64;
        let pixels = (share * extents.positions() as f64).round() as usize;
        Some(pixels.clamp(1, extents.positions()))
    }

    /// `key=value`, the value as TOML writes it; text needs no quotes.
    ///
    /// # Errors
    /// No `=`, or as [`set`](Self::set).
    pub fn assign(&mut self, assignment: &str) -> Result<(), SettingsError> {
        let (key, text) = assignment
            .split_once('=')
            .ok_or_else(|| SettingsError::NotAnAssignment(assignment.to_owned()))?;
        let (key, text) = (key.trim(), text.trim());
        let parsed = format!("value = {text}").parse::<Table>().ok();
        let value = parsed.and_then(|mut table| table.remove("value"));
        self.set(key, value.unwrap_or_else(|| Value::String(text.to_owned())))
    }

    /// Where the images come from.
    ///
    /// # Errors
    /// [`SettingsError::NoData`] when none is named.
    pub fn data(&self) -> Result<DataSettings, SettingsError> {
        if !self.set.contains_key("data.source") {
            return Err(SettingsError::NoData);
        }
        // A model's settings may be incomplete before the data are known: the cells of a stratified draw are.
        let mut own = self.clone();
        own.set.retain(|key, _| key.starts_with("data."));
        Ok(own.merged(&Settings::of(ModelConfig::MICRO))?.data)
    }

    /// The settings of a run on a data set of this shape; on the preset's images where there is none.
    ///
    /// # Errors
    /// A value outside its range, or one that contradicts the data set.
    pub fn settings(&self, data: Option<DataShape>) -> Result<Settings, SettingsError> {
        let mut model = match (&self.preset, self.start) {
            (Some(_), Some(_)) => return Err(SettingsError::PresetOfStart),
            (None, Some(start)) => start,
            (preset, None) => ModelConfig::preset(preset.as_deref().unwrap_or(PRESET))
                .unwrap_or(ModelConfig::MICRO),
        };
        if let Some(DataShape { extents, channels, classes, .. }) = data {
            if classes < 2 {
                return Err(SettingsError::OneClass);
            }
            model = model.with_extents(extents, channels);
            model.classes = classes;
            let integer = |n: usize| Value::Integer(n as i64);
            let sides = extents.sides().iter().map(|side| integer(*side)).collect();
            let facts = [
                ("model.extents", Value::Array(sides)),
                ("model.channels", integer(channels)),
                ("model.classes", integer(classes)),
            ];
            for (key, found) in facts {
                if let Some(value) = self.demanded(key)
                    && *value != found
                {
                    return Err(SettingsError::DataSet { key, value: value.clone(), found });
                }
            }
        }
        let mut own = self.clone();
        if let Some(data) = &data {
            if let Some(pixels) = self.scaled_pixels(data.extents) {
                own.set.insert("model.pixels_per_step", Value::Integer(pixels as i64));
                model.pixels_per_step = pixels;
            }
            // A contradiction was told of above; what a file says of other data is left.
            for key in ["model.extents", "model.channels", "model.classes"] {
                own.set.remove(key);
            }
            if self.from_file.contains("model.extents")
                && self.from_file.contains("model.draw.cell")
            {
                own.set.remove("model.draw.cell");
            }
        }
        own.merged_for(model, data)
    }

    /// The settings for a model whose grid, channels and classes are known.
    fn merged_for(
        &self,
        mut model: ModelConfig,
        data: Option<DataShape>,
    ) -> Result<Settings, SettingsError> {
        if let Some(share) = self.set.get("model.sampling").and_then(Value::as_float) {
            model.pixels_per_step = ((share * model.extents.positions() as f64) as usize).max(1);
        }
        // α has learned which samples its step looks at: a start keeps its draw.
        if self.start.is_none() {
            if let Some(seed) = self.set.get("train.seed").and_then(Value::as_integer) {
                model.draw.seed = seed as u32;
            }
            model.draw.kind = DrawKind::Partition;
        }
        let kind = self.set.get("model.draw.kind").and_then(Value::as_str);
        if kind == Some("Stratified") {
            let cell = match self.set.get("model.draw.cell") {
                Some(cell) => cell.clone().try_into()?,
                None => cell_of(model.extents, model.pixels_per_step),
            };
            model.draw.kind = DrawKind::Stratified { cell };
            let cells = model.extents.cells(cell);
            model.pixels_per_step = cells.map_or(model.pixels_per_step, |c| c.positions());
        }
        let settings = self.merged(&Settings::of(model))?;
        settings.check()?;
        if let Some(data) = data {
            settings.check_for(&data)?;
        }
        Ok(settings)
    }

    /// What was set, over `below`.
    fn merged(&self, below: &Settings) -> Result<Settings, SettingsError> {
        let mut table = Table::try_from(below)?;
        for (key, value) in &self.set {
            if *key == "model.sampling" {
                continue;
            }
            insert(&mut table, key, value.clone());
        }
        Ok(table.try_into()?)
    }
}

/// The sides of cells of which a grid has as nearly `count` as can be; of those the most even ones.
fn cell_of(extents: Extents, count: usize) -> Extents {
    // No cell has more than twice the samples that it should have.
    let most = (2 * extents.positions()).div_ceil(count);
    let sides = |axis: usize| 1..=extents.side(axis).min(most);
    let cells = |sides: &[usize]| {
        let cell = Extents::new(sides)?;
        let found = extents.cells(cell)?.positions() as f64;
        let off = (found / count as f64).ln().abs();
        let uneven = sides.iter().max()? - sides.iter().min()?;
        Some((off, uneven, cell))
    };
    let all = sides(0).flat_map(|i| sides(1).flat_map(move |j| sides(2).map(move |l| [i, j, l])));
    let found = all.filter_map(|sides| cells(&sides[..extents.axes()]));
    let best = found.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    best.map_or(extents, |(_, _, cell)| cell)
}

/// Puts a value into the sections that its key names.
fn insert(table: &mut Table, key: &str, value: Value) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return;
    };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    // No setting bears the name of a section.
    if let Value::Table(section) = section {
        insert(section, rest, value);
    }
}

/// The default of a key as text; nothing where it has none of its own.
pub fn default_of(key: &Key) -> Option<String> {
    let table = Table::try_from(Settings::of(ModelConfig::MICRO)).ok()?;
    // An augmentation that is off is not written.
    let augment = Table::try_from(AugmentSettings::default()).ok()?;
    let name = key.name;
    let from_data = ["data.source", "model.pixels_per_step", "model.draw.seed", "model.draw.cell"]
        .contains(&name);
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

    /// A setting that is added without a key, or a key without a setting, fails here.
    #[test]
    fn every_setting_has_its_key() {
        let mut all = Settings::of(ModelConfig::MICRO);
        all.data.limit = Some(1);
        all.data.labels = Some(String::new());
        all.train.init = Some(String::new());
        all.data.image_size = Some((1, 1));
        all.data.background = Some(crate::util::colour::Colour([0; 3]));
        all.model.draw = mwt_core::Draw::stratified(0, Extents::image(2, 2));
        all.augment.flip = true;
        let table = Table::try_from(all).unwrap();
        let mut settings: Vec<String> = flatten(&table).into_iter().map(|(key, _)| key).collect();
        settings.push("model.sampling".into());
        let mut names: Vec<&str> = keys::all().map(|key| key.name).collect();
        settings.sort();
        names.sort_unstable();
        assert_eq!(settings, names);
        for key in keys::all().filter(|key| default_of(key).is_some()) {
            let value = flatten(&table).into_iter().find(|(name, _)| name == key.name).unwrap().1;
            key.value(value).unwrap();
        }
    }

    /// Its cells follow from the data, which are named before their size is known.
    #[test]
    fn a_stratified_draw_gets_its_cells_from_the_data() {
        let mut layers = Layers::default();
        layers.assign("data.source=digits").unwrap();
        layers.assign("model.draw.kind=stratified").unwrap();
        assert_eq!(layers.data().unwrap().source, "digits");
        let model = layers.settings(None).unwrap().model;
        let DrawKind::Stratified { cell } = model.draw.kind else { panic!("{:?}", model.draw) };
        assert_eq!(cell.sides(), [2, 2]);
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
            let error = Layers::default().file(&file).unwrap_err().to_string();
            assert!(error.contains("a.toml: ") && !error.contains('\n'), "{error}");
            error
        };
        assert!(from("[train]\nepoch = 3").ends_with("did you mean train.epochs?"));
        assert!(from("[train]\nepochs = 0").contains("must be integer at least 1"));
        assert!(from("preset = \"tiny\"").contains("no preset tiny among nano, micro"));
        from("[train\n");
        let mut layers = Layers::default();
        assert!(layers.assign("train.epochs").unwrap_err().to_string().contains("key=value"));
        assert!(matches!(layers.data(), Err(SettingsError::NoData)));
        layers.assign("model.dim=12").unwrap();
        assert!(!layers.settings(None).unwrap_err().to_string().contains('\n'));
    }
}
