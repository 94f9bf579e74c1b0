//! `mwt-train bench --growth`: how the cost of an outer step grows with the sizes it depends on.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cli::common::CliResult;
use crate::report::growth::{Axis, growth};
use crate::report::picture;

/// The sizes that the cost of a step depends on.
pub(super) struct Sizes {
    /// N.
    pub(super) batch: usize,
    /// P.
    pub(super) pixels_per_step: usize,
    /// D.
    pub(super) dim: usize,
    /// k.
    pub(super) inner_steps: usize,
}

/// Measures along each size, the others as given, prints a table and draws the picture. Each point is a process of its
/// own, because the peak memory of one that ran a larger point before would be that one's.
pub(super) fn run(sizes: Sizes, options: &[String], path: &Path) -> CliResult {
    // Before minutes of measuring.
    picture::format(path)?;
    let halved = |size: usize| [4, 3, 2, 1, 0].map(|n| (size >> n).max(1));
    // The smallest preset has 16 neurons.
    let widths = halved(sizes.dim).into_iter().filter(|width| *width >= 16);
    let axes: [(&str, &str, Vec<usize>); 4] = [
        ("N: images per step", "--batch", halved(sizes.batch).to_vec()),
        ("P: pixels per inner step", "--pixels-per-step", halved(sizes.pixels_per_step).to_vec()),
        ("D: neurons of a sine layer", "--dim", widths.collect()),
        ("k: inner steps", "--inner-steps", (1..=sizes.inner_steps).collect()),
    ];
    let mut measured = Vec::new();
    for (name, flag, mut values) in axes {
        values.dedup();
        println!("{name}");
        let points = values.into_iter().map(|value| {
            let (ms, mib) = point(&sizes, options, flag, value)?;
            println!("{value:>8} {ms:>10.1} ms per step {mib:>8.0} MiB");
            Ok((value as f64, ms, mib))
        });
        measured.push(Axis { name, points: points.collect::<CliResult<_>>()? });
    }
    let picture = growth(&measured).ok_or("every size needs at least two values to draw")?;
    Ok(picture::save(&picture, path)?)
}

/// Milliseconds per step and peak MiB with one size changed.
fn point(sizes: &Sizes, options: &[String], flag: &str, value: usize) -> CliResult<(f64, f64)> {
    let given = [
        ("--batch", sizes.batch),
        ("--pixels-per-step", sizes.pixels_per_step),
        ("--dim", sizes.dim),
        ("--inner-steps", sizes.inner_steps),
    ];
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(["bench", "--json"]).args(options);
    for (name, size) in given {
        let size = if name == flag { value } else { size };
        command.args([name.to_owned(), size.to_string()]);
    }
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{flag} {value}: {}", said.trim().trim_start_matches("error: ")).into());
    }
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let number = |key: &str| report[key].as_f64();
    let both = number("ms_per_step").zip(number("peak_mib"));
    Ok(both.ok_or("peak memory is not known on this system")?)
}
