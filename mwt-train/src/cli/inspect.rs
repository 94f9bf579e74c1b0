//! `mwt-train inspect`.

use std::path::PathBuf;

use clap::Args;
use mwt_core::ModelConfig;
use mwt_core::draw::DrawKind;
use mwt_infer::{Classifier, WorkspaceBuf, workspace_len};

use super::common::{self, CliResult};
use crate::export::{card, golden};
use crate::util::text::shown;
use crate::util::words;

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// An .mwt bundle
    bundle: PathBuf,
    /// Test at most as many golden samples as take these multiply-adds
    #[arg(long, value_name = "N", default_value_t = common::LIMIT_MACS)]
    limit_macs: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A configuration in the paper's symbols.
pub(super) fn sizes(c: &ModelConfig) -> String {
    format!(
        "D {}, L {}, k {}, B {}, C {}, K {}, grid {}, P {}",
        c.dim,
        c.hidden_layers,
        c.inner_steps,
        c.blocks,
        c.channels,
        c.classes,
        words::grid(&c.extents),
        c.pixels_per_step
    )
}

impl Inspect {
    pub(super) fn run(&self) -> CliResult {
        let bytes = common::read(&self.bundle)?;
        let bundle = common::parse(&self.bundle, &bytes)?;
        let (header, config) = (bundle.header(), bundle.config());
        let workspace = 4 * workspace_len(config);
        let labels: Vec<&str> = header.labels().collect();
        let mut scratch = WorkspaceBuf::new(config);
        let affordable = (self.limit_macs / bundle.macs().max(1)) as usize;
        let tested = usize::from(header.golden_samples).min(affordable);
        let self_test = Classifier::new(&bundle, scratch.as_mut_slice())
            .and_then(|mut classifier| classifier.self_test_of(tested))
            .map_err(|e| format!("{}: {e}", self.bundle.display()))?;
        let left = self.limit_macs.saturating_sub(bundle.macs() * tested as u64);
        let notices = golden::notices(&bundle, left)
            .map_err(|e| format!("{}: {e}", self.bundle.display()))?;
        if self.json {
            let notices: Vec<_> = notices
                .iter()
                .map(|n| serde_json::json!({"mistake": n.mistake.name(), "tolerances": n.tolerances}))
                .collect();
            let scaling = |c| header.input.scaling(c);
            let scaling: Vec<_> = (0..config.channels)
                .map(
                    |c| serde_json::json!({"scale": scaling(c).scale, "offset": scaling(c).offset}),
                )
                .collect();
            let report = serde_json::json!({
                "bytes": bytes.len(),
                "workspace_bytes": workspace,
                "stack_bytes": {"portable": mwt_infer::STACK_PORTABLE, "host": mwt_infer::STACK_HOST},
                "fit_macs": config.fit_macs(),
                "transformer_macs": config.transformer_macs(),
                "config": config,
                "storage": header.schemes,
                "input": {"type": header.input.sample.name(), "scaling": scaling},
                "labels": labels,
                "golden_samples": header.golden_samples,
                "golden_samples_tested": self_test.samples,
                "golden_max_error": self_test.max_error,
                "golden_notices": notices,
                "facts": {
                    "data_set": header.facts.data_set,
                    "producer": header.facts.producer,
                    "seed": header.facts.seed,
                    "outer_steps": header.facts.outer_steps,
                    "accuracy": header.facts.accuracy,
                    "psnr": header.facts.psnr,
                },
            });
            println!("{report}");
            return Ok(());
        }
        let draw = match config.draw.kind {
            DrawKind::Random => "random".to_owned(),
            DrawKind::Partition => "partition".to_owned(),
            DrawKind::Stratified { cell } => format!("stratified ({} cells)", words::grid(&cell)),
        };
        println!("bundle      {} bytes, format version {}", bytes.len(), bundle.version());
        println!("model       {}", sizes(config));
        println!(
            "            ω {}, λ {}, MLP ×{}, heads {} × {}, {draw} draw{}",
            config.omega,
            config.lambda,
            config.mlp_mult,
            config.heads(),
            config.head_dim(),
            if config.shared_alpha { ", one α for all steps" } else { "" }
        );
        println!("storage     {}", card::storage(&header.schemes));
        println!("workspace   {workspace} bytes of RAM");
        println!(
            "stack       about {} KiB on a microcontroller, {} KiB with a host's wide registers",
            mwt_infer::STACK_PORTABLE / 1024,
            mwt_infer::STACK_HOST / 1024
        );
        println!("arithmetic  {}", card::arithmetic(config));
        println!("labels      {}", labels.iter().map(|l| shown(l)).collect::<Vec<_>>().join(", "));
        let test = match (header.golden_samples, self_test.samples) {
            (0, _) => "none: the bundle has no golden samples".to_owned(),
            (all, 0) => {
                format!("not run: one of {all} golden samples takes more than --limit-macs")
            }
            (all, n) => {
                let of = if n < usize::from(all) { format!("{n} of {all}") } else { n.to_string() };
                let tolerance = Classifier::SELF_TEST_TOLERANCE;
                format!("passed: logits of {of} golden samples within {tolerance} of the trainer's")
            }
        };
        println!("self-test   {test}");
        if !notices.is_empty() {
            println!("            golden samples {}", golden::summary(&notices));
        }
        let facts = header.facts;
        if !facts.data_set.is_empty() {
            println!(
                "trained     on {}, seed {}, {} outer steps, by {}",
                shown(facts.data_set),
                facts.seed,
                facts.outer_steps,
                shown(facts.producer)
            );
        }
        if let (Some(accuracy), Some(psnr)) = (facts.accuracy, facts.psnr) {
            let percent = 100.0 * accuracy;
            println!(
                "measured    {percent:.2} % and {psnr:.2} dB on validation images, before quantization"
            );
        }
        Ok(())
    }
}
