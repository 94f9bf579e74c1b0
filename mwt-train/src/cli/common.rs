//! What several commands do.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::Path;

use mwt_core::bundle::SampleType;
use mwt_core::{Bundle, ModelConfig};

use crate::data::{self, Dataset, DatasetLayout, LoadOptions, Remarks};
use crate::settings::{Precision, keys};
use crate::util::durable::FileError;
use crate::util::text::shown;
use crate::util::words;

/// What a command comes to: any error of the library, or a text made here.
pub(super) type CliResult<T = ()> = Result<T, Box<dyn Error>>;

/// Multiply-adds of a signal that a model may take unless told otherwise: half a minute on one core.
pub(super) const LIMIT_MACS: u64 = 200_000_000_000;

/// A file's bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(FileError::at(path))
}

/// A file's bytes as a bundle.
pub(super) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Bundle<'a>, String> {
    Bundle::parse(bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// What a model takes, and how much of a data set is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) config: &'a ModelConfig,
    /// Type of the numbers that the model takes.
    pub(super) sample: SampleType,
    /// The most signals of each split.
    pub(super) limit: Option<usize>,
    /// Samples per second to which sounds are brought.
    pub(super) rate: Option<NonZeroU32>,
}

/// A data set whose signals a model can take.
pub(super) fn load_for(wanted: Wanted<'_>, source: &str) -> CliResult<Dataset> {
    let Wanted { config, sample, limit, rate } = wanted;
    let mut options = LoadOptions { limit, ..LoadOptions::default() };
    options.rate = rate.unwrap_or(options.rate);
    // Files that have no grid of their own are brought to the model's; the other layouts have theirs.
    let length = config.extents.side(0);
    match DatasetLayout::of(source)? {
        DatasetLayout::ImageFolder => {
            options.image_size = Some(image_size(config)?);
            options.grey = Some(config.channels == 1);
        }
        DatasetLayout::Wav => options.window = length,
        DatasetLayout::Mesh => options.side = length,
        _ => {}
    }
    let set = data::load(source, &options)?;
    warn_of_left_out(&set);
    let (extents, channels) = (set.train.extents(), set.channels());
    let found = set.train.inputs().sample;
    let fits = (extents, channels, found) == (config.extents, config.channels, sample);
    if !fits || set.classes.len() > config.classes {
        return Err(format!(
            "{source}: {} as {} in {} classes, the model takes {} as {} in {}",
            words::shape(extents, channels),
            found.name(),
            set.classes.len(),
            words::shape(config.extents, config.channels),
            sample.name(),
            config.classes
        )
        .into());
    }
    Ok(set)
}

/// Says on stderr what of a data set was not taken.
pub(super) fn warn_of_left_out(set: &Dataset) {
    let Remarks { warnings, left_out, .. } = &set.remarks;
    warnings.iter().for_each(|line| eprintln!("warning: {}", shown(line)));
    if let Some(first) = left_out.first() {
        eprintln!("warning: {} images left out, the first: {}", left_out.len(), shown(first));
    }
}

/// Why images are not in memory, where they are not.
pub(super) fn memory_note(set: &Dataset) -> Option<String> {
    (!set.train.in_memory()).then(|| {
        format!(
            "decoded, the images would take {:.1} GiB, more than --memory-gib allows: each is decoded as it is used",
            set.bytes() as f64 / f64::from(1 << 30)
        )
    })
}

/// A word of [`Precision`], held to its setting.
pub(super) fn parse_precision(word: &str) -> Result<Precision, String> {
    parse_word("train.precision", word)
}

/// A word that the setting of that name may have.
pub(super) fn parse_word<T: serde::de::DeserializeOwned>(
    name: &str,
    word: &str,
) -> Result<T, String> {
    let key = keys::find(name).map_err(|e| e.to_string())?;
    let value = key.value(word.into()).map_err(|e| e.to_string())?;
    value.try_into().map_err(|e: toml::de::Error| e.message().to_owned())
}

/// `28x28` as (height, width).
pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    sides.filter(|(h, w)| *h > 0 && *w > 0).ok_or_else(|| "expected HEIGHTxWIDTH, as 28x28".into())
}

/// Height and width of the images that a model takes.
pub(super) fn image_size(config: &ModelConfig) -> Result<(usize, usize), String> {
    match *config.extents.sides() {
        [height, width] => Ok((height, width)),
        _ => Err(format!("the model takes no images, but {}", words::kind(config.extents))),
    }
}
