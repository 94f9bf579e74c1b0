//! The pictures that lie in a folder, and what else does.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::picture::kind::{Advice, FIRST_BYTES, Kind, kind_of};

/// What lies in a folder and the folders in it.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    /// Pictures, sorted by name; also those that cannot be read, so that each is told of.
    pub(crate) pictures: Vec<PathBuf>,
    /// The rest.
    pub(crate) others: Others,
}

/// Files that are no pictures: how many of each kind, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Others(BTreeMap<&'static str, (usize, PathBuf)>);

impl Others {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, kind: &'static str, path: &Path) {
        self.0.entry(kind).or_insert_with(|| (0, path.to_owned())).0 += 1;
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (kind, (count, first))) in self.0.iter().enumerate() {
            let comma = if n > 0 { "; " } else { "" };
            let files = if *count == 1 { "file" } else { "files" };
            write!(f, "{comma}{count} {files} ({kind}), the first {}", first.display())?;
        }
        Ok(())
    }
}

/// Looks through a folder, without those that begin with a dot and without following links to folders.
///
/// # Errors
/// [`DataError::Io`] when a folder cannot be read.
pub(crate) fn pictures_in(dir: &Path) -> Result<Inside, DataError> {
    let mut inside = Inside::default();
    let mut folders = vec![dir.to_owned()];
    while let Some(dir) = folders.pop() {
        let io = |reason| DataError::io(&dir, reason);
        for entry in fs::read_dir(&dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                match first_bytes(&path) {
                    // Those that are pictures and cannot be read are told of one by one.
                    Kind::Picture(_) | Kind::Other(_, Advice::Convert) => {
                        inside.pictures.push(path)
                    }
                    _ if is_named_so(&path) => inside.pictures.push(path),
                    kind => inside.others.add(kind.name().unwrap_or("of no known kind"), &path),
                }
            }
        }
    }
    inside.pictures.sort_unstable();
    Ok(inside)
}

/// Whether a file has the ending of a picture.
fn is_named_so(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    super::picture::kind::ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

/// What a file is by its content; unknown where it cannot be read.
fn first_bytes(path: &Path) -> Kind {
    let mut first = Vec::with_capacity(FIRST_BYTES);
    let read =
        fs::File::open(path).and_then(|file| file.take(FIRST_BYTES as u64).read_to_end(&mut first));
    read.map_or(Kind::Unknown, |_| kind_of(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let png = b"\x89PNG\r\n\x1a\n";
        fs::create_dir(dir.path().join("b")).unwrap();
        for (name, bytes) in [
            ("b/1.png", &png[..]),
            ("no-ending", png),
            ("cut.JPG", b""),
            ("z.heic", b"\0\0\0\x10ftypheic\0\0\0\0"),
            ("notes.txt", b"words"),
            ("b/more.txt", b"words"),
            ("table.bin", b"\x01\xff\0"),
            (".hidden.png", png),
        ] {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let inside = pictures_in(dir.path()).unwrap();
        let names: Vec<_> =
            inside.pictures.iter().map(|p| p.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(names, ["b/1.png", "cut.JPG", "no-ending", "z.heic"].map(Path::new));
        let others = inside.others.to_string();
        assert!(others.contains("1 file (of no known kind)"), "{others}");
        assert!(others.contains("2 files (text)"), "{others}");
    }
}
