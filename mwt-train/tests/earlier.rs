//! What earlier versions wrote and were told is still read: a run under the names of settings, metrics and checkpoints of
//! November 2026, and the flags of that time.
#![cfg(feature = "cpu")]

mod program;

use std::path::{Path, PathBuf};

use mwt_train::run::{RunDir, checkpoint, metrics};
use mwt_train::weights::trained::TrainedModel;
use program::ok;

const FILES: [&str; 4] =
    ["settings.toml", "metrics.csv", "metrics.jsonl", "checkpoint.safetensors"];

/// A copy of the run, stopped in its third epoch of six after outer step 138, between two rows of metrics.
fn earlier_run(dir: &Path) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/earlier-run");
    let run = dir.join("run");
    std::fs::create_dir(&run).unwrap();
    for file in FILES {
        std::fs::copy(from.join(file), run.join(file)).unwrap();
    }
    run
}

#[test]
fn settings_metrics_and_checkpoint_load() {
    let dir = tempfile::tempdir().unwrap();
    let run = earlier_run(dir.path());
    let settings = RunDir::settings(&run).unwrap();
    assert_eq!((settings.data.validation, settings.train.validation_images), (32, 1000));
    assert_eq!((settings.train.lr_siren, settings.train.lr_classifier), (2e-3, 2e-3));
    assert_eq!((settings.train.lr_alpha, settings.train.warmup), (1e-2, 0.1));
    assert_eq!((settings.model.dim, settings.model.inner_steps), (16, 3));
    let rows = RunDir::metrics(&run).unwrap();
    assert_eq!(rows.len(), 14);
    assert_eq!(rows[13].lr_siren, 0.0015214371176386844);
    assert!(rows.iter().filter(|row| row.validation_accuracy.is_some()).count() == 2);
    let (state, _) = checkpoint::load(&run).unwrap().unwrap();
    assert_eq!((state.position.epoch, state.position.total), (2, 138));
    assert_eq!(state.weights.config(), &settings.model);
}

/// The run goes on to its end, its metrics under today's names, and exports.
#[test]
fn a_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = earlier_run(dir.path());
    ok(dir.path(), &["resume", "run", "--quiet"]);
    let csv = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    assert!(csv.starts_with(&metrics::head()) && !csv.contains("held_out"), "{csv}");
    let rows = RunDir::metrics(&run).unwrap();
    // 224 images in batches of four, a row every ten steps and at each of six epochs' ends.
    assert_eq!((rows.len(), rows.last().unwrap().step), (6 * 6, 6 * 56));
    assert_eq!(TrainedModel::load(&run).unwrap().summary.outer_steps, 6 * 56);
    ok(dir.path(), &["export", "run", "-o", "model.mwt"]);
}

/// Flags and keys under their earlier names say the same as under today's.
#[test]
fn flags_and_keys_work_under_their_earlier_names() {
    let dir = tempfile::tempdir().unwrap();
    let show = |more: &str| {
        let line = format!("config show --preset nano {more}");
        ok(dir.path(), &line.split(' ').collect::<Vec<_>>())
    };
    let earlier = "--held-out 7 --rate-siren 0.5 --rate-alpha 0.25 --rate-classifier 0.125 --set train.rise=0.5 \
         --set train.epoch_images=3 --set model.width=24 --set model.steps=5";
    let today = "--validation 7 --lr-siren 0.5 --lr-alpha 0.25 --lr-classifier 0.125 --set train.warmup=0.5 \
         --set train.validation_images=3 --set model.dim=24 --set model.inner_steps=5";
    let settings = show(&earlier.replace("         ", ""));
    assert_eq!(settings, show(&today.replace("         ", "")));
    assert!(settings.contains("lr_alpha = 0.25") && settings.contains("dim = 24"), "{settings}");
    // A whole file of settings, as a run of that time left it.
    let file = format!("--config {}/settings.toml", earlier_run(dir.path()).display());
    assert!(show(&file).contains("validation = 32"));
    ok(dir.path(), &["bench", "--preset", "nano", "--width", "8", "--steps", "1", "--batch", "1"]);
}
