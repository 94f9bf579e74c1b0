//! The model card beside an exported bundle.

use std::fmt::Write as _;

use mwt_core::bundle::SampleType;
use mwt_core::quant::Schemes;
use mwt_core::{Bundle, ModelConfig};
use mwt_infer::workspace_len;

use crate::evaluate::Evaluation;
use crate::settings::{AugmentSettings, Settings};
use crate::util::text::shown;
use crate::util::words::{grid, shape};

/// The card as Markdown. `settings` are those of the run, where there is one; `evaluation` is that of this bundle through
/// mwt-infer on the validation images.
pub fn card(
    name: &str,
    bytes: usize,
    bundle: &Bundle<'_>,
    settings: Option<&Settings>,
    evaluation: Option<&Evaluation>,
) -> String {
    let (header, config) = (bundle.header(), bundle.config());
    let facts = header.facts;
    let labels: Vec<&str> = header.labels().collect();
    let pictures = header.input.sample == SampleType::U8 && config.axes() == 2;
    let unit = if pictures { "image" } else { "signal" };
    let signals = if pictures {
        let colours = if config.channels == 1 { "grey" } else { "RGB" };
        format!("{} {colours} images", grid(&config.extents))
    } else {
        shape(config.extents, config.channels)
    };
    let mut card = format!(
        "# {name}\n\n\
         Classifies {signals} into {} classes by fitting a sine network to each in {} gradient steps and reading the \
         fitted weights with a Transformer (Meta Weight Transformer, arXiv 2503.18123): D {}, L {}, k {}, B {}.\n\n\
         | | |\n|---|---|\n",
        labels.len(),
        config.inner_steps,
        config.dim,
        config.hidden_layers,
        config.inner_steps,
        config.blocks
    );
    let mut row = |what: &str, value: String| {
        // Writing to a string cannot fail; a bar would end the cell.
        let _ = writeln!(card, "| {what} | {} |", shown(&value).replace('|', "\\|"));
    };
    row("data set", facts.data_set.to_owned());
    row(
        "training",
        format!("{}, seed {}, {} outer steps", facts.producer, facts.seed, facts.outer_steps),
    );
    if let Some(settings) = settings {
        let (t, a) = (&settings.train, &settings.augment);
        row(
            "recipe",
            format!(
                "{} epochs, batch {}, w_cls {}, peak learning rates {} / {} / {} (SIREN, α, classifier), label smoothing {}",
                t.epochs,
                t.batch,
                t.w_cls,
                t.lr_siren,
                t.lr_alpha,
                t.lr_classifier,
                t.label_smoothing
            ),
        );
        let augment = if a.is_off() {
            "none".to_owned()
        } else {
            let images = pictures.then(|| {
                format!("pad {}, flip {}, rotate {}°, crop {}", a.pad, a.flip, a.rotate, a.crop)
            });
            images.unwrap_or_else(|| {
                let AugmentSettings { shift, gain, noise, jitter, .. } = a;
                format!("shift {shift}, gain {gain}, noise {noise}, jitter {jitter}")
            })
        };
        row("augmentation", augment);
    }
    if let (Some(accuracy), Some(psnr)) = (facts.accuracy, facts.psnr) {
        let percent = 100.0 * accuracy;
        row(
            "before quantization",
            format!("{percent:.2} %, PSNR {psnr:.2} dB on validation {unit}s"),
        );
    }
    row("storage", storage(&header.schemes));
    row(
        "as stored here",
        match evaluation {
            Some(e) => format!(
                "{:.2} %, PSNR {:.2} dB on {} validation {unit}s, through mwt-infer",
                100.0 * e.accuracy(),
                e.mean_psnr(),
                e.labels.len()
            ),
            None => "not evaluated".to_owned(),
        },
    );
    row("bundle", format!("{bytes} bytes"));
    row("workspace", format!("{} bytes of RAM", 4 * workspace_len(config)));
    row(&format!("arithmetic per {unit}"), arithmetic(config));
    row("classes", labels.join(", "));
    row(
        "limits",
        format!(
            "{signals} as in the data set, or scattered samples of them; nothing is known of others, and there is no \
             class for what is none of these"
        ),
    );
    card.push('\n');
    if pictures {
        card.push_str("Try it: `mwt-train classify BUNDLE.mwt IMAGE.png`. ");
    }
    card.push_str(
        "On a device: `mwt_infer::Bundle::parse`, then `Classifier::self_test`, whose golden samples the trainer \
         answered.\n",
    );
    card
}

/// How each part of a bundle is stored.
pub(crate) fn storage(schemes: &Schemes) -> String {
    let Schemes { theta, alpha, beta, transformer } = schemes;
    let [theta, alpha, beta, transformer] = [theta, alpha, beta, transformer].map(|s| s.name());
    format!("θ {theta}, α {alpha}, β {beta}, Transformer {transformer}")
}

/// The arithmetic of one image.
pub(crate) fn arithmetic(config: &ModelConfig) -> String {
    let [fit, classify] = [config.fit_macs(), config.transformer_macs()].map(|n| n as f64 / 1e6);
    format!("{fit:.2} M multiply-adds to fit, {classify:.2} M to classify")
}
