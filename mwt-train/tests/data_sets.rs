//! Data sets as people have them, through the program: what a model is evaluated on, what a run goes on with, and what
//! `data check` says.
#![cfg(feature = "cpu")]

mod program;

use std::fs;
use std::path::Path;

use program::{command, complaint, metrics, ok, refused, run, write_images};

/// Pictures of 8×8 that are mostly of one grey level, a class each; `from` keeps sets apart.
fn write_classes(folder: &Path, classes: &[(&str, u8)], images: u32, from: u8) {
    for (class, level) in classes {
        write_images(&folder.join(class), "png", images, |n| {
            let mut image = image::GrayImage::from_pixel(8, 8, image::Luma([*level]));
            // No two pictures are the same.
            image.put_pixel(n % 8, n / 8, image::Luma([level.wrapping_add(1 + from)]));
            image
        });
    }
}

const LEVELS: [(&str, u8); 3] = [("black", 0), ("grey", 128), ("white", 250)];

/// `data/train` and `data/test`, of three classes that a model learns at once.
fn data_set(dir: &Path, name: &str) {
    write_classes(&dir.join(name).join("train"), &LEVELS, 40, 0);
    write_classes(&dir.join(name).join("test"), &LEVELS, 6, 1);
}

fn train(dir: &Path, more: &str) {
    let line = format!("train --preset nano --quiet --no-report --epochs 8 --batch 8 {more}");
    ok(dir, &line.split_whitespace().collect::<Vec<_>>());
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// The stderr of a command that went well.
fn told(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Classes are matched by their names, whatever their order and number; other names are refused unless told.
#[test]
fn classes_are_matched_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    train(dir, "--data data");
    ok(dir, &["export", "runs/run", "-o", "model.mwt", "--no-card"]);
    let eval =
        |model: &str, more: &[&str]| json(&ok(dir, &[&["eval", model, "--json"], more].concat()));
    for model in ["runs/run", "model.mwt"] {
        assert_eq!(eval(model, &["--data", "data"])["accuracy"], 1.0);
        // A subset, whose first class is the model's second.
        write_classes(&dir.join("subset/test"), &LEVELS[1..], 6, 2);
        let report = eval(model, &["--data", "subset"]);
        assert_eq!((&report["accuracy"], &report["images"]), (&1.0.into(), &12.into()));
        assert_eq!(report["per_class"][0]["images"], 0);
        assert_eq!(report["per_class"][1]["class"], "grey");
        // Folders with other names, in another order.
        let other = [("a", 250), ("b", 0)];
        write_classes(&dir.join("other"), &other, 6, 3);
        let line = refused(dir, &["eval", model, "--data", "other"]);
        assert!(line.contains("(a, b)") && line.contains("(black, grey, white)"), "{line}");
        assert!(line.contains("--labels") && line.contains("--by-number"), "{line}");
        fs::write(dir.join("names.txt"), "white\nblack\n").unwrap();
        assert_eq!(eval(model, &["--data", "other", "--labels", "names.txt"])["accuracy"], 1.0);
        assert_eq!(eval(model, &["--data", "other", "--labels", "White,BLACK"])["accuracy"], 1.0);
        assert_eq!(eval(model, &["--data", "other", "--by-number"])["accuracy"], 0.0);
        let line = refused(dir, &["eval", model, "--data", "other", "--labels", "a,b,c"]);
        assert!(line.contains("a,b,c: 3 labels for 2 classes"), "{line}");
        // One class alone, under a name that the model does not have.
        write_classes(&dir.join("single/test"), &[("cat", 0)], 6, 4);
        assert!(refused(dir, &["eval", model, "--data", "single"]).contains("(cat)"));
    }
    // A run has its own data set.
    assert_eq!(eval("runs/run", &[])["images"], 18);
    assert!(refused(dir, &["eval", "model.mwt"]).contains("--data"));
}

/// The classes of numbered files are not those of a model that has names, nor the other way round.
#[test]
fn digits_are_no_clothes() {
    let dir = tempfile::tempdir().unwrap();
    let model = |name: &str| format!("{}/../models/{name}.mwt", env!("CARGO_MANIFEST_DIR"));
    for (folder, labels) in [("mnist", "digits"), ("fashion-mnist", "clothes")] {
        let place = dir.path().join(folder);
        fs::create_dir(&place).unwrap();
        let header = |magic: u32, sides: &[u32]| -> Vec<u8> {
            [magic].iter().chain(sides).flat_map(|n| n.to_be_bytes()).collect()
        };
        let images = [header(0x803, &[2, 28, 28]), vec![0; 2 * 784]].concat();
        fs::write(place.join("t10k-images-idx3-ubyte"), images).unwrap();
        let bytes = [header(0x801, &[2]), vec![0, 9]].concat();
        fs::write(place.join("t10k-labels-idx1-ubyte"), bytes).unwrap();
        let (own, other) = match labels {
            "digits" => ("mnist-micro", "fashion-micro"),
            _ => ("fashion-micro", "mnist-micro"),
        };
        ok(dir.path(), &["eval", &model(own), "--data", folder]);
        let line = refused(dir.path(), &["eval", &model(other), "--data", folder]);
        assert!(line.contains("are not among the model's"), "{line}");
        ok(dir.path(), &["eval", &model(other), "--data", folder, "--by-number"]);
    }
}

/// A folder of class folders: training holds out a share, on which its model is evaluated; of other folders all is.
#[test]
fn folders_without_splits() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_classes(&dir.join("photos"), &LEVELS, 20, 0);
    let check = ok(dir, &["data", "check", "photos"]);
    assert!(check.contains("48 training images, 12 test images, 3 classes"), "{check}");
    assert!(check.contains("12 of the 60 training images, 20 %"), "{check}");
    train(dir, "--data photos --test-share 0.5");
    let images = |arguments: &[&str]| {
        json(&ok(dir, &[&["eval", "--json"], arguments].concat()))["images"].clone()
    };
    assert_eq!(images(&["runs/run"]), 30);
    ok(dir, &["export", "runs/run", "-o", "model.mwt", "--no-card"]);
    assert_eq!(images(&["model.mwt", "--data", "photos"]), 12);
    assert_eq!(images(&["model.mwt", "--data", "photos", "--test-share", "1"]), 60);
    write_classes(&dir.join("new"), &LEVELS, 5, 7);
    assert_eq!(images(&["model.mwt", "--data", "new"]), 15);
}

