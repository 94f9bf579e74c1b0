//! `mwt-train completions` and `mwt-train man`: written from the definitions of the command line.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::common::CliResult;
use crate::util::durable::FileError;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell to complete for; write what is printed to where it looks for completions
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, command: &mut Command) -> CliResult {
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, command, name, &mut std::io::stdout());
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write a page for each command into this directory instead of printing the program's own
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self, command: Command) -> CliResult {
        match &self.output {
            Some(dir) => std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(command, dir))
                .map_err(FileError::at(dir))?,
            None => clap_mangen::Man::new(command).render(&mut std::io::stdout())?,
        }
        Ok(())
    }
}
