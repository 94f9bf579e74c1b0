//! The program as a user runs it: from nothing to a classified image, and what it says when something is wrong.
#![cfg(feature = "cpu")]

mod program;

use std::path::Path;

use mwt_core::ModelConfig;
use mwt_core::bundle::Facts;
use mwt_train::export::Export;
use mwt_train::model::params::initial;
use program::{metrics, ok, refused, run, write_images};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// Both sources are compiled, and hold the bundle's bytes.
#[test]
fn a_bundle_as_source() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/mnist-micro.mwt");
    ok(dir, &["export", model, "--emit-rs", "model.rs", "--emit-c", "model.h"]);
    std::fs::write(
        dir.join("main.rs"),
        "mod model;\nfn main() {\n    let [path, workspace] = std::array::from_fn(|i| std::env::args().nth(i + 1).unwrap());\n    \
         assert!(std::fs::read(path).unwrap() == model::BUNDLE.0);\n    assert_eq!(model::WORKSPACE_LEN.to_string(), workspace);\n    \
         assert_eq!((model::EXTENTS, model::LABELS.join(\"\")), ([28, 28], \"0123456789\".into()));\n    \
         assert_eq!(&raw const model::BUNDLE as usize % 64, 0);\n}\n",
    )
    .unwrap();
    std::fs::write(
        dir.join("main.c"),
        "#include \"model.h\"\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
         int main(int n, char **a) {\n    FILE *file = fopen(a[1], \"rb\");\n    for (size_t i = 0; i < sizeof mwt_bundle; i++)\n        \
         if (fgetc(file) != mwt_bundle[i]) return 1;\n    if (fgetc(file) != EOF || (uintptr_t)mwt_bundle % 64) return 2;\n    \
         return n != 3 || atoi(a[2]) != MWT_WORKSPACE_LEN || MWT_POSITIONS != 784 || MWT_AXES != 2 || MWT_CHANNELS != 1 ||\n           \
         strcmp(mwt_labels[MWT_CLASSES - 1], \"9\");\n}\n",
    )
    .unwrap();
    let workspace = mwt_infer::workspace_len(&mwt_core::ModelConfig::MICRO).to_string();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    for (compiler, arguments) in [
        (rustc.as_str(), ["--edition=2024", "main.rs", "-o", "from-rs"]),
        ("cc", ["-Wall", "main.c", "-o", "from-c"]),
    ] {
        let built = std::process::Command::new(compiler).args(arguments).current_dir(dir).status();
        let Ok(status) = built else {
            println!("skipped: there is no {compiler}");
            continue;
        };
        assert!(status.success(), "{compiler}");
        let program = dir.join(arguments[3]);
        let run = std::process::Command::new(program).args([model, &workspace]).status().unwrap();
        assert!(run.success(), "{}", arguments[3]);
    }
    let complaint = refused(dir, &["export", "main.rs", "-o", "x.mwt"]);
    assert!(complaint.contains("main.rs"), "{complaint}");
}

#[test]
fn from_nothing_to_a_classified_image() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();

    let report = ok(dir, &["demo", "--epochs", "1", "--images", "320", "-o", "demo"]);
    assert!(report.contains("int8 bundle, mwt-infer"), "{report}");
    for file in ["settings.toml", "metrics.csv", "model.safetensors", "digits-int8.mwt"] {
        assert!(dir.join("demo").join(file).exists(), "{file}");
    }
    // An original, θ and four steps, 28×28 three times enlarged.
    let picture = image::open(dir.join("demo/steps.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (6 * 86 + 2, 8 * 86 + 2));

    // The run and its bundles tell the same.
    let run = json(&ok(dir, &["eval", "demo", "--data", "digits", "--limit", "100", "--json"]));
    let evaluate = |bundle: &str| {
        json(&ok(dir, &["eval", bundle, "--data", "digits", "--limit", "100", "--json"]))
    };
    let float = evaluate("demo/digits-f32.mwt");
    assert_eq!(run["accuracy"], float["accuracy"]);
    assert_eq!(run["confusion"], float["confusion"]);
    assert_eq!(run["images"], 100);

    ok(dir, &["export", "demo", "-o", "half.mwt", "--quant", "f16", "--quant-theta", "f32"]);
    let half = json(&ok(dir, &["inspect", "half.mwt", "--json"]));
    assert_eq!(
        (&half["storage"]["theta"], &half["storage"]["alpha"]),
        (&"F32".into(), &"F16".into())
    );
    assert_eq!(half["bytes"], std::fs::metadata(dir.join("half.mwt")).unwrap().len());
    assert_eq!((&half["config"]["dim"], &half["golden_samples"]), (&32.into(), &2.into()));
    let text = ok(dir, &["inspect", "half.mwt"]);
    assert!(text.contains("D 32, L 2, k 4, B 4") && text.contains("partition draw"), "{text}");

    image::GrayImage::from_fn(28, 28, |x, _| {
        image::Luma([if x.abs_diff(14) < 3 { 255 } else { 0 }])
    })
    .save(dir.join("one.png"))
    .unwrap();
    let answers = json(&ok(dir, &["classify", "half.mwt", "one.png", "one.png", "--json"]));
    let first = &answers[0];
    assert_eq!(answers.as_array().map(Vec::len), Some(2));
    assert_eq!(first, &answers[1]);
    assert_eq!(first["file"], "one.png");
    let probabilities: Vec<f64> =
        first["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
    let best = first["prediction"].as_u64().unwrap() as usize;
    assert!(probabilities.iter().all(|p| *p <= probabilities[best]));
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!(first["logits"].as_array().map(Vec::len), Some(10));
    assert!(first["psnr"].as_f64().unwrap() > 5.0);

    ok(dir, &["reconstruct", "half.mwt", "one.png", "-o", "large.png", "--scale", "4"]);
    let large = image::open(dir.join("large.png")).unwrap();
    assert_eq!((large.width(), large.height()), (112, 112));
}

/// The same seed gives the same run, bit for bit; another seed another one.
#[test]
fn a_seed_gives_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let train = |name: &str, seed: &str| {
        let arguments = [
            "train",
            "--data",
            "digits",
            "--preset",
            "nano",
            "--limit",
            "128",
            "--batch",
            "16",
            "--epochs",
            "2",
            "--draw",
            "random",
            "--sampling",
            "0.1",
            "--validation",
            "16",
            "--quiet",
            "--seed",
            seed,
            "--name",
            name,
        ];
        ok(dir.path(), &arguments);
        let run = dir.path().join("runs").join(name);
        (metrics(&run), std::fs::read(run.join("model.safetensors")).unwrap())
    };
    let first = train("a", "1");
    assert_eq!(first, train("b", "1"));
    assert_ne!(first.1, train("c", "2").1);
}

/// A run that was killed after its last checkpoint, before it wrote its model, takes no more steps when it is resumed,
/// and yet writes the same model.
#[test]
fn resumed_after_the_last_step_writes_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["train", "--data", "digits", "--preset", "nano", "--limit", "64", "--quiet"];
    ok(dir.path(), &[&arguments[..], &["--epochs", "1"]].concat());
    let model = dir.path().join("runs/run/model.safetensors");
    let whole = std::fs::read(&model).unwrap();
    std::fs::remove_file(&model).unwrap();
    ok(dir.path(), &["resume", "runs/run", "--quiet"]);
    assert!(whole == std::fs::read(&model).unwrap());
}

/// Two processes cannot train in one directory.
#[test]
fn a_run_under_way_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["train", "--data", "digits", "--preset", "nano", "--limit", "64", "--quiet"];
    ok(dir.path(), &[&arguments[..], &["--epochs", "1"]].concat());
    let lock = std::fs::File::open(dir.path().join("runs/run/lock")).unwrap();
    lock.lock().unwrap();
    let line = refused(dir.path(), &["resume", "runs/run"]);
    assert!(line.contains("another process is training here"), "{line}");
    lock.unlock().unwrap();
    ok(dir.path(), &["resume", "runs/run", "--quiet"]);
}

