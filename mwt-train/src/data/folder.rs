//! Image folders: `train/<class>/*.{png,jpg,jpeg}` beside `test/` or `val/`.
//!
//! The files are read in two passes. The first reads their headers alone and
//! settles size and colour for all. The second decodes each image: into memory,
//! or, where all images together would take too much of it, only to find out
//! whether it can be decoded, because it is decoded again each time it is used.
//! Both passes run in parallel and keep the order of the names, so the result
//! does not depend on the number of threads. A file that cannot be read is left
//! out and reported; too many of them are an error.

use std::path::Path;

use rayon::prelude::*;

use super::error::DataError;
use super::image::{Header, Size, bad_size, channels, decode_file, read_header, read_into, zeroed};
use super::listing::{Entry, files, folders, test_folder, thin_out};
use super::options::{LoadOptions, Parts};
use super::split::Split;

/// Endings of image files, compared without regard to case.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];

/// One unreadable image per so many is left out; more are an error.
const IMAGES_PER_FAULT: usize = 100;

/// Whether the directory has a folder to train on.
pub(super) fn is_folder(dir: &Path) -> bool {
    dir.join("train").is_dir()
}

/// Reads an image folder; `left_out` gets a line for each image that could not be.
pub(super) fn load(
    dir: &Path,
    options: &LoadOptions,
    left_out: &mut Vec<String>,
) -> Result<Parts, DataError> {
    let train_dir = dir.join("train");
    let test_dir = test_folder(dir)?;

    let classes = class_folders(&train_dir)?;
    let train = thin_out(list(&train_dir, &classes, &classes)?, options.limit);
    let test_classes = class_folders(&test_dir)?;
    let test = thin_out(list(&test_dir, &test_classes, &classes)?, options.limit);

    let (mut train_faults, mut test_faults) = (Faults::of(&train), Faults::of(&test));
    let (train, mut headers) = read_headers(train, &mut train_faults)?;
    let (test, test_headers) = read_headers(test, &mut test_faults)?;
    headers.extend(test_headers);
    let size = match (options.image_size, headers.first()) {
        (Some(size), _) => size,
        (None, Some(first)) => {
            require_size(train.iter().chain(&test), &headers, first.size)?;
            first.size
        }
        (None, None) => return Err(DataError::NoImages { path: dir.into() }),
    };
    let all_grey = headers.iter().all(|header| header.grey);
    let grey = options.grey.unwrap_or(all_grey);
    if size.0 == 0 || size.1 == 0 {
        return Err(bad_size(size));
    }
    let pixels = (size.0 as u64).saturating_mul(size.1 as u64);
    let image_bytes = pixels.saturating_mul(channels(grey) as u64);
    let images = (train.len() + test.len()) as u64;
    let split = match image_bytes.saturating_mul(images) <= options.memory {
        true => decode,
        false => verify,
    };
    let train = split(train, size, grey, &mut train_faults)?;
    let test = split(test, size, grey, &mut test_faults)?;
    for fault in train_faults.found.iter().chain(&test_faults.found) {
        left_out.push(fault.to_string());
    }
    Ok((classes, train, test))
}

/// The files of a split that cannot be read.
struct Faults {
    images: usize,
    found: Vec<DataError>,
}

impl Faults {
    fn of(entries: &[Entry]) -> Self {
        Self { images: entries.len(), found: Vec::new() }
    }

    /// The results without those that are the file's own fault; any other error goes through.
    fn sift<T>(&mut self, results: Vec<Result<T, DataError>>) -> Result<Vec<Option<T>>, DataError> {
        let mut sifted = Vec::with_capacity(results.len());
        for result in results {
            sifted.push(match result {
                Ok(value) => Some(value),
                Err(error @ (DataError::Io { .. } | DataError::Decode { .. })) => {
                    self.found.push(error);
                    None
                }
                Err(error) => return Err(error),
            });
        }
        if self.found.len() * IMAGES_PER_FAULT <= self.images {
            return Ok(sifted);
        }
        let (faults, images) = (self.found.len(), self.images);
        let first = Box::new(self.found.swap_remove(0));
        Err(DataError::TooManyFaults { faults, images, first })
    }
}

