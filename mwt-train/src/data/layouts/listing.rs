//! Folders of files, one class a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::data::error::DataError;

/// A file and the index of its class.
pub(super) type Entry = (PathBuf, u16);

/// Folders that programs leave behind in others.
const SYSTEM: [&str; 6] =
    ["@eaDir", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information", "#recycle"];

/// Whether a folder is one that a program left behind.
pub(super) fn is_system(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| SYSTEM.iter().any(|system| name == *system))
}

/// The names of the folders in a directory, sorted; they are classes.
///
/// # Errors
///
/// [`DataError::BadName`] for a name that is not Unicode, [`DataError::TooManyClasses`] for more than
/// a label can tell apart.
pub(super) fn folders(dir: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for path in folders_of(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| DataError::BadName { path: path.clone() })?;
        names.push(name.to_string());
    }
    match names.len() {
        found if found > usize::from(u16::MAX) + 1 => {
            Err(DataError::TooManyClasses { path: dir.into(), found })
        }
        _ => Ok(names),
    }
}

/// The folders in a directory, sorted, those of other programs included.
pub(super) fn subfolders(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut folders = visible_entries(dir)?;
    folders.retain(|path| path.is_dir());
    Ok(folders)
}

/// The folders in a directory, sorted.
pub(super) fn folders_of(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut folders = subfolders(dir)?;
    folders.retain(|path| !is_system(path));
    Ok(folders)
}

/// The files in a directory, sorted.
pub(super) fn files_of(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = visible_entries(dir)?;
    files.retain(|path| path.is_file());
    Ok(files)
}

/// The files in a directory whose names have one of the extensions, in any case, sorted.
pub(super) fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut files = files_of(dir)?;
    files.retain(|path| has_ending(path, extensions));
    Ok(files)
}

/// Whether a file's name has one of the extensions, in any case.
pub(super) fn has_ending(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    extensions.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// What a directory holds, sorted, but for names that begin with a dot: file managers leave such
/// files behind, some of them with the extension of what they describe.
fn visible_entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |reason| DataError::io(dir, reason);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// At most `limit` entries, evenly spaced so that all classes keep their share.
pub(super) fn thin_out<T>(entries: Vec<T>, limit: Option<usize>) -> Vec<T> {
    let total = entries.len();
    let wanted = limit.unwrap_or(total).min(total);
    if wanted == total {
        return entries;
    }
    // Entry i is kept when the count of kept ones, i·wanted/total, steps there.
    let step = |i: usize| (i as u128 * wanted as u128) / total as u128;
    let numbered = entries.into_iter().enumerate();
    let kept = numbered.filter(|(i, _)| step(i + 1) > step(*i));
    kept.map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_hidden_ones_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".c", "@eaDir", "__MACOSX"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in ["2.wav", "1.WAV", "._1.wav", "1.txt"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(folders(dir.path()).unwrap(), ["a", "b"]);
        let files = files(dir.path(), &["wav"]).unwrap();
        assert_eq!(files, [dir.path().join("1.WAV"), dir.path().join("2.wav")]);
        assert!(matches!(folders(&dir.path().join("x")), Err(DataError::Io { .. })));
    }

    #[test]
    fn thinning_keeps_every_class() {
        let entries: Vec<Entry> = (0..90).map(|n| (PathBuf::new(), n / 30)).collect();
        let few = thin_out(entries.clone(), Some(9));
        assert_eq!(few.iter().map(|e| e.1).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(thin_out(entries.clone(), None).len(), 90);
        assert!(thin_out(entries, Some(0)).is_empty());
        assert!(thin_out(Vec::<Entry>::new(), Some(1)).is_empty());
    }
}
