//! The layouts in which data sets come as files: which one a path is in, and a reader for each.

mod cifar;
mod cifar_python;
mod class_folders;
mod faults;
mod folder;
mod idx;
mod idx_files;
mod idx_names;
mod in_memory;
mod listing;
mod mesh;
mod npy;
mod npz;
mod npz_images;
mod off;
#[cfg(feature = "parquet")]
mod parquet;
mod pickle;
mod sizes;
mod splits;
mod taken;
mod timestamp;
mod ts;
mod unread;
mod wav;

use std::path::{Path, PathBuf};

pub(crate) use sizes::smaller;

use super::error::DataError;
use super::options::{LoadOptions, Parts};
use super::signals::Signals;
use crate::ranks::Ranks;

/// The layouts that [`load`](super::load) can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetLayout {
    /// The built-in 28×28 grey digits, drawn from a seed.
    Digits,
    /// The idx files of MNIST, Fashion-MNIST, KMNIST, QMNIST and EMNIST, gzipped or not.
    Idx,
    /// The binary versions of CIFAR-10 and CIFAR-100, and STL-10.
    CifarBinary,
    /// The python versions of CIFAR-10 and CIFAR-100: pickles.
    CifarPython,
    /// Images in folders of classes, in folders of splits or not.
    ImageFolder,
    /// The built-in series: motions of three axes, drawn from a seed.
    Gestures,
    /// The built-in volumes: distances to solids, drawn from a seed.
    Solids,
    /// The `.ts` files of aeon and sktime.
    Ts,
    /// NumPy's `.npz`, the file or a directory with it.
    Npz,
    /// Parquet files with the images in them, as Hugging Face stores them; the file or a directory with some.
    Parquet,
    /// Meshes, `<class>/{train,test}/*.off`.
    Mesh,
    /// Sounds, `train/<class>/*.wav` beside `test/` or `val/`.
    Wav,
}

/// The source names that stand for built-in sets.
const BUILT_IN: [(&str, DatasetLayout); 3] = [
    ("digits", DatasetLayout::Digits),
    ("gestures", DatasetLayout::Gestures),
    ("solids", DatasetLayout::Solids),
];

/// Whether `source` is the word of a built-in set.
pub(super) fn is_built_in(source: &str) -> bool {
    BUILT_IN.iter().any(|(name, _)| *name == source)
}

impl DatasetLayout {
    /// The layout of what `source` names: a built-in set, or that of a path.
    ///
    /// # Errors
    ///
    /// As [`detect`].
    pub fn of(source: &str) -> Result<Self, DataError> {
        Place::of(source).map(|place| place.layout)
    }

    /// Whether the set is drawn from a seed and has no files.
    pub fn is_built_in(self) -> bool {
        BUILT_IN.iter().any(|(_, layout)| *layout == self)
    }
}

/// Recognises the layout of a directory, or of a folder in it that alone holds a data set, or of a file.
///
/// Never answers a built-in set, which has no directory.
///
/// # Errors
///
/// [`DataError::Io`] when `path` cannot be read, [`DataError::UnknownLayout`] or [`DataError::NotRead`]
/// when it is in none of the known layouts, [`DataError::Ambiguous`] when it holds several data sets.
pub fn detect(path: &Path) -> Result<DatasetLayout, DataError> {
    place(path).map(|place| place.layout)
}

/// Where a data set lies, and its layout.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) layout: DatasetLayout,
    pub(super) path: PathBuf,
}

impl Place {
    /// The place of what `source` names: a built-in set, or a path.
    pub(super) fn of(source: &str) -> Result<Self, DataError> {
        match BUILT_IN.iter().find(|(name, _)| *name == source) {
            Some((_, layout)) => Ok(Self { layout: *layout, path: source.into() }),
            None => place(Path::new(source)),
        }
    }
}

fn place(path: &Path) -> Result<Place, DataError> {
    let read = std::fs::metadata(path).map_err(|reason| match path.starts_with("~") {
        true => DataError::Tilde { path: path.into() },
        false => DataError::io(path, reason),
    });
    if !read?.is_dir() {
        return match layout_of_file(path) {
            Some(layout) => Ok(Place { layout, path: path.into() }),
            None => Err(unread::of_file(path)),
        };
    }
    std::fs::read_dir(path).map_err(|reason| DataError::io(path, reason))?;
    inside(path, WRAPPERS)?.ok_or_else(|| unread::of_dir(path))
}

/// How many folders may lie around a data set that lies in them alone.
const WRAPPERS: usize = 3;

