//! `mwt-train config`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::common::CliResult;
use super::recipe::Recipe;
use crate::settings::keys;
use crate::settings::layers::default_of;

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings that a run would have, as TOML
    Show(Box<Recipe>),
    /// Print every key with its type and default
    List {
        /// Print the page docs/SETTINGS.md: a table with the meanings
        #[arg(long)]
        markdown: bool,
    },
    /// Print what a key means
    Explain {
        /// As in `config list`
        key: String,
    },
}

impl Config {
    pub(super) fn run(&self) -> CliResult {
        match &self.command {
            Command::Show(recipe) => {
                let layers = recipe.layers()?;
                // With a data set the sizes are its own, without one the preset's.
                let shape = match layers.data() {
                    Ok(data) => Some(data.load()?.shape()),
                    Err(_) => None,
                };
                print!("{}", layers.settings(shape)?.to_toml()?);
            }
            Command::List { markdown: true } => print!("{}", markdown()),
            Command::List { markdown: false } => {
                let name = keys::all().map(|key| key.name.len()).max().unwrap_or(0);
                for key in keys::all() {
                    let default = default_of(key).map_or_else(String::new, |d| format!(" [{d}]"));
                    println!("{:<name$}  {}{default}", key.name, key.kind);
                }
            }
            Command::Explain { key } => {
                let key = keys::find(key)?;
                println!("{}: {}", key.name, key.meaning());
                println!("{}", key.kind);
                if let Some(default) = default_of(key) {
                    println!("default: {default}");
                }
                if let Some(flag) = key.flag_name() {
                    println!("flag: --{flag}");
                }
            }
        }
        Ok(())
    }
}

/// All settings as a page.
fn markdown() -> String {
    let mut page = "# Settings\n\nEvery setting of a training run, as `mwt-train config list --markdown` writes this page. A \
        preset (`--preset`) is changed by a\nfile (`--config FILE.toml`, any part of a run's `settings.toml`), then by flags, then by \
        `--set KEY=VALUE`;\n[TRAINING.md](TRAINING.md#settings) says which to change first.\n"
        .to_owned();
    let mut section = "";
    for key in keys::all() {
        let (own, name) = key.name.split_once('.').unwrap_or(("", key.name));
        // Writing to a string cannot fail.
        if own != section {
            section = own;
            let _ = write!(
                page,
                "\n## [{section}]\n\n| setting | flag | type | default | meaning |\n|---|---|---|---|---|\n"
            );
        }
        let code = |text: Option<String>| text.map_or_else(String::new, |text| format!("`{text}`"));
        let flag = code(key.flag_name().map(|flag| format!("--{flag}")));
        let kind = key.kind.to_string().replace('|', "\\|");
        let default = code(default_of(key).filter(|default| !default.is_empty()));
        let _ = writeln!(page, "| `{name}` | {flag} | {kind} | {default} | {} |", key.meaning());
    }
    page
}
