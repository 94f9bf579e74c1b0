//! Data sets whose classes are folders: which file belongs to which split and class.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::listing::Entry;
use super::splits::{Classes, Splits, counted, is_split};
use super::taken::Taken;
use crate::data::error::DataError;
use crate::data::options::{LoadOptions, Remarks};

/// The classes of Tiny-ImageNet's validation images, a line each: file, class, and where the object is.
const ANNOTATIONS: &str = "val_annotations.txt";

/// The files of a data set. `None` for a split that is not there, or not wanted.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Names of the classes, sorted.
    pub(super) classes: Vec<String>,
    pub(super) train: Option<Vec<Entry>>,
    pub(super) validation: Option<Vec<Entry>>,
    pub(super) test: Option<Vec<Entry>>,
    pub(super) remarks: Remarks,
}

/// Lists the files with these endings in a directory.
///
/// # Errors
/// No folders of classes, folders without any such file, or a class of a test split that is not trained on.
pub(super) fn list(
    dir: &Path,
    endings: &[&str],
    options: &LoadOptions,
) -> Result<Listed, DataError> {
    let nothing = || DataError::NoImages { path: dir.into() };
    let splits = Splits::of(dir, endings)?.ok_or_else(nothing)?;
    let mut found = Found { dir, endings, unread: BTreeMap::new(), remarks: Remarks::default() };
    let mut read = |path: &Option<PathBuf>| match path {
        Some(path) => found.tested(path),
        None => Ok(None),
    };
    let (test, validation) = (read(&splits.test)?, read(&splits.validation)?);
    let own_test = test.is_some() || validation.is_some();
    let train = if splits.unsplit { Some(dir) } else { splits.train.as_deref() };
    let train = train.filter(|_| !(own_test && options.only_test));
    let train = train.map(|path| found.trained(path)).transpose()?;
    let classes: BTreeSet<&String> = match &train {
        Some(train) => train.keys().collect(),
        None => [&test, &validation].into_iter().flatten().flat_map(BTreeMap::keys).collect(),
    };
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    let labelled = |files: Option<Files>| files.map(|files| entries(files, &classes)).transpose();
    // A folder that is itself called test/ is one, whole.
    let whole = options.only_test && splits.unsplit && is_split(dir);
    let share = if whole { 1.0 } else { options.test_share };
    let taken =
        Taken { train: labelled(train)?, validation: labelled(validation)?, test: labelled(test)? };
    let taken = taken.settled(|(_, class)| *class, share, options, &mut found.remarks);
    let Taken { train, validation, test } = taken;
    if train.is_none() && test.is_none() {
        return Err(nothing());
    }
    Ok(Listed { classes, train, validation, test, remarks: found.said() })
}

/// The files of each class.
type Files = BTreeMap<String, Vec<PathBuf>>;

/// The files, labelled by each class's place in `classes`, which is sorted.
fn entries(files: Files, classes: &[String]) -> Result<Vec<Entry>, DataError> {
    let mut entries = Vec::new();
    for (class, files) in files {
        let label = classes.binary_search(&class).ok().and_then(|n| u16::try_from(n).ok());
        let Some(label) = label else {
            let folder = files.first().and_then(|file| file.parent());
            return Err(DataError::UnknownClass {
                path: folder.unwrap_or(Path::new("")).into(),
                class,
            });
        };
        entries.extend(files.into_iter().map(|path| (path, label)));
    }
    Ok(entries)
}

/// Reads splits and remembers what was left out.
struct Found<'a> {
    dir: &'a Path,
    endings: &'a [&'a str],
    unread: BTreeMap<String, usize>,
    remarks: Remarks,
}

impl Found<'_> {
    /// A split's classes; what is not among them is remembered.
    fn classes(&mut self, path: &Path) -> Result<Classes, DataError> {
        let classes = Classes::list(path, self.endings)?;
        for (ending, count) in &classes.unread {
            *self.unread.entry(ending.clone()).or_default() += count;
        }
        for folder in &classes.system {
            let line = format!("{}: left out, not a class", self.below(folder));
            self.remarks.warnings.push(line);
        }
        Ok(classes)
    }

    /// The split to train on: every class folder has files.
    fn trained(&mut self, path: &Path) -> Result<Files, DataError> {
        let classes = self.classes(path)?;
        if let Some((name, files)) = classes.empty.iter().find(|(_, files)| **files > 0) {
            return Err(self.none_readable(path.join(name), *files));
        }
        if classes.files.is_empty() {
            return Err(match classes.loose.len() {
                0 => DataError::NoImages { path: path.into() },
                images => DataError::NoClassFolders { path: path.into(), images },
            });
        }
        for name in classes.empty.keys() {
            let line = format!("{}: an empty folder, left out", self.below(&path.join(name)));
            self.remarks.warnings.push(line);
        }
        Ok(classes.files)
    }

    /// A split to choose or to report by; `None` when its images have no labels.
    fn tested(&mut self, path: &Path) -> Result<Option<Files>, DataError> {
        let classes = self.classes(path)?;
        if classes.files.is_empty() {
            let annotations = path.join(ANNOTATIONS);
            if annotations.is_file() {
                return annotated(&annotations, classes.loose).map(Some);
            }
            let left_out = match classes.loose.len() {
                0 => "no images that are read".into(),
                images => {
                    format!("{images} images but no class folders, left out: they have no labels")
                }
            };
            self.remarks.warnings.push(format!("{}: {left_out}", self.below(path)));
            return Ok(None);
        }
        for name in classes.empty.keys() {
            let line = format!("{}: no images that are read", self.below(&path.join(name)));
            self.remarks.warnings.push(line);
        }
        Ok(Some(classes.files))
    }

    fn none_readable(&self, path: PathBuf, files: usize) -> DataError {
        let readable: Vec<_> = self.endings.iter().map(|ending| format!(".{ending}")).collect();
        DataError::NoneReadable {
            path,
            files,
            endings: counted(&self.unread),
            readable: readable.join(", "),
        }
    }

    /// A path as it is told of: below the data set's directory.
    fn below(&self, path: &Path) -> String {
        path.strip_prefix(self.dir).unwrap_or(path).display().to_string()
    }

    fn said(mut self) -> Remarks {
        let count: usize = self.unread.values().sum();
        if count > 0 {
            let line = format!(
                "{count} files left out, whose endings are not read: {}",
                counted(&self.unread)
            );
            self.remarks.warnings.push(line);
        }
        self.remarks
    }
}

/// The files by the classes that a list of annotations gives them.
fn annotated(list: &Path, files: Vec<PathBuf>) -> Result<Files, DataError> {
    let text = fs::read_to_string(list).map_err(|reason| DataError::io(list, reason))?;
    let class_of = |line: &str| {
        let mut fields = line.split('\t');
        Some((fields.next()?.to_owned(), fields.next()?.trim().to_owned()))
    };
    let classes: BTreeMap<String, String> = text.lines().filter_map(class_of).collect();
    let mut found = Files::new();
    for file in files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some(class) = name.and_then(|name| classes.get(&name)) {
            found.entry(class.clone()).or_default().push(file);
        }
    }
    match found.is_empty() {
        true => Err(DataError::NoImages { path: list.into() }),
        false => Ok(found),
    }
}
