//! `mwt-train report`.

use std::path::PathBuf;

use clap::Args;

use super::common::CliResult;
use crate::backend::BackendName;
use crate::{report, with_backend};

#[derive(Debug, Args)]
pub(super) struct Report {
    /// A run's directory
    run: PathBuf,
    /// Where to compute the golden logits of the bundles
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl Report {
    pub(super) fn run(&self) -> CliResult {
        self.backend.check()?;
        let file = with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            report::write_for::<Inner>(&self.run, None, &device)?
        });
        println!("{}", file.display());
        Ok(())
    }
}
