//! Tests of `folder.rs`, on tiny images that they write themselves.

use std::fs;
use std::path::PathBuf;

use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;
use crate::data;
use crate::data::{View, read_image};
use crate::settings::Fit;
use crate::util::colour::Colour;

fn place(dir: &TempDir, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

/// Writes an image, 3 high and 4 wide, of one grey level.
fn grey(dir: &TempDir, name: &str, level: u8) {
    let image = GrayImage::from_pixel(4, 3, Luma([level]));
    image.save(place(dir, name)).unwrap();
}

/// Writes an image of one colour.
fn rgb(dir: &TempDir, name: &str, (height, width): (u32, u32), colour: [u8; 3]) {
    let image = RgbImage::from_pixel(width, height, Rgb(colour));
    image.save(place(dir, name)).unwrap();
}

/// Two grey classes, tested on in the folder `test_name`.
fn fixture(test_name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    grey(&dir, "train/dog/b.png", 2);
    grey(&dir, "train/dog/a.PNG", 1);
    grey(&dir, "train/cat/z.jpeg", 128);
    fs::write(place(&dir, "train/dog/notes.txt"), "no image").unwrap();
    fs::write(place(&dir, "train/dog/._a.png"), "no image").unwrap();
    grey(&dir, &format!("{test_name}/dog/c.png"), 3);
    dir
}

fn load(dir: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    super::load(dir, options, &Ranks::alone())
}

/// The classes, the training and the test split.
fn load_with(
    dir: &TempDir,
    options: &LoadOptions,
) -> Result<(Vec<String>, Split, Split), DataError> {
    load(dir.path(), options)
        .map(|parts| (parts.classes, parts.train.unwrap(), parts.test.unwrap()))
}

fn load_all(dir: &TempDir) -> Result<(Vec<String>, Split, Split), DataError> {
    load_with(dir, &LoadOptions::default())
}

fn message(dir: &TempDir) -> String {
    let message = load_all(dir).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn reads_grey_images_in_the_order_of_their_names() {
    let dir = fixture("test");
    assert_eq!(data::detect(dir.path()).unwrap(), data::DatasetLayout::ImageFolder);
    let (classes, train, test) = load_all(&dir).unwrap();
    assert_eq!(classes, ["cat", "dog"]);
    assert_eq!((train.len(), train.shape()), (3, (3, 4, 1)));
    assert_eq!(train.labels, [0, 1, 1]);
    let first: Vec<u8> = (0..3).map(|n| train.image(n).unwrap()[[0, 0, 0]]).collect();
    assert_eq!(first, [128, 1, 2]);
    assert_eq!((test.labels[0], test.image(0).unwrap()[[2, 3, 0]]), (1, 3));
}

#[test]
fn one_coloured_image_makes_all_rgb() {
    let dir = fixture("val");
    rgb(&dir, "val/cat/d.png", (3, 4), [10, 20, 30]);
    let (_, train, test) = load_all(&dir).unwrap();
    assert_eq!((train.len(), train.shape()), (3, (3, 4, 3)));
    assert_eq!(train.image(1).unwrap()[[0, 0, 2]], 1);
    assert_eq!(test.labels, [0, 1]);
    assert_eq!(test.image(0).unwrap().as_slice().unwrap()[..3], [10, 20, 30]);

    let options = LoadOptions { grey: Some(true), ..LoadOptions::default() };
    let (_, train, _) = load_with(&dir, &options).unwrap();
    assert_eq!(train.shape(), (3, 4, 1));
}

/// Of validation and test images the latter report and the former choose.
#[test]
fn test_reports_and_val_chooses() {
    let dir = fixture("test");
    for name in ["val", "valid", "Validation"] {
        grey(&dir, &format!("{name}/dog/c.png"), 99);
        let parts = load(dir.path(), &LoadOptions::default()).unwrap();
        let level = |split: Option<Split>| split.unwrap().image(0).unwrap()[[0, 0, 0]];
        assert_eq!((level(parts.test), level(parts.validation)), (3, 99), "{name}");
        fs::remove_dir_all(dir.path().join(name)).unwrap();
    }
}

/// Splits under the names in use, in any case, beside folders of other programs.
#[test]
fn splits_are_known_by_the_names_in_use() {
    for (train, test) in [
        ("train", "valid"),
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "VALIDATION"),
        ("seg_train/seg_train", "seg_test/seg_test"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for class in ["cat", "dog"] {
            grey(&dir, &format!("{train}/{class}/a.png"), 1);
            grey(&dir, &format!("{test}/{class}/b.png"), 2);
        }
        fs::create_dir_all(dir.path().join(train).join("@eaDir/cat")).unwrap();
        fs::create_dir_all(dir.path().join(train).join(".hidden")).unwrap();
        let (classes, train, test) = load_all(&dir).unwrap();
        assert_eq!((classes.len(), train.len(), test.len()), (2, 2, 2));
        assert_eq!(train.image(0).unwrap()[[0, 0, 0]], 1);
        assert_eq!(test.image(0).unwrap()[[0, 0, 0]], 2);
    }
}

/// One folder a class: a share of each is held out, the same whoever asks.
#[test]
fn class_folders_alone_give_a_share_for_testing() {
    for top in ["", "train/", "photos/"] {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..10 {
            grey(&dir, &format!("{top}cat/{n}.png"), n);
            grey(&dir, &format!("{top}train station/{n}.png"), 100 + n);
        }
        let source = dir.path().display().to_string();
        let set = data::load(&source, &LoadOptions::default()).unwrap();
        assert_eq!(set.classes, ["cat", "train station"]);
        assert_eq!((set.train.len(), set.test.len()), (16, 4));
        assert_eq!(set.test.labels, [0, 0, 1, 1]);
        assert!(
            set.remarks.notes[0].contains("4 of the 20 training images, 20 %"),
            "{:?}",
            set.remarks
        );
        // Whoever evaluates has the same images, and does not decode the others.
        let options = LoadOptions { only_test: true, ..LoadOptions::default() };
        let only = data::load(&source, &options).unwrap();
        assert_eq!((only.train.len(), &only.test), (0, &set.test));
        let half = LoadOptions { test_share: 0.5, ..LoadOptions::default() };
        assert_eq!(data::load(&source, &half).unwrap().test.len(), 10);
    }
}

/// A test split needs no other, as test/ alone or as its class folders.
#[test]
fn test_images_alone_are_enough_to_evaluate_on() {
    let dir = fixture("test");
    grey(&dir, "test/cat/d.png", 7);
    let options = LoadOptions { only_test: true, ..LoadOptions::default() };
    let load = |path: PathBuf| data::load(&path.display().to_string(), &options).unwrap();
    // The training images are not looked at.
    fs::write(dir.path().join("train/dog/b.png"), "damaged").unwrap();
    assert_eq!(load(dir.path().into()).test.len(), 2);
    assert_eq!(load(dir.path().join("test")).test.labels, [0, 1]);
    fs::remove_dir_all(dir.path().join("train")).unwrap();
    assert_eq!(load(dir.path().into()).classes, ["cat", "dog"]);
    let text = data::load(&dir.path().display().to_string(), &LoadOptions::default());
    assert!(text.unwrap_err().to_string().contains("training images is missing"));
}

/// Tiny-ImageNet: images one level deeper, and labels of the validation images in a list.
#[test]
fn images_may_lie_one_level_deeper() {
    let dir = tempfile::tempdir().unwrap();
    for (n, class) in ["n02", "n01"].into_iter().enumerate() {
        grey(&dir, &format!("train/{class}/images/{class}_0.JPEG"), 10);
        fs::write(dir.path().join(format!("train/{class}/{class}_boxes.txt")), "").unwrap();
        grey(&dir, &format!("val/images/val_{n}.JPEG"), 100 + 100 * n as u8);
        grey(&dir, &format!("test/images/test_{n}.JPEG"), 0);
    }
    fs::write(
        dir.path().join("val/val_annotations.txt"),
        "val_0.JPEG\tn02\t0\t1\nval_1.JPEG\tn01\t0\t1\n",
    )
    .unwrap();
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    let (train, test) = (parts.train.unwrap(), parts.test.unwrap());
    assert_eq!(
        (parts.classes, train.len(), &test.labels),
        (vec!["n01".into(), "n02".into()], 2, &vec![0, 1])
    );
    assert_eq!((test.image(0).unwrap()[[0, 0, 0]], test.image(1).unwrap()[[0, 0, 0]]), (200, 100));
    let said = parts.remarks.warnings.join("\n");
    assert!(said.contains("test: 2 images but no class folders"), "{said}");
    assert!(said.contains("2 files left out, whose endings are not read: 2 .txt"), "{said}");
}

#[test]
fn images_without_class_folders_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    grey(&dir, "train/a.png", 1);
    grey(&dir, "train/b.png", 1);
    assert!(message(&dir).contains("train: 2 images, but no class folders"));
}

/// Files that are not read are counted by their endings, and a class of them alone is refused.
#[test]
fn endings_that_are_not_read_are_counted() {
    let dir = fixture("test");
    for name in ["train/dog/1.heic", "train/dog/2.HEIC", "test/dog/1.avif"] {
        fs::write(place(&dir, name), "").unwrap();
    }
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    let line = "4 files left out, whose endings are not read: 2 .heic, 1 .avif, 1 .txt";
    assert_eq!(parts.remarks.warnings, [line]);
    fs::write(place(&dir, "train/eel/1.heic"), "").unwrap();
    let text = message(&dir);
    assert!(text.contains("eel: 1 files") && text.contains("3 .heic"), "{text}");
}

/// Too many pixels to train on by mistake: a size is named, and may be given.
#[test]
fn photos_want_a_size() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        (0..2).for_each(|n| rgb(&dir, &format!("{class}/{n}.png"), (600, 800), [n, 2, 3]));
    }
    let text = message(&dir);
    assert!(text.contains("600x800") && text.contains("--image-size 48x64"), "{text}");
    let options = LoadOptions { image_size: Some((5000, 5000)), ..LoadOptions::default() };
    let error = data::load(&dir.path().display().to_string(), &options).unwrap_err();
    assert!(matches!(error, DataError::BadSize { .. }), "{error}");
}

