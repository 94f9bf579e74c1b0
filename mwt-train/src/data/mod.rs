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

mod augment;
mod cifar;
mod digits;
mod error;
mod folder;
mod glyphs;
mod holes;
mod idx;
mod image;
mod inputs;
mod numbers;
mod options;
mod signals;
mod split;

use std::path::Path;

pub use self::image::read_image;
pub use error::DataError;
pub use holes::holes;
pub use inputs::Inputs;
pub use numbers::Numbers;
pub use options::LoadOptions;
pub use signals::Signals;
pub use split::Split;

use options::directory_name;

use crate::settings::{DataSettings, DataShape, Settings};

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

    /// What a model for these images must be made for.
    pub fn shape(&self) -> DataShape {
        DataShape {
            extents: self.train.extents(),
            channels: self.channels(),
            classes: self.classes.len(),
        }
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
pub enum DatasetLayout {
    /// The built-in 28×28 grey digits, drawn from a seed.
    Digits,
    /// The four idx files of MNIST, Fashion-MNIST and their kin, gzipped or not.
    Idx,
    /// The binary version of CIFAR-10.
    CifarBinary,
    /// `train/<class>/*.{png,jpg,jpeg}` beside `test/` or `val/`.
    ImageFolder,
}

/// Recognises the layout of a directory from the names in it.
///
/// Never answers [`DatasetLayout::Digits`], which has no directory.
///
/// # Errors
///
/// [`DataError::Io`] when `dir` cannot be read, [`DataError::UnknownLayout`]
/// when it is in none of the known layouts.
pub fn detect(dir: &Path) -> Result<DatasetLayout, DataError> {
    // Asked first because every probe below would merely answer "not there".
    std::fs::read_dir(dir).map_err(|reason| DataError::io(dir, reason))?;
    if idx::is_idx(dir) {
        Ok(DatasetLayout::Idx)
    } else if cifar::batches_dir(dir).is_some() {
        Ok(DatasetLayout::CifarBinary)
    } else if folder::is_folder(dir) {
        Ok(DatasetLayout::ImageFolder)
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
    let layout = match source {
        BUILT_IN => DatasetLayout::Digits,
        _ => detect(dir)?,
    };
    let mut left_out = Vec::new();
    let (classes, train, test) = match layout {
        DatasetLayout::Digits => digits::load(options)?,
        DatasetLayout::Idx => idx::load(dir, options)?,
        DatasetLayout::CifarBinary => cifar::load(dir, options)?,
        DatasetLayout::ImageFolder => folder::load(dir, options, &mut left_out)?,
    };
    for split in [&train, &test] {
        if split.is_empty() {
            return Err(DataError::NoImages { path: dir.into() });
        }
        require_shape(source, split.shape(), options)?;
    }
    Ok(Dataset {
        name: match layout {
            DatasetLayout::Digits => BUILT_IN.into(),
            _ => directory_name(dir),
        },
        classes,
        train,
        test,
        left_out,
    })
}

impl DataSettings {
    /// Loads the data set.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self) -> Result<Dataset, DataError> {
        load(&self.source, &LoadOptions::from(self))
    }
}

impl Settings {
    /// The training and the validation images of a run; at most a fifth are set
    /// apart for validation, so that a small set keeps enough to train on.
    pub fn split(&self, train: Split) -> (Split, Split) {
        let n = self.data.validation.min(train.len() / 5);
        train.split_validation(n, self.train.seed)
    }
}

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
