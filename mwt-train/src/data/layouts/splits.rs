//! Which folders of a directory hold its splits, under the names that people give them, and the files of their classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::listing::{files_of, folders_of, has_ending, is_system, subfolders};
use crate::data::error::DataError;

/// What a folder is for, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Train,
    Validation,
    Test,
}

/// The words of folders' names, in any case, alone or among others: `train`, `Training`, `seg_train`.
const ROLES: [(&str, Role); 8] = [
    ("train", Role::Train),
    ("training", Role::Train),
    ("val", Role::Validation),
    ("valid", Role::Validation),
    ("validation", Role::Validation),
    ("test", Role::Test),
    ("testing", Role::Test),
    ("tests", Role::Test),
];

/// A folder with this name holds the images of its parent, not a class of its own.
const INNER: &str = "images";

/// What a file or folder is for, where its name says so.
pub(super) fn role(path: &Path) -> Option<Role> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let of = |word: &str| ROLES.iter().find(|(known, _)| *known == word).map(|(_, role)| *role);
    of(&name).or_else(|| name.split(['_', '-', '.', ' ']).find_map(of))
}

/// Whether a folder's name is the word alone.
fn is_plain(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| ROLES.iter().any(|(word, _)| *word == name))
}

/// Whether a folder's name says that it holds one split and no others.
pub(super) fn is_split(path: &Path) -> bool {
    role(path).is_some()
}

/// The folders of a data set whose classes are folders.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Splits {
    pub(super) train: Option<PathBuf>,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
    /// Whether the directory's own folders are the classes: there are no splits.
    pub(super) unsplit: bool,
}

impl Splits {
    /// The splits of a directory that has such files in folders of classes; `None` where it has none.
    ///
    /// # Errors
    /// Two folders of the same use.
    pub(super) fn of(dir: &Path, endings: &[&str]) -> Result<Option<Self>, DataError> {
        let Ok(folders) = folders_of(dir) else { return Ok(None) };
        let (named, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(|f| is_split(f));
        let with_classes: Vec<_> = named.iter().filter(|f| holds_classes(f, endings)).collect();
        // A class may be called `train`: then it holds files itself, and other classes lie beside it.
        if with_classes.is_empty() && others.iter().any(|folder| has_files(folder, endings)) {
            return Ok(Some(Self { unsplit: true, ..Self::default() }));
        }
        let mut splits = Self::default();
        for wanted in [Role::Train, Role::Validation, Role::Test] {
            let of = |folder: &&PathBuf| role(folder) == Some(wanted);
            let mut found: Vec<_> = with_classes.iter().copied().filter(of).collect();
            if found.is_empty() {
                // Files in no folders of classes: told of where they are read.
                found = named.iter().filter(of).filter(|f| has_files(f, endings)).collect();
            }
            let place = match wanted {
                Role::Train => &mut splits.train,
                Role::Validation => &mut splits.validation,
                Role::Test => &mut splits.test,
            };
            // `train` goes before `train_more`.
            let plain = found.iter().copied().filter(|folder| is_plain(folder));
            let plain: Vec<_> = plain.collect();
            *place = match (&plain[..], &found[..]) {
                ([only], _) | ([], [only]) => Some((*only).clone()),
                ([], []) => None,
                ([], several) | (several, _) => {
                    let names = several.iter().filter_map(|folder| folder.file_name());
                    let found = names.map(|name| name.to_string_lossy().into_owned()).collect();
                    return Err(DataError::Ambiguous { path: dir.into(), found });
                }
            };
        }
        Ok((splits != Self::default()).then_some(splits))
    }
}

/// Whether a folder has such files, itself or one level deeper.
fn has_files(folder: &Path, endings: &[&str]) -> bool {
    let direct = |folder: &Path| {
        files_of(folder).is_ok_and(|files| files.iter().any(|file| has_ending(file, endings)))
    };
    direct(folder)
        || folders_of(folder).is_ok_and(|inner| inner.iter().any(|folder| direct(folder)))
}

/// Whether a folder has folders with such files.
fn holds_classes(folder: &Path, endings: &[&str]) -> bool {
    folders_of(folder).is_ok_and(|inner| inner.iter().any(|folder| has_files(folder, endings)))
}

/// The files of a split, by class.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Each class folder that has files, with them; sorted.
    pub(super) files: BTreeMap<String, Vec<PathBuf>>,
    /// Class folders without any file that is read, and how many others are in each.
    pub(super) empty: BTreeMap<String, usize>,
    /// How many files there are of each ending that is not read.
    pub(super) unread: BTreeMap<String, usize>,
    /// Folders of other programs.
    pub(super) system: Vec<PathBuf>,
    /// Files beside the class folders.
    pub(super) loose: Vec<PathBuf>,
}

impl Classes {
    /// The files with these endings in the folders of `dir`, and one level deeper.
    ///
    /// # Errors
    /// A folder that cannot be read, a name that is not Unicode, or more classes than labels can tell apart.
    pub(super) fn list(dir: &Path, endings: &[&str]) -> Result<Self, DataError> {
        let mut classes = Self::default();
        let dir = inner_of(dir, endings)?;
        for folder in subfolders(&dir)? {
            if is_system(&folder) {
                classes.system.push(folder);
                continue;
            }
            let name = folder.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| DataError::BadName { path: folder.clone() })?.to_owned();
            let mut all = files_of(&folder)?;
            for inner in folders_of(&folder)? {
                all.extend(files_of(&inner)?);
            }
            let (mut read, others): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|file| has_ending(file, endings));
            others.iter().for_each(|file| *classes.unread.entry(ending(file)).or_default() += 1);
            if read.is_empty() {
                classes.empty.insert(name, others.len());
            } else {
                read.sort_unstable();
                classes.files.insert(name, read);
            }
        }
        classes.loose = files_of(&dir)?;
        classes.loose.retain(|file| has_ending(file, endings));
        // A folder images/ alone is no class, but where the split keeps its files.
        if classes.files.len() == 1
            && classes.empty.is_empty()
            && let Some(files) = classes.files.remove(INNER)
        {
            classes.loose.extend(files);
        }
        let found = classes.files.len();
        if found > usize::from(u16::MAX) + 1 {
            return Err(DataError::TooManyClasses { path: dir, found });
        }
        Ok(classes)
    }
}

/// The folder that has the class folders: `dir`, or the only one in it where archives wrap a split in its own name once
/// more.
fn inner_of(dir: &Path, endings: &[&str]) -> Result<PathBuf, DataError> {
    let folders = folders_of(dir)?;
    if let [only] = &folders[..] {
        let has = |folder: &Path| {
            files_of(folder).is_ok_and(|files| files.iter().any(|file| has_ending(file, endings)))
        };
        let inner = folders_of(only)?;
        if !has(only) && inner.iter().filter(|folder| has(folder)).count() > 1 {
            return Ok(only.clone());
        }
    }
    Ok(dir.into())
}

/// A file's ending as it is told of: `.webp`, or `without an ending`.
pub(super) fn ending(file: &Path) -> String {
    match file.extension() {
        Some(ending) => format!(".{}", ending.to_string_lossy().to_lowercase()),
        None => "without an ending".into(),
    }
}

/// How many files of each ending: `40 .webp, 2 .txt`, the most first.
pub(super) fn counted(endings: &BTreeMap<String, usize>) -> String {
    let mut counts: Vec<_> = endings.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let counts: Vec<_> = counts.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
    counts.join(", ")
}
