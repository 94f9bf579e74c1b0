//! `mwt-train classify`.

use std::path::PathBuf;

use clap::Args;
use mwt_infer::{Classifier, Signal, WorkspaceBuf};

use super::common::{self, CliResult};
use crate::util::text::shown;

#[derive(Debug, Args)]
pub(super) struct Classify {
    /// An .mwt bundle
    bundle: PathBuf,
    /// PNG or JPEG files; an image of another shape is cut and scaled to the model's
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Refuse a model of more multiply-adds per image
    #[arg(long, value_name = "N", default_value_t = common::LIMIT_MACS)]
    limit_macs: u64,
    /// Print one JSON array with one object per image
    #[arg(long)]
    json: bool,
}

impl Classify {
    pub(super) fn run(&self) -> CliResult {
        let bytes = common::read(&self.bundle)?;
        let bundle = common::parse(&self.bundle, &bytes)?;
        let config = *bundle.config();
        let mut workspace = WorkspaceBuf::new(&config);
        let mut classifier =
            Classifier::with_limit(&bundle, workspace.as_mut_slice(), self.limit_macs)?;
        let mut report = Vec::new();
        for path in &self.images {
            let named = |e: mwt_infer::Error| format!("{}: {e}", path.display());
            let pixels = common::read_image(&bundle, path)?;
            let source = Signal::new(&pixels[..], config.extents, config.channels);
            let source = source.map_err(named)?;
            classifier.fit(&source).map_err(named)?;
            let psnr = classifier.quality(&source).map_err(named)?.psnr;
            let best = classifier.top_k::<3>().map_err(named)?;
            let label = |class: usize| shown(bundle.header().label(class));
            if self.json {
                let logits = classifier.logits().map_err(named)?.to_vec();
                report.push(serde_json::json!({
                    "file": path.display().to_string(),
                    "prediction": best[0].class,
                    "label": bundle.header().label(best[0].class),
                    "probabilities": softmax(&logits),
                    "logits": logits,
                    "psnr": psnr,
                }));
            } else {
                let best: Vec<_> = best
                    .iter()
                    .map(|p| format!("{} {:.1} %", label(p.class), 100.0 * p.probability))
                    .collect();
                println!("{}: {} (PSNR {psnr:.1} dB)", path.display(), best.join(", "));
            }
        }
        if self.json {
            println!("{}", serde_json::Value::Array(report));
        }
        Ok(())
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().fold(f32::MIN, |m, l| m.max(*l));
    let exp: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}