#[test]
fn an_odd_size_is_refused_by_name_or_resized() {
    let dir = fixture("test");
    rgb(&dir, "test/dog/odd.jpg", (30, 90), [200, 100, 50]);
    let text = message(&dir);
    assert!(text.contains("odd.jpg") && text.contains("30x90"), "{text}");

    let options = LoadOptions { image_size: Some((6, 5)), ..LoadOptions::default() };
    let (_, train, test) = load_with(&dir, &options).unwrap();
    assert_eq!((train.len(), train.shape()), (3, (6, 5, 3)));
    for (byte, want) in test.image(1).unwrap().iter().zip([200, 100, 50].repeat(30)) {
        assert!(byte.abs_diff(want) < 4, "{byte} is not {want}");
    }
}

#[test]
fn resizing_crops_about_the_centre() {
    // Black, white, black, each as wide as the image is high.
    let image = GrayImage::from_fn(12, 4, |x, _| Luma([if x / 4 == 1 { 255 } else { 0 }]));
    let see = |image: GrayImage, size| View::of(size, true).see(image.into()).unwrap().0;
    assert_eq!(see(image, (2, 2)), [255; 4]);

    let line = GrayImage::from_pixel(1, 5000, Luma([9]));
    assert_eq!(see(line, (1, 7)), [9; 7]);
}

