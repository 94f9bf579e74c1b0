//! What to load, and what the loaders give back.

use std::num::NonZeroU32;
use std::path::Path;

use super::picture::View;
use super::signals::Signals;
use super::split::Split;
use crate::settings::{DataSettings, Fit};
use crate::util::colour::Colour;

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
    /// How images of a folder are brought to that size where their proportions are others.
    pub fit: Fit,
    /// What lies behind transparent parts of a folder's images, and around padded ones; see [`View`].
    pub background: Option<Colour>,
    /// At most this many images in each split.
    ///
    /// They are the first ones, except in an image folder: its files lie sorted
    /// by class, so there the choice is spread evenly over all of them.
    pub limit: Option<usize>,
    /// Bytes that the decoded images of a folder, training and test together,
    /// may take in memory; and the values of other signals, each split by itself.
    ///
    /// When images would take more, each is decoded as it is used: the same bytes,
    /// for the price of decoding an image again in each epoch. Series and volumes
    /// always lie in memory, and more of them than this are an error. idx files,
    /// CIFAR-10 and digits are read whatever this is.
    pub memory: u64,
    /// Whether the test images alone are wanted. Others need not be there then, and are not decoded.
    pub only_test: bool,
    /// Share of each class that is held out for testing where a data set has no test images of its own; 1 takes all.
    pub test_share: f64,
    /// Names of the classes in place of the data set's: a file with a name a line, in the order of the classes, or with
    /// lines of a class, a tab, and its name; or the names themselves with commas between them.
    pub labels: Option<String>,
    /// Samples per second to which sounds are brought.
    pub rate: NonZeroU32,
    /// Samples of a sound: its beginning.
    pub window: usize,
    /// Positions along each axis of the grid onto which meshes are brought.
    pub side: usize,
    /// Seed of the built-in sets, and of the points drawn from meshes.
    pub seed: u64,
    /// Number of built-in digits to train on.
    pub digits_train: usize,
    /// Number of built-in digits to test on.
    pub digits_test: usize,
    /// Number of built-in gestures to train on.
    pub gestures_train: usize,
    /// Number of built-in solids to train on.
    pub solids_train: usize,
}

impl LoadOptions {
    /// How images of a folder are seen in this shape.
    pub(super) fn view(&self, size: (usize, usize), grey: bool) -> View {
        View { fit: self.fit, background: self.background, ..View::of(size, grey) }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self::from(&DataSettings::default())
    }
}

impl From<&DataSettings> for LoadOptions {
    fn from(settings: &DataSettings) -> Self {
        LoadOptions {
            image_size: settings.image_size,
            grey: settings.grey.then_some(true),
            fit: settings.fit,
            background: settings.background,
            limit: settings.limit,
            memory: (settings.memory_gib * f64::from(1 << 30)) as u64,
            only_test: false,
            test_share: settings.test_share,
            labels: settings.labels.clone(),
            rate: settings.rate,
            window: settings.window,
            side: settings.side,
            seed: 0,
            digits_train: settings.digits,
            digits_test: 2_000,
            gestures_train: settings.gestures,
            solids_train: settings.solids,
        }
    }
}

/// What a layout's loader returns: the parts of a [`Dataset`](super::Dataset), each where it is there.
#[derive(Debug)]
pub(super) struct Parts<S = Split> {
    pub(super) classes: Vec<String>,
    pub(super) train: Option<S>,
    pub(super) validation: Option<S>,
    pub(super) test: Option<S>,
    pub(super) remarks: Remarks,
}

impl<S> Parts<S> {
    /// Those of a data set with training and test signals.
    pub(super) fn new((classes, train, test): (Vec<String>, S, S)) -> Self {
        let (train, test) = (Some(train), Some(test));
        Self { classes, train, validation: None, test, remarks: Remarks::default() }
    }
}

/// What a person should know of a data set, a line each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remarks {
    /// How it was taken where it could have been taken otherwise.
    pub notes: Vec<String>,
    /// What is there and was not taken.
    pub warnings: Vec<String>,
    /// One for each image of a folder that could not be read and was left out, at most 1 in 100 of a split.
    pub left_out: Vec<String>,
}

/// The parts of a layout whose signals are no images.
pub(super) type SignalParts = (Vec<String>, Signals, Signals);

/// The directory's own name, also when the path ends in `.` or `..`; the one above for a folder that says only how its
/// files are stored, as torchvision's `raw`.
pub(super) fn directory_name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.into());
    let stored = |path: &Path| path.file_name().is_some_and(|name| name == "raw");
    let named = if stored(&full) { full.parent().unwrap_or(&full) } else { &full };
    match named.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => full.display().to_string(),
    }
}
