//! Files that are there whole or not at all, whenever the power fails.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file or directory that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Puts a path to the system's error, for `map_err`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

/// A file's new content, on disk beside it under a temporary name; dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    temporary: PathBuf,
}

impl Staged {
    /// Writes and syncs the content. A full disk shows here, where the file that is to be replaced is still whole.
    pub(crate) fn new(path: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let staged = Self { path: path.to_owned(), temporary: path.with_file_name(name) };
        fs::File::create(&staged.temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(FileError::at(path))?;
        Ok(staged)
    }

    /// Gives the content its name, and syncs the directory: until that is on disk, so is the old name.
    pub(crate) fn commit(self) -> Result<(), FileError> {
        fs::rename(&self.temporary, &self.path).map_err(FileError::at(&self.path))?;
        let parent = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        // Not every system can open a directory and sync it.
        if let Ok(dir) = fs::File::open(parent.unwrap_or(Path::new("."))) {
            let _ = dir.sync_all();
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Renamed away when all went well. A part of a file on a full disk is in the way of everything.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a file whole or not at all: to a temporary name first, synced, renamed, and the directory synced.
///
/// # Errors
/// A file that cannot be written, which is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    Staged::new(path, bytes)?.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_whole_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (file, taken) = (dir.path().join("a"), dir.path().join("b"));
        write(&file, b"old").unwrap();
        drop(Staged::new(&file, b"half").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"old");
        write(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        // A directory is in the way: the rename fails, in one line, and cleans up.
        fs::create_dir(&taken).unwrap();
        let line = write(&taken, b"x").unwrap_err().to_string();
        assert!(line.contains('b') && !line.contains('\n'), "{line}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
