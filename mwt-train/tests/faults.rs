//! What goes wrong around a run, full disks and vanished files, and inside it, numbers that leave the finite ones: each
//! ends in one clear line, and what was saved stays good.
#![cfg(feature = "cpu")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mwt_core::{Bundle, ModelConfig};
use mwt_train::run::checkpoint;
use program::{command, complaint, ok, refused, write_images};

const TRAIN: [&str; 10] = [
    "train",
    "--data",
    "digits",
    "--preset",
    "nano",
    "--limit",
    "64",
    "--quiet",
    "--no-report",
    "--epochs",
];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TRAIN.iter().chain(more).copied().collect()
}

/// Runs a shell script in a mount namespace of its own, where it may mount a file system over `runs` and run `$MWT`;
/// `None` where that is not permitted.
fn mounted(dir: &Path, options: &str, script: &str) -> Option<Output> {
    fs::create_dir_all(dir.join("runs")).unwrap();
    let unshare = |flag: &str, script: &str| {
        let script = format!("mount -t tmpfs -o {options} none runs && {{ {script}; }}");
        let mut command = Command::new("unshare");
        command.args([flag, "sh", "-c", &script]).current_dir(dir);
        command.env("MWT", env!("CARGO_BIN_EXE_mwt-train")).output()
    };
    let permitted = |flag: &&str| unshare(flag, "true").is_ok_and(|o| o.status.success());
    let flag = ["-m", "-rm"].into_iter().find(permitted);
    if flag.is_none() {
        eprintln!("skipped: needs unshare(1) and the right to mount");
    }
    Some(unshare(flag?, script).unwrap())
}

#[test]
fn a_full_disk_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    // Room for settings and metrics, not for a model.
    let script = format!("$MWT {} 1", TRAIN.join(" "));
    let Some(output) = mounted(dir.path(), "size=64k", &script) else { return };
    let line = complaint(&output);
    assert!(line.starts_with("runs/run/best.safetensors: No space left"), "{line}");
}

/// A disk that fills up behind the first checkpoint leaves that one as it was.
#[test]
fn a_disk_that_fills_up_keeps_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &train(&["1"]));
    let copy = dir.join("copy");
    fs::rename(dir.join("runs/run"), &copy).unwrap();
    for model in ["model.safetensors", "best.safetensors"] {
        fs::remove_file(copy.join(model)).unwrap();
    }
    let settings = fs::read_to_string(copy.join("settings.toml")).unwrap();
    fs::write(copy.join("settings.toml"), settings.replace("epochs = 1", "epochs = 2")).unwrap();
    let size = fs::metadata(copy.join("checkpoint.safetensors")).unwrap().len();
    // Room for one and a half checkpoints. What is left is copied out, for the mount goes with its namespace.
    let script = "cp -r copy runs/run && $MWT resume runs/run --quiet --no-report; end=$?; cp -r runs/run after; exit $end";
    let options = format!("size={}", size + size / 2);
    let Some(output) = mounted(dir, &options, script) else { return };
    let line = complaint(&output);
    assert!(line.contains("No space left"), "{line}");
    let state = |run: &str| checkpoint::load(&dir.join(run)).unwrap().unwrap().0;
    assert!(state("after") == state("copy"));
    let half = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(".tmp");
    let mut left = fs::read_dir(dir.join("after")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.any(|name| half(&name)), "half a file is in the way");
}

#[test]
fn a_directory_that_cannot_be_written_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("$MWT {} 1", TRAIN.join(" "));
    if let Some(output) = mounted(dir.path(), "ro", &script) {
        let line = complaint(&output);
        assert!(line.contains("runs/run") && line.contains("Read-only file system"), "{line}");
    }
    // A file where a directory should be.
    fs::write(dir.path().join("file"), "").unwrap();
    let line = refused(dir.path(), &train(&["1", "--runs", "file"]));
    assert!(line.contains("file/run"), "{line}");
}