/// Whatever changed in a run's data, going on is refused in one line; another place is no change.
#[test]
fn a_run_goes_on_with_its_own_data_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    train(dir, "--data data");
    let file = |name: &str| dir.join("data/train").join(name);
    let refused = || {
        let line = refused(dir, &["resume", "runs/run", "--quiet"]);
        assert!(line.contains("not the data that runs/run began with"), "{line}");
        line
    };
    write_classes(&dir.join("data/train"), &[("blue", 60)], 4, 0);
    assert!(
        refused()
            .contains("its classes were black, grey, white, these are black, blue, grey, white")
    );
    fs::remove_dir_all(file("blue")).unwrap();
    fs::rename(file("white"), dir.join("white")).unwrap();
    fs::rename(dir.join("data/test/white"), dir.join("white-test")).unwrap();
    assert!(refused().contains("these are black, grey;"));
    fs::rename(dir.join("white"), file("white")).unwrap();
    fs::rename(dir.join("white-test"), dir.join("data/test/white")).unwrap();
    fs::copy(file("white/0.png"), file("white/99.png")).unwrap();
    assert!(refused().contains("it had 120 training images, these are 121"));
    fs::remove_file(file("white/99.png")).unwrap();
    let kept = fs::read(file("white/0.png")).unwrap();
    fs::copy(file("white/1.png"), file("white/0.png")).unwrap();
    assert!(refused().contains("as many images, but others"));
    fs::write(file("white/0.png"), kept).unwrap();
    // Test images are none that a run learns from.
    fs::remove_file(dir.join("data/test/white/0.png")).unwrap();
    ok(dir, &["resume", "runs/run", "--quiet", "--no-report"]);
    // Images of another size.
    for split in ["train", "test"] {
        for (class, level) in LEVELS {
            write_images(&dir.join("data").join(split).join(class), "png", 40, |_| {
                image::GrayImage::from_pixel(9, 9, image::Luma([level]))
            });
        }
    }
    assert!(refused().contains("its images were 8×8 of 1 channels, these are 9×9"));
}

