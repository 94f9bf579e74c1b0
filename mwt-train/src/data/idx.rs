//! The idx files of MNIST, Fashion-MNIST and their kin.
//!
//! An idx file is a big-endian header and then bytes: a magic number that tells
//! the element type and the number of axes, the length of each axis, the data.
//! <http://yann.lecun.com/exdb/mnist/> defined it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::error::DataError;
use super::options::{LoadOptions, Parts, directory_name};
use super::split::Split;

/// Magic number of unsigned bytes on three axes: images.
const IMAGES_MAGIC: u32 = 0x0803;
/// Magic number of unsigned bytes on one axis: labels.
const LABELS_MAGIC: u32 = 0x0801;

/// Every set that comes in this format and under these names has ten classes.
const CLASSES: usize = 10;

/// The classes of Fashion-MNIST, which its files do not name.
const FASHION: [&str; CLASSES] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Whether the directory has the training images under one of their names.
pub(super) fn is_idx(dir: &Path) -> bool {
    find(dir, "train-images", "idx3-ubyte").is_ok()
}

/// Reads the four files of a directory.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    let train = read_split(dir, "train")?;
    let test = read_split(dir, "t10k")?;
    if test.shape() != train.shape() {
        return Err(DataError::WrongSize {
            path: find(dir, "t10k-images", "idx3-ubyte")?,
            found: (test.shape().0, test.shape().1),
            expected: (train.shape().0, train.shape().1),
        });
    }
    let limit = options.limit.unwrap_or(usize::MAX);
    Ok((class_names(dir), train.take(limit), test.take(limit)))
}

/// The digits, unless the directory's name says fashion.
fn class_names(dir: &Path) -> Vec<String> {
    if directory_name(dir).to_lowercase().contains("fashion") {
        FASHION.map(String::from).to_vec()
    } else {
        (0..CLASSES).map(|digit| digit.to_string()).collect()
    }
}

/// Reads the images and the labels whose names begin with `prefix`.
fn read_split(dir: &Path, prefix: &str) -> Result<Split, DataError> {
    let images_path = find(dir, &format!("{prefix}-images"), "idx3-ubyte")?;
    let labels_path = find(dir, &format!("{prefix}-labels"), "idx1-ubyte")?;
    let ([count, height, width], pixels) = read(&images_path, IMAGES_MAGIC)?;
    let ([label_count], bytes) = read(&labels_path, LABELS_MAGIC)?;

    if count != label_count {
        return Err(DataError::CountMismatch {
            path: labels_path,
            images: count,
            labels: label_count,
        });
    }
    if pixels.is_empty() {
        return Err(DataError::NoImages { path: images_path });
    }
    let labels: Vec<u16> = bytes.into_iter().map(u16::from).collect();
    if let Some(index) = labels.iter().position(|&l| usize::from(l) >= CLASSES) {
        return Err(DataError::LabelOutOfRange {
            path: labels_path,
            index,
            label: labels[index],
            classes: CLASSES,
        });
    }
    Split::from_bytes(pixels, (height, width, 1), labels)
}

/// Finds a file under any of the spellings in use, as it is or gzipped.
fn find(dir: &Path, stem: &str, suffix: &str) -> Result<PathBuf, DataError> {
    for separator in ["-", "."] {
        for extension in ["", ".gz"] {
            let path = dir.join(format!("{stem}{separator}{suffix}{extension}"));
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    Err(DataError::Missing {
        path: dir.into(),
        what: format!("{stem}-{suffix} (or {stem}-{suffix}.gz)"),
    })
}

/// Reads one idx file of bytes: the lengths of its `AXES` axes, and its data,
/// which is exactly as long as they say.
fn read<const AXES: usize>(path: &Path, magic: u32) -> Result<([usize; AXES], Vec<u8>), DataError> {
    let io = |reason| DataError::io(path, reason);
    let file = BufReader::new(File::open(path).map_err(io)?);
    let mut reader: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };

    let found_magic = read_u32(&mut reader, path)?;
    if found_magic != magic {
        return Err(DataError::BadMagic { path: path.into(), found: found_magic, expected: magic });
    }
    let mut axes = [0; AXES];
    let mut expected: u64 = 1;
    for axis in &mut axes {
        let length = read_u32(&mut reader, path)?;
        // A product that saturates is more than any file holds, so the length
        // check below refuses it.
        expected = expected.saturating_mul(length.into());
        *axis = length as usize;
    }

    // The header is not to be trusted with an allocation: the buffer grows with
    // the bytes that really come, and stops one past what should come.
    let mut data = Vec::new();
    let limit = expected.saturating_add(1);
    reader.take(limit).read_to_end(&mut data).map_err(io)?;
    let found = data.len() as u64;
    if found < expected {
        Err(DataError::Truncated { path: path.into(), expected, found })
    } else if found > expected {
        Err(DataError::TooLong { path: path.into(), expected })
    } else {
        Ok((axes, data))
    }
}

/// Reads one big-endian number of the header.
fn read_u32(reader: &mut impl Read, path: &Path) -> Result<u32, DataError> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|reason| DataError::io(path, reason))?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
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
        let (classes, train, test) = load(dir.path(), &LoadOptions::default()).unwrap();
        assert_eq!(classes[9], "9");
        assert_eq!((train.len(), train.shape()), (3, (2, 3, 1)));
        assert_eq!(train.labels, [7, 0, 9]);
        assert_eq!(train.image(1).unwrap()[[1, 2, 0]], 11);
        assert_eq!((test.image(0).unwrap()[[0, 0, 0]], test.labels[0]), (5, 4));
    }

    #[test]
    fn fashion_is_known_by_its_directory() {
        assert_eq!(class_names(Path::new("x/Fashion-MNIST"))[5], "Sandal");
        assert_eq!(class_names(Path::new("x/mnist"))[5], "5");
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
        assert!(message.contains("0x00000801, expected 0x00000803"));
        message_with("train-labels.idx1-ubyte", &file(0x801, &[3], &[0; 4]));
    }

    #[test]
    fn refuses_labels_that_do_not_fit() {
        let message = message_with("train-labels.idx1-ubyte", &file(0x801, &[2], &[0; 2]));
        assert!(message.contains("2 labels for 3 images"), "{message}");
        let message = message_with("train-labels.idx1-ubyte", &file(0x801, &[3], &[0, 10, 1]));
        assert!(message.contains("image 1 (from 0) has label 10"), "{message}");
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
        assert!(error.to_string().contains("t10k-labels-idx1-ubyte"));
    }
}
