//! The program on series and volumes: from a data set to a bundle, and what it says of what is for images alone.
#![cfg(feature = "cpu")]

mod program;

use std::path::Path;

use program::{ok, refused};

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// Trains `nano`, exports the run as `NAME.mwt`, and evaluates both on the same signals.
fn train_and_export(dir: &Path, data: &str, more: &str, name: &str) {
    let train = format!(
        "train --data {data} --preset nano --batch 8 --validation 16 --quiet --name {name} {more}"
    );
    ok(dir, &words(&train));
    let said = ok(dir, &words(&format!("export runs/{name} -o {name}.mwt")));
    assert!(said.contains("16 validation images through mwt-infer: accuracy"), "{said}");
    let accuracy = |model: &str| {
        let eval = format!("eval {model} --data {data} --limit 64 --json");
        json(&ok(dir, &words(&eval)))["accuracy"].as_f64().unwrap()
    };
    // Missing samples are drawn again in one of them, and two of 64 may fall between two classes.
    let (run, bundle) = (accuracy(&format!("runs/{name}")), accuracy(&format!("{name}.mwt")));
    assert!((run - bundle).abs() <= 2.0 / 64.0, "{run} and {bundle}");
}

#[test]
fn series_from_a_data_set_to_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let checked = ok(dir, &["data", "check", "gestures"]);
    assert!(checked.starts_with(
        "gestures: built-in gestures, series of 64, 3 channels\n6000 training signals"
    ));
    let varied =
        "--limit 128 --epochs 2 --shift 4 --gain 0.2 --noise 0.05 --jitter 0.3 --missing 0.2";
    train_and_export(dir, "gestures", varied, "g");
    let inspected = ok(dir, &["inspect", "g.mwt"]);
    assert!(inspected.contains("format version 2"), "{inspected}");
    assert!(inspected.contains("C 3, K 8, grid 64, P 64"), "{inspected}");
    assert!(inspected.contains("logits of 2 golden samples"), "{inspected}");
    let input = &json(&ok(dir, &["inspect", "g.mwt", "--json"]))["input"];
    assert_eq!(
        (input["type"].as_str(), input["scaling"].as_array().unwrap().len()),
        (Some("f32"), 3)
    );
    let card = std::fs::read_to_string(dir.join("g.md")).unwrap();
    assert!(card.contains("Classifies series of 64, 3 channels into 8 classes"), "{card}");
    assert!(card.contains("shift 4, gain 0.2, noise 0.05, jitter 0.3"), "{card}");
    assert!(!card.contains("image"), "{card}");
    // A chart for each of three channels, for six signals.
    let fits = image::open(dir.join("runs/g/report/fits.png")).unwrap();
    assert_eq!((fits.width(), fits.height()), (3 * 602 + 2, 6 * 362 + 2));
    let page = std::fs::read_to_string(dir.join("runs/g/report.html")).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), 7);
    ok(dir, &["report", "runs/g"]);
    ok(dir, &words("eval g.mwt --data gestures --limit 16 --missing 0,0.5 --seeds 1"));
}

#[test]
fn volumes_from_a_data_set_to_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    train_and_export(dir, "solids", "--limit 96 --epochs 1 --sampling 0.1", "s");
    let inspected = ok(dir, &["inspect", "s.mwt"]);
    assert!(inspected.contains("grid 16×16×16, P 409"), "{inspected}");
    // The middle layers of six volumes and of their fits, five times enlarged.
    let fits = image::open(dir.join("runs/s/report/fits.png")).unwrap();
    assert_eq!((fits.width(), fits.height()), (2 * 82 + 2, 6 * 82 + 2));
}

#[test]
fn demos_need_no_download() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (data, preset) in [("gestures", "wrist"), ("solids", "solid")] {
        let said = ok(dir, &words(&format!("demo --data {data} --epochs 1 --images 64 -o {data}")));
        assert!(
            said.starts_with(&format!("training `{preset}` on 64 built-in {data} for 1 epochs"))
        );
        assert!(
            said.contains(&format!("1000 test {data}")) && said.contains("int8 bundle, mwt-infer")
        );
        let bundle = format!("{data}/{data}-int8.mwt");
        let workspace = json(&ok(dir, &["inspect", &bundle, "--json"]))["workspace_bytes"].as_u64();
        assert!(workspace.unwrap() <= 48_000, "{workspace:?}");
        image::open(dir.join(data).join("fits.png")).unwrap();
    }
}

/// The rate of a run's sounds is the run's when it is evaluated.
#[test]
fn sounds_are_evaluated_at_the_rate_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    for (class, period) in [("high", 4), ("low", 16)] {
        for (split, count) in [("train", 48), ("test", 8)] {
            let folder = dir.join("tones").join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for n in 0..count {
                let file = folder.join(format!("{n}.wav"));
                let mut writer = hound::WavWriter::create(file, spec).unwrap();
                for i in 0..64 {
                    let up = (i + n) % period < period / 2;
                    writer.write_sample(if up { 8_000i16 } else { -8_000 }).unwrap();
                }
                writer.finalize().unwrap();
            }
        }
    }
    let checked = ok(dir, &["data", "check", "tones"]);
    assert!(
        checked.starts_with("tones: WAV folder, series of 16000, 1 channel\n96 training"),
        "{checked}"
    );
    let train =
        "train --data tones --preset nano --batch 8 --epochs 3 --validation 16 --quiet --no-report";
    ok(dir, &words(&format!("{train} --rate 8000 --window 64")));
    ok(dir, &words("export runs/run -o a.mwt"));
    let psnr = |more: &str| {
        let eval = format!("eval {more} --data tones --json");
        json(&ok(dir, &words(&eval)))["psnr"].as_f64().unwrap()
    };
    let (run, same, other) = (psnr("runs/run"), psnr("a.mwt --rate 8000"), psnr("a.mwt"));
    assert!((run - same).abs() < 0.01, "{run} and {same}");
    assert!((run - other).abs() > 0.01, "another rate makes other signals of them");
}

#[test]
fn what_is_for_images_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let train =
        "train --data gestures --preset nano --limit 32 --epochs 1 --batch 8 --quiet --no-report";
    ok(dir, &words(train));
    ok(dir, &words("export runs/run -o g.mwt --no-card"));
    image::GrayImage::new(8, 8).save(dir.join("a.png")).unwrap();
    let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-micro.mwt");
    let eval = format!("eval {mnist} --data gestures");
    let cases = [
        ("classify g.mwt a.png", "takes no images, but series of 64"),
        ("reconstruct g.mwt a.png -o b.png", "takes no images, but series of 64"),
        ("data preview --data gestures", "data preview is for 8-bit images"),
        ("data check solids --image-size 8x8", "has volumes of 16×16×16"),
        (
            "train --data gestures --flip",
            "augment.flip varies 8-bit images, the data set has series of 64",
        ),
        ("train --data solids --crop 0.5", "augment.crop varies 8-bit images"),
        ("train --data digits --jitter 0.2", "augment.jitter varies series and volumes"),
        ("train --data gestures --image-size 8x8", "an image size is for 8-bit images"),
        ("eval g.mwt --data digits", "the model takes series of 64, 3 channels as f32"),
        (eval.as_str(), "the model takes images of 28×28, 1 channel as u8"),
    ];
    for (command, words_) in cases {
        let line = refused(dir, &words(command));
        assert!(line.contains(words_), "{command}: {line}");
    }
}
