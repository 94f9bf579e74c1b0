//! The binary version of CIFAR-10.
//!
//! Five training files and one test file of records, each one label byte and
//! then 3072 pixel bytes: the red plane, the green and the blue, 32×32 each.
//! <https://www.cs.toronto.edu/~kriz/cifar.html> defines it.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::options::{LoadOptions, Parts};
use super::split::Split;

/// Height and width of every image.
const SIDE: usize = 32;
/// Pixels of one colour plane.
const PLANE: usize = SIDE * SIDE;
/// Bytes of one record: the label and three planes.
const RECORD: usize = 1 + 3 * PLANE;

const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST_FILES: [&str; 1] = ["test_batch.bin"];
/// A list of the class names, one per line; the archive has it, copies may not.
const NAMES_FILE: &str = "batches.meta.txt";
/// The folder that the archive unpacks to.
const ARCHIVE_FOLDER: &str = "cifar-10-batches-bin";

/// The class names for directories without [`NAMES_FILE`].
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Where the batches are: in `dir`, or in the archive's folder inside it.
pub(super) fn batches_dir(dir: &Path) -> Option<PathBuf> {
    [dir.to_path_buf(), dir.join(ARCHIVE_FOLDER)]
        .into_iter()
        .find(|place| place.join(TRAIN_FILES[0]).is_file())
}

/// Reads all batches of a directory.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    let dir = batches_dir(dir).unwrap_or_else(|| dir.into());
    let limit = options.limit.unwrap_or(usize::MAX);
    let classes = class_names(&dir)?;
    let train = read_split(&dir, &TRAIN_FILES)?.take(limit);
    let test = read_split(&dir, &TEST_FILES)?.take(limit);
    Ok((classes, train, test))
}

/// The names in [`NAMES_FILE`], or the known ones when there is no such file.
fn class_names(dir: &Path) -> Result<Vec<String>, DataError> {
    let path = dir.join(NAMES_FILE);
    if !path.is_file() {
        return Ok(CLASSES.map(String::from).to_vec());
    }
    let text = fs::read_to_string(&path).map_err(|reason| DataError::io(&path, reason))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(String::from).collect();
    if names.len() == CLASSES.len() {
        Ok(names)
    } else {
        Err(DataError::ClassNames { path, found: names.len(), expected: CLASSES.len() })
    }
}

/// Reads some batches, one after the other.
fn read_split(dir: &Path, files: &[&str]) -> Result<Split, DataError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for file in files {
        read_batch(&dir.join(file), &mut pixels, &mut labels)?;
    }
    Split::from_bytes(pixels, (SIDE, SIDE, 3), labels)
}

/// Appends the images of a batch, as `[H, W, C]`, and their labels.
fn read_batch(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u16>) -> Result<(), DataError> {
    let bytes = fs::read(path).map_err(|reason| DataError::io(path, reason))?;
    if bytes.is_empty() {
        return Err(DataError::NoImages { path: path.into() });
    }
    let records = bytes.len().div_ceil(RECORD);
    if bytes.len() != records * RECORD {
        return Err(DataError::Truncated {
            path: path.into(),
            expected: (records * RECORD) as u64,
            found: bytes.len() as u64,
        });
    }
    pixels.reserve(records * 3 * PLANE);
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let label = u16::from(record[0]);
        if usize::from(label) >= CLASSES.len() {
            return Err(DataError::LabelOutOfRange {
                path: path.into(),
                index,
                label,
                classes: CLASSES.len(),
            });
        }
        labels.push(label);
        let (red, rest) = record[1..].split_at(PLANE);
        let (green, blue) = rest.split_at(PLANE);
        for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
            pixels.extend([r, g, b]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::data;

    /// The colour of a pixel, different in every direction.
    fn colour(label: u8, y: usize, x: usize, channel: usize) -> u8 {
        (usize::from(label) * 50 + y * 3 + x * 7 + channel * 80) as u8
    }

    fn record(label: u8) -> Vec<u8> {
        let mut bytes = vec![label];
        for channel in 0..3 {
            for y in 0..SIDE {
                bytes.extend((0..SIDE).map(|x| colour(label, y, x, channel)));
            }
        }
        bytes
    }

    /// Batches of one record, labelled 0 to 4, and a test batch of label 9.
    fn fixture(folder: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(folder);
        fs::create_dir_all(&place).unwrap();
        for (label, file) in (0..).zip(TRAIN_FILES) {
            fs::write(place.join(file), record(label)).unwrap();
        }
        fs::write(place.join("test_batch.bin"), record(9)).unwrap();
        dir
    }

    #[test]
    fn gives_back_what_was_written() {
        for folder in ["", ARCHIVE_FOLDER] {
            let dir = fixture(folder);
            assert_eq!(data::detect(dir.path()).unwrap(), data::DatasetLayout::CifarBinary);
            let (classes, train, test) = load(dir.path(), &LoadOptions::default()).unwrap();
            assert_eq!(classes[9], "truck");
            assert_eq!(train.labels, [0, 1, 2, 3, 4]);
            assert_eq!(test.labels, [9]);
            for ((n, y, x, c), &byte) in train.to_array().unwrap().indexed_iter() {
                assert_eq!(byte, colour(n as u8, y, x, c));
            }
        }
    }

    #[test]
    fn reads_the_class_names() {
        let dir = fixture("");
        let path = dir.path().join(NAMES_FILE);
        fs::write(&path, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
        assert_eq!(class_names(dir.path()).unwrap()[9], "j");
        fs::write(&path, "a\nb\n").unwrap();
        let error = class_names(dir.path()).unwrap_err().to_string();
        assert!(error.contains("2 class names where 10"), "{error}");
    }

    #[test]
    fn refuses_damaged_batches() {
        let dir = fixture("");
        let path = dir.path().join("data_batch_3.bin");
        let message = || {
            let error = load(dir.path(), &LoadOptions::default()).unwrap_err();
            assert!(error.to_string().contains("data_batch_3.bin"), "{error}");
            error.to_string()
        };
        fs::write(&path, &record(1)[..RECORD - 1]).unwrap();
        assert!(message().contains("truncated, 3072 of 3073 bytes"));
        fs::write(&path, record(10)).unwrap();
        assert!(message().contains("label 10"));
        fs::write(&path, []).unwrap();
        assert!(message().contains("no images"));
        fs::remove_file(&path).unwrap();
        message();
    }
}
