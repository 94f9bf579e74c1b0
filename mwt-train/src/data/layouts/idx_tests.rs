//! Tests of `idx.rs`, on tiny files that they write themselves.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::data;

fn file(magic: u32, axes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A whole directory: 2×3 images, three to train on and one to test on.
fn fixture() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |name, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    let pixels: Vec<u8> = (0..18).collect();
    put("train-images-idx3-ubyte", file(0x803, &[3, 2, 3], &pixels));
    put("train-labels.idx1-ubyte", file(0x801, &[3], &[7, 0, 9]));
    let test = file(0x803, &[1, 2, 3], &[5; 6]);
    put("t10k-images-idx3-ubyte.gz", gzip(&test));
    put("t10k-labels.idx1-ubyte.gz", gzip(&file(0x801, &[1], &[4])));
    dir
}

/// Replaces one file of the fixture and returns the message that follows.
fn message_with(name: &str, bytes: &[u8]) -> String {
    let dir = fixture();
    fs::write(dir.path().join(name), bytes).unwrap();
    let source = dir.path().display().to_string();
    let message = data::load(&source, &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains(name), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn reads_both_spellings_plain_and_gzipped() {
    let dir = fixture();
    assert_eq!(data::detect(dir.path()).unwrap(), data::DatasetLayout::Idx);
    let (classes, train, test) = load_all(&dir);
    assert_eq!(classes, ["0", "4", "7", "9"]);
    assert_eq!((train.len(), train.shape()), (3, (2, 3, 1)));
    assert_eq!(train.labels, [2, 0, 3]);
    assert_eq!(train.image(1).unwrap()[[1, 2, 0]], 11);
    assert_eq!((test.image(0).unwrap()[[0, 0, 0]], test.labels[0]), (5, 1));
}

/// The classes, the training and the test split.
fn load_all(dir: &TempDir) -> (Vec<String>, Split, Split) {
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    (parts.classes, parts.train.unwrap(), parts.test.unwrap())
}

/// What a file is, its content says: gzip under a plain name, plain bytes under gzip's, gzip of several members.
#[test]
fn gzip_is_told_by_content() {
    let dir = fixture();
    let path = |name: &str| dir.path().join(name);
    let images = fs::read(path("train-images-idx3-ubyte")).unwrap();
    fs::write(path("train-images-idx3-ubyte"), gzip(&images)).unwrap();
    fs::write(path("t10k-images-idx3-ubyte.gz"), file(0x803, &[1, 2, 3], &[5; 6])).unwrap();
    let (_, train, test) = load_all(&dir);
    assert_eq!((train.image(1).unwrap()[[1, 2, 0]], test.image(0).unwrap()[[0, 0, 0]]), (11, 5));
    let (first, rest) = images.split_at(20);
    fs::write(path("train-images-idx3-ubyte"), [gzip(first), gzip(rest)].concat()).unwrap();
    assert_eq!(load_all(&dir).1, train);
}

/// EMNIST's letters: labels from 1, and pictures that lie.
#[test]
fn emnist_is_turned_upright() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        fs::write(dir.path().join(format!("emnist-letters-{name}.gz")), gzip(bytes)).unwrap();
    };
    put("train-images-idx3-ubyte", &file(0x803, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 9, 9, 9, 9, 9, 9]));
    put("train-labels-idx1-ubyte", &file(0x801, &[2], &[1, 26]));
    put("test-images-idx3-ubyte", &file(0x803, &[1, 2, 3], &[0; 6]));
    put("test-labels-idx1-ubyte", &file(0x801, &[1], &[2]));
    let (classes, train, test) = load_all(&dir);
    assert_eq!((classes.len(), &*classes[25]), (26, "z"));
    assert_eq!((train.labels.as_slice(), test.labels[0]), (&[0, 25][..], 1));
    assert_eq!(train.shape(), (3, 2, 1));
    assert_eq!(train.image(0).unwrap().iter().copied().collect::<Vec<u8>>(), [0, 3, 1, 4, 2, 5]);
}

/// QMNIST: the first of eight 32-bit numbers is the label.
#[test]
fn labels_may_be_the_first_of_several_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    put("qmnist-train-images-idx3-ubyte", &file(0x803, &[2, 1, 1], &[4, 5]));
    let mut rows = [[0; 8], [0; 8]];
    (rows[0][3], rows[1][3], rows[1][7]) = (7, 3, 99);
    put("qmnist-train-labels-idx2-int", &file(0xc02, &[2, 2], rows.as_flattened()));
    let parts = load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!(parts.classes, ["3", "7"]);
    assert_eq!(parts.train.unwrap().labels, [1, 0]);
    rows[1][0] = 0xff;
    put("qmnist-train-labels-idx2-int", &file(0xc02, &[2, 2], rows.as_flattened()));
    assert!(matches!(
        load(dir.path(), &LoadOptions::default()),
        Err(DataError::LabelOutOfRange { .. })
    ));
}

