//! `classify` on pictures as people have them.
#![cfg(feature = "cpu")]

mod program;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use image::{GrayImage, Luma, Rgba, RgbaImage};
use mwt_core::Bundle;
use program::{command, ok, run};
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-micro.mwt");

/// A digit that the model carries, light on dark, and its class.
fn digit() -> (GrayImage, usize) {
    let bytes = fs::read(MODEL).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let sample = bundle.golden_samples().next().unwrap();
    let logits: Vec<f32> = sample.logits.iter().collect();
    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
    (GrayImage::from_raw(28, 28, sample.signal.to_vec()).unwrap(), best)
}

fn json(output: &Output) -> Vec<Value> {
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The answers for some pictures, in JSON.
fn classify(dir: &Path, arguments: &[&str]) -> Output {
    run(dir, &[&["classify", MODEL, "--json"], arguments].concat())
}

#[test]
fn the_rest_of_the_pictures_follows_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (image, class) = digit();
    image.save(dir.join("a.png")).unwrap();
    fs::write(dir.join("empty.png"), "").unwrap();
    fs::write(dir.join("photo.heic"), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    let output = classify(dir, &["a.png", "empty.png", "nowhere.png", "photo.heic", "a.png"]);
    assert_eq!(output.status.code(), Some(1));
    let entries = json(&output);
    assert_eq!(entries.len(), 5);
    for entry in [&entries[0], &entries[4]] {
        assert_eq!((&entry["file"], &entry["prediction"]), (&"a.png".into(), &class.into()));
        assert_eq!((&entry["warnings"], entry.get("error")), (&Value::Array(vec![]), None));
    }
    for (entry, word) in entries[1..4].iter().zip(["an empty file", "No such file", "HEIC"]) {
        assert!(entry["error"].as_str().unwrap().contains(word), "{entry}");
        assert!(entry.get("prediction").is_none());
    }
    let lines = said(&output);
    assert_eq!(lines.lines().count(), 4, "{lines}");
    assert!(lines.ends_with("error: 3 of 5 pictures could not be classified\n"), "{lines}");
    // One picture alone: one line, and its entry.
    let output = classify(dir, &["empty.png"]);
    assert_eq!((output.status.code(), said(&output).lines().count()), (Some(1), 1));
    assert_eq!(json(&output).len(), 1);
}

#[test]
fn folders_and_standard_input_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (image, class) = digit();
    fs::create_dir_all(dir.join("pictures/more")).unwrap();
    fs::create_dir(dir.join("none")).unwrap();
    image.save(dir.join("pictures/b.png")).unwrap();
    image.save(dir.join("pictures/more/c.bmp")).unwrap();
    fs::copy(dir.join("pictures/b.png"), dir.join("pictures/a")).unwrap();
    fs::write(dir.join("pictures/notes.txt"), "words").unwrap();
    let output = classify(dir, &["pictures"]);
    assert!(output.status.success());
    let entries = json(&output);
    let files: Vec<_> = entries.iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["pictures/a", "pictures/b.png", "pictures/more/c.bmp"]);
    assert!(entries.iter().all(|entry| entry["prediction"] == class));
    assert!(said(&output).contains("left out 1 file (text)"), "{}", said(&output));
    let output = classify(dir, &["none", "pictures/a"]);
    assert!(!output.status.success());
    assert!(json(&output)[0]["error"].as_str().unwrap().contains("no pictures"));

    let mut child = command(dir, &["classify", MODEL, "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(dir.join("pictures/b.png")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let entries = json(&output);
    assert_eq!((&entries[0]["file"], &entries[0]["prediction"]), (&"-".into(), &class.into()));
}

/// Dark on light for a model of light on dark: a warning on standard error and in JSON, and flags that help.
#[test]
fn a_background_that_the_model_does_not_know_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (image, class) = digit();
    image.save(dir.join("own.png")).unwrap();
    GrayImage::from_fn(28, 28, |x, y| Luma([255 - image.get_pixel(x, y).0[0]]))
        .save(dir.join("ink.png"))
        .unwrap();
    // What a canvas of a web page saves: black ink, and nothing behind it.
    RgbaImage::from_fn(28, 28, |x, y| Rgba([0, 0, 0, image.get_pixel(x, y).0[0]]))
        .save(dir.join("canvas.png"))
        .unwrap();
    RgbaImage::from_fn(28, 28, |x, y| Rgba([255, 255, 255, image.get_pixel(x, y).0[0]]))
        .save(dir.join("chalk.png"))
        .unwrap();
    let warnings = |output: &Output| -> Vec<String> {
        let entries = json(output);
        entries.iter().map(|entry| entry["warnings"].to_string()).collect()
    };
    let output = classify(dir, &["own.png", "ink.png", "canvas.png", "chalk.png"]);
    let told = warnings(&output);
    assert_eq!(told[0], "[]");
    assert!(told[1].contains("--invert") && told[2].contains("--invert"), "{told:?}");
    assert!(told[3].contains("black was put behind it"), "{told:?}");
    assert_eq!(json(&output)[3]["prediction"], class);
    let lines = said(&output);
    assert!(lines.contains("warning: ink.png: its background is light (255)"), "{lines}");
    assert!(output.status.success());

    let output = classify(dir, &["--invert", "ink.png", "canvas.png", "own.png"]);
    let told = warnings(&output);
    assert_eq!((&*told[0], &*told[1]), ("[]", "[]"));
    assert!(told[2].contains("try without --invert"), "{told:?}");
    assert!(json(&output)[..2].iter().all(|entry| entry["prediction"] == class));
    // The same logits as the light drawing's: it is the same picture.
    let own = json(&classify(dir, &["own.png"]));
    assert_eq!(json(&output)[0]["logits"], own[0]["logits"]);
    assert_eq!(json(&output)[1]["logits"], own[0]["logits"]);
}

