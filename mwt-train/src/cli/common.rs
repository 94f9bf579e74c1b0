//! What several commands do.

use std::error::Error;
use std::path::Path;

use mwt_core::{Bundle, ModelConfig};

use crate::data::{self, Dataset, DatasetLayout, LoadOptions};
use crate::export::card;
use crate::settings::{Precision, keys};
use crate::util::durable::FileError;

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

/// A data set whose images a model of this configuration can take.
pub(super) fn load_for(
    config: &ModelConfig,
    source: &str,
    limit: Option<usize>,
) -> CliResult<Dataset> {
    let size = image_size(config)?;
    let folder =
        source != "digits" && data::detect(Path::new(source))? == DatasetLayout::ImageFolder;
    let options = LoadOptions {
        // Folders are brought to the model's size; the other kinds have theirs.
        image_size: folder.then_some(size),
        grey: folder.then_some(config.channels == 1),
        limit,
        ..LoadOptions::default()
    };
    let set = data::load(source, &options)?;
    warn_of_left_out(&set);
    let found = (set.height(), set.width(), set.channels());
    if found != (size.0, size.1, config.channels) || set.classes.len() > config.classes {
        return Err(format!(
            "{source}: images are {}×{}×{} in {} classes, the model takes {}×{}×{} in {}",
            found.0,
            found.1,
            found.2,
            set.classes.len(),
            size.0,
            size.1,
            config.channels,
            config.classes
        )
        .into());
    }
    Ok(set)
}

/// Says on stderr that a data set is not whole.
pub(super) fn warn_of_left_out(set: &Dataset) {
    if let Some(first) = set.left_out.first() {
        eprintln!("warning: {} images left out, the first: {first}", set.left_out.len());
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
        _ => Err(format!(
            "the model takes no images, but signals of {}",
            card::grid(&config.extents)
        )),
    }
}

/// One image file as a model takes it: `[H, W, C]` bytes.
pub(super) fn read_image(config: &ModelConfig, path: &Path) -> CliResult<Vec<u8>> {
    if config.channels != 1 && config.channels != 3 {
        return Err(format!(
            "image files have 1 or 3 channels, the model takes {}",
            config.channels
        )
        .into());
    }
    let size = image_size(config)?;
    let image = data::read_image(path, size, config.channels == 1)?;
    Ok(image.into_iter().collect())
}
