//! `mwt-train eval`.

use std::path::PathBuf;

use clap::Args;

use crate::backend::BackendName;
use crate::evaluate::{self, Evaluation};
use crate::model::Params;
use crate::run_dir::load_model;
use crate::with_backend;

#[derive(Debug, Args)]
pub(super) struct Eval {
    /// A run's directory or model.safetensors (evaluated through burn), or an .mwt bundle (through mwt-infer)
    #[arg(value_name = "RUN|BUNDLE")]
    model: PathBuf,
    /// `digits`, or a directory; its test images are used
    #[arg(long)]
    data: String,
    /// The most images
    #[arg(long)]
    limit: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Where to compute a run's evaluation
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl Eval {
    pub(super) fn run(&self) -> Result<(), String> {
        let is_run =
            self.model.is_dir() || self.model.extension().is_some_and(|e| e == "safetensors");
        let (evaluation, labels) = if is_run { self.run_model()? } else { self.bundle()? };
        if self.json {
            let report = serde_json::json!({
                "model": self.model.display().to_string(),
                "data": self.data,
                "images": evaluation.labels.len(),
                "accuracy": evaluation.accuracy(),
                "psnr": evaluation.mean_psnr(),
                "classes": labels,
                "confusion": evaluation.confusion(),
            });
            println!("{report}");
        } else {
            println!(
                "{} images: accuracy {:.2} %, PSNR {:.2} dB",
                evaluation.labels.len(),
                100.0 * evaluation.accuracy(),
                evaluation.mean_psnr()
            );
        }
        Ok(())
    }

    fn run_model(&self) -> Result<(Evaluation, Vec<String>), String> {
        self.backend.check()?;
        let model = load_model(&self.model)?;
        let set = super::load_for(&model.summary.model, &self.data, self.limit)?;
        let evaluation = with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            let params = Params::<Inner>::from_weights(&model.weights, &device);
            evaluate::on_backend(&params, &set.test, 50, &device)
        });
        Ok((evaluation, model.summary.labels))
    }

    fn bundle(&self) -> Result<(Evaluation, Vec<String>), String> {
        let bytes = super::read(&self.model)?;
        let bundle = super::parse(&self.model, &bytes)?;
        let set = super::load_for(bundle.config(), &self.data, self.limit)?;
        let evaluation = evaluate::on_bundle(&bundle, &set.test).map_err(|e| e.to_string())?;
        Ok((evaluation, bundle.header().labels().map(str::to_owned).collect()))
    }
}