/// Every mode of training runs and leaves a model; WT's SIREN does not depend on the classifier's learning rate.
#[test]
fn the_ablations_train() {
    let dir = tempfile::tempdir().unwrap();
    let siren = |mode: &str, rate: &str| {
        let name = format!("{mode}-{rate}");
        let arguments = [
            "train",
            "--data",
            "digits",
            "--preset",
            "nano",
            "--limit",
            "64",
            "--batch",
            "16",
            "--epochs",
            "1",
            "--sampling",
            "0.1",
            "--validation",
            "0",
            "--quiet",
            "--w-cls",
            "0.5",
            "--mode",
            mode,
            "--lr-classifier",
            rate,
            "--name",
            &name,
        ];
        ok(dir.path(), &arguments);
        let file = dir.path().join("runs").join(name);
        mwt_train::weights::trained::TrainedModel::load(&file).unwrap().weights.theta()
    };
    assert_ne!(siren("mwt", "1e-2"), siren("mwt", "1e-3"));
    for mode in ["wt-simultaneous", "wt-sequential"] {
        assert_eq!(siren(mode, "1e-2"), siren(mode, "1e-3"), "{mode}");
    }
}

#[test]
fn a_reference_checkpoint_becomes_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/micro.pt");
    let checkpoint = checkpoint.to_str().unwrap();
    let arguments = [
        "import",
        checkpoint,
        "-o",
        "ref.mwt",
        "--image-size",
        "28x28",
        "--omega",
        "10",
        "--pixels-per-step",
        "784",
        "--quant",
        "f32",
    ];
    ok(dir.path(), &arguments);
    let report = json(&ok(dir.path(), &["inspect", "ref.mwt", "--json"]));
    let config = &report["config"];
    let sizes = ["dim", "hidden_layers", "inner_steps", "blocks", "channels", "pixels_per_step"];
    assert_eq!(sizes.map(|s| config[s].as_u64().unwrap()), [32, 2, 4, 4, 1, 784]);
    ok(dir.path(), &["import", checkpoint, "-o", "ref.safetensors", "--preset", "micro"]);
    let evaluation =
        ok(dir.path(), &["eval", "ref.safetensors", "--data", "digits", "--limit", "4"]);
    assert!(evaluation.starts_with("4 images: accuracy"), "{evaluation}");
}

