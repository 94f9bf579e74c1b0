//! Parquet files with the images in them, as Hugging Face stores image data sets: a column of images, each the bytes of a
//! file, and one of labels, numbers or text.
//!
//! Files belong to a split by their names (`train-00000-of-00004.parquet`) or by the folder that they lie in
//! (`train/0000.parquet`). They are read three times: for the labels alone, for the headers of the images, which settle size
//! and colour, and to decode them. Only the images of one group of rows are held undecoded at a time. Each rank looks at its
//! share of the images and tells the others what it found.

mod features;
mod guard;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use self::table::Table;
use super::faults::Faults;
use super::in_memory::in_memory;
use super::listing::{files_of, folders_of, has_ending};
use super::npz::Label;
use super::sizes::one_size;
use super::splits::{Role, role};
use super::taken::Taken;
use crate::data::error::DataError;
use crate::data::image::{bad_size, read_header_bytes, read_image_bytes};
use crate::data::options::{LoadOptions, Parts, Remarks};
use crate::data::picture::{Header, Tally, View};
use crate::data::picture_fault::PictureFault;
use crate::data::split::Split;
use crate::ranks::Ranks;

const ENDING: [&str; 1] = ["parquet"];

/// Whether a path is such a file, or a directory with some.
pub(super) fn is_parquet(path: &Path) -> bool {
    if path.is_file() {
        return has_ending(path, &ENDING);
    }
    files(path).is_ok_and(|files| !files.is_empty())
}

/// The files of a directory, or those in folders that are named after a split.
fn files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let of = |dir: &Path| -> Result<Vec<PathBuf>, DataError> {
        let mut files = files_of(dir)?;
        files.retain(|file| has_ending(file, &ENDING));
        Ok(files)
    };
    let mut found = of(dir)?;
    if found.is_empty() {
        for folder in folders_of(dir)?.iter().filter(|folder| role(folder).is_some()) {
            found.extend(of(folder)?);
        }
    }
    Ok(found)
}

/// Reads a file, or those of a directory.
pub(super) fn load(path: &Path, options: &LoadOptions, ranks: &Ranks) -> Result<Parts, DataError> {
    let mut set = Set::default();
    let [train, validation, test] = set.splits(path)?;
    let own_test = !test.is_empty() || !validation.is_empty();
    let train = if own_test && options.only_test { Vec::new() } else { train };
    let (train, validation, test) = (set.rows(&train)?, set.rows(&validation)?, set.rows(&test)?);
    let classes = set.classes([&train, &validation, &test].into_iter().flatten());
    let numbered =
        |rows: Option<Vec<Told>>| rows.map(|rows| classes.number(&set, rows)).transpose();
    let taken =
        Taken { train: numbered(train)?, validation: numbered(validation)?, test: numbered(test)? };
    let share = options.test_share;
    let taken = taken.settled(|row| row.class, share, options, &mut set.remarks);
    let Taken { train, validation, test } = taken;
    // Before any share is taken of what may not be the same.
    let list = format!("{:?} {:x}", classes.names, set.digest([&train, &validation, &test]));
    ranks.agree(&[("list of images", list)]).map_err(DataError::OtherRank)?;

    let mut headers = Vec::new();
    let mut look =
        |rows: Option<Vec<Row>>| rows.map(|rows| set.look(rows, ranks, &mut headers)).transpose();
    let (train, validation, test) = (look(train)?, look(validation)?, look(test)?);
    let splits = [&train, &validation, &test].into_iter().flatten();
    let names = splits.flat_map(|(rows, _)| rows).map(|row| set.name(row));
    let size = one_size(path, names, &headers, options)?;
    if size.0 == 0 || size.1 == 0 {
        return Err(bad_size(size));
    }
    let grey = options.grey.unwrap_or_else(|| headers.iter().all(|header| header.grey));
    let view = options.view(size, grey);
    let image_bytes = (size.0 as u64).saturating_mul(size.1 as u64 * view.channels() as u64);
    let bytes = image_bytes.saturating_mul(headers.len() as u64);
    if bytes > options.memory {
        let (signals, memory) = (headers.len(), options.memory);
        return Err(DataError::SignalsTooLarge { path: path.into(), signals, bytes, memory });
    }
    let (mut tally, mut left_out) = (Tally::default(), Vec::new());
    let mut decode = |split: Option<(Vec<Row>, Faults)>| -> Result<_, DataError> {
        let Some((rows, mut faults)) = split else { return Ok(None) };
        let split = set.decode(&rows, &view, ranks, &mut faults, &mut tally)?;
        left_out.extend(faults.found.iter().map(DataError::to_string));
        Ok(Some(split))
    };
    let (train, validation, test) = (decode(train)?, decode(validation)?, decode(test)?);
    let mut remarks = set.remarks;
    remarks.left_out.extend(left_out);
    remarks.warnings.extend(tally.lines());
    Ok(Parts { classes: classes.names, train, validation, test, remarks })
}