#[test]
fn a_size_of_zero_is_refused() {
    let dir = fixture("test");
    let options = LoadOptions { image_size: Some((0, 5)), ..LoadOptions::default() };
    let error = load_with(&dir, &options).unwrap_err();
    assert!(matches!(error, DataError::BadSize { .. }));
    let path = dir.path().join("train/dog/b.png");
    assert!(read_image(&path, &View::of((0, 1), true)).is_err());
    assert_eq!(read_image(&path, &View::of((2, 1), false)).unwrap().0.shape(), [2, 1, 3]);
}

#[test]
fn leaves_out_empty_classes_and_refuses_unknown_ones() {
    let dir = fixture("test");
    fs::create_dir(dir.path().join("train/eel")).unwrap();
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!(parts.classes, ["cat", "dog"]);
    assert_eq!(parts.remarks.warnings[0], "train/eel: an empty folder, left out");
    grey(&dir, "test/eel/a.png", 0);
    assert!(message(&dir).contains("`eel` has no images to train on"));

    let dir = fixture("test");
    grey(&dir, "test/newt/a.png", 0);
    let text = message(&dir);
    assert!(text.contains("`newt` has no images to train on"), "{text}");
}

#[test]
fn names_the_file_that_cannot_be_decoded() {
    let dir = fixture("test");
    fs::write(place(&dir, "train/dog/bad.png"), "not a png").unwrap();
    assert!(message(&dir).contains("bad.png"));

    // A good header and then nothing: only the second pass can see it.
    let dir = fixture("test");
    let path = dir.path().join("train/dog/b.png");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 16]).unwrap();
    assert!(message(&dir).contains("b.png"));
}

/// One in a hundred is left out with its line, whichever pass finds it; the second one too many is refused.
#[test]
fn a_few_corrupt_images_are_left_out() {
    let dir = fixture("test");
    for n in 0..199 {
        grey(&dir, &format!("train/cat/{n:03}.png"), n);
    }
    let half = |name: &str| {
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 16]).unwrap();
    };
    fs::write(dir.path().join("train/cat/007.png"), "not a png").unwrap();
    half("train/cat/100.png");
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    let (train, test, left_out) =
        (parts.train.unwrap(), parts.test.unwrap(), parts.remarks.left_out);
    assert_eq!((train.len(), test.len()), (200, 1));
    // Cats but for the two, then z.jpeg, and the two dogs.
    let levels: Vec<u8> = (0..200).map(|n| train.image(n).unwrap()[[0, 0, 0]]).collect();
    let cats = (0..199).filter(|n| ![7, 100].contains(n));
    assert_eq!(levels, cats.chain([128, 1, 2]).collect::<Vec<u8>>());
    assert_eq!(train.labels[197..], [0, 1, 1]);
    assert_eq!(left_out.len(), 2);
    assert!(left_out[0].contains("007.png") && left_out[1].contains("100.png"), "{left_out:?}");

    half("train/cat/101.png");
    let text = message(&dir);
    assert!(text.contains("3 of 202 images") && text.contains("007.png"), "{text}");
}

