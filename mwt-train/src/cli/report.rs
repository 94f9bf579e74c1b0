//! `mwt-train report`.

use std::path::PathBuf;

use clap::Args;

use super::common::{self, CliResult};
use crate::backend::BackendName;
use crate::run::{RunDir, latest, load_data};
use crate::{report, with_backend};

#[derive(Debug, Args)]
pub(super) struct Report {
    /// A run's directory
    run: PathBuf,
    /// Where the run's data set lies now, if it was moved
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where to compute the golden logits of the bundles
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl Report {
    pub(super) fn run(&self) -> CliResult {
        self.backend.check()?;
        let images = match &self.data {
            Some(source) => {
                let mut settings = RunDir::settings(&self.run)?;
                source.clone_into(&mut settings.data.source);
                Some(report::images(&settings, &load_data(&self.run, &settings)?))
            }
            None => None,
        };
        let unfinished = latest::load(&self.run)?.unfinished;
        common::tell_unfinished(&self.run, unfinished.as_deref());
        let file = with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            report::write_for::<Inner>(&self.run, images, &device)?
        });
        println!("{}", file.display());
        Ok(())
    }
}