/// Where a row lies: a table of the set, a group of rows in it, a row of the group.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    table: usize,
    group: usize,
    row: usize,
}

/// A row and its label.
type Told = (Place, Label);

/// A row and its class.
struct Row {
    place: Place,
    class: u16,
}

/// All open files.
#[derive(Default)]
struct Set {
    tables: Vec<Table>,
    remarks: Remarks,
}

impl Set {
    /// The files to train, to choose and to test on.
    fn splits(&mut self, path: &Path) -> Result<[Vec<PathBuf>; 3], DataError> {
        let all = if path.is_file() { vec![path.into()] } else { files(path)? };
        // The file's own name goes before that of the folder.
        let role_of = |file: &PathBuf| role(file).or_else(|| role(file.parent()?));
        let of =
            |wanted| all.iter().filter(|file| role_of(file) == Some(wanted)).cloned().collect();
        let mut splits: [Vec<PathBuf>; 3] = [Role::Train, Role::Validation, Role::Test].map(of);
        let others = all.iter().filter(|file| role_of(file).is_none());
        if splits.iter().all(Vec::is_empty) {
            splits[0] = others.cloned().collect();
        } else {
            let line =
                |file: &PathBuf| format!("{}: left out, its name says no split", file.display());
            self.remarks.warnings.extend(others.map(line));
        }
        Ok(splits)
    }

    /// Opens files and reads their labels; `None` for no files, or none with labels.
    fn rows(&mut self, files: &[PathBuf]) -> Result<Option<Vec<Told>>, DataError> {
        let (mut rows, mut without) = (Vec::new(), 0);
        for path in files {
            let open = Table::open(path)?;
            let table = self.tables.len();
            for group in 0..open.groups() {
                for (row, label) in open.labels(group)?.into_iter().enumerate() {
                    match label {
                        Some(label) => rows.push((Place { table, group, row }, label)),
                        None => without += 1,
                    }
                }
            }
            if self.tables.is_empty() {
                self.remarks.notes.extend(open.note.clone());
            }
            self.tables.push(open);
        }
        if let (1.., Some(first)) = (without, files.first()) {
            let line =
                format!("{}: {without} images left out: they have no labels", first.display());
            self.remarks.warnings.push(line);
        }
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The classes that the files name, or the labels that occur, sorted.
    fn classes<'a>(&self, splits: impl Iterator<Item = &'a Vec<Told>>) -> Classes {
        if let Some(names) = self.tables.iter().find_map(|table| table.names.clone()) {
            let numbers = (0..names.len()).map(|n| (Label::Whole(n as i128), n)).collect();
            return Classes { names, numbers };
        }
        let seen: BTreeSet<&Label> = splits.flatten().map(|(_, label)| label).collect();
        Classes {
            names: seen.iter().map(|label| label.to_string()).collect(),
            numbers: seen.into_iter().cloned().zip(0..).collect(),
        }
    }

    /// How an image is told of.
    fn name(&self, row: &Row) -> PathBuf {
        let Place { table, group, row } = row.place;
        format!("{}, group {group}, row {row}", self.tables[table].path.display()).into()
    }