/// The class folders of a split, sorted by name; at least one.
fn class_folders(dir: &Path) -> Result<Vec<String>, DataError> {
    let classes = folders(dir)?;
    if classes.is_empty() { Err(DataError::NoImages { path: dir.into() }) } else { Ok(classes) }
}

/// The image files in `folders`, labelled by each folder's place in `classes`,
/// which is sorted.
fn list(dir: &Path, folders: &[String], classes: &[String]) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    for class in folders {
        let folder = dir.join(class);
        let label = classes.binary_search(class).ok();
        let label = label.and_then(|index| u16::try_from(index).ok());
        let Some(label) = label else {
            return Err(DataError::UnknownClass { path: folder, class: class.clone() });
        };
        let files = files(&folder, &EXTENSIONS)?;
        if files.is_empty() {
            return Err(DataError::NoImages { path: folder });
        }
        entries.extend(files.into_iter().map(|path| (path, label)));
    }
    Ok(entries)
}

/// First pass: the entries whose headers can be read, in order, and their headers.
fn read_headers(
    entries: Vec<Entry>,
    faults: &mut Faults,
) -> Result<(Vec<Entry>, Vec<Header>), DataError> {
    // Collected before the errors are looked at, so that the first file at fault
    // is the one reported, whichever thread was faster.
    let headers: Vec<_> = entries.par_iter().map(|(path, _)| read_header(path)).collect();
    let headers = faults.sift(headers)?.into_iter();
    Ok(entries
        .into_iter()
        .zip(headers)
        .filter_map(|(entry, header)| Some((entry, header?)))
        .unzip())
}

/// Checks that every image has the expected size.
fn require_size<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    headers: &[Header],
    expected: Size,
) -> Result<(), DataError> {
    match entries.zip(headers).find(|(_, h)| h.size != expected) {
        None => Ok(()),
        Some(((path, _), header)) => {
            Err(DataError::WrongSize { path: path.clone(), found: header.size, expected })
        }
    }
}

/// Second pass of images that stay in memory: decodes all entries to one shape.
fn decode(
    entries: Vec<Entry>,
    size: Size,
    grey: bool,
    faults: &mut Faults,
) -> Result<Split, DataError> {
    let shape = (size.0, size.1, channels(grey));
    let mut bytes = zeroed(entries.len(), shape)?;
    // There may be no entries, but rayon refuses chunks of no bytes.
    let image_bytes = bytes.len().checked_div(entries.len()).unwrap_or(1);
    let results: Vec<_> = bytes
        .par_chunks_exact_mut(image_bytes)
        .zip(&entries)
        .map(|(out, (path, _))| read_into(path, size, grey, out))
        .collect();
    let results = faults.sift(results)?;
    let mut labels = Vec::with_capacity(entries.len());
    for (n, (&(_, label), result)) in entries.iter().zip(results).enumerate() {
        if result.is_some() {
            // Closes the gaps that the images left out would leave.
            bytes.copy_within(n * image_bytes..(n + 1) * image_bytes, labels.len() * image_bytes);
            labels.push(label);
        }
    }
    bytes.truncate(labels.len() * image_bytes);
    Split::from_bytes(bytes, shape, labels)
}

/// Second pass of images that are decoded as they are used: decodes each once,
/// so that one that cannot be is found now rather than in the middle of a run.
fn verify(
    entries: Vec<Entry>,
    size: Size,
    grey: bool,
    faults: &mut Faults,
) -> Result<Split, DataError> {
    let results: Vec<_> = entries.par_iter().map(|(path, _)| decode_file(path).map(drop)).collect();
    let results = faults.sift(results)?;
    let good =
        entries.into_iter().zip(results).filter_map(|(entry, result)| result.map(|()| entry));
    Ok(Split::from_files(good.collect(), size, grey))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
