//! What can go wrong while loading, one line each.

use std::io;
use std::path::{Path, PathBuf};

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
    /// The operating system refused a path, or a gzip stream is corrupt.
    #[error("{path}: {reason}; check that it exists, is readable and was downloaded whole")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },

    /// An image file could not be decoded.
    #[error("{path}: not a readable PNG or JPEG image: {reason}; replace or remove the file")]
    Decode {
        /// The image file.
        path: PathBuf,
        /// What the decoder said.
        reason: image::ImageError,
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

    /// A directory is in none of the known layouts.
    #[error(
        "{path}: unknown layout; known are the four idx files of MNIST (train-images-idx3-ubyte[.gz], \
         ...), binary CIFAR-10 (data_batch_1.bin, ...) and an image folder (train/<class>/*.png or \
         .jpg, with test/ or val/); `digits` needs no directory"
    )]
    UnknownLayout {
        /// The directory.
        path: PathBuf,
    },

    /// A part of a recognised layout is missing.
    #[error("{path}: {what} is missing; add it, or download the data set again")]
    Missing {
        /// The directory.
        path: PathBuf,
        /// The part that is not there.
        what: String,
    },

    /// A place that should hold images holds none.
    #[error("{path}: no images found; add some, set a limit above 0, or remove the folder")]
    NoImages {
        /// The file, directory or built-in source without images.
        path: PathBuf,
    },

    /// An idx file does not begin as its name promises.
    #[error(
        "{path}: bad magic number {found:#010x}, expected {expected:#010x}; this is not the idx file \
         its name says, download it again"
    )]
    BadMagic {
        /// The idx file.
        path: PathBuf,
        /// The first four bytes, big-endian.
        found: u32,
        /// What they should be.
        expected: u32,
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
        label: u16,
        /// Number of classes.
        classes: usize,
    },

    /// An image differs in size from the ones before it.
    #[error(
        "{path}: the image is {}x{} (height x width) where {}x{} is expected; set an image size to \
         resize image folders, or remove the file",
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
        "image size {height}x{width} (height x width) is not possible; give two positive numbers"
    )]
    BadSize {
        /// The height asked for.
        height: usize,
        /// The width asked for.
        width: usize,
    },

    /// A layout with a fixed image shape was asked for another.
    #[error(
        "{source_name}: images are {}x{}x{} (height x width x channels) and not {}x{}x{}; only image \
         folders can be resized or recoloured, leave both options out",
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
        "{path}: class `{class}` has no folder in train/; rename it, remove it, or add it to train/"
    )]
    UnknownClass {
        /// The class folder.
        path: PathBuf,
        /// Its class name.
        class: String,
    },

    /// A class list has the wrong number of names.
    #[error(
        "{path}: {found} class names where {expected} are expected; correct or remove the file"
    )]
    ClassNames {
        /// The list.
        path: PathBuf,
        /// Names in the list.
        found: usize,
        /// Classes in the data.
        expected: usize,
    },

    /// There are more classes than a label can tell apart.
    #[error("{path}: {found} class folders, but at most 65536 are supported; merge or remove some")]
    TooManyClasses {
        /// The directory of class folders.
        path: PathBuf,
        /// How many it has.
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
}

impl DataError {
    /// Puts the path to an error of the operating system.
    pub(super) fn io(path: &Path, reason: io::Error) -> Self {
        DataError::Io { path: path.into(), reason }
    }
}