#[test]
fn what_a_crop_leaves_out_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (image, class) = digit();
    // The digit in the left corner of a wide picture.
    let mut wide = GrayImage::new(84, 28);
    image::imageops::replace(&mut wide, &image, 0, 0);
    wide.save(dir.join("wide.png")).unwrap();
    let output = classify(dir, &["wide.png"]);
    assert!(said(&output).contains("67 % of it lies outside"), "{}", said(&output));
    for fit in ["pad", "stretch"] {
        assert_eq!(said(&classify(dir, &["wide.png", "--fit", fit])), "");
    }
    // A tall one that pads to what the model knows.
    let mut tall = GrayImage::new(28, 30);
    image::imageops::replace(&mut tall, &image, 0, 1);
    tall.save(dir.join("tall.png")).unwrap();
    assert_eq!(json(&classify(dir, &["tall.png", "--fit", "pad"]))[0]["prediction"], class);
    let picture = ok(dir, &["reconstruct", MODEL, "tall.png", "-o", "out.png", "--fit", "pad"]);
    assert!(picture.contains("28×28"), "{picture}");
}

/// A data set is evaluated as its pictures are classified: the flags mean the same.
#[test]
fn a_data_set_is_seen_as_its_pictures_are() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (image, class) = digit();
    // White on nothing, drawn twice as wide: seen on black, and right when it is stretched back.
    let mut wide = RgbaImage::new(56, 28);
    for (x, y, pixel) in image.enumerate_pixels() {
        wide.put_pixel(2 * x, y, Rgba([255, 255, 255, pixel.0[0]]));
        wide.put_pixel(2 * x + 1, y, Rgba([255, 255, 255, pixel.0[0]]));
    }
    let folder = dir.join("set/test").join(class.to_string());
    fs::create_dir_all(&folder).unwrap();
    wide.save(folder.join("wide.png")).unwrap();
    let right = |flags: &[&str]| {
        let arguments = [&["eval", MODEL, "--data", "set", "--json"], flags].concat();
        let report: Value = serde_json::from_str(&ok(dir, &arguments)).unwrap();
        report["accuracy"] == 1.0
    };
    assert!(right(&["--fit", "stretch"]));
    assert!(!right(&["--fit", "stretch", "--background", "white"]));
}
