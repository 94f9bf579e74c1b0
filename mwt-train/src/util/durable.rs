//! Files that are there whole or not at all, whenever the power fails, and that leave what is not theirs as it is: links
//! are followed, permissions kept, and what is no file (a pipe, a device) is written to and never replaced.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
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
        Self::beside(path, bytes).map_err(FileError::at(path))
    }

    fn beside(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let path = target(path)?;
        let old = fs::metadata(&path).ok();
        if old.as_ref().is_some_and(|old| old.permissions().readonly()) {
            // Its directory would let it be replaced; its owner said that it is not to be changed.
            return Err(io::Error::new(ErrorKind::PermissionDenied, "the file is read-only"));
        }
        let (mut file, temporary) = create_beside(&path)?;
        let staged = Self { path, temporary };
        if let Some(old) = old {
            keep_owner(&file, &old);
            file.set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Gives the content its name, and syncs the directory: until that is on disk, so is the old name.
    pub(crate) fn commit(self) -> Result<(), FileError> {
        fs::rename(&self.temporary, &self.path).map_err(FileError::at(&self.path))?;
        // Not every system can open a directory and sync it.
        if let Ok(dir) = fs::File::open(directory(&self.path)) {
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

/// Gives a new file the owner of the one that it replaces, as far as the system lets this user.
#[cfg(unix)]
fn keep_owner(file: &fs::File, old: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::File, _: &fs::Metadata) {}

/// The directory that a path's last name lies in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The most links that lead from one to the next.
const LINKS: usize = 40;

/// The path behind links, also where nothing lies there yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = directory(&path).join(next),
            // It is no link, or there is nothing.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links lead on from it"))
}

/// A new file beside another, under a name that nobody has.
fn create_beside(path: &Path) -> io::Result<(fs::File, PathBuf)> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    for n in 0..u32::MAX {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{n}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match fs::File::create_new(&temporary) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (file, temporary)),
        }
    }
    Err(io::Error::from(ErrorKind::AlreadyExists))
}

/// Removes what writers of the files in a directory left there when they were killed. For a directory whose only writer
/// the caller is.
pub(crate) fn tidy(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let ours =
            name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp")).is_some_and(|rest| {
                let writer = rest.rsplit_once('.').and_then(|(_, writer)| writer.split_once('-'));
                writer.is_some_and(|(process, n)| number(process) && number(n))
            });
        if ours {
            // If it cannot be removed it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Where a process's own open files have names.
const OPEN: [&str; 5] = ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];

/// Whether what a path leads to can be replaced by a file: a file, or nothing yet. A pipe or a device cannot, and neither
/// can what a process has open.
pub fn is_file(path: &Path) -> bool {
    let open = |path: &Path| OPEN.iter().any(|open| path.starts_with(open));
    let open = open(path) || target(path).is_ok_and(|path| open(&path));
    !open && fs::metadata(path).map_or(true, |there| there.is_file() || there.is_dir())
}

/// Writes a file whole or not at all: to a temporary name first, synced, renamed, and the directory synced. A pipe or a
/// device is written to as it is.
///
/// # Errors
/// A file that cannot be written, which is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    if is_file(path) {
        return Staged::new(path, bytes)?.commit();
    }
    let opened = fs::OpenOptions::new().write(true).open(path);
    opened.and_then(|mut file| file.write_all(bytes)).map_err(FileError::at(path))
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

    /// A user's own file with such a name is left alone, and what a killed writer left is cleared away.
    #[test]
    fn temporary_names_are_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let own = ["a.tmp", ".a.tmp", ".a.b-c.tmp", ".a.12.tmp"].map(|name| dir.path().join(name));
        let taken = dir.path().join(format!(".a.{}-0.tmp", std::process::id()));
        for path in own.iter().chain([&taken]) {
            fs::write(path, b"mine").unwrap();
        }
        write(&dir.path().join("a"), b"new").unwrap();
        for path in own.iter().chain([&taken]) {
            assert_eq!(fs::read(path).unwrap(), b"mine");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);
        tidy(dir.path());
        assert!(!taken.exists() && own.iter().all(|path| path.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_modes_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        fs::create_dir(at("store")).unwrap();
        fs::write(at("store/real"), b"old").unwrap();
        fs::set_permissions(at("store/real"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("store/real", at("link")).unwrap();
        symlink("link", at("link-to-link")).unwrap();
        symlink("store/new", at("dangling")).unwrap();
        symlink("round", at("round")).unwrap();

        write(&at("link-to-link"), b"new").unwrap();
        assert_eq!(fs::read(at("store/real")).unwrap(), b"new");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(mode("store/real"), 0o640);
        write(&at("dangling"), b"first").unwrap();
        assert_eq!(fs::read(at("store/new")).unwrap(), b"first");
        assert!(write(&at("round"), b"x").is_err());

        // Whose it is it stays; only root may give files away.
        write(&at("given"), b"1").unwrap();
        if std::os::unix::fs::chown(at("given"), Some(12345), Some(12345)).is_ok() {
            use std::os::unix::fs::MetadataExt as _;
            write(&at("given"), b"2").unwrap();
            let given = fs::metadata(at("given")).unwrap();
            assert_eq!((given.uid(), given.gid()), (12345, 12345));
        }

        // Only its owner may read it, before and after.
        write(&at("secret"), b"1").unwrap();
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        write(&at("secret"), b"2").unwrap();
        assert_eq!((mode("secret"), fs::read(at("secret")).unwrap()), (0o600, b"2".to_vec()));
        // And what must not be written is not.
        fs::set_permissions(at("secret"), fs::Permissions::from_mode(0o400)).unwrap();
        assert!(write(&at("secret"), b"3").unwrap_err().to_string().contains("read-only"));
        assert_eq!(fs::read(at("secret")).unwrap(), b"2");
    }

    /// A pipe's reader gets the bytes, and the pipe is still one.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to() {
        use std::os::unix::fs::FileTypeExt as _;

        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: there is no mkfifo");
            return;
        }
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        assert!(!is_file(&pipe));
        write(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
