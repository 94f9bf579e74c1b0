//! Data sets: images as bytes, read into memory, or those of large image folders
//! decoded as they are used; series and volumes as floats in memory.
//!
//! [`load`] is the way in. It takes the word `digits`, `gestures` or `solids` for
//! a built-in set, which needs no download, or a path in one of the layouts that
//! [`detect`] knows, and returns a [`Dataset`]: a training [`Split`] and a test
//! [`Split`] whose signals all have one shape.
//!
//! Pixels stay `u8` here, `[N, H, W, C]` and row-major, and other values what
//! they are. Scaling and augmentation belong to whoever makes the batches.

mod array_fault;
mod augment;
mod augment_signal;
mod built_in;
mod cifar;
mod digits;
mod error;
mod folder;
mod gestures;
mod glyphs;
mod holes;
mod idx;
mod image;
mod inputs;
mod line_fault;
mod listing;
mod mesh;
mod npy;
mod npz;
mod numbers;
mod off;
mod options;
mod resample;
mod room;
mod signals;
mod solids;
mod sound_fault;
mod split;
mod surface;
mod timestamp;
mod ts;
mod wav;

use std::path::Path;
use std::sync::Arc;

pub use self::image::read_image;
pub use array_fault::ArrayFault;
pub use error::DataError;
pub use holes::holes;
pub use inputs::Inputs;
pub use line_fault::LineFault;
pub use numbers::Numbers;
pub use options::LoadOptions;
pub use signals::Signals;
pub use sound_fault::SoundFault;
pub use split::Split;

use options::{SignalParts, directory_name};

use crate::settings::{DataSettings, DataShape, Settings};
use crate::util::words::kind;

/// The source names that stand for built-in sets.
const BUILT_IN: [(&str, DatasetLayout); 3] = [
    ("digits", DatasetLayout::Digits),
    ("gestures", DatasetLayout::Gestures),
    ("solids", DatasetLayout::Solids),
];

/// A training split and a test split over the same classes.
///
/// The signals of both splits have the same grid and channels.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// A short name for people: the directory's own name, or that of a built-in set.
    pub name: String,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// The images, or other signals, to learn from; never empty.
    pub train: Split,
    /// The images, or other signals, to judge by; never empty.
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
            pictures: self.train.has_pictures(),
        }
    }

    /// Bytes of all signals, training and test, decoded.
    pub fn bytes(&self) -> u64 {
        let number = if self.train.has_pictures() { 1 } else { size_of::<f32>() };
        let signals = (self.train.len() + self.test.len()) as u64;
        signals * (self.train.extents().positions() * self.channels() * number) as u64
    }

    /// Numbers of a sample: of a pixel 1 for grey, 3 for RGB.
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
    /// The built-in series: motions of three axes, drawn from a seed.
    Gestures,
    /// The built-in volumes: distances to solids, drawn from a seed.
    Solids,
    /// The `.ts` files of aeon and sktime.
    Ts,
    /// NumPy's `.npz`, the file or a directory with it.
    Npz,
    /// Meshes, `<class>/{train,test}/*.off`.
    Mesh,
    /// Sounds, `train/<class>/*.wav` beside `test/` or `val/`.
    Wav,
}

impl DatasetLayout {
    /// The layout of what `source` names: a built-in set, or that of a path.
    ///
    /// # Errors
    ///
    /// As [`detect`].
    pub fn of(source: &str) -> Result<Self, DataError> {
        match BUILT_IN.iter().find(|(name, _)| *name == source) {
            Some((_, layout)) => Ok(*layout),
            None => detect(Path::new(source)),
        }
    }

    /// Whether the set is drawn from a seed and has no files.
    pub fn is_built_in(self) -> bool {
        BUILT_IN.iter().any(|(_, layout)| *layout == self)
    }
}

/// Recognises the layout of a directory from the names in it, or of an archive from its own.
///
/// Never answers a built-in set, which has no directory.
///
/// # Errors
///
/// [`DataError::Io`] when `dir` cannot be read, [`DataError::UnknownLayout`]
/// when it is in none of the known layouts.
pub fn detect(dir: &Path) -> Result<DatasetLayout, DataError> {
    if dir.is_file() && npz::is_npz(dir) {
        return Ok(DatasetLayout::Npz);
    }
    // Asked first because every probe below would merely answer "not there".
    std::fs::read_dir(dir).map_err(|reason| DataError::io(dir, reason))?;
    if idx::is_idx(dir) {
        Ok(DatasetLayout::Idx)
    } else if cifar::batches_dir(dir).is_some() {
        Ok(DatasetLayout::CifarBinary)
    } else if ts::is_ts(dir) {
        Ok(DatasetLayout::Ts)
    } else if npz::is_npz(dir) {
        Ok(DatasetLayout::Npz)
    } else if mesh::is_mesh(dir) {
        Ok(DatasetLayout::Mesh)
    // Before images, of which only the folder `train` is asked for.
    } else if wav::is_wav(dir) {
        Ok(DatasetLayout::Wav)
    } else if folder::is_folder(dir) {
        Ok(DatasetLayout::ImageFolder)
    } else {
        Err(DataError::UnknownLayout { path: dir.into() })
    }
}

