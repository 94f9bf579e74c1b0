//! The binary versions of CIFAR-10 and CIFAR-100, and STL-10.
//!
//! CIFAR's files are records of label bytes and then 3072 pixel bytes: the red plane, the green and the blue, 32×32 each.
//! CIFAR-100's have two labels, of which the second, the fine one, is the class. STL-10 has its labels in files of their
//! own, from 1, and planes of 96×96 column by column. <https://www.cs.toronto.edu/~kriz/cifar.html> and
//! <https://cs.stanford.edu/~acoates/stl10/> define them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::data::error::DataError;
use crate::data::options::{LoadOptions, Parts, Remarks};
use crate::data::split::Split;

/// How the files of one of the sets are called and laid out.
struct Format {
    /// The folder that the archive unpacks to.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    /// A list of the class names, one a line; the archive has it, copies may not.
    names: &'static str,
    /// The class names for directories without the list; numbers where there are none.
    known: &'static [&'static str],
    classes: usize,
    /// Height and width of every image.
    side: usize,
    /// Label bytes of a record; the last is the class.
    labels: usize,
    /// Whether planes are stored column by column.
    columns: bool,
    /// Files of labels to train and to test on, where records have none.
    label_files: Option<[&'static str; 2]>,
}

const FORMATS: [Format; 3] = [
    Format {
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        names: "batches.meta.txt",
        known: &CIFAR_10,
        classes: 10,
        side: 32,
        labels: 1,
        columns: false,
        label_files: None,
    },
    Format {
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
        known: &[],
        classes: 100,
        side: 32,
        labels: 2,
        columns: false,
        label_files: None,
    },
    Format {
        folder: "stl10_binary",
        train: &["train_X.bin"],
        test: "test_X.bin",
        names: "class_names.txt",
        known: &[
            "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
        ],
        classes: 10,
        side: 96,
        labels: 0,
        columns: true,
        label_files: Some(["train_y.bin", "test_y.bin"]),
    },
];

/// The classes of CIFAR-10.
pub(super) const CIFAR_10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Which format the directory has, and where.
fn found(dir: &Path) -> Option<(&'static Format, PathBuf)> {
    FORMATS.iter().find_map(|format| {
        Some((format, place(dir, format.folder, [format.train[0], format.test])?))
    })
}

/// Where one of two files lies: in `dir`, or in the archive's folder inside it.
pub(super) fn place(dir: &Path, folder: &str, files: [&str; 2]) -> Option<PathBuf> {
    let has = |place: &PathBuf| files.iter().any(|file| place.join(file).is_file());
    [dir.to_path_buf(), dir.join(folder)].into_iter().find(has)
}

/// Whether the directory has the files of one of the sets.
pub(super) fn is_cifar(dir: &Path) -> bool {
    found(dir).is_some()
}

/// Reads all files of a directory.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    let nothing = || DataError::NoImages { path: dir.into() };
    let (format, dir) = found(dir).ok_or_else(nothing)?;
    let classes = class_names(format, &dir)?;
    let [train_labels, test_labels] = match format.label_files {
        Some(files) => files.map(Some),
        None => [None, None],
    };
    let test = match dir.join(format.test).is_file() {
        true => Some(read_split(format, &dir, &[format.test], test_labels)?),
        false => None,
    };
    let train = match dir.join(format.train[0]).is_file() && !(options.only_test && test.is_some())
    {
        true => Some(read_split(format, &dir, format.train, train_labels)?),
        false => None,
    };
    Ok(Parts { classes, train, validation: None, test, remarks: Remarks::default() })
}

/// The names in the directory's list, or the known ones when there is no such file.
fn class_names(format: &Format, dir: &Path) -> Result<Vec<String>, DataError> {
    let path = dir.join(format.names);
    if !path.is_file() {
        return Ok(match format.known {
            [] => (0..format.classes).map(|n| n.to_string()).collect(),
            known => known.iter().map(|name| (*name).to_owned()).collect(),
        });
    }
    let text = fs::read_to_string(&path).map_err(|reason| DataError::io(&path, reason))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(String::from).collect();
    match names.len() {
        found if found == format.classes => Ok(names),
        found => Err(DataError::ClassNames { path, found, expected: format.classes }),
    }
}

/// Reads some files, one after the other.
fn read_split(
    format: &Format,
    dir: &Path,
    files: &[&str],
    label_file: Option<&str>,
) -> Result<Split, DataError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for file in files {
        read_batch(format, &dir.join(file), &mut pixels, &mut labels)?;
    }
    if let Some(file) = label_file {
        let path = dir.join(file);
        let bytes = fs::read(&path).map_err(|reason| DataError::io(&path, reason))?;
        let images = pixels.len() / (3 * format.side * format.side);
        if bytes.len() != images {
            return Err(DataError::CountMismatch { path, images, labels: bytes.len() });
        }
        for (index, byte) in bytes.into_iter().enumerate() {
            // From 1.
            labels.push(label(format, &path, index, u64::from(byte).wrapping_sub(1))?);
        }
    }
    Split::from_bytes(pixels, (format.side, format.side, 3), labels)
}

/// A label that names a class.
fn label(format: &Format, path: &Path, index: usize, label: u64) -> Result<u16, DataError> {
    let classes = format.classes;
    match u16::try_from(label).ok().filter(|label| usize::from(*label) < classes) {
        Some(label) => Ok(label),
        None => Err(DataError::LabelOutOfRange { path: path.into(), index, label, classes }),
    }
}

