//! Tests of `folder.rs`, on tiny images that they write themselves.

use std::fs;
use std::path::PathBuf;

use image::{GrayImage, Luma, Rgb, RgbImage};
use tempfile::TempDir;

use super::*;
use crate::data;
use crate::data::image::{fit, read_image};

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

fn load_all(dir: &TempDir) -> Result<Parts, DataError> {
    load(dir.path(), &LoadOptions::default(), &mut Vec::new())
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
    let (_, train, _) = load(dir.path(), &options, &mut Vec::new()).unwrap();
    assert_eq!(train.shape(), (3, 4, 1));
}

#[test]
fn test_goes_before_val_and_one_is_needed() {
    let dir = fixture("test");
    grey(&dir, "val/dog/c.png", 99);
    let (_, _, test) = load_all(&dir).unwrap();
    assert_eq!(test.image(0).unwrap()[[0, 0, 0]], 3);

    let dir = fixture("elsewhere");
    assert!(message(&dir).contains("test/ or val/"));
}

#[test]
fn an_odd_size_is_refused_by_name_or_resized() {
    let dir = fixture("test");
    rgb(&dir, "test/dog/odd.jpg", (30, 90), [200, 100, 50]);
    let text = message(&dir);
    assert!(text.contains("odd.jpg") && text.contains("30x90"), "{text}");

    let options = LoadOptions { image_size: Some((6, 5)), ..LoadOptions::default() };
    let (_, train, test) = load(dir.path(), &options, &mut Vec::new()).unwrap();
    assert_eq!((train.len(), train.shape()), (3, (6, 5, 3)));
    for (byte, want) in test.image(1).unwrap().iter().zip([200, 100, 50].repeat(30)) {
        assert!(byte.abs_diff(want) < 4, "{byte} is not {want}");
    }
}

#[test]
fn resizing_crops_about_the_centre() {
    // Black, white, black, each as wide as the image is high.
    let image = GrayImage::from_fn(12, 4, |x, _| Luma([if x / 4 == 1 { 255 } else { 0 }]));
    let square = fit(image.into(), (2, 2)).unwrap();
    assert_eq!(square.as_bytes(), [255; 4]);

    let line = GrayImage::from_pixel(1, 5000, Luma([9]));
    assert_eq!(fit(line.into(), (1, 7)).unwrap().as_bytes(), [9; 7]);
}

#[test]
fn a_size_of_zero_is_refused() {
    let dir = fixture("test");
    let options = LoadOptions { image_size: Some((0, 5)), ..LoadOptions::default() };
    let error = load(dir.path(), &options, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, DataError::BadSize { .. }));
    let path = dir.path().join("train/dog/b.png");
    assert!(read_image(&path, (0, 1), true).is_err());
    assert_eq!(read_image(&path, (2, 1), false).unwrap().shape(), [2, 1, 3]);
}

#[test]
fn refuses_empty_and_unknown_classes() {
    let dir = fixture("test");
    fs::create_dir(dir.path().join("train/eel")).unwrap();
    let text = message(&dir);
    assert!(text.contains("eel: no images"), "{text}");

    let dir = fixture("test");
    grey(&dir, "test/newt/a.png", 0);
    let text = message(&dir);
    assert!(text.contains("`newt` has no folder in train/"), "{text}");
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
    let mut left_out = Vec::new();
    let (_, train, test) = load(dir.path(), &LoadOptions::default(), &mut left_out).unwrap();
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
        let mut left_out = Vec::new();
        let (_, train, test) = load(dir.path(), &options, &mut left_out).unwrap();
        (train, test, left_out)
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
