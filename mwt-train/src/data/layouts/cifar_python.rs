//! The python versions of CIFAR-10 and CIFAR-100, which torchvision downloads: pickles of a dictionary with `data`,
//! `[N, 3072]` bytes in planes, and `labels` or `fine_labels`.

use std::fs;
use std::path::{Path, PathBuf};

use super::cifar::{CIFAR_10, interleave, place};
use super::pickle::{Pickle, Value};
use crate::data::error::DataError;
use crate::data::options::{LoadOptions, Parts, Remarks};
use crate::data::split::Split;

/// Height and width of every image.
const SIDE: usize = 32;

/// How the files of one of the sets are called.
struct Format {
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    names: &'static str,
    labels: &'static str,
    label_names: &'static str,
    classes: usize,
}

const FORMATS: [Format; 2] = [
    Format {
        folder: "cifar-10-batches-py",
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        names: "batches.meta",
        labels: "labels",
        label_names: "label_names",
        classes: 10,
    },
    Format {
        folder: "cifar-100-python",
        train: &["train"],
        test: "test",
        names: "meta",
        labels: "fine_labels",
        label_names: "fine_label_names",
        classes: 100,
    },
];

fn found(dir: &Path) -> Option<(&'static Format, PathBuf)> {
    FORMATS.iter().find_map(|format| {
        Some((format, place(dir, format.folder, [format.train[0], format.test])?))
    })
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
    let test = match dir.join(format.test).is_file() {
        true => Some(read_split(format, &dir, &[format.test])?),
        false => None,
    };
    let train = match dir.join(format.train[0]).is_file() && !(options.only_test && test.is_some())
    {
        true => Some(read_split(format, &dir, format.train)?),
        false => None,
    };
    Ok(Parts { classes, train, validation: None, test, remarks: Remarks::default() })
}

fn damaged(path: &Path, fault: &'static str) -> DataError {
    DataError::Pickle { path: path.into(), fault }
}

/// The names in the file for them; the known ones, or numbers, when there is no such file.
fn class_names(format: &Format, dir: &Path) -> Result<Vec<String>, DataError> {
    let path = dir.join(format.names);
    if !path.is_file() {
        return Ok(match format.classes {
            10 => CIFAR_10.map(String::from).to_vec(),
            classes => (0..classes).map(|n| n.to_string()).collect(),
        });
    }
    let bytes = fs::read(&path).map_err(|reason| DataError::io(&path, reason))?;
    let pickle = Pickle::read(&bytes).map_err(|fault| damaged(&path, fault))?;
    let names = pickle.get(format.label_names).and_then(|id| pickle.items(id));
    let names = names.unwrap_or_default().iter().filter_map(|id| pickle.text(*id));
    let names: Vec<String> = names.collect();
    match names.len() {
        found if found == format.classes => Ok(names),
        found => Err(DataError::ClassNames { path, found, expected: format.classes }),
    }
}

/// Reads some files, one after the other.
fn read_split(format: &Format, dir: &Path, files: &[&str]) -> Result<Split, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        let path = dir.join(file);
        let bytes = fs::read(&path).map_err(|reason| DataError::io(&path, reason))?;
        read_batch(format, &path, &bytes, &mut pixels, &mut labels)?;
    }
    Split::from_bytes(pixels, (SIDE, SIDE, 3), labels)
}