#[test]
fn errors_are_one_line_that_names_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("not.mwt"), b"not a bundle").unwrap();
    std::fs::create_dir(dir.join("empty")).unwrap();
    let says = |arguments: &[&str], words: &[&str]| {
        let line = refused(dir, arguments);
        for word in words {
            assert!(line.contains(word), "{arguments:?}: {line}");
        }
    };
    says(&["inspect", "missing.mwt"], &["missing.mwt"]);
    says(&["inspect", "not.mwt"], &["not.mwt", "not an .mwt bundle"]);
    says(&["classify", "not.mwt", "x.png"], &["not.mwt"]);
    says(&["train", "--data", "nowhere"], &["nowhere"]);
    says(&["train", "--data", "empty"], &["empty"]);
    says(&["eval", "empty", "--data", "digits"], &["empty"]);
    says(&["export", "empty", "-o", "x.mwt"], &["model.safetensors"]);
    says(&["import", "not.mwt", "-o", "x.mwt"], &["not.mwt"]);
    says(&["train", "--data", "digits", "--limit", "64", "--lr-alpha=0"], &["lr_alpha"]);
    says(&["train", "--data", "digits", "--limit", "64", "--sampling", "2"], &["sampling"]);
    if !cfg!(feature = "cuda") {
        says(&["demo", "--backend", "cuda"], &["--features cuda"]);
    }
    // A run is not overwritten.
    let arguments = [
        "train", "--data", "digits", "--preset", "nano", "--limit", "32", "--epochs", "1",
        "--quiet",
    ];
    ok(dir, &arguments);
    says(&arguments, &["holds a run already"]);
    // A wrong command line is clap's: 2, with usage.
    says(&["train"], &["--data"]);
    assert_eq!(run(dir, &["export", "run"]).status.code(), Some(2));
    assert_eq!(run(dir, &["inspect", "a", "--nonsense"]).status.code(), Some(2));
}