    /// A hash of the rows' places, the files by their names, and of their classes, split by split.
    fn digest(&self, splits: [&Option<Vec<Row>>; 3]) -> u64 {
        let mut hash = Xxh3::new();
        for rows in splits {
            for Row { place: Place { table, group, row }, class } in rows.iter().flatten() {
                let name = self.tables[*table].path.file_name().unwrap_or_default();
                hash.update(name.as_encoded_bytes());
                for number in [group, row] {
                    hash.update(&(*number as u64).to_le_bytes());
                }
                hash.update(&class.to_le_bytes());
            }
            hash.update(b"//");
        }
        hash.digest()
    }

    /// First pass over the images: the rows whose headers can be read, and their headers after those of other splits.
    fn look(
        &self,
        rows: Vec<Row>,
        ranks: &Ranks,
        headers: &mut Vec<Header>,
    ) -> Result<(Vec<Row>, Faults), DataError> {
        let mut faults = Faults::of(rows.len());
        let own = &rows[ranks.share().of(rows.len())];
        let mut found = Vec::with_capacity(own.len());
        self.each_group(own, read_header_bytes, |_, group| found.extend(group))?;
        let mut kept = Vec::with_capacity(rows.len());
        for (row, header) in rows.into_iter().zip(faults.sift(ranks, found)?) {
            if let Some(header) = header {
                headers.push(header);
                kept.push(row);
            }
        }
        Ok((kept, faults))
    }

    /// Second pass: the images in one shape.
    fn decode(
        &self,
        rows: &[Row],
        view: &View,
        ranks: &Ranks,
        faults: &mut Faults,
        tally: &mut Tally,
    ) -> Result<Split, DataError> {
        let labels: Vec<u16> = rows.iter().map(|row| row.class).collect();
        in_memory(ranks, &labels, view, faults, tally, |own, room| {
            let (rows, mut found) = (&rows[own], Vec::new());
            let image_bytes = room.len().checked_div(rows.len()).unwrap_or(0);
            let read = |name: &Path, bytes: &[u8]| read_image_bytes(name, bytes, view);
            self.each_group(rows, read, |places, images| {
                for (n, image) in places.zip(images) {
                    found.push(image.map(|(image, remarks)| {
                        let room = &mut room[n * image_bytes..(n + 1) * image_bytes];
                        room.iter_mut().zip(image).for_each(|(to, from)| *to = from);
                        remarks
                    }));
                }
            })?;
            Ok(found)
        })
    }

    /// Reads the image of each row, in parallel, a group of rows at a time, and hands the group's results on with the
    /// places that its rows have in `rows`.
    fn each_group<T: Send>(
        &self,
        rows: &[Row],
        read: impl Fn(&Path, &[u8]) -> Result<T, DataError> + Sync,
        mut take: impl FnMut(Range<usize>, Vec<Result<T, DataError>>),
    ) -> Result<(), DataError> {
        let mut first = 0;
        let group = |row: &Row| (row.place.table, row.place.group);
        for rows in rows.chunk_by(|a, b| group(a) == group(b)) {
            let (table, of_table) = group(&rows[0]);
            let images = self.tables[table].images(of_table)?;
            let one = |row: &Row| -> Result<T, DataError> {
                let name = self.name(row);
                match images.get(row.place.row) {
                    Some(Some(bytes)) => read(&name, bytes.data()),
                    _ => Err(DataError::Decode { path: name, fault: PictureFault::Elsewhere }),
                }
            };
            take(first..first + rows.len(), rows.par_iter().map(one).collect());
            first += rows.len();
        }
        Ok(())
    }
}

/// The classes of a set.
struct Classes {
    names: Vec<String>,
    numbers: BTreeMap<Label, usize>,
}

impl Classes {
    fn number(&self, set: &Set, rows: Vec<Told>) -> Result<Vec<Row>, DataError> {
        let number = |(place, label): Told| {
            let class = self.numbers.get(&label).and_then(|n| u16::try_from(*n).ok());
            let path = || set.tables[place.table].path.clone();
            let class = class.ok_or_else(|| match self.names.len() {
                found if found > usize::from(u16::MAX) + 1 => {
                    DataError::TooManyClasses { path: path(), found }
                }
                classes => {
                    DataError::UnnamedLabel { path: path(), label: label.to_string(), classes }
                }
            })?;
            Ok(Row { place, class })
        };
        rows.into_iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests;