#[test]
fn a_data_set_that_vanished_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (class, level) in [("black", 0), ("white", 255)] {
        for (split, images) in [("train", 12), ("test", 2)] {
            let folder = dir.join("data").join(split).join(class);
            write_images(&folder, "png", images, |n| {
                image::GrayImage::from_pixel(8, 8, image::Luma([u8::abs_diff(level, n as u8 % 2)]))
            });
        }
    }
    let arguments = ["train", "--data", "data", "--preset", "nano", "--quiet", "--epochs", "1"];
    ok(dir, &arguments);
    fs::rename(dir.join("data"), dir.join("gone")).unwrap();
    let line = refused(dir, &["resume", "runs/run"]);
    assert!(line.contains("/data: ") && line.contains("check that it exists"), "{line}");
    // One class folder of a single image is enough to train on.
    fs::rename(dir.join("gone"), dir.join("data")).unwrap();
    for n in 1..12 {
        fs::remove_file(dir.join(format!("data/train/white/{n}.png"))).unwrap();
    }
    ok(dir, &[&arguments[..], &["--name", "single"]].concat());
    fs::remove_file(dir.join("data/train/white/0.png")).unwrap();
    let line = refused(dir, &[&arguments[..], &["--name", "none"]].concat());
    assert!(line.contains("`white` has no images to train on"), "{line}");
}

/// Of two runs that begin in one directory, one goes on and the other is told.
#[test]
fn two_runs_in_one_directory_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = train(&["3"]);
    let start = || command(dir.path(), &arguments).stderr(std::process::Stdio::piped()).spawn();
    let children = [start().unwrap(), start().unwrap()];
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    let (won, lost): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
    assert_eq!((won.len(), lost.len()), (1, 1));
    let line = complaint(lost[0]);
    assert!(line.contains("another process is training here") || line.contains("a run already"));
    assert!(dir.path().join("runs/run/model.safetensors").exists());
}

/// A run whose last checkpoint is damaged goes on from the one before, to the same bytes; one without any says so.
#[test]
fn a_damaged_checkpoint_makes_way_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &train(&["2"]));
    let run = |file: &str| dir.join("runs/run").join(file);
    let want = fs::read(run("model.safetensors")).unwrap();
    let mut bytes = fs::read(run("checkpoint.safetensors")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(run("checkpoint.safetensors"), &bytes).unwrap();
    fs::remove_file(run("model.safetensors")).unwrap();
    ok(dir, &["resume", "runs/run", "--quiet"]);
    assert!(want == fs::read(run("model.safetensors")).unwrap());
    for file in ["checkpoint.safetensors", "checkpoint.before.safetensors"] {
        fs::write(run(file), &bytes).unwrap();
    }
    let line = refused(dir, &["resume", "runs/run"]);
    assert!(line.contains("no checkpoint to resume from") && line.contains("is damaged"), "{line}");
}

/// Rates that no run survives: it stops and names its last good checkpoint, whose values are finite.
#[test]
fn a_run_that_diverges_names_its_last_good_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &train(&["1"]));
    let settings = dir.join("runs/run/settings.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let text =
        text.replace("epochs = 1", "epochs = 40").replace("lr_siren = 0.001", "lr_siren = 1e30");
    fs::write(&settings, &text).unwrap();
    let line = refused(dir, &["resume", "runs/run", "--quiet"]);
    let saved = checkpoint::load(&dir.join("runs/run")).unwrap().unwrap();
    for words in
        ["training diverged at step", "last good checkpoint", "lower the learning rates in"]
    {
        assert!(line.contains(words), "{line}");
    }
    let (state, file) = (saved.0, saved.1.file_name().unwrap().to_str().unwrap());
    let named = format!("runs/run/{file}, step {}:", state.position.total);
    assert!(line.contains(&named), "{line}");
    assert!(state.weights.arrays().values().all(|a| a.values.iter().all(|v| v.is_finite())));
    // Skipping does not help when no step is any good.
    fs::write(&settings, text.replace("on_divergence = \"stop\"", "on_divergence = \"skip\""))
        .unwrap();
    let line = refused(dir, &["resume", "runs/run", "--quiet"]);
    assert!(line.contains("training diverged"), "{line}");
}

/// A bundle of a run that came to its end is whole, whatever happened on the way.
#[test]
fn what_is_exported_loads() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &train(&["1"]));
    ok(dir.path(), &["export", "runs/run", "-o", "x.mwt"]);
    let bytes = fs::read(dir.path().join("x.mwt")).unwrap();
    assert_eq!(Bundle::parse(&bytes).unwrap().config().dim, ModelConfig::NANO.dim);
}