/// A run is used from any directory, and its data set may move.
#[test]
fn a_data_set_may_move() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    train(dir, "--data data");
    let settings = || fs::read_to_string(dir.join("runs/run/settings.toml")).unwrap();
    assert!(settings().contains(&format!("source = \"{}", dir.join("data").display())));
    let inner = dir.join("elsewhere");
    fs::create_dir(&inner).unwrap();
    ok(&inner, &["resume", "../runs/run", "--quiet", "--no-report"]);
    fs::rename(dir.join("data"), dir.join("moved")).unwrap();
    let line = refused(dir, &["report", "runs/run"]);
    assert!(line.contains("--data"), "{line}");
    ok(dir, &["report", "runs/run", "--data", "moved"]);
    let line = told(dir, &["export", "runs/run", "-o", "model.mwt"]);
    assert!(line.contains("not evaluated") && line.contains("--data"), "{line}");
    assert!(told(dir, &["export", "runs/run", "-o", "model.mwt", "--data", "moved"]).is_empty());
    ok(dir, &["resume", "runs/run", "--quiet", "--no-report", "--data", "moved"]);
    assert!(settings().contains(&format!("{}", dir.join("moved").display())));
    ok(dir, &["eval", "runs/run"]);
}

/// A run's settings are a recipe for other data: classes, channels and size are the new data set's.
#[test]
fn a_recipe_leaves_the_datas_facts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    train(
        dir,
        "--data data --image-size 8x8 --labels dark,middle,light --sampling 0.25 --w-cls 0.3",
    );
    let recipe = ["config", "show", "--config", "runs/run/settings.toml", "--data", "digits"];
    let settings = ok(dir, &recipe);
    for line in ["classes = 10", "extents = [28, 28]", "pixels_per_step = 196", "w_cls = 0.3"] {
        let line = if line.starts_with("extents") { "28," } else { line };
        assert!(settings.contains(line), "{line}: {settings}");
    }
    assert!(!settings.contains("image_size") && !settings.contains("dark"), "{settings}");
    // What the command line says of them is still held against the data.
    let line = refused(dir, &[&recipe[..], &["--set", "model.classes=4"]].concat());
    assert!(line.contains("model.classes is 4, the data set's is 10"), "{line}");
}

/// Names for classes: when training, when exporting, and where they do not fit.
#[test]
fn classes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    fs::write(dir.join("words.txt"), "white\tsnow\nblack\tcoal, soot\ngrey\tash\nx\ty\n").unwrap();
    train(dir, "--data data --labels words.txt");
    let labels = |file: &str| json(&ok(dir, &["inspect", file, "--json"]))["labels"].clone();
    ok(dir, &["export", "runs/run", "-o", "a.mwt", "--no-card"]);
    assert_eq!(labels("a.mwt"), serde_json::json!(["coal, soot", "ash", "snow"]));
    assert_eq!(json(&ok(dir, &["eval", "runs/run", "--json"]))["accuracy"], 1.0);
    ok(dir, &["export", "runs/run", "-o", "b.mwt", "--no-card", "--labels", "a,b,c"]);
    assert_eq!(labels("b.mwt"), serde_json::json!(["a", "b", "c"]));
    let line = refused(dir, &["export", "runs/run", "-o", "c.mwt", "--labels", "a,b"]);
    assert!(line.contains("a,b: 2 labels for 3 classes"), "{line}");
    assert!(!dir.join("c.mwt").exists());
}

