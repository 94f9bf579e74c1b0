//! SIGKILL at moments all over a run, from the first millisecond to the last file: resumed each time, it ends with the
//! bytes of a run that was left alone.
#![cfg(feature = "cpu")]

mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mwt_core::draw::mix;
use mwt_train::run::checkpoint;
use program::{command, metrics, ok};

/// Kills of each mode of training.
const KILLS: u32 = 50;
/// Outer steps between two checkpoints: every look at the losses writes one.
const INTERVAL: u64 = 10;

fn arguments(mode: &str, name: &str) -> Vec<String> {
    let arguments = format!(
        "train --data digits --preset nano --limit 256 --batch 4 --epochs 2 --sampling 0.05 --draw random \
         --validation 16 --quiet --checkpoint-seconds 0 --mode {mode} --name {name}"
    );
    arguments.split(' ').map(str::to_owned).collect()
}

/// What a run leaves behind, by name.
fn results(run: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let files =
        ["model.safetensors", "best.safetensors", "settings.toml", "checkpoint.safetensors"];
    let mut results: BTreeMap<_, _> =
        files.map(|file| (file, std::fs::read(run.join(file)).unwrap())).into();
    results.insert("metrics.csv", metrics(run).into_bytes());
    results
}

/// The last step that a run told of.
fn told(run: &Path) -> u64 {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap_or_default();
    let whole = metrics.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| line.split(',').next()?.parse().ok()).next_back().unwrap_or(0)
}

fn survives(mode: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let whole = arguments(mode, "whole");
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    let start = Instant::now();
    ok(dir, &whole);
    let took = start.elapsed();
    let want = results(&dir.join("runs/whole"));

    let (mut kills, mut runs, mut random) = (0, 0, 7);
    while kills < KILLS {
        runs += 1;
        let name = format!("killed-{runs}");
        let run = dir.join("runs").join(&name);
        let train = arguments(mode, &name);
        let resume = ["resume".to_owned(), run.display().to_string(), "--quiet".to_owned()];
        loop {
            // Killed before it had settings, a run has not begun.
            let begun = run.join("settings.toml").exists();
            let line: Vec<&str> =
                if begun { &resume[..] } else { &train }.iter().map(String::as_str).collect();
            let mut process = command(dir, &line);
            let mut child = process.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if kills < KILLS {
                random = mix(random + 1);
                // A moment of the whole run's time, however fast the machine is.
                std::thread::sleep(took.mul_f64(f64::from(random) / 2f64.powi(32)));
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.is_empty(), "after {kills} kills the run is not resumable: {stderr}");
            if output.status.success() {
                break;
            }
            kills += 1;
            // At most one interval is lost; a run without a checkpoint has not come further than one.
            let saved =
                checkpoint::load(&run).unwrap().map_or(0, |(state, _)| state.position.total);
            let told = told(&run);
            assert!(told <= saved + INTERVAL, "step {told} was reached, step {saved} is saved");
        }
        for (file, bytes) in results(&run) {
            assert!(bytes == want[file], "{mode}: {file} of run {runs} differs");
        }
        assert!(runs < 10 * KILLS, "only {kills} kills met a run that was still going");
    }
    println!("{mode}: {kills} kills in {runs} runs of {:.1} s", Duration::as_secs_f64(&took));
}

#[test]
fn a_run_survives_its_kills() {
    survives("mwt");
}

#[test]
fn a_sequential_run_survives_its_kills() {
    survives("wt-sequential");
}

/// Ctrl-C ends a run after the step in hand, with a checkpoint and the command to go on with, and costs nothing.
#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let arguments = |name: &str| {
        let line = format!(
            "train --data digits --preset nano --limit 256 --batch 4 --epochs 20 --validation 16 --quiet --name {name}"
        );
        line.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let line = arguments("whole");
    ok(dir, &line.iter().map(String::as_str).collect::<Vec<_>>());
    let line = arguments("stopped");
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let run = dir.join("runs/stopped");
    let child = command(dir, &line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Once it is under way.
    while told(&run) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.code() == Some(130) && output.stderr.is_empty());
    let says = String::from_utf8(output.stdout).unwrap();
    assert_eq!(says, "stopped; go on with: mwt-train resume runs/stopped\n");
    let (state, _) = checkpoint::load(&run).unwrap().unwrap();
    let behind = state.position.total - told(&run);
    assert!(behind < INTERVAL, "stopped {behind} steps behind the last one told of");
    ok(dir, &["resume", "runs/stopped", "--quiet"]);
    assert!(results(&run) == results(&dir.join("runs/whole")));
}
