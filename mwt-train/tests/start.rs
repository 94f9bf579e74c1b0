//! Runs that start from a model.
#![cfg(feature = "cpu")]

use std::path::Path;

use burn::backend::{Autodiff, Flex};
use mwt_train::run::{Outcome, Run};
use mwt_train::settings::{Layers, Settings};
use mwt_train::weights::trained::TrainedModel;

mod program;
use program::{ok, refused};

const TRAIN: [&str; 8] =
    ["train", "--data", "digits", "--limit", "64", "--epochs", "1", "--no-report"];

/// Trains a nano model and exports it: `runs/first` and `first.mwt`.
fn first(dir: &Path) -> TrainedModel {
    let own = ["--preset", "nano", "--name", "first", "--seed", "3", "--quiet"];
    ok(dir, &[&TRAIN[..], &own[..]].concat());
    ok(dir, &["export", "runs/first", "-o", "first.mwt", "--no-card", "--no-eval"]);
    TrainedModel::load(&dir.join("runs/first")).unwrap()
}

fn settings(dir: &Path, run: &str) -> Settings {
    Settings::parse(
        &std::fs::read_to_string(dir.join("runs").join(run).join("settings.toml")).unwrap(),
    )
    .unwrap()
}

#[test]
fn a_run_goes_on_from_a_run_or_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = first(dir);
    for (start, name) in
        [("runs/first", "a"), ("first.mwt", "b"), ("runs/first/best.safetensors", "c")]
    {
        let own = ["--init", start, "--name", name, "--seed", "9", "--quiet"];
        ok(dir, &[&TRAIN[..], &own[..]].concat());
        // Sizes and draw are the first run's, without a preset and with another seed.
        assert_eq!(settings(dir, name).model, model.summary.model, "{name}");
        assert_ne!(
            TrainedModel::load(&dir.join("runs").join(name)).unwrap().weights,
            model.weights
        );
    }
    let with_preset =
        [&TRAIN[..], &["--init", "first.mwt", "--preset", "micro", "--name", "d"]].concat();
    assert!(refused(dir, &with_preset).contains("no effect"));
    let other_sizes =
        [&TRAIN[..], &["--init", "first.mwt", "--set", "model.blocks=3", "--name", "d"]].concat();
    assert!(refused(dir, &other_sizes).contains("first.mwt: has model.blocks 2, the run 3"));
    assert!(
        refused(dir, &[&TRAIN[..], &["--freeze-siren", "--name", "d"]].concat())
            .contains("train.init")
    );
    assert!(!dir.join("runs/d").exists());
}

/// θ, α and the head of the SIREN stay, bit for bit, and the rest does not.
#[test]
fn a_frozen_siren_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let model = first(dir.path());
    let own = ["--init", "runs/first", "--freeze-siren", "--name", "a", "--quiet"];
    ok(dir.path(), &[&TRAIN[..], &own[..]].concat());
    let trained = TrainedModel::load(&dir.path().join("runs/a")).unwrap();
    for (name, array) in trained.weights.arrays() {
        let same = array.values == model.weights.values(name);
        assert_eq!(same, !name.starts_with("classifier."), "{name}");
    }
}

/// What it started from need not be there any more.
#[test]
fn a_run_is_resumed_without_its_start() {
    let dir = tempfile::tempdir().unwrap();
    first(dir.path());
    let start = dir.path().join("first.mwt");
    let run = |name: &str, remove: bool| {
        let mut layers = Layers::default();
        for set in ["data.source=digits", "data.limit=64", "train.epochs=1"] {
            layers.assign(set).unwrap();
        }
        layers.set("train.init", start.display().to_string()).unwrap();
        let path = dir.path().join(name);
        let mut run = Run::create(&path, &layers).unwrap();
        if remove {
            drop(run);
            std::fs::remove_file(&start).unwrap();
            run = Run::resume(&path).unwrap();
        }
        let outcome = run.train::<Autodiff<Flex>>(&Default::default(), &mut ()).unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)));
        TrainedModel::load(&path).unwrap().weights
    };
    assert_eq!(run("a", false), run("b", true));
}
