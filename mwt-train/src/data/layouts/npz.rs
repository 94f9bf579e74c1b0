//! Archives of NumPy: a `.npz` with the arrays `X_train`, `y_train`, `X_test` and `y_test`.
//!
//! Axes are those of aeon and PyTorch, signals first and channels second: `[N, T]` for series of one
//! channel, `[N, C, T]` for series, `[N, C, H, W]` for images and `[N, C, D, H, W]` for volumes. An
//! array of three axes is never `[N, T, C]`, as tslearn has it: `numpy.swapaxes(X, 1, 2)` makes it
//! `[N, C, T]`. Labels are whole numbers or text, `[N]` or `[N, 1]`; sorted, those of the training
//! signals give the classes. NaN is a missing sample.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mwt_core::Extents;
use zip::ZipArchive;

use super::npy::{Element, Npy};
use crate::data::array_fault::ArrayFault;
use crate::data::error::DataError;
use crate::data::line_fault::excerpt;
use crate::data::options::{LoadOptions, SignalParts, directory_name};
use crate::data::room::room;
use crate::data::signals::Signals;

/// The most classes that labels can tell apart.
const CLASSES: usize = u16::MAX as usize + 1;

/// Whether the path is an archive, or a directory with one.
pub(super) fn is_npz(path: &Path) -> bool {
    has_name(path) && path.is_file() || archives(path).is_ok_and(|found| !found.is_empty())
}

/// Reads an archive, or the one of a directory.
pub(super) fn load(dir: &Path, options: &LoadOptions) -> Result<SignalParts, DataError> {
    let mut archive = archive_of(dir)?;
    // All labels, whatever the limit: it shall not change the classes.
    let labels = archive.labels("y_train", options)?;
    let classes = labels.classes();
    let train = archive.signals("X_train", "y_train", &labels, &classes, options, None)?;
    let labels = archive.labels("y_test", options)?;
    let test = archive.signals("X_test", "y_test", &labels, &classes, options, Some(&train))?;
    Ok((classes.keys().map(Label::to_string).collect(), train, test))
}

/// Opens an archive, or the one of a directory.
pub(super) fn archive_of(path: &Path) -> Result<Archive, DataError> {
    let path = find(path)?;
    let file = BufReader::new(File::open(&path).map_err(|reason| DataError::io(&path, reason))?);
    let archive = ZipArchive::new(file);
    let archive = archive.map_err(|reason| DataError::Archive { path: path.clone(), reason })?;
    Ok(Archive { path, archive })
}

fn has_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"))
}

/// The archives in a directory, sorted.
fn archives(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |reason| DataError::io(dir, reason);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if has_name(&path) && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The only archive, or that with the directory's name.
fn find(path: &Path) -> Result<PathBuf, DataError> {
    if path.is_file() {
        return Ok(path.into());
    }
    let mut found = archives(path)?;
    let own = directory_name(path);
    let is_own = |path: &PathBuf| path.file_stem().is_some_and(|stem| *stem == *own);
    if found.len() > 1 && found.iter().any(is_own) {
        found.retain(is_own);
    }
    match found.len() {
        0 => Err(DataError::Missing { path: path.into(), what: "an archive NAME.npz".into() }),
        1 => Ok(found.remove(0)),
        _ => {
            let names = found.iter().take(4).filter_map(|path| path.file_name());
            let found = names.map(|name| name.to_string_lossy().into_owned()).collect();
            Err(DataError::Ambiguous { path: path.into(), found })
        }
    }
}

/// A label. Numbers come before text, and are sorted as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Whole(i128),
    Text(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Whole(number) => number.fmt(f),
            Label::Text(text) => text.fmt(f),
        }
    }
}

impl Label {
    /// A label that is a small number.
    pub(super) fn small(&self) -> Option<u16> {
        match self {
            Label::Whole(number) => u16::try_from(*number).ok(),
            Label::Text(_) => None,
        }
    }

    fn of(element: Element) -> Option<Self> {
        match element {
            Element::Whole(number) => Some(Label::Whole(number)),
            Element::Text(text) => Some(Label::Text(text)),
            // Many archives have their labels as floats. Above 2⁵³ not all whole numbers are.
            Element::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(Label::Whole(number as i128))
            }
            Element::Float(_) | Element::Invalid => None,
        }
    }
}

/// Each class with its number, in order.
type Classes = BTreeMap<Label, u16>;

/// The labels of a split. Each is the number of its text or value, in the order in which these came,
/// because there may be far more labels than classes.
#[derive(Default)]
pub(super) struct Labels {
    seen: BTreeMap<Label, u32>,
    labels: Vec<u32>,
    shape: Vec<usize>,
}

impl Labels {
    /// Each label that occurs.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Label> {
        self.seen.keys()
    }

    /// Shape of their array.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The labels as classes, sorted.
    fn classes(&self) -> Classes {
        // No more than CLASSES were let in.
        self.seen.keys().enumerate().map(|(n, label)| (label.clone(), n as u16)).collect()
    }

    /// The class of each label of the first `count`.
    pub(super) fn numbers(&self, classes: &Classes, count: usize) -> Result<Vec<u16>, ArrayFault> {
        let mut numbers = vec![0; self.seen.len()];
        for (label, &place) in &self.seen {
            let class = classes.get(label);
            let class = class.ok_or_else(|| ArrayFault::Class(excerpt(&label.to_string())))?;
            numbers[place as usize] = *class;
        }
        Ok(self.labels.iter().take(count).map(|place| numbers[*place as usize]).collect())
    }
}

