//! The model card beside an exported bundle.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mwt_core::bundle::SampleType;
use mwt_core::quant::Schemes;
use mwt_core::{Bundle, ModelConfig};
use mwt_infer::workspace_len;

use super::golden::{self, Notice};
use crate::evaluate::Evaluation;
use crate::settings::{AugmentSettings, Settings};
use crate::util::text::markdown;
use crate::util::words::{grid, shape};

/// The card as Markdown. `settings` are those of the run, where there is one; `evaluation` is that of this bundle through
/// mwt-infer on the validation images; `notices` say what its golden samples notice.
pub fn card(
    name: &str,
    bytes: usize,
    bundle: &Bundle<'_>,
    settings: Option<&Settings>,
    evaluation: Option<&Evaluation>,
    notices: &[Notice],
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
        "# {}\n\n\
         Classifies {signals} into {} classes by fitting a sine network to each in {} gradient steps and reading the \
         fitted weights with a Transformer (Meta Weight Transformer, arXiv 2503.18123): D {}, L {}, k {}, B {}.\n\n\
         | | |\n|---|---|\n",
        markdown(name),
        labels.len(),
        config.inner_steps,
        config.dim,
        config.hidden_layers,
        config.inner_steps,
        config.blocks
    );
    let mut row = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(card, "| {what} | {value} |");
    };
    row("data set", markdown(facts.data_set));
    row(
        "training",
        format!(
            "{}, seed {}, {} outer steps",
            markdown(facts.producer),
            facts.seed,
            facts.outer_steps
        ),
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
    if !notices.is_empty() {
        row(
            "golden samples",
            format!("{}; they {}", header.golden_samples, golden::summary(notices)),
        );
    }
    row("classes", labels.iter().map(|label| markdown(label)).collect::<Vec<_>>().join(", "));
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
    signed(card, name)
}

/// What the last line of a card begins with; behind it are the bundle's name and a checksum.
const MARK: &str = "<!-- Model card by mwt-train of ";

/// A card with a last line by which it is known again.
fn signed(mut card: String, name: &str) -> String {
    let sum = checksum(&card, name);
    // Two dashes would end the comment.
    let _ = writeln!(card, "\n{MARK}{}, {sum:08x} -->", markdown(name).replace("--", "&#45;&#45;"));
    card
}

fn checksum(card: &str, name: &str) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(name.as_bytes());
    sum.update(card.as_bytes());
    sum.sum()
}

/// Whether a text is the card of the bundle of that name as it was written: nobody else's words are lost with it.
pub fn is_card_of(text: &str, name: &str) -> bool {
    let text = text.replace("\r\n", "\n");
    let Some((card, mark)) = text.rsplit_once(MARK) else { return false };
    let card = card.strip_suffix('\n').unwrap_or(card);
    let written = mark.trim_end().strip_suffix(" -->").and_then(|mark| mark.rsplit_once(", "));
    written.is_some_and(|(_, sum)| sum == format!("{:08x}", checksum(card, name)))
}

/// The names that the card of a bundle may have, the usual one first: `mnist.md` of `mnist.mwt`, `mnist.mwt.md` where
/// somebody else's file has that name, `mnist-v1.0.md` of `mnist-v1.0`.
pub fn paths(bundle: &Path) -> Vec<PathBuf> {
    let with = |path: &Path| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".md");
        path.with_file_name(name)
    };
    let mut paths = Vec::new();
    if bundle.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("mwt")) {
        paths.push(with(&bundle.with_extension("")));
    }
    paths.push(with(bundle));
    paths
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_again_until_somebody_changes_it() {
        let card = signed("# a.mwt\n\nFacts.\n".into(), "a.mwt");
        assert!(is_card_of(&card, "a.mwt") && is_card_of(&card.replace('\n', "\r\n"), "a.mwt"));
        assert!(!is_card_of(&card, "b.mwt"));
        assert!(!is_card_of(&card.replace("Facts", "My own words"), "a.mwt"));
        assert!(!is_card_of("# a.mwt\n\nNotes.\n", "a.mwt") && !is_card_of("", "a.mwt"));
        assert!(!is_card_of(MARK, "a.mwt"));
        // Whatever a bundle is called, it ends no comment.
        let odd = signed("# x\n".into(), "--><script>.mwt");
        assert!(is_card_of(&odd, "--><script>.mwt") && odd.matches("-->").count() == 1, "{odd}");
    }

    #[test]
    fn each_bundle_has_a_card_of_its_own() {
        let names = |bundle: &str| {
            let paths = paths(Path::new(bundle));
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("mnist.mwt"), ["mnist.md", "mnist.mwt.md"]);
        assert_eq!(names("mnist-v1.0"), ["mnist-v1.0.md"]);
        assert_eq!(names("mnist-v1.0.MWT")[0], "mnist-v1.0.md");
    }
}