/// torchvision's roots: the files in `raw`, whose parent says what they are of; several sets are told apart.
#[test]
fn torchvisions_folders_are_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("FashionMNIST/raw");
    fs::create_dir_all(&raw).unwrap();
    let from = fixture();
    for entry in fs::read_dir(from.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), raw.join(entry.file_name())).unwrap();
    }
    let places = [dir.path().into(), dir.path().join("FashionMNIST"), raw.clone()];
    for place in &places {
        let set = data::load(&place.display().to_string(), &LoadOptions::default()).unwrap();
        assert_eq!((set.name.as_str(), &*set.classes[9]), ("FashionMNIST", "Ankle boot"));
    }
    // One of the files says which set is meant.
    let file = raw.join("train-labels.idx1-ubyte").display().to_string();
    assert_eq!(data::load(&file, &LoadOptions::default()).unwrap().train.len(), 3);
    let other = dir.path().join("MNIST/raw");
    fs::create_dir_all(&other).unwrap();
    fs::copy(raw.join("train-images-idx3-ubyte"), other.join("train-images-idx3-ubyte")).unwrap();
    let line = data::detect(dir.path()).unwrap_err().to_string();
    assert!(
        line.contains("FashionMNIST/raw, MNIST/raw") && line.contains("give the path"),
        "{line}"
    );
}

/// Test files alone are enough to evaluate on, training files alone to train on.
#[test]
fn one_of_the_splits_is_enough() {
    let dir = fixture();
    for file in ["train-images-idx3-ubyte", "train-labels.idx1-ubyte"] {
        fs::rename(dir.path().join(file), dir.path().join(format!("{file}.away"))).unwrap();
    }
    let source = dir.path().display().to_string();
    let options = LoadOptions { only_test: true, ..LoadOptions::default() };
    let set = data::load(&source, &options).unwrap();
    assert_eq!((set.classes, set.test.len(), set.train.len()), (vec!["4".into()], 1, 0));
    let line = data::load(&source, &LoadOptions::default()).unwrap_err().to_string();
    assert!(line.contains("training images is missing"), "{line}");

    let dir = fixture();
    for file in ["t10k-images-idx3-ubyte.gz", "t10k-labels.idx1-ubyte.gz"] {
        fs::remove_file(dir.path().join(file)).unwrap();
    }
    let labels = file(0x801, &[3], &[7, 7, 7]);
    fs::write(dir.path().join("train-labels.idx1-ubyte"), labels).unwrap();
    let set = data::load(&dir.path().display().to_string(), &LoadOptions::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (2, 1));
}

#[test]
fn refuses_truncated_files() {
    let short = file(0x803, &[3, 2, 3], &[0; 17]);
    let message = message_with("train-images-idx3-ubyte", &short);
    assert!(message.contains("truncated, 17 of 18 bytes"), "{message}");
    message_with("train-images-idx3-ubyte", &short[..6]);
    let packed = gzip(&file(0x803, &[1, 2, 3], &[5; 6]));
    message_with("t10k-images-idx3-ubyte.gz", &packed[..packed.len() - 9]);
}

#[test]
fn refuses_headers_that_promise_the_moon() {
    let huge = file(0x803, &[u32::MAX; 3], &[0; 18]);
    let message = message_with("train-images-idx3-ubyte", &huge);
    assert!(message.contains("truncated, 18 of"), "{message}");
}

#[test]
fn refuses_wrong_magic_and_trailing_bytes() {
    let labels = file(0x801, &[3], &[0; 3]);
    let message = message_with("train-images-idx3-ubyte", &labels);
    assert!(message.contains("0x00000801, which is not an idx file of bytes on three axes"));
    message_with("train-labels.idx1-ubyte", &file(0x801, &[3], &[0; 4]));
}

#[test]
fn refuses_labels_that_do_not_fit() {
    let message = message_with("train-labels.idx1-ubyte", &file(0x801, &[2], &[0; 2]));
    assert!(message.contains("2 labels for 3 images"), "{message}");
}

#[test]
fn refuses_sizes_that_differ_or_vanish() {
    let wide = gzip(&file(0x803, &[1, 3, 2], &[0; 6]));
    message_with("t10k-images-idx3-ubyte.gz", &wide);
    message_with("train-images-idx3-ubyte", &file(0x803, &[3, 0, 3], &[]));
}

#[test]
fn names_the_missing_file() {
    let dir = fixture();
    fs::remove_file(dir.path().join("t10k-labels.idx1-ubyte.gz")).unwrap();
    let error = load(dir.path(), &LoadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("labels that belongs to t10k-images"), "{error}");
}
