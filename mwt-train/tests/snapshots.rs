//! What the program prints, word for word. After a deliberate change, `SNAPSHOTS=overwrite cargo test -p mwt-train --test
//! snapshots` writes the files anew: read the difference before it is committed.
#![cfg(feature = "cpu")]

mod program;

use program::{ok, refused};
use snapbox::{Data, assert_data_eq};

const TEXT: snapbox::data::DataFormat = snapbox::data::DataFormat::Text;

fn holds(name: &str, text: String) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/").to_owned() + name + ".txt";
    assert_data_eq!(text, Data::read_from(file.as_ref(), Some(TEXT)).raw());
}

fn model(name: &str) -> String {
    format!("{}/../models/{name}.mwt", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn help() {
    let dir = tempfile::tempdir().unwrap();
    holds("help", ok(dir.path(), &["--help"]));
    for command in [
        "demo",
        "train",
        "resume",
        "eval",
        "export",
        "import",
        "inspect",
        "classify",
        "reconstruct",
        "config",
        "data",
        "report",
        "bench",
        "completions",
        "man",
    ] {
        holds(&format!("help-{command}"), ok(dir.path(), &[command, "--help"]));
    }
}

#[test]
fn settings() {
    let dir = tempfile::tempdir().unwrap();
    holds("config-list", ok(dir.path(), &["config", "list"]));
    // The page of the documentation is what the program writes.
    let page = ok(dir.path(), &["config", "list", "--markdown"]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SETTINGS.md");
    assert_data_eq!(page, Data::read_from(file.as_ref(), Some(TEXT)).raw());
    holds("config-explain", ok(dir.path(), &["config", "explain", "train.w_cls"]));
    holds("config-show", ok(dir.path(), &["config", "show", "--preset", "base", "--pad", "4"]));
}

#[test]
fn shipped_models() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["mnist-micro", "fashion-micro"] {
        holds(&format!("inspect-{name}"), ok(dir.path(), &["inspect", &model(name)]));
    }
}

#[test]
fn complaints() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("preset.toml"), "preset = \"mikro\"\n").unwrap();
    let train = ["train", "--data", "digits", "--preset", "nano", "--limit", "64", "--epochs", "1"];
    let train = [&train[..], &["--no-report", "--quiet"]].concat();
    ok(dir, &train);
    let commands: &[&[&str]] = &[
        // The run above is there already.
        &train,
        &["train", "--data", "digits", "--config", "preset.toml"],
        &["train"],
        &["train", "--data", "nowhere"],
        &["train", "--data", "digits", "--set", "train.epoch=3"],
        &["train", "--data", "digits", "--set", "train.epochs"],
        &["train", "--data", "digits", "--w-cls", "2"],
        &["train", "--data", "digits", "--sampling", "0"],
        &["train", "--data", "digits", "--config", "missing.toml"],
        &["resume", "nowhere"],
        &["config", "explain", "momentum"],
        &["export", "nowhere", "-o", "x.mwt"],
        &["inspect", "nowhere.mwt"],
        &["classify", "nowhere.mwt", "x.png"],
        &["eval", "nowhere", "--data", "digits"],
    ];
    let said: String = commands
        .iter()
        .map(|command| {
            format!("$ mwt-train {}\nerror: {}\n", command.join(" "), refused(dir, command))
        })
        .collect();
    holds("complaints", said);
}

/// Scripts and pages are long and clap's; that they are there is enough.
#[test]
fn completions_and_man_pages() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = ok(dir, &["completions", shell]);
        assert!(script.contains("mwt-train") && script.contains("label-smoothing"), "{shell}");
    }
    assert!(ok(dir, &["man"]).starts_with(".ie"));
    ok(dir, &["man", "-o", "pages"]);
    assert!(dir.join("pages/mwt-train-train.1").exists());
}
