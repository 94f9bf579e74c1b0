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
mod digest;
mod digits;
mod error;
mod gestures;
mod glyphs;
mod held_out;
mod holes;
mod image;
mod inputs;
mod inside;
mod labels;
mod layouts;
mod line_fault;
mod numbers;
mod options;
mod picture;
mod picture_fault;
mod resample;
mod room;
mod signals;
mod solids;
mod sound_fault;
mod split;
mod surface;

use std::path::Path;
use std::sync::Arc;

use mwt_core::Extents;

pub use self::image::{read_image, read_image_bytes};
pub use array_fault::ArrayFault;
pub use error::{DataError, RankFault};
pub use holes::holes;
pub use inputs::Inputs;
pub(crate) use inside::pictures_in;
pub use labels::{match_labels, names as label_names};
pub(crate) use layouts::smaller;
pub use layouts::{DatasetLayout, detect};
pub use line_fault::LineFault;
pub use numbers::Numbers;
pub use options::{LoadOptions, Remarks};
pub(crate) use picture::border;
pub use picture::{Remark, View};
pub use picture_fault::PictureFault;
pub use signals::Signals;
pub use sound_fault::SoundFault;
pub use split::Split;

use layouts::{Place, Splits};
use options::{Parts, directory_name};

use crate::ranks::Ranks;
use crate::settings::{DataSettings, DataShape, Settings, TrainSettings};
use crate::util::words::kind;

/// A training split and a test split over the same classes.
///
/// The signals of all splits have the same grid and channels.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// A short name for people: the directory's own name, or that of a built-in set.
    pub name: String,
    /// Class names; a label is an index into this list.
    pub classes: Vec<String>,
    /// The images, or other signals, to learn from; empty only where the test images alone were asked for.
    pub train: Split,
    /// Those to choose by, where the data set has some of its own beside those to judge by.
    pub validation: Option<Split>,
    /// The images, or other signals, to judge by; never empty.
    pub test: Split,
    /// What a person should know of it.
    pub remarks: Remarks,
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

/// Loads the data set that `source` names: `digits`, `gestures`, `solids`, or a path.
///
/// A directory that is itself called `digits` can be given as `./digits`. Where there are no test
/// images, a share of the training images is held out; where there are test and validation images,
/// the latter are set apart as [`Dataset::validation`].
///
/// # Errors
///
/// Any [`DataError`]; each says in one line which file is at fault and why.
pub fn load(source: &str, options: &LoadOptions) -> Result<Dataset, DataError> {
    load_on(&Ranks::alone(), source, options)
}

/// The same by several processes, each of which calls this, and all of which get the same. Each decodes its share of the
/// images that lie in files of their own or in tables, and no other's; those that are to lie in memory it gives to all.
/// Other data sets each process reads by itself.
///
/// # Errors
///
/// As [`load`]; what one process finds wrong with an image all of them return as [`DataError::OnRank`]; and
/// [`DataError::OtherRank`].
pub fn load_on(ranks: &Ranks, source: &str, options: &LoadOptions) -> Result<Dataset, DataError> {
    let version = env!("CARGO_PKG_VERSION").into();
    ranks
        .agree(&[("version", version), ("settings", format!("{options:?}"))])
        .map_err(DataError::OtherRank)?;
    let before = image::decoded();
    let mut set = read(ranks, source, options)?;
    let decoded = ranks.gather_all(vec![image::decoded() - before]);
    let (all, most) = (decoded.iter().sum(), decoded.iter().max());
    if let (2.., 1usize.., Some(most)) = (ranks.count(), all, most) {
        let count = ranks.count();
        let note = format!("{all} images decoded by {count} processes, {most} at most by one");
        set.remarks.notes.push(note);
    }
    Ok(set)
}

fn read(ranks: &Ranks, source: &str, options: &LoadOptions) -> Result<Dataset, DataError> {
    if let Some((height, width)) = options.image_size
        && !Extents::image(height, width).within_limits()
    {
        return Err(DataError::BadSize { height, width });
    }
    let place = Place::of(source)?;
    let splits = match place.layout {
        DatasetLayout::Digits => Splits::Images(Parts::new(digits::load(options)?)),
        DatasetLayout::Gestures => Splits::Signals(Parts::new(gestures::load(options)?)),
        DatasetLayout::Solids => Splits::Signals(Parts::new(solids::load(options)?)),
        _ => layouts::read(&place, options, ranks)?,
    };
    let parts = match splits {
        Splits::Images(parts) => parts,
        Splits::Signals(parts) => scaled(parts)?,
    };
    let mut set = complete(&place, parts, options)?;
    for split in [Some(&set.train), set.validation.as_ref(), Some(&set.test)].into_iter().flatten()
    {
        require_shape(source, split, options)?;
    }
    if let Some(labels) = &options.labels {
        labels::name(&mut set.classes, labels)?;
    }
    Ok(set)
}