/// Each layer changes the one below: preset, file, flags, --set.
#[test]
fn settings_come_in_layers() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(
        dir.join("a.toml"),
        "preset = \"nano\"\n[train]\nepochs = 3\nbatch = 4\n[data]\nlimit = 64\n",
    )
    .unwrap();
    let show = [
        "config",
        "show",
        "--config",
        "a.toml",
        "--data",
        "digits",
        "--batch",
        "8",
        "--set",
        "train.clip=2",
    ];
    let settings: toml::Table = ok(dir, &show).parse().unwrap();
    let train = settings["train"].as_table().unwrap();
    assert_eq!((train["epochs"].as_integer(), train["batch"].as_integer()), (Some(3), Some(8)));
    assert_eq!(train["clip"].as_float(), Some(2.0));
    // Drawn digits are 28×28, whatever the preset's images are.
    let sides = settings["model"]["extents"].as_array().unwrap();
    assert_eq!(sides.iter().map(|side| side.as_integer()).collect::<Vec<_>>(), [Some(28); 2]);
    let refused = |more: &[&str]| refused(dir, &[&show[..], more].concat());
    assert!(refused(&["--set", "train.bach=1"]).ends_with("did you mean train.batch?"));
    assert!(refused(&["--set", "model.classes=7"]).contains("the data set's is 10"));
    assert!(refused(&["--epochs", "0"]).contains("train.epochs is 0, must be integer at least 1"));
}

/// What programs read: an object a line, nothing else.
#[test]
fn a_run_tells_programs() {
    let dir = tempfile::tempdir().unwrap();
    let train = "train --data digits --preset nano --limit 128 --batch 16 --epochs 2 --validation 16 --json";
    let output = run(dir.path(), &train.split(' ').collect::<Vec<_>>());
    assert!(output.status.success() && output.stderr.is_empty());
    let lines: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(json).collect();
    let (last, rows) = lines.split_last().unwrap();
    assert_eq!((&last["event"], &last["outer_steps"]), (&"trained".into(), &14.into()));
    assert!(rows.iter().all(|row| row["step"].is_u64() && row["memory_mib"].is_number()));
    assert_eq!(rows.iter().filter(|row| row["validation_psnr"].is_number()).count(), 2);
    let log = std::fs::read_to_string(dir.path().join("runs/run/log.txt")).unwrap();
    assert!(log.contains("epoch 2 done: validation accuracy"), "{log}");
}

/// From a data set to a bundle with its card, as the guide has it.
#[test]
fn what_a_run_leaves_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let report = ok(dir, &["data", "check", "digits"]);
    assert!(
        report.starts_with("digits: built-in digits, 28×28 grey\n12000 training images"),
        "{report}"
    );
    assert!(report.ends_with("nothing wrong was found\n"), "{report}");
    ok(
        dir,
        &["data", "preview", "--data", "digits", "--pad", "3", "--rotate", "20", "-o", "a.png"],
    );
    let sheet = image::open(dir.join("a.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (10 * 86 + 2, 8 * 86 + 2));

    let train = "train --data digits --preset nano --limit 256 --batch 8 --epochs 2 --validation 32 --quiet";
    assert!(
        ok(dir, &train.split(' ').collect::<Vec<_>>()).contains("report: runs/run/report.html")
    );
    let run = dir.join("runs/run");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.ends_with("</html>\n") && !page.contains("<script"));
    // Everything is in the page, and beside it as files.
    assert_eq!(page.matches("data:image/png;base64,").count(), 7);
    for name in ["loss", "accuracy", "psnr", "norms", "steps", "confusion", "alpha"] {
        image::open(run.join("report").join(name).with_extension("png")).unwrap();
    }
    let said = ok(dir, &["export", "runs/run", "-o", "a.mwt"]);
    assert!(said.contains("32 validation images through mwt-infer: accuracy"), "{said}");
    let card = std::fs::read_to_string(dir.join("a.md")).unwrap();
    assert!(
        card.starts_with("# a.mwt\n") && card.contains("| recipe | 2 epochs, batch 8"),
        "{card}"
    );
    assert!(card.contains("on 32 validation images, through mwt-infer"), "{card}");
    // The best epoch's model exports as the last one does.
    let best = ok(dir, &["export", "runs/run/best.safetensors", "-o", "best.mwt", "--no-card"]);
    assert!(best.starts_with("best.mwt: ") && !dir.join("best.md").exists(), "{best}");
}