/// Appends the images of a file, as `[H, W, C]`, and their labels.
fn read_batch(
    format: &Format,
    path: &Path,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u16>,
) -> Result<(), DataError> {
    let bytes = fs::read(path).map_err(|reason| DataError::io(path, reason))?;
    if bytes.is_empty() {
        return Err(DataError::NoImages { path: path.into() });
    }
    let record = format.labels + 3 * format.side * format.side;
    let records = bytes.len().div_ceil(record);
    if bytes.len() != records * record {
        return Err(DataError::Truncated {
            path: path.into(),
            expected: (records * record) as u64,
            found: bytes.len() as u64,
        });
    }
    pixels.reserve(bytes.len());
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let (own_labels, planes) = record.split_at(format.labels);
        if let Some(last) = own_labels.last() {
            labels.push(label(format, path, index, (*last).into())?);
        }
        interleave(planes, format.side, format.columns, pixels);
    }
    Ok(())
}

/// Appends the pixels of three planes of `side` by `side`, row by row or column by column, as `[H, W, C]`.
pub(super) fn interleave(planes: &[u8], side: usize, columns: bool, pixels: &mut Vec<u8>) {
    let plane = side * side;
    for place in 0..plane {
        let stored = if columns { place % side * side + place / side } else { place };
        pixels.extend(planes.iter().skip(stored).step_by(plane));
    }
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

    fn record(labels: &[u8], side: usize, columns: bool) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        let label = labels.last().copied().unwrap_or(5);
        for channel in 0..3 {
            for a in 0..side {
                bytes.extend((0..side).map(|b| {
                    let (y, x) = if columns { (b, a) } else { (a, b) };
                    colour(label, y, x, channel)
                }));
            }
        }
        bytes
    }

    /// Batches of one record, labelled 0 to 4, and a test batch of label 9.
    fn fixture(folder: &str) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join(folder);
        fs::create_dir_all(&place).unwrap();
        for (label, file) in (0..).zip(FORMATS[0].train) {
            fs::write(place.join(file), record(&[label], 32, false)).unwrap();
        }
        fs::write(place.join("test_batch.bin"), record(&[9], 32, false)).unwrap();
        dir
    }

    fn load_all(dir: &TempDir) -> Result<Parts, DataError> {
        load(dir.path(), &LoadOptions::default())
    }

    #[test]
    fn gives_back_what_was_written() {
        for folder in ["", "cifar-10-batches-bin"] {
            let dir = fixture(folder);
            assert_eq!(data::detect(dir.path()).unwrap(), data::DatasetLayout::CifarBinary);
            let Parts { classes, train, test, .. } = load_all(&dir).unwrap();
            let (train, test) = (train.unwrap(), test.unwrap());
            assert_eq!(classes[9], "truck");
            assert_eq!(train.labels, [0, 1, 2, 3, 4]);
            assert_eq!(test.labels, [9]);
            for ((n, y, x, c), &byte) in train.to_array().unwrap().indexed_iter() {
                assert_eq!(byte, colour(n as u8, y, x, c));
            }
        }
    }

    /// CIFAR-100's class is the second of two labels; STL-10's are in files of their own, its planes column by column.
    #[test]
    fn the_other_sets_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
        put("train.bin", [record(&[3, 99], 32, false), record(&[1, 5], 32, false)].concat());
        let Parts { classes, train, test, .. } = load_all(&dir).unwrap();
        assert_eq!((classes.len(), train.as_ref().unwrap().labels.as_slice()), (100, &[99, 5][..]));
        assert_eq!(train.unwrap().image(1).unwrap()[[2, 3, 1]], colour(5, 2, 3, 1));
        assert!(test.is_none());

        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
        put("test_X.bin", record(&[], 96, true));
        put("test_y.bin", vec![10]);
        let Parts { classes, test, .. } = load_all(&dir).unwrap();
        let test = test.unwrap();
        assert_eq!(
            (classes[9].as_str(), &test.labels[..], test.shape()),
            ("truck", &[9][..], (96, 96, 3))
        );
        assert_eq!(test.image(0).unwrap()[[80, 3, 2]], colour(5, 80, 3, 2));
        put("test_y.bin", vec![0]);
        assert!(matches!(load_all(&dir), Err(DataError::LabelOutOfRange { .. })));
        put("test_y.bin", vec![1, 1]);
        assert!(matches!(load_all(&dir), Err(DataError::CountMismatch { .. })));
    }

    /// The test batch alone is enough to evaluate on, and no other is read then.
    #[test]
    fn the_test_images_alone_are_enough() {
        let dir = fixture("");
        fs::write(dir.path().join("data_batch_2.bin"), "damaged").unwrap();
        let options = LoadOptions { only_test: true, ..LoadOptions::default() };
        let parts = load(dir.path(), &options).unwrap();
        assert!(parts.train.is_none() && parts.test.is_some());
    }

    #[test]
    fn reads_the_class_names() {
        let dir = fixture("");
        let path = dir.path().join("batches.meta.txt");
        fs::write(&path, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
        assert_eq!(class_names(&FORMATS[0], dir.path()).unwrap()[9], "j");
        fs::write(&path, "a\nb\n").unwrap();
        let error = class_names(&FORMATS[0], dir.path()).unwrap_err().to_string();
        assert!(error.contains("2 labels for 10 classes"), "{error}");
    }

    #[test]
    fn refuses_damaged_batches() {
        let dir = fixture("");
        let path = dir.path().join("data_batch_3.bin");
        let message = || {
            let error = load_all(&dir).unwrap_err();
            assert!(error.to_string().contains("data_batch_3.bin"), "{error}");
            error.to_string()
        };
        fs::write(&path, &record(&[1], 32, false)[..3072]).unwrap();
        assert!(message().contains("truncated, 3072 of 3073 bytes"));
        fs::write(&path, record(&[10], 32, false)).unwrap();
        assert!(message().contains("label 10"));
        fs::write(&path, []).unwrap();
        assert!(message().contains("no images"));
        fs::remove_file(&path).unwrap();
        message();
    }
}
