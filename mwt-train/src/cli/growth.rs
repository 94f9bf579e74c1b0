//! `mwt-train bench --growth`: how the cost of an outer step grows with the sizes it depends on.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::bench::Sizes;
use crate::report::growth::{Axis, growth};

/// Measures along each size, the others as given, prints a table and draws the picture. Each point is a process of its
/// own, because the peak memory of one that ran a larger point before would be that one's.
pub(super) fn run(sizes: Sizes, options: &[String], path: &Path) -> Result<(), String> {
    let halved = |size: usize| [4, 3, 2, 1, 0].map(|n| (size >> n).max(1));
    // A narrower SIREN than 16 has no head of attention that the presets know.
    let widths = halved(sizes.width).into_iter().filter(|width| *width >= 16);
    let axes: [(&str, &str, Vec<usize>); 4] = [
        ("N: images a step", "--batch", halved(sizes.batch).to_vec()),
        ("P: pixels an inner step", "--pixels-per-step", halved(sizes.pixels_per_step).to_vec()),
        ("D: width of the SIREN", "--width", widths.collect()),
        ("k: inner steps", "--inner-steps", (1..=sizes.inner_steps).collect()),
    ];
    let mut measured = Vec::new();
    for (name, flag, mut values) in axes {
        values.dedup();
        println!("{name}");
        let points = values.into_iter().map(|value| {
            let (ms, mib) = point(&sizes, options, flag, value)?;
            println!("{value:>8} {ms:>10.1} ms a step {mib:>8.0} MiB");
            Ok((value as f64, ms, mib))
        });
        measured.push(Axis { name, points: points.collect::<Result<_, String>>()? });
    }
    let picture = growth(&measured).ok_or("every size needs at least two values to draw")?;
    picture.save(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Milliseconds a step and peak MiB with one size changed.
fn point(
    sizes: &Sizes,
    options: &[String],
    flag: &str,
    value: usize,
) -> Result<(f64, f64), String> {
    let given = [
        ("--batch", sizes.batch),
        ("--pixels-per-step", sizes.pixels_per_step),
        ("--width", sizes.width),
        ("--inner-steps", sizes.inner_steps),
    ];
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.args(["bench", "--json"]).args(options);
    for (name, size) in given {
        let size = if name == flag { value } else { size };
        command.args([name.to_owned(), size.to_string()]);
    }
    let output = command.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{flag} {value}: {}", said.trim().trim_start_matches("error: ")));
    }
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    let number = |key: &str| report[key].as_f64();
    let both = number("ms_per_step").zip(number("peak_mib"));
    both.ok_or_else(|| "peak memory is not known on this system".to_owned())
}