/// An open archive and its path.
pub(super) struct Archive {
    pub(super) path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// An array, its header read.
    pub(super) fn open(&mut self, name: &str) -> Result<Npy<impl std::io::Read>, DataError> {
        let path = &self.path;
        let entry =
            self.archive.by_name(&format!("{name}.npy")).map_err(|reason| match reason {
                zip::result::ZipError::FileNotFound => {
                    DataError::Missing { path: path.clone(), what: format!("the array {name}") }
                }
                reason => DataError::Archive { path: path.clone(), reason },
            })?;
        let bytes = entry.size();
        Npy::open(entry, bytes).map_err(fault_of(path, name))
    }

    /// Whether there is an array of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(&format!("{name}.npy")).is_some()
    }

    pub(super) fn labels(
        &mut self,
        name: &str,
        options: &LoadOptions,
    ) -> Result<Labels, DataError> {
        let path = self.path.clone();
        let npy = self.open(name)?;
        // A number is kept for each, so a few bytes that unpack to very many are refused.
        let count = usize::try_from(npy.count).unwrap_or(usize::MAX);
        room(&path, count, Extents::series(1), 1, options)?;
        let mut labels = Labels { shape: npy.shape.clone(), ..Labels::default() };
        npy.read(u64::MAX, |index, element| {
            let label = Label::of(element).ok_or(ArrayFault::Label { index: index as usize })?;
            let next = labels.seen.len() as u32;
            labels.labels.push(*labels.seen.entry(label).or_insert(next));
            if labels.seen.len() > CLASSES { Err(ArrayFault::TooManyClasses) } else { Ok(()) }
        })
        .map_err(fault_of(&path, name))?;
        Ok(labels)
    }

    /// The signals of an array with their labels.
    fn signals(
        &mut self,
        name: &str,
        labels_name: &str,
        labels: &Labels,
        classes: &Classes,
        options: &LoadOptions,
        train: Option<&Signals>,
    ) -> Result<Signals, DataError> {
        let path = self.path.clone();
        let npy = self.open(name)?;
        let shape = npy.shape.clone();
        let layout = Layout::of(&shape);
        let layout = layout.ok_or(ArrayFault::Axes(shape)).map_err(fault_of(&path, name))?;
        if let Some(train) = train {
            layout.require(train).map_err(fault_of(&path, name))?;
        }
        if !matches!(*labels.shape, [n] | [n, 1] if n == layout.signals) {
            let fault = ArrayFault::Labels { found: labels.shape.clone(), signals: layout.signals };
            return Err(fault_of(&path, labels_name)(fault));
        }

        let (extents, channels) = (layout.extents, layout.channels);
        let count = layout.signals.min(options.limit.unwrap_or(usize::MAX));
        let mut values = room(&path, count, extents, channels, options)?;
        values.resize(count * extents.positions() * channels, 0.0);
        // With the first axis as the fastest all signals end only with the last element.
        let wanted = if npy.fortran && count > 0 { u64::MAX } else { values.len() as u64 };
        let fortran = npy.fortran;
        npy.read(wanted, |stored, element| {
            let (signal, place) = layout.place(stored as usize, fortran);
            if signal >= count {
                return Ok(());
            }
            let value = match element {
                Element::Float(value) => value as f32,
                Element::Whole(value) => value as f32,
                Element::Text(_) | Element::Invalid => {
                    return Err(ArrayFault::Kind("text".into()));
                }
            };
            if value.is_infinite() {
                return Err(ArrayFault::Infinite { signal });
            }
            values[place] = value;
            Ok(())
        })
        .map_err(fault_of(&path, name))?;
        let labels = labels.numbers(classes, count).map_err(fault_of(&path, labels_name))?;
        Ok(Signals { extents, channels, values, labels })
    }
}

/// Puts path and name to a fault.
pub(super) fn fault_of(path: &Path, array: &str) -> impl Fn(ArrayFault) -> DataError {
    move |fault| DataError::Array { path: path.into(), array: array.into(), fault }
}

/// The axes of an array of signals.
struct Layout {
    signals: usize,
    channels: usize,
    extents: Extents,
}

impl Layout {
    fn of(shape: &[usize]) -> Option<Self> {
        let (signals, channels, sides) = match *shape {
            [signals, length] => (signals, 1, [length].to_vec()),
            [signals, channels, ref sides @ ..] => (signals, channels, sides.to_vec()),
            _ => return None,
        };
        let extents = Extents::new(&sides)?;
        // Within the limits, so that the products below fit.
        (signals > 0 && channels > 0).then_some(Layout { signals, channels, extents })
    }

    fn require(&self, train: &Signals) -> Result<(), ArrayFault> {
        let shape = |extents: &Extents, channels| [&[channels], extents.sides()].concat();
        let found = shape(&self.extents, self.channels);
        let expected = shape(&train.extents, train.channels);
        if found == expected { Ok(()) } else { Err(ArrayFault::Shape { found, expected }) }
    }

    /// Of the element that is stored as number `stored`: its signal, and its place among all values
    /// where the channels come last.
    fn place(&self, stored: usize, fortran: bool) -> (usize, usize) {
        let positions = self.extents.positions();
        let (signal, channel, position) = if fortran {
            let (rest, signal) = (stored / self.signals, stored % self.signals);
            let (mut rest, channel) = (rest / self.channels, rest % self.channels);
            let (mut position, mut step) = (0, positions);
            for side in self.extents.sides() {
                step /= side;
                position += rest % side * step;
                rest /= side;
            }
            (signal, channel, position)
        } else {
            let (rest, position) = (stored / positions, stored % positions);
            (rest / self.channels, rest % self.channels, position)
        };
        (signal, (signal * positions + position) * self.channels + channel)
    }
}

#[cfg(test)]
#[path = "npz_tests.rs"]
mod tests;