/// Appends the images of a batch, as `[H, W, C]`, and their labels.
fn read_batch(
    format: &Format,
    path: &Path,
    bytes: &[u8],
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u16>,
) -> Result<(), DataError> {
    const RECORD: usize = 3 * SIDE * SIDE;
    let pickle = Pickle::read(bytes).map_err(|fault| damaged(path, fault))?;
    let data = pickle.get("data").and_then(|id| pickle.array(id));
    let (shape, data) = data.ok_or_else(|| damaged(path, "it has no array `data` of bytes"))?;
    let [images, RECORD] = shape[..] else {
        return Err(damaged(path, "its array is not of images of 3×32×32"));
    };
    let own = pickle.get(format.labels).and_then(|id| pickle.items(id));
    let own = own.ok_or_else(|| damaged(path, "it has no list of labels"))?;
    if own.len() != images {
        return Err(DataError::CountMismatch { path: path.into(), images, labels: own.len() });
    }
    for (index, id) in own.iter().enumerate() {
        let Value::Int(number) = *pickle.value(*id) else {
            return Err(damaged(path, "a label is no number"));
        };
        let label = u16::try_from(number).ok().filter(|n| usize::from(*n) < format.classes);
        labels.push(label.ok_or_else(|| DataError::LabelOutOfRange {
            path: path.into(),
            index,
            label: number as u64,
            classes: format.classes,
        })?);
    }
    if images == 0 {
        return Err(DataError::NoImages { path: path.into() });
    }
    pixels.reserve(data.len());
    data.chunks_exact(RECORD).for_each(|planes| interleave(planes, SIDE, false, pixels));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch as Python 2 and NumPy pickle it: images whose planes are filled with these bytes.
    fn batch(key: &str, images: &[(u8, [u8; 3])]) -> Vec<u8> {
        let mut bytes = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x04testq\x03U".to_vec();
        bytes.push(key.len() as u8);
        bytes.extend(key.as_bytes());
        bytes.extend(b"q\x04]q\x05(");
        images.iter().for_each(|(label, _)| bytes.extend([b'K', *label]));
        bytes.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01");
        bytes.extend([b'K', images.len() as u8, b'M', 0, 12]);
        bytes.extend(b"\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        bytes.extend((images.len() as u32 * 3072).to_le_bytes());
        images.iter().for_each(|(_, planes)| planes.iter().for_each(|p| bytes.extend([*p; 1024])));
        bytes.extend(b"tbu.");
        bytes
    }

    #[test]
    fn batches_are_read_as_torchvision_downloads_them() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("cifar-10-batches-py");
        fs::create_dir(&place).unwrap();
        for (label, file) in (0..).zip(FORMATS[0].train) {
            fs::write(place.join(file), batch("labels", &[(label, [label, 2, 3])])).unwrap();
        }
        fs::write(place.join("test_batch"), batch("labels", &[(9, [7, 8, 9]), (0, [1, 1, 1])]))
            .unwrap();
        assert_eq!(
            crate::data::detect(dir.path()).unwrap(),
            crate::data::DatasetLayout::CifarPython
        );
        let parts = load(dir.path(), &LoadOptions::default()).unwrap();
        let (train, test) = (parts.train.unwrap(), parts.test.unwrap());
        assert_eq!((parts.classes[9].as_str(), &train.labels[..]), ("truck", &[0, 1, 2, 3, 4][..]));
        assert_eq!((test.labels.as_slice(), test.shape()), (&[9, 0][..], (32, 32, 3)));
        let pixel = test.image(0).unwrap();
        assert_eq!([pixel[[5, 6, 0]], pixel[[5, 6, 1]], pixel[[5, 6, 2]]], [7, 8, 9]);

        let meta = b"\x80\x02}(U\x0blabel_names](U\x01aU\x01bU\x01cU\x01dU\x01eU\x01fU\x01gU\x01hU\x01iU\x01jeu.";
        fs::write(place.join("batches.meta"), meta).unwrap();
        assert_eq!(load(&place, &LoadOptions::default()).unwrap().classes[9], "j");
    }

    #[test]
    fn damaged_batches_are_errors_and_never_panics() {
        let path = Path::new("data_batch_1");
        let good = batch("labels", &[(3, [1, 2, 3])]);
        let read =
            |bytes: &[u8]| read_batch(&FORMATS[0], path, bytes, &mut Vec::new(), &mut Vec::new());
        read(&good).unwrap();
        let wide = batch("fine_labels", &[(99, [0; 3])]);
        read_batch(&FORMATS[1], path, &wide, &mut Vec::new(), &mut Vec::new()).unwrap();
        let message = read(&batch("labels", &[(10, [0; 3])])).unwrap_err().to_string();
        assert!(message.contains("label 10"), "{message}");
        let message = read(&wide).unwrap_err().to_string();
        assert!(message.contains("no list of labels") && !message.contains('\n'), "{message}");
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_err());
        }
        // Every bit of what is not pixels.
        for bit in (0..8 * 300).chain(8 * good.len() - 32..8 * good.len()) {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = read(&bad);
        }
    }
}
