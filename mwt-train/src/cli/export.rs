//! `mwt-train export`.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use mwt_core::Bundle;
use mwt_core::bundle::MAGIC;

use super::common::{self, CliResult};
use super::quant::QuantArgs;
use super::view;
use crate::backend::BackendName;
use crate::data;
use crate::evaluate::Conditions;
use crate::export::{card, embed, golden};
use crate::run::latest::{self, Latest};
use crate::run::{RunDir, load_data};
use crate::util::durable::{is_file, write};
use crate::weights::trained;
use crate::{evaluate, export, with_backend};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// A run's directory, or a model.safetensors; with --emit-rs or --emit-c also a bundle
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The bundle to write
    #[arg(long, short, value_name = "OUT.mwt", required_unless_present_any = ["emit_rs", "emit_c"])]
    output: Option<PathBuf>,
    /// Write the bundle as a Rust module: an aligned static with its sizes and labels
    #[arg(long, value_name = "OUT.rs")]
    emit_rs: Option<PathBuf>,
    /// Write the bundle as a C header: an aligned array with its sizes and labels
    #[arg(long, value_name = "OUT.h")]
    emit_c: Option<PathBuf>,
    /// What the names in the C header begin with, so that one program can have several models
    #[arg(long, value_name = "PREFIX", default_value = "mwt", requires = "emit_c", value_parser = parse_c_name)]
    c_name: String,
    /// Write no model card beside the bundle
    #[arg(long)]
    no_card: bool,
    /// Where the run's data set lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Names of the classes in place of the run's: a file with a name a line in their order, or lines of a class, a tab, and
    /// its name; or names with commas between them
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,
    /// k: make a bundle that takes so many inner steps, of a model whose steps share one α [default: the model's]
    #[arg(long, value_name = "K")]
    inner_steps: Option<usize>,
    /// Do not evaluate the bundle on the run's validation images for the card
    #[arg(long)]
    no_eval: bool,
    #[command(flatten)]
    quant: QuantArgs,
    /// Where to compute the golden logits [default: cpu]
    #[arg(long, value_enum)]
    backend: Option<BackendName>,
}

/// A name of C that no program's own can be mistaken for.
fn parse_c_name(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_alphabetic();
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = text.starts_with(letter) && text.chars().all(rest) && text.len() <= 60;
    if is_name {
        return Ok(text.to_owned());
    }
    Err("expected a name of C: a letter, then letters, digits and _, as digits or door_bell".into())
}

/// Endings of files that are no bundles: one of them would hide what is in it, or overwrite what somebody has.
const OTHERS: [&str; 18] = [
    "md",
    "rs",
    "h",
    "hpp",
    "c",
    "cpp",
    "safetensors",
    "pt",
    "pth",
    "ckpt",
    "toml",
    "json",
    "csv",
    "txt",
    "html",
    "png",
    "jpg",
    "onnx",
];

impl ExportArgs {
    pub(super) fn run(&self) -> CliResult {
        let from_bundle = self.is_bundle()?;
        self.check_flags(from_bundle)?;
        self.check_outputs()?;
        let bytes = if from_bundle { common::read(&self.run)? } else { self.bundle()? };
        let bundle = common::parse(&self.run, &bytes)?;
        if let Some(path) = &self.output {
            write(path, &bytes)?;
            let line = format!("{}: {} bytes", path.display(), bytes.len());
            if !is_file(path) {
                // A pipe's reader gets the bundle alone, and nothing lies beside a device.
                eprintln!("{line}");
            } else {
                println!("{line}");
                if !self.no_card {
                    self.card(path, &bytes, &bundle)?;
                }
            }
        }
        self.emit(self.emit_rs.as_deref(), &bytes, || embed::rust(&bytes, &bundle))?;
        self.emit(self.emit_c.as_deref(), &bytes, || embed::c(&bytes, &bundle, &self.c_name))
    }

    /// Whether the model is a bundle already, by its content.
    fn is_bundle(&self) -> CliResult<bool> {
        if self.run.extension().is_some_and(|e| e.eq_ignore_ascii_case("mwt")) && !self.run.is_dir()
        {
            return Ok(true);
        }
        let mut first = [0; MAGIC.len()];
        let read = fs::File::open(&self.run).and_then(|mut file| file.read_exact(&mut first));
        Ok(read.is_ok() && first == MAGIC)
    }