/// The parts as a data set that has something to judge by.
fn complete(place: &Place, parts: Parts, options: &LoadOptions) -> Result<Dataset, DataError> {
    let Parts { classes, mut train, mut validation, mut test, mut remarks } = parts;
    // Test images report, and validation images choose; where there is one of the two, it reports.
    test = test.or_else(|| validation.take());
    if let (Some(all), None) = (&train, &test) {
        let out = held_out::held_out(&all.labels, options.test_share);
        remarks.notes.push(held_out::note(&out, options.test_share));
        let places =
            |wanted| -> Vec<usize> { (0..out.len()).filter(|n| out[*n] == wanted).collect() };
        (test, train) = (Some(all.select(&places(true))), Some(all.select(&places(false))));
    }
    let nothing = || DataError::NoImages { path: place.path.clone() };
    let mut test = test.ok_or_else(nothing)?;
    let train = match train {
        Some(train) if !options.only_test => train,
        _ if options.only_test => test.clone().take(0),
        _ => {
            return Err(DataError::Missing {
                path: place.path.clone(),
                what: "a folder or file of training images".into(),
            });
        }
    };
    let limit = options.limit.unwrap_or(usize::MAX);
    test = test.take(limit);
    if test.is_empty() || (train.is_empty() && !options.only_test) {
        return Err(nothing());
    }
    Ok(Dataset {
        name: name(place),
        classes,
        train: train.take(limit),
        validation: validation.map(|split| split.take(limit)),
        test,
        remarks,
    })
}

/// The splits of signals that are no images. Those of the test are scaled as the training signals are: a device has one
/// scaling for all it will meet.
fn scaled(parts: Parts<Signals>) -> Result<Parts, DataError> {
    let Parts { classes, train, validation, test, remarks } = parts;
    let inputs = train.as_ref().or(test.as_ref()).map(Inputs::of).unwrap_or_default();
    let inputs = Arc::new(inputs);
    let split = |signals: Option<Signals>| {
        signals.map(|signals| Split::from_signals(signals, Arc::clone(&inputs))).transpose()
    };
    let (train, validation, test) = (split(train)?, split(validation)?, split(test)?);
    Ok(Parts { classes, train, validation, test, remarks })
}

/// Makes a path that exists absolute.
fn make_absolute(text: &mut String) {
    let path = Path::new(text.as_str());
    if let Some(full) = path.exists().then(|| std::path::absolute(path).ok()).flatten()
        && let Some(full) = full.to_str()
    {
        *text = full.to_owned();
    }
}

impl TrainSettings {
    /// Makes the path of the model to start from absolute.
    pub fn make_absolute(&mut self) {
        self.init.iter_mut().for_each(make_absolute);
    }
}

impl DataSettings {
    /// Loads the data set.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self) -> Result<Dataset, DataError> {
        self.load_on(&Ranks::alone())
    }

    /// Loads the data set as one of several processes.
    ///
    /// # Errors
    /// As [`load_on`].
    pub fn load_on(&self, ranks: &Ranks) -> Result<Dataset, DataError> {
        load_on(ranks, &self.source, &LoadOptions::from(self))
    }

    /// Makes the paths of data set and labels absolute, so that they hold in every directory. The word of a built-in set is
    /// no path, nor is a list of names.
    pub fn make_absolute(&mut self) {
        if !layouts::is_built_in(&self.source) {
            make_absolute(&mut self.source);
        }
        self.labels.iter_mut().for_each(make_absolute);
    }
}

/// The name of the data set that `source` names, as [`Dataset::name`] has it.
///
/// # Errors
///
/// As [`detect`].
pub fn name_of(source: &str) -> Result<String, DataError> {
    Ok(name(&Place::of(source)?))
}

fn name(place: &Place) -> String {
    match place.layout.is_built_in() {
        true => place.path.display().to_string(),
        false => directory_name(&place.path),
    }
}

impl Settings {
    /// The training and the validation images of a run: the data set's own validation images, or some of its training
    /// images that are set apart, at most a fifth, so that a small set keeps enough to train on.
    pub fn split(&self, set: &Dataset) -> (Split, Split) {
        if let Some(validation) = &set.validation {
            return (set.train.clone(), validation.clone());
        }
        let n = self.data.validation.min(set.train.len() / 5);
        set.train.clone().split_validation(n, self.train.seed)
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
