//! What can go wrong while loading, one line each.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::array_fault::ArrayFault;
use super::line_fault::LineFault;
use super::picture_fault::PictureFault;
use super::sound_fault::SoundFault;
use crate::ranks::OtherRank;

/// Why a data set could not be loaded.
///
/// Each message is one line that names the path, the reason and what to do, so
/// it can be shown to a person as it is. The reasons of the layers below are
/// part of the line rather than its `source()`, so that nothing prints twice.
#[derive(thiserror::Error, Debug)]
pub enum DataError {
    /// Something that is for pictures was asked of signals that are none.
    #[error("the data set has no pictures: this is for images alone")]
    NoPictures,
    /// An option for images was given for signals that are none.
    #[error("{source_name}: {option} is for 8-bit images, the data set has {kind} in floats")]
    OnlyImages {
        /// The source, as it was given to [`load`](super::load).
        source_name: String,
        /// The option.
        option: &'static str,
        /// What the data set has.
        kind: String,
    },

    /// The operating system refused a path, or a gzip stream is corrupt.
    #[error("{path}: {reason}; check that it exists, is readable and was downloaded whole")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },

    /// An image file could not be decoded.
    #[error("{path}: {fault}")]
    Decode {
        /// The image file.
        path: PathBuf,
        /// What is wrong with it.
        fault: PictureFault,
    },

    /// More than a few images of a split cannot be read.
    #[error("{faults} of {images} images cannot be read, more than 1 in 100; the first is {first}")]
    TooManyFaults {
        /// Images that cannot be read.
        faults: usize,
        /// Images of the split.
        images: usize,
        /// What is wrong with the first of them.
        first: Box<DataError>,
    },

    /// What another process, or this one of several, found; all of them know it.
    #[error("{0}")]
    OnRank(RankFault),

    /// The processes that read a data set together do not have the same.
    #[error(transparent)]
    OtherRank(OtherRank),

    /// An image file is another one than when it was looked at first.
    #[error("{path}: has other bytes than when the data set was read first")]
    Changed {
        /// The image file.
        path: PathBuf,
    },