/// Loads the data set that `source` names: `digits`, `gestures`, `solids`, or a path.
///
/// A directory that is itself called `digits` can be given as `./digits`.
///
/// # Errors
///
/// Any [`DataError`]; each says in one line which file is at fault and why.
pub fn load(source: &str, options: &LoadOptions) -> Result<Dataset, DataError> {
    let dir = Path::new(source);
    let layout = DatasetLayout::of(source)?;
    let mut left_out = Vec::new();
    let (classes, train, test) = match layout {
        DatasetLayout::Digits => digits::load(options)?,
        DatasetLayout::Idx => idx::load(dir, options)?,
        DatasetLayout::CifarBinary => cifar::load(dir, options)?,
        DatasetLayout::ImageFolder => folder::load(dir, options, &mut left_out)?,
        DatasetLayout::Gestures => scaled(gestures::load(options)?)?,
        DatasetLayout::Solids => scaled(solids::load(options)?)?,
        DatasetLayout::Ts => scaled(ts::load(dir, options)?)?,
        DatasetLayout::Npz => scaled(npz::load(dir, options)?)?,
        DatasetLayout::Mesh => scaled(mesh::load(dir, options, options.side)?)?,
        DatasetLayout::Wav => scaled(wav::load(dir, options, options.rate, options.window)?)?,
    };
    for split in [&train, &test] {
        if split.is_empty() {
            return Err(DataError::NoImages { path: dir.into() });
        }
        require_shape(source, split, options)?;
    }
    Ok(Dataset {
        name: if layout.is_built_in() { source.into() } else { directory_name(dir) },
        classes,
        train,
        test,
        left_out,
    })
}

/// The splits of signals that are no images. Those of the test are scaled as the training signals are: a device has one
/// scaling for all it will meet.
fn scaled((classes, train, test): SignalParts) -> Result<options::Parts, DataError> {
    let inputs = Arc::new(Inputs::of(&train));
    let train = Split::from_signals(train, Arc::clone(&inputs))?;
    Ok((classes, train, Split::from_signals(test, inputs)?))
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
fn require_shape(source: &str, split: &Split, options: &LoadOptions) -> Result<(), DataError> {
    if !split.has_pictures() {
        let given = [
            ("an image size", options.image_size.is_some()),
            ("grey or RGB", options.grey.is_some()),
        ];
        return match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(DataError::OnlyImages {
                source_name: source.into(),
                option,
                kind: kind(split.extents()),
            }),
        };
    }
    let (height, width, channels) = split.shape();
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
    use mwt_core::Extents;

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

    /// Series and volumes come with the scaling of the training signals, and options for images are refused.
    #[test]
    fn signals_that_are_no_images_load() {
        let few = LoadOptions { limit: Some(20), ..LoadOptions::default() };
        for (source, extents, channels) in
            [("gestures", Extents::series(64), 3), ("solids", Extents::volume(16, 16, 16), 1)]
        {
            let set = load(source, &few).unwrap();
            let shape = set.shape();
            assert_eq!((shape.extents, shape.channels), (extents, channels));
            assert!(!shape.pictures && set.name == source);
            assert_eq!((set.train.len(), set.test.len()), (20, 20));
            assert_eq!(set.bytes(), (40 * 4 * extents.positions() * channels) as u64);
            assert_eq!(set.train.inputs(), set.test.inputs());
            assert_eq!(set.train.inputs().scalings.len(), channels);
            assert!(matches!(set.train.image(0), Err(DataError::NoPictures)));

            let sized = LoadOptions { image_size: Some((28, 28)), ..few.clone() };
            let error = load(source, &sized).unwrap_err().to_string();
            assert!(error.contains(&kind(extents)) && error.contains("image size"), "{error}");
            let grey = LoadOptions { grey: Some(true), ..few.clone() };
            assert!(matches!(load(source, &grey), Err(DataError::OnlyImages { .. })));
        }
    }

    /// Sounds and images share their folders' names, and an archive needs no folder.
    #[test]
    fn layouts_are_told_apart_by_their_files() {
        let dir = tempfile::tempdir().unwrap();
        for (path, layout) in [
            ("sounds/train/a/1.wav", DatasetLayout::Wav),
            ("images/train/a/1.png", DatasetLayout::ImageFolder),
            ("meshes/a/train/1.off", DatasetLayout::Mesh),
            ("arrays/a.npz", DatasetLayout::Npz),
        ] {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            let top = dir.path().join(path.split('/').next().unwrap());
            assert_eq!(detect(&top).unwrap(), layout);
        }
        assert_eq!(detect(&dir.path().join("arrays/a.npz")).unwrap(), DatasetLayout::Npz);
        let series = dir.path().join("series");
        std::fs::create_dir(&series).unwrap();
        std::fs::write(series.join("A_TRAIN.ts"), "").unwrap();
        assert!(detect(&series).is_err());
        std::fs::write(series.join("A_TEST.ts"), "").unwrap();
        assert_eq!(detect(&series).unwrap(), DatasetLayout::Ts);
    }

    #[test]
    fn a_limit_of_zero_leaves_no_images() {
        let none = LoadOptions { limit: Some(0), ..LoadOptions::default() };
        assert!(matches!(load("digits", &none), Err(DataError::NoImages { .. })));
    }
}