/// Images of several sizes and formats, and two that either pass cannot read: the same split both ways.
#[test]
fn images_too_large_for_memory_are_the_same_decoded_as_they_are_used() {
    let dir = fixture("test");
    for n in 0..200u8 {
        let (height, width) = (9 + u32::from(n) % 7, 20 - u32::from(n) % 5);
        let image = RgbImage::from_fn(width, height, |x, y| Rgb([n, 9 * x as u8, 11 * y as u8]));
        let ending = if n % 2 == 0 { "png" } else { "jpg" };
        image.save(place(&dir, &format!("train/cat/{n:03}.{ending}"))).unwrap();
    }
    fs::write(dir.path().join("train/cat/006.png"), "not a png").unwrap();
    let half = dir.path().join("train/cat/100.png");
    let bytes = fs::read(&half).unwrap();
    fs::write(half, &bytes[..bytes.len() - 16]).unwrap();

    // 202 good headers for training, one for testing.
    let bytes = 203 * 6 * 5 * 3;
    let load = |memory| {
        let options = LoadOptions { image_size: Some((6, 5)), memory, ..LoadOptions::default() };
        let parts = load(dir.path(), &options).unwrap();
        (parts.train.unwrap(), parts.test.unwrap(), parts.remarks.left_out)
    };
    let (kept, kept_test, kept_out) = load(bytes);
    assert_eq!((kept.len(), kept_test.len(), kept_out.len()), (201, 1, 2));
    // One byte too few for all that the headers promise.
    let (used, used_test, used_out) = load(bytes - 1);
    assert!(kept.in_memory() && !used.in_memory());
    assert_eq!((used.shape(), &used.labels), (kept.shape(), &kept.labels));
    assert_eq!(used_out, kept_out);
    assert_eq!(used.to_array().unwrap(), kept.to_array().unwrap());
    assert_eq!(used_test.to_array().unwrap(), kept_test.to_array().unwrap());
    let ((rest, chosen), (kept_rest, kept_chosen)) =
        (used.split_validation(50, 1), kept.split_validation(50, 1));
    assert_eq!(rest.labels, kept_rest.labels);
    assert_eq!(chosen.to_array().unwrap(), kept_chosen.to_array().unwrap());
}

#[test]
fn a_class_of_one_image_is_a_class() {
    let dir = fixture("test");
    let (classes, train, _) = load_all(&dir).unwrap();
    assert_eq!(classes, ["cat", "dog"]);
    assert_eq!(train.labels.iter().filter(|label| **label == 0).count(), 1);
}

/// Pictures in a data set are seen as `classify` sees them, in memory and decoded as they are used, and what is to be said
/// of them is said once for all.
#[test]
fn pictures_of_a_set_are_seen_as_a_person_sees_them() {
    let dir = fixture("test");
    let chalk = |name: &str, size: u32| {
        let image =
            RgbaImage::from_fn(4 * size, 3, |x, _| Rgba([255, 255, 255, 60 * (x % 4) as u8]));
        image.save(place(&dir, name)).unwrap();
    };
    chalk("train/cat/chalk.png", 1);
    chalk("train/cat/wide.png", 3);
    let image_size = Some((3, 4));
    for memory in [0, 1 << 30] {
        let options = LoadOptions { image_size, memory, ..LoadOptions::default() };
        let set = load(dir.path(), &options).unwrap();
        let train = set.train.unwrap();
        let chalk = train.image(0).unwrap();
        assert_eq!(chalk.iter().step_by(3).take(4).copied().collect::<Vec<_>>(), [0, 60, 120, 180]);
        let said = set.remarks.warnings.join("\n");
        assert!(said.contains("2 images with a drawing of transparency alone"), "{said}");
        assert!(said.contains("1 image of which more than 30 %"), "{said}");
        let white = Some(Colour([255; 3]));
        let options = LoadOptions { background: white, fit: Fit::Pad, grey: Some(true), ..options };
        let set = load(dir.path(), &options).unwrap();
        let train = set.train.unwrap();
        assert_eq!(train.shape(), (3, 4, 1));
        assert!(train.image(0).unwrap().iter().all(|level| *level == 255));
        let said = set.remarks.warnings.join("\n");
        assert!(said.contains("cannot be seen") && !said.contains("30 %"), "{said}");
    }
}
