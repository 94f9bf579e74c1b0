//! Image data sets as bytes: read into memory, or those of large image folders
//! decoded as they are used.
//!
//! [`load`] is the way in. It takes the word `digits` for the built-in set,
//! which needs no download, or a directory in one of the layouts that
//! [`detect`] knows, and returns a [`Dataset`]: a training [`Split`] and a test
//! [`Split`] whose images all have one shape.
//!
//! Pixels stay `u8` here, `[N, H, W, C]` and row-major. Scaling and
//! augmentation belong to whoever makes the batches.

mod cifar;
mod digits;
mod error;
mod folder;
mod glyphs;
mod idx;
mod split;

use std::path::Path;

pub use error::DataError;
pub use folder::read_image;
pub use split::Split;

/// The source name that stands for the built-in digits.
const BUILT_IN: &str = "digits";

/// A training split and a test split over the same classes.
///
/// The images of both splits have the same height, width and channels.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// A short name for people: the directory's own name, or `digits`.
    pub name: String,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// The images to learn from; never empty.
    pub train: Split,
    /// The images to judge by; never empty.
    pub test: Split,
    /// One line for each image of a folder that could not be read and was left out, at most 1 in 100 of a split.
    pub left_out: Vec<String>,
}

impl Dataset {
    /// Height of every image, in pixels.
    pub fn height(&self) -> usize {
        self.train.shape().0
    }

    /// Width of every image, in pixels.
    pub fn width(&self) -> usize {
        self.train.shape().1
    }

    /// Bytes of all images, training and test, decoded.
    pub fn bytes(&self) -> u64 {
        let images = (self.train.len() + self.test.len()) as u64;
        images * (self.height() * self.width() * self.channels()) as u64
    }

    /// Bytes per pixel: 1 for grey, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.train.shape().2
    }
}

/// The layouts that [`load`] can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The built-in 28×28 grey digits, drawn from a seed.
    Digits,
    /// The four idx files of MNIST, Fashion-MNIST and their kin, gzipped or not.
    Idx,
    /// The binary version of CIFAR-10.
    CifarBinary,
    /// `train/<class>/*.{png,jpg,jpeg}` beside `test/` or `val/`.
    ImageFolder,
}

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Height and width, each at least 1.
    ///
    /// Images of an image folder are cropped about their centre to this shape
    /// and resized to it. `None` takes the size of the first training image and
    /// requires it of all the others. The other layouts have a fixed size, and
    /// asking them for a different one is an error.
    pub image_size: Option<(usize, usize)>,
    /// `Some(true)` for one grey channel, `Some(false)` for RGB.
    ///
    /// `None` makes an image folder grey when every image in it is grey, else
    /// RGB. The other layouts have fixed channels, and asking them for different
    /// ones is an error.
    pub grey: Option<bool>,
    /// At most this many images in each split.
    ///
    /// They are the first ones, except in an image folder: its files lie sorted
    /// by class, so there the choice is spread evenly over all of them.
    pub limit: Option<usize>,
    /// Bytes that the decoded images of a folder, training and test together,
    /// may take in memory.
    ///
    /// When they would take more, each is decoded as it is used: the same bytes,
    /// for the price of decoding an image again in each epoch. The other layouts
    /// always lie in memory.
    pub memory: u64,
    /// Seed of the built-in digits.
    pub seed: u64,
    /// Number of built-in digits to train on.
    pub digits_train: usize,
    /// Number of built-in digits to test on.
    pub digits_test: usize,
}

impl LoadOptions {
    /// Bytes that decoded images may take when nothing is said: 8 GiB.
    pub const MEMORY: u64 = 8 << 30;
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            image_size: None,
            grey: None,
            limit: None,
            memory: Self::MEMORY,
            seed: 0,
            digits_train: 12_000,
            digits_test: 2_000,
        }
    }
}

