//! The idx files of MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST and their kin.
//!
//! An idx file is a big-endian header and then numbers: a magic number that tells their type and the number of axes, the
//! length of each axis, the data. <http://yann.lecun.com/exdb/mnist/> defined it. Images are bytes on three axes; labels
//! are integers on one, or the first of several on two, as QMNIST has them. A file is gzipped where its content says so,
//! whatever its name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::idx_files::{IdxFiles, Pair};
use super::idx_names::Family;
use crate::data::error::DataError;
use crate::data::options::{LoadOptions, Parts, Remarks};
use crate::data::split::Split;

/// Reads the files of a directory, or those that belong to one of them.
pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<Parts, DataError> {
    let files = IdxFiles::of(path)?;
    let family = Family::of(&files);
    let read = |pair: &Option<Pair>| {
        pair.as_ref().map(|pair| read_pair(pair, family.is_transposed())).transpose()
    };
    let train = match &files.test {
        Some(_) if options.only_test => None,
        _ => read(&files.train)?,
    };
    let test = read(&files.test)?;
    if let (Some(train), Some(test), Some(pair)) = (&train, &test, &files.test)
        && (train.height, train.width) != (test.height, test.width)
    {
        return Err(DataError::WrongSize {
            path: pair.images.clone(),
            found: (test.height, test.width),
            expected: (train.height, train.width),
        });
    }
    let labels: BTreeSet<u16> = [&train, &test]
        .into_iter()
        .flatten()
        .flat_map(|part| part.labels.iter().copied())
        .collect();
    // Those without a known name are called by their numbers.
    let names = family.names(&labels);
    let mut remarks = Remarks::default();
    if family.is_transposed() {
        let note = "EMNIST, whose files have the pictures lying: they are turned upright";
        remarks.notes.push(note.into());
    }
    let split = |part: Option<Part>| {
        let Some(part) = part else { return Ok(None) };
        let place = |label: &u16| names.iter().position(|(number, _)| number == label);
        let labels = part.labels.iter().map(|label| place(label).unwrap_or(0) as u16).collect();
        Split::from_bytes(part.pixels, (part.height, part.width, 1), labels).map(Some)
    };
    Ok(Parts {
        classes: names.iter().map(|(_, name)| name.clone()).collect(),
        train: split(train)?,
        validation: None,
        test: split(test)?,
        remarks,
    })
}

/// What files of images, and of labels, begin as.
const IMAGES: &str = "an idx file of bytes on three axes, as images are";
const LABELS: &str = "an idx file of integers on one or two axes, as labels are";

/// The images of a split and their labels, as the files have them.
struct Part {
    pixels: Vec<u8>,
    height: usize,
    width: usize,
    labels: Vec<u16>,
}

fn read_pair(pair: &Pair, transposed: bool) -> Result<Part, DataError> {
    let images = read(&pair.images, IMAGES)?;
    let labels = read(&pair.labels, LABELS)?;
    let bad = |file: &Idx, expected| DataError::BadMagic {
        path: file.path.clone(),
        found: file.magic,
        expected,
    };
    let (&[count, height, width], 1) = (&images.axes[..], images.size) else {
        return Err(bad(&images, IMAGES));
    };
    let columns = match labels.axes[..] {
        [_] => 1,
        [_, columns] if columns > 0 => columns,
        _ => return Err(bad(&labels, LABELS)),
    };
    let label_count = labels.axes[0];
    if count != label_count {
        return Err(DataError::CountMismatch {
            path: pair.labels.clone(),
            images: count,
            labels: label_count,
        });
    }
    if images.data.is_empty() {
        return Err(DataError::NoImages { path: pair.images.clone() });
    }
    let mut numbers = Vec::with_capacity(count);
    for (index, row) in labels.data.chunks_exact(columns * labels.size).enumerate() {
        // Big-endian; a sign makes it too large for a label.
        let number =
            row[..labels.size].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let label = u16::try_from(number).map_err(|_| DataError::LabelOutOfRange {
            path: pair.labels.clone(),
            index,
            label: number,
            classes: usize::from(u16::MAX) + 1,
        })?;
        numbers.push(label);
    }
    let (mut pixels, mut size) = (images.data, (height, width));
    if transposed {
        pixels =
            pixels.chunks_exact(height * width).flat_map(|image| upright(image, width)).collect();
        size = (width, height);
    }
    Ok(Part { pixels, height: size.0, width: size.1, labels: numbers })
}

/// An image with rows and columns exchanged.
fn upright(image: &[u8], width: usize) -> impl Iterator<Item = u8> + '_ {
    (0..width).flat_map(move |x| image.iter().skip(x).step_by(width).copied())
}

/// An idx file.
struct Idx {
    path: PathBuf,
    magic: u32,
    axes: Vec<usize>,
    /// Bytes of a number.
    size: usize,
    data: Vec<u8>,
}

/// Bytes of a number of that type, by the third byte of a magic number; none for floats, which are neither.
fn size_of_type(code: u8) -> Option<usize> {
    match code {
        0x08 | 0x09 => Some(1),
        0x0b => Some(2),
        0x0c => Some(4),
        _ => None,
    }
}

/// Whether bytes begin as an idx file of integers does.
pub(super) fn is_magic(start: &[u8]) -> bool {
    matches!(*start, [0, 0, code, 1..=4, ..] if size_of_type(code).is_some())
}

/// A file's bytes, unpacked where they are gzipped: as gunzip does, all members one after the other.
pub(super) fn unpacked(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(path)?);
    let gzipped = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Reads one idx file, whose data is exactly as long as its header says.
fn read(path: &Path, what: &'static str) -> Result<Idx, DataError> {
    let io = |reason| DataError::io(path, reason);
    let mut reader = unpacked(path).map_err(io)?;
    let magic = read_u32(&mut reader, path)?;
    let bytes = magic.to_be_bytes();
    let size = size_of_type(bytes[2]).filter(|_| is_magic(&bytes));
    let size = size.ok_or_else(|| DataError::BadMagic {
        path: path.into(),
        found: magic,
        expected: what,
    })?;
    let mut axes = Vec::new();
    let mut expected = size as u64;
    for _ in 0..bytes[3] {
        let length = read_u32(&mut reader, path)?;
        // A product that saturates is more than any file holds, so the length
        // check below refuses it.
        expected = expected.saturating_mul(length.into());
        axes.push(length as usize);
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
        Ok(Idx { path: path.into(), magic, axes, size, data })
    }
}

/// Reads one big-endian number of the header.
fn read_u32(reader: &mut impl Read, path: &Path) -> Result<u32, DataError> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).map_err(|reason| DataError::io(path, reason))?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
#[path = "idx_tests.rs"]
mod tests;
