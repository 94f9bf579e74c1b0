//! `mwt-train export`.

use std::path::PathBuf;

use clap::Args;

use super::QuantArgs;
use crate::backend::BackendName;
use crate::run_dir::{load_model, write};
use crate::{export, with_backend};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// A run's directory, or a model.safetensors
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The bundle to write
    #[arg(long, short, value_name = "OUT.mwt")]
    output: PathBuf,
    #[command(flatten)]
    quant: QuantArgs,
    /// Where to compute the golden logits
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl ExportArgs {
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        let model = load_model(&self.run)?;
        let bytes = with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            export::with_golden::<Inner>(&model, self.quant.schemes(), &device)?
        });
        write(&self.output, &bytes)?;
        println!("{}: {} bytes", self.output.display(), bytes.len());
        Ok(())
    }
}