    /// Refuses flags that would change nothing.
    fn check_flags(&self, from_bundle: bool) -> Result<(), String> {
        let nothing = |flag: &str, why: &str| Err(format!("{flag} has no effect: {why}"));
        if from_bundle {
            let why = "a bundle is stored as it is; export the run or its model.safetensors";
            let others = [
                ("--backend", self.backend.is_some()),
                ("--no-eval", self.no_eval),
                ("--labels", self.labels.is_some()),
                ("--data", self.data.is_some()),
                ("--inner-steps", self.inner_steps.is_some()),
            ];
            let other = others.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag);
            if let Some(flag) = self.quant.given().or(other) {
                return nothing(flag, why);
            }
        }
        let cards = [("--no-card", self.no_card), ("--no-eval", self.no_eval)];
        match cards.into_iter().find(|(_, given)| *given && self.output.is_none()) {
            Some((flag, _)) => nothing(flag, "there is no card without --output"),
            None => Ok(()),
        }
    }

    /// Refuses outputs that would overwrite each other, what is read, or what is no bundle.
    fn check_outputs(&self) -> Result<(), String> {
        if let Some(path) = &self.output {
            let ending = path.extension().unwrap_or_default();
            if OTHERS.iter().any(|other| ending.eq_ignore_ascii_case(other)) {
                let path = path.display();
                return Err(format!("{path}: a bundle is no such file; give it the ending .mwt"));
            }
        }
        let outputs: Vec<&Path> = [&self.output, &self.emit_rs, &self.emit_c]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        for (n, output) in outputs.iter().enumerate() {
            if outputs[..n].contains(output) {
                return Err(format!("{}: is named for two outputs", output.display()));
            }
            let model = self.run.join(trained::FILE);
            view::require_other(output, &[&self.run, &model])?;
        }
        Ok(())
    }

    fn bundle(&self) -> CliResult<Vec<u8>> {
        let backend = self.backend.unwrap_or(BackendName::Cpu);
        backend.check()?;
        let Latest { mut model, unfinished } = latest::load(&self.run)?;
        common::tell_unfinished(&self.run, unfinished.as_deref());
        if let Some(given) = &self.labels {
            model.summary.labels = data::label_names(given, &model.summary.labels)?;
        }
        model.summary.model = common::with_inner_steps(model.summary.model, self.inner_steps)?;
        model.weights = model.weights.with_config(model.summary.model)?;
        with_backend!(backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            Ok(export::with_golden::<Inner>(&model, self.quant.schemes(), &device)?)
        })
    }

    /// Writes the model card, with what the bundle does on images that the run has not trained on.
    fn card(&self, path: &Path, bytes: &[u8], bundle: &Bundle<'_>) -> CliResult {
        let settings = RunDir::settings(&self.run).ok();
        let mut evaluation = None;
        if let (Some(settings), false) = (&settings, self.no_eval) {
            // A run may outlive its data set; the bundle is good without it.
            let mut settings = settings.clone();
            settings.data.source = self.data.clone().unwrap_or(settings.data.source);
            match load_data(&self.run, &settings) {
                Ok(set) => {
                    let (_, validation) = settings.split(&set);
                    if !validation.is_empty() {
                        evaluation =
                            Some(evaluate::on_bundle(bundle, &validation, Conditions::default())?);
                    }
                }
                Err(e) => eprintln!(
                    "warning: not evaluated: {e}; if the run's data set was moved, --data says where it is now"
                ),
            }
        }
        if let Some(evaluation) = &evaluation {
            println!(
                "{} validation images through mwt-infer: accuracy {:.2} %, PSNR {:.2} dB",
                evaluation.labels.len(),
                100.0 * evaluation.accuracy(),
                evaluation.mean_psnr()
            );
        }
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let free = |card: &PathBuf| match fs::read(card) {
            Ok(text) => card::is_card_of(&String::from_utf8_lossy(&text), &name),
            Err(e) => e.kind() == ErrorKind::NotFound,
        };
        let paths = card::paths(path);
        let Some(card) = paths.iter().find(|card| free(card)) else {
            let taken = paths.last().map_or(path, PathBuf::as_path).display();
            eprintln!(
                "warning: no model card: {taken} is somebody's own file, or a card that was changed"
            );
            return Ok(());
        };
        let notices = golden::notices(bundle, common::LIMIT_MACS)?;
        let (settings, evaluation) = (settings.as_ref(), evaluation.as_ref());
        let text = card::card(&name, bytes.len(), bundle, settings, evaluation, &notices);
        write(card, text.as_bytes())?;
        println!("{}: model card", card.display());
        Ok(())
    }

    fn emit(&self, path: Option<&Path>, bytes: &[u8], text: impl Fn() -> String) -> CliResult {
        let Some(path) = path else { return Ok(()) };
        write(path, text().as_bytes())?;
        let line = format!("{}: a bundle of {} bytes as source", path.display(), bytes.len());
        if is_file(path) {
            println!("{line}");
        } else {
            eprintln!("{line}");
        }
        Ok(())
    }
}
