//! The program as a user runs it.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::path::Path;
use std::process::{Command, Output};

/// The program, to be run in `dir`.
pub(crate) fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mwt-train"));
    command.args(arguments).current_dir(dir);
    command
}

/// Runs the program in `dir`.
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("the program starts")
}

/// What it prints when all goes well.
#[track_caller]
pub(crate) fn ok(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its one line of complaint.
#[track_caller]
pub(crate) fn refused(dir: &Path, arguments: &[&str]) -> String {
    complaint(&run(dir, arguments))
}

/// The one line of complaint of a run that has ended.
#[track_caller]
pub(crate) fn complaint(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let line = stderr.strip_prefix("error: ").and_then(|e| e.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("not one line: {stderr:?}"));
    assert!(!line.contains('\n'), "more than one line: {line}");
    line.to_owned()
}

/// Writes grey images `0.ENDING`, `1.ENDING`, … into a folder, each as `draw` makes it.
pub(crate) fn write_images(
    folder: &Path,
    ending: &str,
    images: u32,
    draw: impl Fn(u32) -> image::GrayImage,
) {
    std::fs::create_dir_all(folder).expect("a new folder");
    for n in 0..images {
        draw(n).save(folder.join(format!("{n}.{ending}"))).expect("an image file");
    }
}

/// A run's metrics without what the clock and the system say, the last four columns.
pub(crate) fn metrics(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join("metrics.csv")).expect("metrics.csv");
    let line = |line: &str| line.rsplitn(5, ',').nth(4).expect("five columns").to_owned() + "\n";
    text.lines().map(line).collect()
}
