//! `mwt-train export`.

use std::path::{Path, PathBuf};

use clap::Args;
use mwt_core::Bundle;

use super::common::{self, CliResult};
use super::quant::QuantArgs;
use crate::backend::BackendName;
use crate::evaluate::Conditions;
use crate::export::{card, embed};
use crate::run::RunDir;
use crate::util::durable::write;
use crate::weights::trained::TrainedModel;
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
    /// Write no model card beside the bundle
    #[arg(long)]
    no_card: bool,
    /// Do not evaluate the bundle on the run's validation images for the card
    #[arg(long)]
    no_eval: bool,
    #[command(flatten)]
    quant: QuantArgs,
    /// Where to compute the golden logits
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl ExportArgs {
    pub(super) fn run(&self) -> CliResult {
        let bytes = if self.run.extension().is_some_and(|e| e == "mwt") {
            common::read(&self.run)?
        } else {
            self.bundle()?
        };
        let bundle = common::parse(&self.run, &bytes)?;
        if let Some(path) = &self.output {
            write(path, &bytes)?;
            println!("{}: {} bytes", path.display(), bytes.len());
            if !self.no_card {
                self.card(path, &bytes, &bundle)?;
            }
        }
        self.emit(self.emit_rs.as_deref(), &bytes, &bundle, embed::rust)?;
        self.emit(self.emit_c.as_deref(), &bytes, &bundle, embed::c)
    }

    fn bundle(&self) -> CliResult<Vec<u8>> {
        self.backend.check()?;
        let model = TrainedModel::load(&self.run)?;
        with_backend!(self.backend, B, device => {
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
            match settings.data.load() {
                Ok(set) => {
                    let (_, validation) = settings.split(&set);
                    if !validation.is_empty() {
                        evaluation =
                            Some(evaluate::on_bundle(bundle, &validation, Conditions::default())?);
                    }
                }
                Err(e) => eprintln!("warning: not evaluated: {e}"),
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
        let card = path.with_extension("md");
        let text = card::card(&name, bytes.len(), bundle, settings.as_ref(), evaluation.as_ref());
        write(&card, text.as_bytes())?;
        println!("{}: model card", card.display());
        Ok(())
    }

    fn emit(
        &self,
        path: Option<&Path>,
        bytes: &[u8],
        bundle: &Bundle<'_>,
        text: fn(&[u8], &Bundle<'_>) -> String,
    ) -> CliResult {
        let Some(path) = path else { return Ok(()) };
        write(path, text(bytes, bundle).as_bytes())?;
        println!("{}: a bundle of {} bytes as source", path.display(), bytes.len());
        Ok(())
    }
}
