//! What a run may be told: a preset, a file, a flag for each of the common settings, and `--set` for all of them.
//!
//! The flags are made from [`keys`], where each setting has its meaning, type and default once.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use mwt_core::ModelConfig;
use toml::Value;

use super::common;
use crate::settings::layers::default_of;
use crate::settings::{Key, ValueType, keys, phrase};
use crate::settings::{Layers, SettingsError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(super) enum PresetName {
    /// For tests: D 16, L 2, k 3, B 2
    Nano,
    /// For microcontrollers: D 32, L 2, k 4, B 4
    Micro,
    /// For large microcontrollers: D 64, L 2, k 4, B 6
    Small,
    /// The paper's MWT: D 128, L 4, k 6, B 10
    Base,
    /// The paper's MWT-W: base with an MLP four times as wide
    Wide,
    /// The paper's MWT-L: base with D 256
    Large,
    /// For series of motion sensors on microcontrollers: D 32, L 2, k 4, B 4
    Wrist,
    /// For volumes: D 32, L 2, k 4, B 4
    Solid,
}

impl PresetName {
    pub(super) const fn config(self) -> ModelConfig {
        match self {
            Self::Nano => ModelConfig::NANO,
            Self::Micro => ModelConfig::MICRO,
            Self::Small => ModelConfig::SMALL,
            Self::Base => ModelConfig::BASE,
            Self::Wide => ModelConfig::WIDE,
            Self::Large => ModelConfig::LARGE,
            Self::Wrist => ModelConfig::WRIST,
            Self::Solid => ModelConfig::SOLID,
        }
    }
}

/// A preset, a file and `--set`, between which the flags stand.
#[derive(Debug, Args)]
struct Sources {
    /// Sizes of the model [default: micro]
    #[arg(long, value_enum)]
    preset: Option<PresetName>,
    /// Settings from a TOML file: any part of a run's settings.toml
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Change a setting, as train.epochs=20; may be given more than once, the last one wins
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Settings: a preset, changed by a file, then by flags, then by --set.
#[derive(Debug)]
pub(super) struct Recipe {
    sources: Sources,
    /// The settings that flags give.
    flags: Vec<(&'static Key, Value)>,
}

impl Recipe {
    /// All that was said, in its order.
    pub(super) fn layers(&self) -> Result<Layers, SettingsError> {
        let mut layers = Layers::default();
        if let Some(preset) = self.sources.preset.and_then(|p| p.to_possible_value()) {
            layers.preset(preset.get_name())?;
        }
        if let Some(file) = &self.sources.config {
            layers.file(file)?;
        }
        for (key, value) in &self.flags {
            layers.set(key.name, value.clone())?;
        }
        for assignment in &self.sources.set {
            layers.assign(assignment)?;
        }
        Ok(layers)
    }
}

impl Args for Recipe {
    fn augment_args(command: Command) -> Command {
        Sources::augment_args(command).args(keys::all().filter_map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Recipe {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &'static Key| {
            let value = match key.kind {
                ValueType::Switch => matches.get_flag(key.name).then_some(Value::Boolean(true)),
                ValueType::Choice(_) => matches.get_one(key.name).cloned().map(Value::String),
                _ => matches.get_one::<Value>(key.name).cloned(),
            };
            Some((key, value?))
        };
        let flags = keys::all().filter(|key| key.flag).filter_map(given).collect();
        Ok(Self { sources: Sources::from_arg_matches(matches)?, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of a setting, where it has one. Names of earlier versions work, and are not shown.
fn flag(key: &'static Key) -> Option<Arg> {
    let name = key.flag_name()?;
    let default = match default_of(key).filter(|_| key.kind != ValueType::Switch) {
        Some(default) => format!(" [default: {}]", default.to_lowercase()),
        None => String::new(),
    };
    let value_name = match key.kind {
        ValueType::Size => "HxW".to_owned(),
        ValueType::Shares => "LEAST..LARGEST".to_owned(),
        _ => name.to_uppercase().replace('-', "_"),
    };
    let arg =
        Arg::new(key.name).help(format!("{}{default}", key.meaning())).aliases(key.old_flag_name());
    let arg = arg.long(name);
    Some(match key.kind {
        ValueType::Switch => arg.action(ArgAction::SetTrue),
        ValueType::Choice(words) => {
            let words = words
                .iter()
                .map(|(word, text)| PossibleValue::new(word.to_lowercase()).help(phrase(text)));
            arg.value_name(value_name).value_parser(PossibleValuesParser::new(words))
        }
        kind => arg.value_name(value_name).value_parser(move |text: &str| parse(kind, text)),
    })
}

/// What a flag of shares takes.
const SHARES: &str = "expected LEAST..LARGEST or LARGEST, as 0..0.9";

/// A flag's text as the value of its setting.
fn parse(kind: ValueType, text: &str) -> Result<Value, String> {
    match kind {
        ValueType::Integer(_) => {
            text.parse().map(Value::Integer).map_err(|_| format!("must be {kind:#}"))
        }
        ValueType::Number(_) => {
            text.parse().map(Value::Float).map_err(|_| format!("must be {kind:#}"))
        }
        ValueType::Shares => {
            let (least, most) = text.split_once("..").unwrap_or(("0", text));
            let share = |text: &str| text.parse().map(Value::Float).map_err(|_| SHARES);
            Ok(Value::Array(vec![share(least)?, share(most)?]))
        }
        ValueType::Size => {
            let (height, width) = common::parse_size(text)?;
            Ok(Value::Array(vec![Value::Integer(height as i64), Value::Integer(width as i64)]))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}
