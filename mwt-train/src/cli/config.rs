//! `mwt-train config`.

use clap::{Args, Subcommand};

use super::recipe::Recipe;
use crate::keys::{self, KEYS};
use crate::layers::default_of;

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
    List,
    /// Print what a key means
    Explain {
        /// As in `config list`
        key: String,
    },
}

impl Config {
    pub(super) fn run(&self) -> Result<(), String> {
        match &self.command {
            Command::Show(recipe) => {
                let layers = recipe.layers()?;
                // With a data set the sizes are its own, without one the preset's.
                let set = match layers.data() {
                    Ok(data) => Some(data.load().map_err(|e| e.to_string())?),
                    Err(_) => None,
                };
                let settings = layers.settings(set.as_ref())?;
                print!("{}", toml::to_string(&settings).map_err(|e| e.to_string())?);
            }
            Command::List => {
                let name = KEYS.iter().map(|key| key.name.len()).max().unwrap_or(0);
                for key in KEYS {
                    let default = default_of(key).map_or_else(String::new, |d| format!(" [{d}]"));
                    println!("{:<name$}  {}{default}", key.name, key.kind);
                }
            }
            Command::Explain { key } => {
                let key = keys::find(key)?;
                println!("{}: {}", key.name, key.meaning);
                println!("{}", key.kind);
                if let Some(default) = default_of(key) {
                    println!("default: {default}");
                }
            }
        }
        Ok(())
    }
}
