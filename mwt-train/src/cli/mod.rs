//! The command line. Each command has a file: its arguments, documented where they are defined, and what it does.

mod bench;
mod classify;
mod config;
mod data;
mod demo;
mod eval;
mod export;
mod import;
mod inspect;
mod progress;
mod recipe;
mod reconstruct;
mod report;
mod shell;
mod train;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mwt_core::{Bundle, Scheme, Schemes};

use crate::data::{Dataset, DatasetLayout, LoadOptions};
use crate::run::RunError;
use crate::settings::SettingsError;
use crate::util::durable::FileError;
use crate::weights::trained::TrainedModelError;

/// What a command comes to: any error of the library, or a text made here.
type CliResult<T = ()> = Result<T, Box<dyn Error>>;

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
/// line.
pub fn run() -> ExitCode {
    // `mwt-train … | head` ends quietly, as other programs do, when nobody reads on.
    sigpipe::reset();
    let result = match Cli::parse().command {
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
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}{}", hint(&*error));
            ExitCode::FAILURE
        }
    }
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
        let path = path.display();
        return format!(
            "; go on with it (mwt-train resume {path}), choose another --name, or remove it"
        );
    }
    if let Some(TrainedModelError::NoSummary { .. }) = error.downcast_ref() {
        return ": use `mwt-train import` for a file of another program".into();
    }
    String::new()
}

/// Storage of the matrices of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Quant {
    /// Symmetric int8 with one scale per output
    Int8,
    /// 16-bit floats
    F16,
    /// 32-bit floats
    F32,
}

impl From<Quant> for Scheme {
    fn from(quant: Quant) -> Self {
        match quant {
            Quant::Int8 => Self::Int8,
            Quant::F16 => Self::F16,
            Quant::F32 => Self::F32,
        }
    }
}

/// How each part of a bundle is stored.
#[derive(Clone, Copy, Debug, Args)]
struct QuantArgs {
    /// Storage of all matrices
    #[arg(long, value_enum, default_value = "int8")]
    quant: Quant,
    /// Storage of θ, the start of the fit [default: that of --quant]
    #[arg(long, value_enum)]
    quant_theta: Option<Quant>,
    /// Storage of α, the inner learning rates [default: that of --quant]
    #[arg(long, value_enum)]
    quant_alpha: Option<Quant>,
    /// Storage of β, the base of the tokens [default: that of --quant]
    #[arg(long, value_enum)]
    quant_beta: Option<Quant>,
    /// Storage of the Transformer [default: that of --quant]
    #[arg(long, value_enum)]
    quant_transformer: Option<Quant>,
}

impl QuantArgs {
    fn schemes(self) -> Schemes {
        let or_all = |part: Option<Quant>| part.unwrap_or(self.quant).into();
        Schemes {
            theta: or_all(self.quant_theta),
            alpha: or_all(self.quant_alpha),
            beta: or_all(self.quant_beta),
            transformer: or_all(self.quant_transformer),
        }
    }
}

/// A file's bytes.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(FileError::at(path))
}

/// A file's bytes as a bundle.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Bundle<'a>, String> {
    Bundle::parse(bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// A data set whose images a model of this configuration can take.
fn load_for(
    config: &mwt_core::ModelConfig,
    source: &str,
    limit: Option<usize>,
) -> CliResult<Dataset> {
    let size = (config.image.height, config.image.width);
    let folder =
        source != "digits" && crate::data::detect(Path::new(source))? == DatasetLayout::ImageFolder;
    let options = LoadOptions {
        // Folders are brought to the model's size; the other kinds have theirs.
        image_size: folder.then_some(size),
        grey: folder.then_some(config.channels == 1),
        limit,
        ..LoadOptions::default()
    };
    let set = crate::data::load(source, &options)?;
    warn_of_left_out(&set);
    let found = (set.height(), set.width(), set.channels());
    if found != (size.0, size.1, config.channels) || set.classes.len() > config.classes {
        return Err(format!(
            "{source}: images are {}×{}×{} in {} classes, the model takes {}×{}×{} in {}",
            found.0,
            found.1,
            found.2,
            set.classes.len(),
            size.0,
            size.1,
            config.channels,
            config.classes
        )
        .into());
    }
    Ok(set)
}

/// Says on stderr that a data set is not whole.
fn warn_of_left_out(set: &Dataset) {
    if let Some(first) = set.left_out.first() {
        eprintln!("warning: {} images left out, the first: {first}", set.left_out.len());
    }
}

/// Why images are not in memory, where they are not.
fn memory_note(set: &Dataset) -> Option<String> {
    (!set.train.in_memory()).then(|| {
        format!(
            "decoded, the images would take {:.1} GiB, more than --memory-gib allows: each is decoded as it is used",
            set.bytes() as f64 / f64::from(1 << 30)
        )
    })
}

/// `28x28` as (height, width).
fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    sides.filter(|(h, w)| *h > 0 && *w > 0).ok_or_else(|| "expected HEIGHTxWIDTH, as 28x28".into())
}

/// One image file as a model takes it: `[H, W, C]` bytes.
fn read_image(config: &mwt_core::ModelConfig, path: &Path) -> CliResult<Vec<u8>> {
    if config.channels != 1 && config.channels != 3 {
        return Err(format!(
            "image files have 1 or 3 channels, the model takes {}",
            config.channels
        )
        .into());
    }
    let size = (config.image.height, config.image.width);
    let image = crate::data::read_image(path, size, config.channels == 1)?;
    Ok(image.into_iter().collect())
}
