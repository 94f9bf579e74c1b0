//! The page.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mwt_core::Scheme;
use mwt_infer::workspace_len;

use crate::run::metrics::Row;
use crate::settings::{Settings, SettingsError};
use crate::weights::trained::TrainedModel;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2127; --paper: #fff; --pale: #d8dde4; --soft: #5b6470; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --paper: #16191d; --pale: #363c45; --soft: #9aa4b1; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.sub { color: var(--soft); margin-top: .2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tiles div { border: 1px solid var(--pale); border-radius: 6px; padding: .6rem .8rem; }
.tiles b { display: block; font-size: 1.35rem; } .tiles span { color: var(--soft); font-size: .85rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem; }
figure { margin: 0 0 1rem; } figure img { max-width: 100%; background: #fff; border: 1px solid var(--pale); border-radius: 6px; }
figcaption { color: var(--soft); font-size: .85rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .8rem; border-bottom: 1px solid var(--pale); text-align: right; } th:first-child, td:first-child { text-align: left; }
pre { border: 1px solid var(--pale); border-radius: 6px; padding: .8rem; overflow-x: auto; font-size: .85rem; }
";

/// A picture and what it shows.
pub(super) struct Figure {
    pub(super) file: &'static str,
    pub(super) caption: String,
    pub(super) png: Vec<u8>,
}

/// How a bundle did.
pub(super) struct BundleResult {
    pub(super) scheme: Scheme,
    pub(super) bytes: usize,
    pub(super) accuracy: f32,
    pub(super) psnr: f32,
}

/// All that a report shows.
pub(super) struct Report<'a> {
    pub(super) name: String,
    pub(super) settings: &'a Settings,
    pub(super) model: &'a TrainedModel,
    pub(super) rows: &'a [Row],
    pub(super) figures: Vec<Figure>,
    pub(super) bundles: Vec<BundleResult>,
    pub(super) mean_alpha: Vec<Vec<f32>>,
    /// Images that the bundles were evaluated on.
    pub(super) evaluated: usize,
}

/// The whole page: styles and pictures inside it, no script.
pub(super) fn page(report: &Report<'_>) -> Result<String, SettingsError> {
    let summary = &report.model.summary;
    let config = &summary.model;
    let mut body = String::new();
    let mut add = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = body.write_fmt(text);
    };
    add(format_args!(
        "<h1>{}</h1><p class=sub>{} · D {}, L {}, k {}, B {} · {} outer steps · seed {}</p>",
        escape(&report.name),
        escape(&summary.data_set),
        config.dim,
        config.hidden_layers,
        config.inner_steps,
        config.blocks,
        summary.outer_steps,
        summary.seed
    ));
    let tile = |value: String, what: &str| format!("<div><b>{value}</b><span>{what}</span></div>");
    let mut tiles = Vec::new();
    if let (Some(accuracy), Some(psnr)) = (summary.accuracy, summary.psnr) {
        tiles.push(tile(format!("{:.2} %", 100.0 * accuracy), "validation accuracy"));
        tiles.push(tile(format!("{psnr:.2} dB"), "validation PSNR"));
    }
    let kilobytes = |bytes: usize| format!("{:.1} kB", bytes as f64 / 1e3);
    tiles.push(tile(kilobytes(4 * workspace_len(config)), "workspace on a device"));
    if let Some(smallest) = report.bundles.iter().map(|b| b.bytes).min() {
        tiles.push(tile(kilobytes(smallest), "smallest bundle"));
    }
    let speeds: Vec<f32> = report.rows.iter().filter_map(|r| r.images_per_second).collect();
    if !speeds.is_empty() {
        let mean = speeds.iter().sum::<f32>() / speeds.len() as f32;
        tiles.push(tile(format!("{mean:.0} / s"), "training images"));
    }
    if let Some(memory) = report.rows.iter().rev().find_map(|r| r.memory_mib) {
        tiles.push(tile(format!("{memory:.0} MiB"), "most memory"));
    }
    add(format_args!("<div class=tiles>{}</div>", tiles.concat()));

    let figure = |file: &str| {
        report.figures.iter().find(|f| f.file == file).map_or_else(String::new, |f| {
            format!(
                "<figure><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"><figcaption>{0}</figcaption></figure>",
                escape(&f.caption),
                STANDARD.encode(&f.png)
            )
        })
    };
    let charts = ["loss.png", "accuracy.png", "psnr.png", "norms.png"];
    // A curve takes two rows of metrics.
    if charts.iter().any(|file| report.figures.iter().any(|f| f.file == *file)) {
        add(format_args!("<h2>Training</h2>"));
    }
    add(format_args!("<div class=charts>"));
    for file in charts {
        add(format_args!("{}", figure(file)));
    }
    add(format_args!("</div><h2>Fits</h2>{}{}", figure("steps.png"), figure("fits.png")));
    add(format_args!("<h2>Classes</h2>{}", figure("confusion.png")));

    add(format_args!(
        "<h2>Bundles</h2><table><tr><th>storage</th><th>bytes</th><th>accuracy</th><th>PSNR</th></tr>"
    ));
    for bundle in &report.bundles {
        add(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{:.2} %</td><td>{:.2} dB</td></tr>",
            bundle.scheme.name(),
            bundle.bytes,
            100.0 * bundle.accuracy,
            bundle.psnr
        ));
    }
    add(format_args!(
        "</table><p class=sub>Through mwt-infer, over {} validation images.</p>",
        report.evaluated
    ));

    add(format_args!(
        "<h2>Inner learning rates</h2>{}<table><tr><th>mean |α|</th>",
        figure("alpha.png")
    ));
    let steps = report.mean_alpha.first().map_or(0, Vec::len);
    (1..=steps).for_each(|step| add(format_args!("<th>step {step}</th>")));
    add(format_args!("</tr>"));
    for (layer, steps) in report.mean_alpha.iter().enumerate() {
        add(format_args!("<tr><td>layer {layer}</td>"));
        steps.iter().for_each(|alpha| add(format_args!("<td>{alpha:.2e}</td>")));
        add(format_args!("</tr>"));
    }
    let settings = report.settings.to_toml()?;
    add(format_args!("</table><h2>Settings</h2><pre>{}</pre>", escape(&settings)));
    Ok(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{}</title><style>{STYLE}</style><body>{body}</body></html>\n",
        escape(&report.name)
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