/// A directory with more folders than this is not searched: it is not one that holds a data set beside few others.
const MOST_FOLDERS: usize = 16;

/// The data set in a directory itself, or in a folder in it: the one that an archive wraps around its files, or
/// torchvision's `MNIST/raw`.
fn inside(dir: &Path, wrappers: usize) -> Result<Option<Place>, DataError> {
    if let Some(layout) = layout_of(dir)? {
        return Ok(Some(Place { layout, path: dir.into() }));
    }
    if wrappers == 0 {
        return Ok(None);
    }
    let mut found = Vec::new();
    // One that cannot be read holds nothing that could be.
    let folders = listing::folders_of(dir).unwrap_or_default();
    if folders.len() > MOST_FOLDERS {
        return Ok(None);
    }
    for folder in folders {
        found.extend(inside(&folder, wrappers - 1)?);
    }
    if found.len() > 1 {
        let name = |place: &Place| place.path.strip_prefix(dir).ok().map(Path::to_path_buf);
        let names = found.iter().filter_map(name).take(4);
        let found = names.map(|name| name.display().to_string()).collect();
        return Err(DataError::Ambiguous { path: dir.into(), found });
    }
    Ok(found.pop())
}

fn layout_of_file(path: &Path) -> Option<DatasetLayout> {
    if npz::is_npz(path) {
        Some(DatasetLayout::Npz)
    } else if idx_files::is_idx(path) {
        Some(DatasetLayout::Idx)
    } else if is_parquet(path) {
        Some(DatasetLayout::Parquet)
    } else {
        None
    }
}

/// The layout of a directory's own files and folders.
fn layout_of(dir: &Path) -> Result<Option<DatasetLayout>, DataError> {
    Ok(if idx_files::is_idx(dir) {
        Some(DatasetLayout::Idx)
    } else if cifar::is_cifar(dir) {
        Some(DatasetLayout::CifarBinary)
    } else if cifar_python::is_cifar(dir) {
        Some(DatasetLayout::CifarPython)
    } else if ts::is_ts(dir) {
        Some(DatasetLayout::Ts)
    } else if npz::is_npz(dir) {
        Some(DatasetLayout::Npz)
    } else if is_parquet(dir) {
        Some(DatasetLayout::Parquet)
    } else if mesh::is_mesh(dir) {
        Some(DatasetLayout::Mesh)
    // Before images, of which folders for splits alone are enough.
    } else if wav::is_wav(dir)? {
        Some(DatasetLayout::Wav)
    } else if folder::is_folder(dir)? {
        Some(DatasetLayout::ImageFolder)
    } else {
        None
    })
}

#[cfg(feature = "parquet")]
use parquet::is_parquet;

/// This program was built without the reader.
#[cfg(not(feature = "parquet"))]
fn is_parquet(_: &Path) -> bool {
    false
}

/// The splits of images, or of other signals.
pub(super) enum Splits {
    Images(Parts),
    Signals(Parts<Signals>),
}

/// Reads a data set of files, all ranks together.
pub(super) fn read(
    place: &Place,
    options: &LoadOptions,
    ranks: &Ranks,
) -> Result<Splits, DataError> {
    use DatasetLayout::{
        CifarBinary, CifarPython, Digits, Gestures, Idx, ImageFolder, Mesh, Npz, Parquet, Solids,
        Ts, Wav,
    };
    let path = &*place.path;
    Ok(match place.layout {
        Idx => Splits::Images(idx::load(path, options)?),
        CifarBinary => Splits::Images(cifar::load(path, options)?),
        CifarPython => Splits::Images(cifar_python::load(path, options)?),
        ImageFolder => Splits::Images(folder::load(path, options, ranks)?),
        Ts => Splits::Signals(Parts::new(ts::load(path, options)?)),
        Npz => match npz_images::load(path, options)? {
            Some(parts) => Splits::Images(parts),
            None => Splits::Signals(Parts::new(npz::load(path, options)?)),
        },
        Mesh => Splits::Signals(Parts::new(mesh::load(path, options, options.side)?)),
        Wav => Splits::Signals(wav::load(path, options, options.rate, options.window)?),
        #[cfg(feature = "parquet")]
        Parquet => Splits::Images(parquet::load(path, options, ranks)?),
        #[cfg(not(feature = "parquet"))]
        Parquet => return Err(unread::of_dir(path)),
        // Those have no files.
        Digits | Gestures | Solids => return Err(unread::of_dir(path)),
    })
}
