//! Image folders: `train/<class>/*.png` and other pictures beside `test/` or `val/`, or the class folders alone.
//!
//! The files are read in two passes. The first reads their headers alone and
//! settles size and colour for all. The second decodes each image: into memory,
//! or, where all images together would take too much of it, only to find out
//! whether it can be decoded, because it is decoded again each time it is used.
//! Both passes run in parallel and keep the order of the names, so the result
//! does not depend on the number of threads, nor on that of the ranks: each
//! looks at its share of the files and tells the others what it found. A file
//! that cannot be read is left out and reported; too many of them are an error.

use std::ffi::OsStr;
use std::path::Path;

use rayon::prelude::*;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::class_folders::{Listed, list};
use super::faults::Faults;
use super::in_memory::in_memory;
use super::listing::Entry;
use super::sizes::one_size;
use super::splits::Splits;
use crate::data::error::DataError;
use crate::data::image::{Header, bad_size, bytes_of, read_header, read_image_bytes, read_into};
use crate::data::options::{LoadOptions, Parts};
use crate::data::picture::kind::ENDINGS;
use crate::data::picture::{Tally, View};
use crate::data::split::Split;
use crate::ranks::Ranks;

/// Endings of pictures, those that cannot be read included: a folder with them is meant as an image folder.
const PICTURES: [&str; 29] = [
    "png", "jpg", "jpeg", "jfif", "jpe", "bmp", "webp", "gif", "tif", "tiff", "ppm", "pgm", "pbm",
    "pnm", "pam", "heic", "heif", "avif", "jxl", "jp2", "ico", "tga", "exr", "hdr", "qoi", "svg",
    "dng", "cr2", "nef",
];

/// Whether the directory has images in folders of classes.
pub(super) fn is_folder(dir: &Path) -> Result<bool, DataError> {
    // A folder to train on that has none of them is told of where it is read.
    Ok(Splits::of(dir, &PICTURES)?.is_some() || dir.join("train").is_dir())
}

/// Reads an image folder.
pub(super) fn load(dir: &Path, options: &LoadOptions, ranks: &Ranks) -> Result<Parts, DataError> {
    let Listed { classes, train, validation, test, mut remarks } = list(dir, &ENDINGS, options)?;
    let splits = [&train, &validation, &test];
    // Before any share is taken of what may not be the same.
    ranks
        .agree(&[("list of images", format!("{classes:?} {:x}", digest(dir, splits)))])
        .map_err(DataError::OtherRank)?;
    let mut headers = Vec::new();
    let mut look = |entries: Option<Vec<Entry>>| -> Result<_, DataError> {
        let Some(entries) = entries else { return Ok(None) };
        let mut faults = Faults::of(entries.len());
        let (entries, found) = read_headers(entries, ranks, &mut faults)?;
        headers.extend(found);
        Ok(Some((entries, faults)))
    };
    let (train, validation, test) = (look(train)?, look(validation)?, look(test)?);
    let entries = [&train, &validation, &test].into_iter().flatten();
    let paths = entries.flat_map(|(entries, _)| entries).map(|(path, _)| path.clone());
    let size = one_size(dir, paths, &headers, options)?;
    let grey = options.grey.unwrap_or_else(|| headers.iter().all(|header| header.grey));
    if size.0 == 0 || size.1 == 0 {
        return Err(bad_size(size));
    }
    let view = options.view(size, grey);
    let pixels = (size.0 as u64).saturating_mul(size.1 as u64);
    let image_bytes = pixels.saturating_mul(view.channels() as u64);
    let decode = match image_bytes.saturating_mul(headers.len() as u64) <= options.memory {
        true => decode,
        false => verify,
    };
    let mut tally = Tally::default();
    let mut read = |split: Option<(Vec<Entry>, Faults)>| -> Result<_, DataError> {
        let Some((entries, mut faults)) = split else { return Ok(None) };
        let split = decode(entries, view, ranks, &mut faults, &mut tally)?;
        remarks.left_out.extend(faults.found.iter().map(DataError::to_string));
        Ok(Some(split))
    };
    let (train, validation, test) = (read(train)?, read(validation)?, read(test)?);
    remarks.warnings.extend(tally.lines());
    Ok(Parts { classes, train, validation, test, remarks })
}

/// A hash of the files' names below the directory and of their classes, split by split.
fn digest(dir: &Path, splits: [&Option<Vec<Entry>>; 3]) -> u64 {
    let mut hash = Xxh3::new();
    for entries in splits {
        for (path, class) in entries.iter().flatten() {
            for part in path.strip_prefix(dir).unwrap_or(path) {
                hash.update(OsStr::as_encoded_bytes(part));
                hash.update(b"/");
            }
            hash.update(&class.to_le_bytes());
        }
        hash.update(b"//");
    }
    hash.digest()
}

/// First pass: the entries whose headers can be read, in order, and their headers.
fn read_headers(
    entries: Vec<Entry>,
    ranks: &Ranks,
    faults: &mut Faults,
) -> Result<(Vec<Entry>, Vec<Header>), DataError> {
    let own = &entries[ranks.share().of(entries.len())];
    // Collected before the errors are looked at, so that the first file at fault
    // is the one reported, whichever thread was faster.
    let headers: Vec<_> = own.par_iter().map(|(path, _)| read_header(path)).collect();
    let headers = faults.sift(ranks, headers)?.into_iter();
    Ok(entries
        .into_iter()
        .zip(headers)
        .filter_map(|(entry, header)| Some((entry, header?)))
        .unzip())
}

/// Second pass of images that stay in memory: decodes all entries to one shape.
fn decode(
    entries: Vec<Entry>,
    view: View,
    ranks: &Ranks,
    faults: &mut Faults,
    tally: &mut Tally,
) -> Result<Split, DataError> {
    let labels: Vec<u16> = entries.iter().map(|(_, label)| *label).collect();
    in_memory(ranks, &labels, &view, faults, tally, |own, room| {
        // There may be no entries, but rayon refuses chunks of no bytes.
        let image_bytes = room.len().checked_div(own.len()).unwrap_or(1);
        let images = room.par_chunks_exact_mut(image_bytes).zip(&entries[own]);
        Ok(images.map(|(out, (path, _))| read_into(path, &view, out)).collect())
    })
}

/// Second pass of images that are decoded as they are used: decodes each once,
/// so that one that cannot be is found now rather than in the middle of a run.
fn verify(
    entries: Vec<Entry>,
    view: View,
    ranks: &Ranks,
    faults: &mut Faults,
    tally: &mut Tally,
) -> Result<Split, DataError> {
    let own = &entries[ranks.share().of(entries.len())];
    let look = |(path, _): &Entry| {
        let bytes = bytes_of(path)?;
        let (_, remarks) = read_image_bytes(path, &bytes, &view)?;
        Ok((remarks, xxh3_64(&bytes)))
    };
    let results = own.par_iter().map(look).collect();
    let mut good = Vec::with_capacity(entries.len());
    let mut digests = Vec::with_capacity(entries.len());
    for (entry, result) in entries.into_iter().zip(faults.sift(ranks, results)?) {
        if let Some((remarks, digest)) = result {
            tally.add(&remarks);
            good.push(entry);
            digests.push(digest);
        }
    }
    Ok(Split::from_files(good, digests, view))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