/// What is wrong with a folder is said, and what is only unfortunate is warned of.
#[test]
fn a_data_set_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (class, images) in [("train/cat", 60), ("train/dog", 60), ("test/cat", 1)] {
        let folder = dir.join("pets").join(class);
        write_images(&folder, "png", images, |_| image::GrayImage::new(8, 8));
    }
    std::fs::write(dir.join("pets/train/dog/0.png"), b"no picture").unwrap();
    let report = ok(dir, &["data", "check", "pets"]);
    assert!(
        report.starts_with("pets: image folder, 8×8 grey\n119 training images, 1 test images"),
        "{report}"
    );
    assert!(report.contains("warning: classes without test images: dog"), "{report}");
    assert!(report.contains("warning: left out: ") && report.contains("0.png"), "{report}");
    assert!(refused(dir, &["data", "check", "nowhere"]).contains("nowhere"));
}

/// A folder too large for the memory it may take says so, and trains the same model, bit for bit.
#[test]
fn a_folder_trains_the_same_in_memory_and_decoded_as_used() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (class, images) in [("train/cat", 20), ("train/dog", 20), ("test/cat", 1)] {
        write_images(&dir.join("pets").join(class), "jpg", images, |n| {
            image::GrayImage::from_fn(20 + n, 17, |x, y| image::Luma([(x * y * (n + 9)) as u8]))
        });
    }
    let train = |more: &[&str]| {
        let arguments = ["train", "--data", "pets", "--preset", "nano", "--image-size", "12x10"];
        let recipe = ["--epochs", "2", "--batch", "8", "--pad", "1", "--flip", "--no-report"];
        ok(dir, &[&arguments[..], &recipe, more].concat())
    };
    train(&["--name", "kept"]);
    train(&["--name", "used", "--memory-gib", "0"]);
    let read =
        |run: &str, file: &str| std::fs::read(dir.join("runs").join(run).join(file)).unwrap();
    assert!(read("kept", "model.safetensors") == read("used", "model.safetensors"));
    let log = |run| String::from_utf8(read(run, "log.txt")).unwrap();
    assert!(
        log("used").contains("each is decoded as it is used") && !log("kept").contains("decoded")
    );
}

/// A reader that has enough, as `head` does, ends the program without a word.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    let dir = tempfile::tempdir().unwrap();
    let mut command = program::command(dir.path(), &["config", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A bundle may come from anyone: its text forges no line of what is printed, and its work is bounded.
#[test]
fn text_of_a_bundle_is_escaped_and_its_work_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut labels: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    labels[3] = "\u{1b}[2Jself-test   passed\r".into();
    let facts =
        Facts { data_set: "a\nself-test   passed", producer: "\u{202e}x", ..Facts::default() };
    let export = Export { labels: &labels, facts, ..Export::default() };
    let bundle = export.bundle(&initial(&ModelConfig::NANO, 1)).unwrap();
    std::fs::write(dir.path().join("a.mwt"), bundle).unwrap();
    let text = ok(dir.path(), &["inspect", "a.mwt"]);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
    assert_eq!(text.matches("\nself-test").count(), 1, "{text}");
    assert!(text.contains("self-test   none: the bundle has no golden samples"), "{text}");
    let image = dir.path().join("a.png");
    image::GrayImage::from_pixel(8, 8, image::Luma([9])).save(image).unwrap();
    let refused = refused(dir.path(), &["classify", "a.mwt", "a.png", "--limit-macs", "1000"]);
    assert!(refused.contains("model above the limit of work"), "{refused}");
}

/// A run of a single row of metrics, and one whose epochs were lowered below those it has done.
#[test]
fn runs_with_little_to_tell() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["train", "--data", "digits", "--preset", "nano", "--limit", "64", "--quiet"];
    ok(dir.path(), &[&arguments[..], &["--epochs", "1"]].concat());
    let run = dir.path().join("runs/run");
    assert_eq!(std::fs::read_to_string(run.join("metrics.csv")).unwrap().lines().count(), 2);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("<h2>Classes</h2>") && !page.contains("<h2>Training</h2>"));

    ok(dir.path(), &[&arguments[..], &["--epochs", "3", "--name", "b", "--no-report"]].concat());
    let settings = dir.path().join("runs/b/settings.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    assert!(text.contains("epochs = 3\n"));
    std::fs::write(&settings, text.replace("epochs = 3\n", "epochs = 1\n")).unwrap();
    let said = ok(dir.path(), &["resume", "runs/b"]);
    assert!(said.contains("runs/b") && !said.contains("left"), "{said}");
}