/// What is wrong with a data set, `data check` says, and what to do about it.
#[test]
fn a_check_tells_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    let check = |source: &str| ok(dir, &["data", "check", source]);
    assert!(check("data").contains("nothing wrong was found"));
    let data = dir.join("data");
    // A test image that is trained on, a picture under two classes, and one that is there twice.
    fs::copy(data.join("train/black/0.png"), data.join("test/black/0.png")).unwrap();
    fs::copy(data.join("train/black/1.png"), data.join("train/white/1.png")).unwrap();
    fs::copy(data.join("train/grey/1.png"), data.join("train/grey/2.png")).unwrap();
    fs::write(data.join("train/grey/a.heic"), "").unwrap();
    fs::create_dir_all(data.join("train/@eaDir")).unwrap();
    fs::create_dir_all(data.join("train/empty")).unwrap();
    let said = check("data");
    for line in [
        "warning: 1 images are there under another class too, the first under black and white",
        "warning: 1 test images are training images too",
        "warning: 2 images are there twice in one split",
        "warning: 1 files left out, whose endings are not read: 1 .heic",
        "warning: train/@eaDir: left out, not a class",
        "warning: train/empty: an empty folder, left out",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }

    // Of different sizes, and too large: the rest is looked at all the same.
    for (name, size) in [("mixed", (8, 9)), ("large", (800, 600))] {
        for class in ["a", "b"] {
            write_images(&dir.join(name).join(class), "png", 2, |n| {
                let (width, height) = if n == 0 { (8, 8) } else { size };
                let width = if name == "large" { 800 } else { width };
                image::GrayImage::from_pixel(width, height.max(8), image::Luma([n as u8]))
            });
        }
    }
    assert!(check("mixed").contains("--image-size 9x8 brings all images"), "{}", check("mixed"));
    let said = check("large");
    assert!(
        said.contains("too large to train on") && said.contains("--image-size 48x64"),
        "{said}"
    );
    let line = refused(dir, &["train", "--data", "large", "--preset", "nano"]);
    assert!(line.contains("--image-size 48x64"), "{line}");

    write_classes(&dir.join("one"), &[("cat", 3)], 30, 0);
    assert!(check("one").contains("one class alone"));
    assert!(refused(dir, &["train", "--data", "one"]).contains("one class alone"));
    for class in ["a", "b"] {
        let folder = dir.join("rgb").join(class);
        fs::create_dir_all(&folder).unwrap();
        for n in 0..2 {
            let image = image::RgbImage::from_pixel(8, 8, image::Rgb([7 + n; 3]));
            image.save(folder.join(format!("{n}.png"))).unwrap();
        }
    }
    assert!(check("rgb").contains("grey but stored as RGB: --grey"));
    fs::write(dir.join("x.csv"), "5,0,0").unwrap();
    assert!(refused(dir, &["data", "check", "x.csv"]).contains("a table"));
    assert!(refused(dir, &["data", "check", "~/data"]).contains("a shell replaces ~"));
}

/// A run that was stopped is exported and evaluated as far as it came, and says so; who started it learns which signal
/// stopped it.
#[cfg(unix)]
#[test]
fn a_stopped_run_is_of_use() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (signal, status, validation) in [("-INT", 130, "16"), ("-TERM", 143, "0")] {
        let name = format!("stopped {status}");
        let path = dir.join("runs").join(&name);
        let arguments =
            ["train", "--data", "digits", "--preset", "nano", "--limit", "256", "--batch", "4"];
        let more = ["--epochs", "500", "--validation", validation, "--quiet", "--name", &name];
        let arguments = [&arguments[..], &more].concat();
        let child = command(dir, &arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
        while !path.join("checkpoint.safetensors").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status));
        let says = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            says,
            format!("stopped; go on with: mwt-train resume 'runs/stopped {status}'\n")
        );
        assert!(metrics(&path).lines().count() > 1);
        let run = path.display().to_string();
        let note = told(dir, &["export", &run, "-o", "model.mwt"]);
        let file = if validation == "0" { "checkpoint.safetensors" } else { "best.safetensors" };
        assert!(note.contains("has not come to its end") && note.contains(file), "{note}");
        let note = told(dir, &["eval", &run, "--limit", "20"]);
        assert!(note.contains(file), "{note}");
        ok(dir, &["report", &run]);
    }
}

/// A run's directory, or its model, where a bundle is wanted; and a run that is called like a bundle.
#[test]
fn a_run_is_no_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    data_set(dir, "data");
    train(dir, "--data data --name v1.mwt");
    ok(dir, &["export", "runs/v1.mwt", "-o", "model.mwt", "--no-card"]);
    for model in ["runs/v1.mwt", "runs/v1.mwt/model.safetensors"] {
        let line = refused(dir, &["inspect", model]);
        assert!(line.contains(&format!("mwt-train export {model} -o")), "{line}");
    }
    for name in ["", ".", "..", " "] {
        let output = run(dir, &["train", "--data", "data", "--name", name]);
        assert_eq!(output.status.code(), Some(2), "{name:?}");
    }
    for (arguments, range) in [
        (["--epochs", "-1"], "must be integer at least 1"),
        (["--validation", "-1"], "must be integer at least 0"),
        (["--seed", "-1"], "must be integer at least 0"),
        (["--seed", "9100000000000000000"], "must be integer in 0..=9000000000000000000"),
        (
            ["--set", "train.seed=18446744073709551615"],
            "must be integer in 0..=9000000000000000000",
        ),
    ] {
        let line = complaint(&run(dir, &[&["train", "--data", "data"], &arguments[..]].concat()));
        assert!(line.contains(range), "{line}");
    }
    let output = run(dir, &["train", "--data", "data", "--seed", "18446744073709551615"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("'18446744073709551615'") && said.contains("in 0..="), "{said}");
}
