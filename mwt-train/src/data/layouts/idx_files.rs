//! Which files of a directory are the images and labels of an idx data set.

use std::path::{Path, PathBuf};

use super::listing::files_of;
use crate::data::error::DataError;

/// A file of images and the file of their labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) images: PathBuf,
    pub(super) labels: PathBuf,
}

/// The files of one data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IdxFiles {
    /// The directory.
    pub(super) dir: PathBuf,
    /// What its files' names begin with, such as `emnist-letters`; mostly nothing.
    pub(super) prefix: String,
    pub(super) train: Option<Pair>,
    pub(super) test: Option<Pair>,
}

/// What a name says of a file.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    prefix: String,
    train: bool,
    images: bool,
}

impl Name {
    /// Reads `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte.gz` and
    /// `qmnist-train-labels-idx2-int.gz`.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let words: Vec<&str> = name.split(['-', '.', '_']).collect();
        let kind = words.iter().position(|word| ["images", "labels"].contains(word))?;
        let idx = words.get(kind + 1)?.strip_prefix("idx")?;
        idx.parse::<u8>().ok()?;
        // The numbers' type, and gzip's ending.
        matches!(words.get(kind + 2..)?, [_] | [_, "gz"]).then_some(())?;
        let (split, prefix) = words.get(..kind)?.split_last()?;
        let train = match *split {
            "train" => true,
            "t10k" | "test" => false,
            _ => return None,
        };
        Some(Self { prefix: prefix.join("-"), train, images: words[kind] == "images" })
    }
}

/// Whether the directory has the images of an idx data set, or the file is one of them.
pub(super) fn is_idx(path: &Path) -> bool {
    let of = |path: &PathBuf| Name::of(path).is_some_and(|name| name.images);
    match path.is_file() {
        true => Name::of(path).is_some(),
        false => files_of(path).is_ok_and(|files| files.iter().any(of)),
    }
}

impl IdxFiles {
    /// The files of a directory, or those that belong to a file.
    ///
    /// # Errors
    /// Several data sets in one directory, or images without labels.
    pub(super) fn of(path: &Path) -> Result<Self, DataError> {
        let asked = if path.is_file() { Name::of(path) } else { None };
        let dir = match path.is_file() {
            true => path.parent().unwrap_or(Path::new("")),
            false => path,
        };
        let all = files_of(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?;
        let named: Vec<_> = all.iter().filter_map(|file| Some((Name::of(file)?, file))).collect();
        let mut prefixes: Vec<&str> =
            named.iter().filter(|(name, _)| name.images).map(|(name, _)| &*name.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        if let Some(asked) = &asked {
            prefixes.retain(|prefix| *prefix == asked.prefix);
        }
        let prefix = match prefixes[..] {
            [only] => only.to_owned(),
            [] => return Err(missing(dir, "train-images-idx3-ubyte (or .gz)".into())),
            _ => {
                let of = |prefix: &&str| {
                    let first = named.iter().find(|(name, _)| name.prefix == **prefix);
                    let file = first.and_then(|(_, file)| file.file_name());
                    file.map(|file| file.to_string_lossy().into_owned())
                };
                let found = prefixes.iter().filter_map(of).collect();
                return Err(DataError::Ambiguous { path: dir.into(), found });
            }
        };
        let find = |train, images| {
            // The first of `…-ubyte` and `…-ubyte.gz`, which sorts behind it.
            let wanted = Name { prefix: prefix.clone(), train, images };
            named.iter().find(|(name, _)| *name == wanted).map(|(_, file)| (*file).clone())
        };
        let pair = |train| {
            let Some(images) = find(train, true) else { return Ok(None) };
            let labels = find(train, false).ok_or_else(|| {
                let name =
                    images.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
                missing(dir, format!("the file of labels that belongs to {name}"))
            })?;
            Ok(Some(Pair { images, labels }))
        };
        Ok(Self { train: pair(true)?, test: pair(false)?, dir: dir.into(), prefix: prefix.clone() })
    }
}

fn missing(dir: &Path, what: String) -> DataError {
    DataError::Missing { path: dir.into(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_are_known() {
        let of = |name: &str| Name::of(Path::new(name));
        let name =
            |prefix: &str, train, images| Some(Name { prefix: prefix.into(), train, images });
        assert_eq!(of("train-images-idx3-ubyte"), name("", true, true));
        assert_eq!(of("t10k-labels.idx1-ubyte.gz"), name("", false, false));
        assert_eq!(
            of("emnist-letters-test-images-idx3-ubyte.gz"),
            name("emnist-letters", false, true)
        );
        assert_eq!(of("qmnist-train-labels-idx2-int"), name("qmnist", true, false));
        assert_eq!(of("train_labels_idx1_ubyte"), name("", true, false));
        for other in
            ["train-images.npz", "images-idx3-ubyte", "emnist-letters-mapping.txt", "train"]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