/// A model whose steps share one α takes any number of them, and a look after each gives what a bundle of so many gives.
#[test]
fn the_number_of_inner_steps_is_free_where_they_share_alpha() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let train = "train --data digits --preset nano --limit 256 --epochs 2 --no-report --quiet";
    let train: Vec<_> = train.split(' ').collect();
    ok(dir, &[&train[..], &["--set", "model.shared_alpha=true", "--name", "a"]].concat());
    ok(dir, &["export", "runs/a", "-o", "a.mwt", "--no-card"]);
    ok(dir, &["export", "runs/a", "-o", "b.mwt", "--no-card", "--inner-steps", "2"]);
    let digits = ["--data", "digits", "--limit", "300", "--json"];
    let eval = |model: &str, more: &[&str]| {
        json(&ok(dir, &[&["eval", model], more, &digits[..]].concat()))
    };
    let each = eval("a.mwt", &["--each-step", "--chart", "steps.png"]);
    let rows = each["each_step"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for (bundle, row) in [("a.mwt", &rows[2]), ("b.mwt", &rows[1])] {
        let whole = eval(bundle, &[]);
        assert_eq!(
            (&whole["accuracy"], &whole["psnr"]),
            (&row["accuracy"], &row["psnr"]),
            "{bundle}"
        );
    }
    assert!(rows[0]["macs"].as_u64() < rows[1]["macs"].as_u64());
    image::open(dir.join("steps.png")).unwrap();
    // Of the run, through burn and before quantization: near the bundle's.
    let run = eval("runs/a", &["--inner-steps", "2"])["accuracy"].as_f64().unwrap();
    assert!((run - rows[1]["accuracy"].as_f64().unwrap()).abs() < 0.05, "{run}");

    ok(dir, &[&train[..], &["--name", "own"]].concat());
    for arguments in [
        &["eval", "runs/own", "--inner-steps", "2"][..],
        &["export", "runs/own", "-o", "c.mwt", "--inner-steps", "2"],
    ] {
        assert!(refused(dir, arguments).contains("an α of its own for each of its 3 steps"));
    }
    assert!(
        refused(dir, &["eval", "a.mwt", "--data", "digits", "--chart", "a.png"])
            .contains("no effect")
    );
}

/// Started several times by MPI, a program without it says so instead of training several times.
#[cfg(not(feature = "mpi"))]
#[test]
fn without_mpi_several_processes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let train = ["train", "--data", "digits", "--limit", "64", "--epochs", "1"];
    for (name, count) in [("OMPI_COMM_WORLD_SIZE", "2"), ("PMI_SIZE", "4")] {
        let mut command = program::command(dir.path(), &train);
        let line = program::complaint(&command.env(name, count).output().unwrap());
        assert!(
            line.contains(&format!("started {count} times")) && line.contains("--features mpi")
        );
    }
    assert!(!dir.path().join("runs").exists());
    let quiet = [&train[..], &["--preset", "nano", "--quiet", "--no-report"]].concat();
    let output = program::command(dir.path(), &quiet).env("PMI_SIZE", "1").output().unwrap();
    assert!(output.status.success());
}