/// Recognises the layout of a directory from the names in it.
///
/// Never answers [`Kind::Digits`], which has no directory.
///
/// # Errors
///
/// [`DataError::Io`] when `dir` cannot be read, [`DataError::UnknownLayout`]
/// when it is in none of the known layouts.
pub fn detect(dir: &Path) -> Result<Kind, DataError> {
    // Asked first because every probe below would merely answer "not there".
    std::fs::read_dir(dir).map_err(|reason| DataError::io(dir, reason))?;
    if idx::is_idx(dir) {
        Ok(Kind::Idx)
    } else if cifar::batches_dir(dir).is_some() {
        Ok(Kind::CifarBinary)
    } else if folder::is_folder(dir) {
        Ok(Kind::ImageFolder)
    } else {
        Err(DataError::UnknownLayout { path: dir.into() })
    }
}

/// Loads the data set that `source` names: `digits`, or a directory.
///
/// A directory that is itself called `digits` can be given as `./digits`.
///
/// # Errors
///
/// Any [`DataError`]; each says in one line which file is at fault and why.
pub fn load(source: &str, options: &LoadOptions) -> Result<Dataset, DataError> {
    let dir = Path::new(source);
    let kind = match source {
        BUILT_IN => Kind::Digits,
        _ => detect(dir)?,
    };
    let mut left_out = Vec::new();
    let (classes, train, test) = match kind {
        Kind::Digits => digits::load(options)?,
        Kind::Idx => idx::load(dir, options)?,
        Kind::CifarBinary => cifar::load(dir, options)?,
        Kind::ImageFolder => folder::load(dir, options, &mut left_out)?,
    };
    for split in [&train, &test] {
        if split.is_empty() {
            return Err(DataError::NoImages { path: dir.into() });
        }
        require_shape(source, split.shape(), options)?;
    }
    Ok(Dataset {
        name: match kind {
            Kind::Digits => BUILT_IN.into(),
            _ => directory_name(dir),
        },
        classes,
        train,
        test,
        left_out,
    })
}

/// The parts of a [`Dataset`] that a layout's loader returns: class names, the
/// training split and the test split.
type Parts = (Vec<String>, Split, Split);

/// Checks that the shape the options ask for, if any, is the one that came.
fn require_shape(
    source: &str,
    (height, width, channels): (usize, usize, usize),
    options: &LoadOptions,
) -> Result<(), DataError> {
    let wanted_size = options.image_size.unwrap_or((height, width));
    let wanted_channels = match options.grey {
        Some(true) => 1,
        Some(false) => 3,
        None => channels,
    };
    if wanted_size == (height, width) && wanted_channels == channels {
        return Ok(());
    }
    Err(DataError::FixedShape {
        source_name: source.into(),
        found: [height, width, channels],
        wanted: [wanted_size.0, wanted_size.1, wanted_channels],
    })
}

/// The directory's own name, also when the path ends in `.` or `..`.
fn directory_name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.into());
    match full.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => full.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_layouts_and_missing_directories_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(&dir.path().display().to_string(), &LoadOptions::default());
        assert!(matches!(error, Err(DataError::UnknownLayout { .. })));

        let error = detect(&dir.path().join("absent")).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }));
        assert!(error.to_string().contains("absent"));
    }

    #[test]
    fn fixed_layouts_refuse_another_shape() {
        let few = LoadOptions { limit: Some(3), ..LoadOptions::default() };
        let dataset = load("digits", &few).unwrap();
        assert_eq!(dataset.name, "digits");
        assert_eq!((dataset.train.len(), dataset.test.len()), (3, 3));
        assert_eq!((dataset.height(), dataset.width()), (28, 28));
        assert_eq!(dataset.channels(), 1);

        let agreeing = LoadOptions { image_size: Some((28, 28)), grey: Some(true), ..few.clone() };
        assert!(load("digits", &agreeing).is_ok());
        let rgb = LoadOptions { grey: Some(false), ..few };
        let error = load("digits", &rgb).unwrap_err().to_string();
        assert!(error.contains("28x28x1") && error.contains("28x28x3"));
    }

    #[test]
    fn a_limit_of_zero_leaves_no_images() {
        let none = LoadOptions { limit: Some(0), ..LoadOptions::default() };
        assert!(matches!(load("digits", &none), Err(DataError::NoImages { .. })));
    }
}
