//! `mwt-train classify`.

use std::path::PathBuf;

use clap::Args;
use mwt_core::Bundle;
use mwt_infer::{Classifier, Signal, WorkspaceBuf};
use serde_json::{Value, json};

use super::common::{self, CliResult};
use super::view::{self, Source, ViewArgs};
use crate::util::text::shown;

#[derive(Debug, Args)]
pub(super) struct Classify {
    /// An .mwt bundle
    bundle: PathBuf,
    /// Pictures (PNG, JPEG, BMP, GIF, WebP, TIFF, PNM), folders of them, or - for one on standard input
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    view: ViewArgs,
    /// Refuse a model of more multiply-adds per image
    #[arg(long, value_name = "N", default_value_t = common::LIMIT_MACS)]
    limit_macs: u64,
    /// Print one JSON array with one object per image; of one that cannot be classified with an `error`
    #[arg(long)]
    json: bool,
}

/// What a picture came to.
struct Answer {
    warnings: Vec<String>,
    /// The most likely classes and their probabilities.
    best: Vec<(usize, f32)>,
    logits: Vec<f32>,
    psnr: f32,
}

impl Classify {
    pub(super) fn run(&self) -> CliResult {
        let bytes = common::read(&self.bundle)?;
        let bundle = common::parse(&self.bundle, &bytes)?;
        view::require_pictures(&bundle)?;
        let mut workspace = WorkspaceBuf::new(bundle.config());
        let mut classifier =
            Classifier::with_limit(&bundle, workspace.as_mut_slice(), self.limit_macs)?;
        let pictures = view::pictures(&self.images);
        let (all, mut bad, mut report) = (pictures.len(), 0, Vec::new());
        for picture in pictures {
            let (name, answer) = match picture {
                Ok(source) => {
                    let answer = self.answer(&bundle, &mut classifier, &source);
                    (source.path().display().to_string(), answer.map_err(|e| e.to_string()))
                }
                Err((path, why)) => {
                    let name = path.display().to_string();
                    let why = format!("{name}: {why}");
                    (name, Err(why))
                }
            };
            let label = |class: usize| bundle.header().label(class);
            match answer {
                Ok(answer) => {
                    for warning in &answer.warnings {
                        eprintln!("warning: {}: {}", shown(&name), shown(warning));
                    }
                    if self.json {
                        report.push(answer.json(&name, label));
                    } else {
                        println!("{}", answer.line(&name, label));
                    }
                }
                Err(why) => {
                    bad += 1;
                    // The last thing that is said is what the program ends with.
                    if all > 1 {
                        eprintln!("error: {}", shown(&why));
                    }
                    report.push(json!({"file": name, "error": why}));
                }
            }
        }
        if self.json {
            println!("{}", Value::Array(report.clone()));
        }
        match (bad, report.first().and_then(|entry| entry["error"].as_str())) {
            (0, _) => Ok(()),
            (1, Some(why)) if all == 1 => Err(shown(why).into()),
            _ => Err(format!("{bad} of {all} pictures could not be classified").into()),
        }
    }

    fn answer(
        &self,
        bundle: &Bundle<'_>,
        classifier: &mut Classifier<'_, '_>,
        source: &Source,
    ) -> CliResult<Answer> {
        let named = |e: mwt_infer::Error| format!("{}: {e}", source.path().display());
        let seen = self.view.see(bundle, source)?;
        let config = bundle.config();
        let signal = Signal::new(&seen.pixels[..], config.extents, config.channels);
        let signal = signal.map_err(named)?;
        classifier.fit(&signal).map_err(named)?;
        let psnr = classifier.quality(&signal).map_err(named)?.psnr;
        let best = classifier.top_k::<3>().map_err(named)?;
        Ok(Answer {
            warnings: seen.warnings,
            best: best.iter().map(|p| (p.class, p.probability)).collect(),
            logits: classifier.logits().map_err(named)?.to_vec(),
            psnr,
        })
    }
}

impl Answer {
    fn line<'l>(&self, name: &str, label: impl Fn(usize) -> &'l str) -> String {
        let best = self.best.iter().map(|(class, probability)| {
            format!("{} {:.1} %", shown(label(*class)), 100.0 * probability)
        });
        let best: Vec<_> = best.collect();
        format!("{}: {} (PSNR {:.1} dB)", shown(name), best.join(", "), self.psnr)
    }

    fn json<'l>(&self, name: &str, label: impl Fn(usize) -> &'l str) -> Value {
        let class = self.best.first().map(|(class, _)| *class);
        json!({
            "file": name,
            "prediction": class,
            "label": class.map(label),
            "probabilities": softmax(&self.logits),
            "logits": self.logits,
            "psnr": self.psnr,
            "warnings": self.warnings,
        })
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().fold(f32::MIN, |m, l| m.max(*l));
    let exp: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f32 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}