    /// A directory is in none of the known layouts.
    #[error(
        "{path}: no data set that can be read: {what}; known are folders of images or sounds, one a class, \
         with or without train/ and test/ or val/, the files of MNIST and its kin, of CIFAR and of STL-10, \
         series (NAME_TRAIN.ts with NAME_TEST.ts), arrays (NAME.npz), tables of images (parquet) and meshes (<class>/train/*.off with \
         test/); `digits`, `gestures` and `solids` need no directory"
    )]
    UnknownLayout {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        what: String,
    },

    /// A file, or the files of a directory, are of a kind that is not read.
    #[error("{path}: {what}; {remedy}")]
    NotRead {
        /// The file or directory.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What to do.
        remedy: &'static str,
    },

    /// A path begins with `~`, which no shell has replaced.
    #[error(
        "{path}: there is no such path; a shell replaces ~ at the beginning of a word alone: write $HOME"
    )]
    Tilde {
        /// The path.
        path: PathBuf,
    },

    /// A split has images, but not in folders of classes.
    #[error(
        "{path}: {images} images, but no class folders: put the images of each class into a folder of its \
         own, such as {path}/cat/"
    )]
    NoClassFolders {
        /// The folder of the split.
        path: PathBuf,
        /// Images in it.
        images: usize,
    },

    /// A folder has files, but none that is read.
    #[error(
        "{path}: {files} files ({endings}), of which none can be read; convert them to {readable}"
    )]
    NoneReadable {
        /// The folder.
        path: PathBuf,
        /// Its files.
        files: usize,
        /// How many of each ending.
        endings: String,
        /// The endings that are read.
        readable: String,
    },

    /// A part of a recognised layout is missing.
    #[error("{path}: {what} is missing; add it, or download the data set again")]
    Missing {
        /// The directory.
        path: PathBuf,
        /// The part that is not there.
        what: String,
    },

    /// A place that should hold images, or other signals, holds none.
    #[error(
        "{path}: no images, series or volumes found; add some, set a limit above 0, or remove it"
    )]
    NoImages {
        /// The file, directory or built-in source without any.
        path: PathBuf,
    },

    /// An idx file does not begin as its name promises.
    #[error(
        "{path}: begins with {found:#010x}, which is not {expected}; this is not the idx file its name says, \
         download it again"
    )]
    BadMagic {
        /// The idx file.
        path: PathBuf,
        /// The first four bytes, big-endian.
        found: u32,
        /// What they should say.
        expected: &'static str,
    },

    /// A pickle is none of CIFAR's.
    #[error("{path}: not a batch of CIFAR's python version: {fault}; download it again")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },

    /// A file ends before it has given all it promised.
    #[error("{path}: truncated, {found} of {expected} bytes; download it again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that the format or its header promises.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },

    /// A file goes on after all it promised.
    #[error("{path}: has more than the {expected} bytes its header promises; download it again")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes that its header promises.
        expected: u64,
    },

    /// The images and the labels of an idx pair differ in number.
    #[error("{path}: {labels} labels for {images} images; take both files from the same data set")]
    CountMismatch {
        /// The label file.
        path: PathBuf,
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },

    /// A label names no class.
    #[error(
        "{path}: image {index} (from 0) has label {label}, but labels must be below {classes}; the file \
         is damaged or of another data set"
    )]
    LabelOutOfRange {
        /// The file with the label.
        path: PathBuf,
        /// Which image of the file, from 0.
        index: usize,
        /// Its label.
        label: u64,
        /// Number of classes.
        classes: usize,
    },

    /// The images of a folder are too large to train on as they are.
    #[error(
        "{path}: an image is {}x{} (height x width), too large to train on as it is: --image-size {}x{} brings \
         all images of a folder to one size (--image-size {}x{} keeps it)",
        .found.0, .found.1, .hint.0, .hint.1, .found.0, .found.1
    )]
    LargeImages {
        /// The first of them.
        path: PathBuf,
        /// Its height and width.
        found: (usize, usize),
        /// A size to bring all to.
        hint: (usize, usize),
    },

    /// The images of a folder differ in size.
    #[error(
        "{path}: the image is {}x{} (height x width) where others are {}x{}; --image-size {}x{} brings all \
         images of a folder to one size",
        .found.0, .found.1, .expected.0, .expected.1, .hint.0, .hint.1
    )]
    MixedSizes {
        /// The first file that differs.
        path: PathBuf,
        /// Its height and width.
        found: (usize, usize),
        /// The height and width of the others.
        expected: (usize, usize),
        /// A size to bring all to.
        hint: (usize, usize),
    },

    /// The test images differ in size from those to train on.
    #[error(
        "{path}: the images are {}x{} (height x width) where {}x{} is expected; take both files from the same \
         data set",
        .found.0, .found.1, .expected.0, .expected.1
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its height and width.
        found: (usize, usize),
        /// The height and width of the others.
        expected: (usize, usize),
    },

    /// An image size is zero or beyond what an image can have.
    #[error(
        "image size {height}x{width} (height x width) is not possible; a side must be 1 to {}, all pixels at most \
         {}, as 4096x4096 has",
        mwt_core::Extents::MAX_SIDE,
        mwt_core::Extents::MAX_POSITIONS
    )]
    BadSize {
        /// The height asked for.
        height: usize,
        /// The width asked for.
        width: usize,
    },

    /// A layout with a fixed image shape was asked for another.
    #[error(
        "{source_name}: images are {}x{}x{} (height x width x channels) and not {}x{}x{}; only pictures \
         in files can be resized or recoloured, leave both options out",
        .found[0], .found[1], .found[2], .wanted[0], .wanted[1], .wanted[2]
    )]
    FixedShape {
        /// The source, as it was given to [`load`](super::load).
        source_name: String,
        /// Height, width and channels as they are.
        found: [usize; 3],
        /// Height, width and channels as asked for.
        wanted: [usize; 3],
    },

    /// The test split has a class that the training split lacks.
    #[error(
        "{path}: class `{class}` has no images to train on; rename it, remove it, or add some to train/"
    )]
    UnknownClass {
        /// The class folder.
        path: PathBuf,
        /// Its class name.
        class: String,
    },

    /// A class list has the wrong number of names.
    #[error("{path}: {} for {expected} classes; give one name a class", count(*.found, "label"))]
    ClassNames {
        /// The list, or the names as they were given.
        path: PathBuf,
        /// Names in the list.
        found: usize,
        /// Classes in the data.
        expected: usize,
    },

    /// Classes are none of a model's.
    #[error(
        "the data set's classes ({classes}) are not among the model's ({labels}); --labels FILE names the data \
         set's, --by-number takes class 0 for the model's first, and so on"
    )]
    OtherClasses {
        /// Those of the data set.
        classes: String,
        /// The model's labels.
        labels: String,
    },

    /// A class list has a name twice.
    #[error("{path}: two classes are called `{name}`; give each its own name")]
    SameName {
        /// The list, or the names as they were given.
        path: PathBuf,
        /// The name.
        name: String,
    },

    /// There are more classes than a label can tell apart.
    #[error("{path}: {found} classes, but at most 65536 are supported; merge or remove some")]
    TooManyClasses {
        /// The file that names the classes, or the directory of their folders.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },

    /// A class folder's name is not Unicode.
    #[error("{path}: the folder's name is not valid UTF-8; rename it")]
    BadName {
        /// The folder.
        path: PathBuf,
    },

    /// The images do not fit in memory.
    #[error(
        "{images} images of {}x{}x{} (height x width x channels) do not fit in memory; set a limit or a \
         smaller image size",
        .shape[0], .shape[1], .shape[2]
    )]
    TooLarge {
        /// Number of images.
        images: usize,
        /// Height, width and channels of each.
        shape: [usize; 3],
    },

    /// Bytes, shape and labels given to a [`Split`](super::Split) disagree.
    #[error(
        "{bytes} bytes do not make {images} images of {}x{}x{} (height x width x channels); give one \
         label for each image",
        .shape[0], .shape[1], .shape[2]
    )]
    Shape {
        /// Number of bytes.
        bytes: usize,
        /// Number of labels, so of images.
        images: usize,
        /// Height, width and channels of each.
        shape: [usize; 3],
    },

    /// A grid has a side of 0 or more positions than a model can have.
    #[error(
        "{path}: a grid of {sides:?} samples is not possible; a side must be 1 to {}, all positions at \
         most {}",
        mwt_core::Extents::MAX_SIDE,
        mwt_core::Extents::MAX_POSITIONS
    )]
    GridSize {
        /// The file, directory or built-in source.
        path: PathBuf,
        /// The sides of the grid.
        sides: Vec<usize>,
    },

    /// The signals would take more memory than is allowed.
    #[error(
        "{path}: {signals} signals take {bytes} bytes in memory, more than the {memory} allowed; set a \
         limit or allow more memory"
    )]
    SignalsTooLarge {
        /// The file, directory or built-in source.
        path: PathBuf,
        /// Number of signals.
        signals: usize,
        /// Bytes of all of them.
        bytes: u64,
        /// Bytes allowed.
        memory: u64,
    },

    /// A line of a text file cannot be read.
    #[error("{path}:{line}: {fault}; correct the line, or download the data set again")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line of it, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },

    /// A directory holds several data sets.
    #[error(
        "{path}: holds several data sets ({}); give the path of one of them",
        .found.join(", ")
    )]
    Ambiguous {
        /// The directory.
        path: PathBuf,
        /// Some of the data sets in it.
        found: Vec<String>,
    },

    /// A file is no zip archive, or a damaged one.
    #[error("{path}: not a readable npz archive: {reason}; write it with numpy.savez")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What the reader of archives said.
        reason: zip::result::ZipError,
    },

    /// An array of an archive cannot be read.
    #[error("{path}: array {array}: {fault}")]
    Array {
        /// The archive.
        path: PathBuf,
        /// The array's name.
        array: String,
        /// What is wrong with it.
        fault: ArrayFault,
    },

    /// A parquet file cannot be read.
    #[error("{path}: not a readable parquet file: {reason}; download it again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said, in one line.
        reason: String,
    },

    /// A table has no column of images, or none of labels.
    #[error(
        "{path}: no column of {what} among {}; images are bytes of picture files, in a column `image` or a group with \
         `bytes` in it, labels numbers or text in a column `label`",
        .found.join(", ")
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is missing: images or labels.
        what: &'static str,
        /// The columns that are there.
        found: Vec<String>,
    },

    /// A label is none of those that the file names.
    #[error(
        "{path}: label {label} is none of the {classes} classes that the file names; it is damaged"
    )]
    UnnamedLabel {
        /// The file.
        path: PathBuf,
        /// The label.
        label: String,
        /// Number of classes.
        classes: usize,
    },

    /// A mesh has no area.
    #[error("{path}: the mesh has no surface: no faces, or faces of no area; remove the file")]
    NoSurface {
        /// The mesh.
        path: PathBuf,
    },

    /// A place that should hold files of one kind holds none.
    #[error("{path}: no {what} files found; add some, or remove the folder")]
    NoFiles {
        /// The folder.
        path: PathBuf,
        /// The files' kind.
        what: &'static str,
    },

    /// A sound cannot be read.
    #[error("{path}: {fault}; replace or remove the file")]
    Sound {
        /// The WAV file.
        path: PathBuf,
        /// What is wrong with it.
        fault: SoundFault,
    },
}

/// `1 label`, `2 labels`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// An error as other processes hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{rank}: {line}")]
pub struct RankFault {
    /// Which process, and its machine.
    pub rank: String,
    /// The error.
    pub line: String,
    /// Whether one image is at fault alone.
    pub of_image: bool,
}

impl RankFault {
    pub(super) fn new(rank: &str, error: &DataError) -> Self {
        Self { rank: rank.into(), line: error.to_string(), of_image: error.is_of_image() }
    }
}

impl DataError {
    /// Whether one image is at fault alone, which can be left out.
    pub(super) fn is_of_image(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Decode { .. } => true,
            Self::OnRank(fault) => fault.of_image,
            _ => false,
        }
    }

    /// Whether all of the processes that read a data set together have this error.
    pub fn is_known_to_all(&self) -> bool {
        match self {
            Self::OnRank(_) | Self::OtherRank(_) => true,
            Self::TooManyFaults { first, .. } => first.is_known_to_all(),
            _ => false,
        }
    }

    /// Puts the path to an error of the operating system.
    pub(super) fn io(path: &Path, reason: io::Error) -> Self {
        DataError::Io { path: path.into(), reason }
    }
}
