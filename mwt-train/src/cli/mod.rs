//! The command line. Each command has a file: its arguments, documented where they are defined, and what it does.

mod bench;
mod check;
mod classify;
mod common;
mod config;
mod data;
mod demo;
mod eval;
mod export;
mod import;
mod inspect;
mod model_data;
mod progress;
mod quant;
mod recipe;
mod reconstruct;
mod report;
mod shell;
mod train;
mod view;

use std::error::Error;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::data::DataError;
use crate::report::ReportError;
use crate::run::RunError;
use crate::settings::SettingsError;
use crate::util::text::shown;
use crate::weights::trained::TrainedModelError;

/// Train a Meta Weight Transformer and export it as one quantized bundle
///
/// An image is classified by fitting a small sine network to it in k gradient steps from a meta-learned start,
/// and by reading the fitted weights with a Transformer (arXiv 2503.18123). A bundle runs on any CPU, a
/// Cortex-M4F included, through the crate mwt-infer.
#[derive(Debug, Parser)]
#[command(name = "mwt-train", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train, export and evaluate a small model on built-in digits: nothing to download
    Demo(demo::Demo),
    /// Train a model on a data set
    Train(Box<train::Train>),
    /// Go on with a run that was stopped
    Resume(train::Resume),
    /// Accuracy and PSNR of a run or a bundle on a data set
    Eval(eval::Eval),
    /// Write a run's report: curves, confusion, fits, inner learning rates, bundles
    Report(report::Report),
    /// Write a run's model as a bundle
    Export(export::ExportArgs),
    /// Turn a checkpoint of the reference implementation into a bundle or a run's model
    Import(import::Import),
    /// What a bundle holds and what it needs
    Inspect(inspect::Inspect),
    /// Classify images with a bundle
    Classify(classify::Classify),
    /// Fit an image with a bundle's SIREN and draw what was fitted
    Reconstruct(reconstruct::Reconstruct),
    /// Look at a data set: what it holds, what augmentation makes of it
    Data(data::Data),
    /// Every setting of a training run: its meaning, its value
    Config(config::Config),
    /// How fast this machine trains, or runs a bundle
    Bench(bench::Bench),
    /// Print a script that completes this command line in a shell
    Completions(shell::Completions),
    /// Print the man page
    Man(shell::Man),
}

/// Runs the program: 0 when all went well, 1 after an error, which is one line on stderr, 2 for a wrong command
/// line, 130 and 143 after a run that Ctrl-C or SIGTERM stopped.
pub fn run() -> ExitCode {
    // `mwt-train … | head` ends quietly, as other programs do, when nobody reads on.
    sigpipe::reset();
    let result = match parse().command {
        Command::Demo(command) => command.run(),
        Command::Train(command) => command.run(),
        Command::Resume(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Classify(command) => command.run(),
        Command::Reconstruct(command) => command.run(),
        Command::Data(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Completions(command) => command.run(&mut Cli::command()),
        Command::Man(command) => command.run(Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(stopped) = error.downcast_ref::<train::Stopped>() {
                return ExitCode::from(stopped.status);
            }
            // It may name files that somebody else called so.
            eprintln!("error: {}{}", shown(&error.to_string()), hint(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The command line. A number may be negative wherever one is wanted: what is wrong with it, its range says.
fn parse() -> Cli {
    let mut command = negative(Cli::command());
    let matches = command.get_matches_mut();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

fn negative(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_positional();
    let command = command.mut_args(|arg| match takes_value(&arg) {
        true => arg.allow_negative_numbers(true),
        false => arg,
    });
    command.mut_subcommands(negative)
}

/// What to do about an error, where the command line has an answer.
fn hint(error: &(dyn Error + 'static)) -> String {
    let settings = match error.downcast_ref() {
        Some(RunError::Settings(e)) => Some(e),
        _ => error.downcast_ref(),
    };
    if matches!(settings, Some(SettingsError::NoData)) {
        return ": give --data DIR, or --data digits".into();
    }
    if let Some(RunError::Exists { path }) = error.downcast_ref() {
        let path = common::quoted(path);
        return format!(
            "; go on with it (mwt-train resume {path}), choose another --name, or remove it"
        );
    }
    let of_run = match error.downcast_ref() {
        Some(ReportError::Run(e)) => Some(e),
        _ => error.downcast_ref(),
    };
    if let Some(RunError::Data(DataError::Io { .. })) = of_run {
        return "; if the run's data set was moved, --data says where it is now".into();
    }
    if let Some(TrainedModelError::NoSummary { .. }) = error.downcast_ref() {
        return ": use `mwt-train import` for a file of another program".into();
    }
    String::new()
}
