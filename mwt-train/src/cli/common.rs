//! What several commands do.

use std::error::Error;
use std::path::Path;

use mwt_core::{Bundle, ModelConfig};

use crate::data::{Dataset, Remarks};
use crate::run::RunDir;
use crate::settings::{Precision, keys};
use crate::util::durable::FileError;
use crate::util::text::shown;
use crate::util::words;

/// What a command comes to: any error of the library, or a text made here.
pub(super) type CliResult<T = ()> = Result<T, Box<dyn Error>>;

/// Multiply-adds of a signal that a model may take unless told otherwise: half a minute on one core.
pub(super) const LIMIT_MACS: u64 = 200_000_000_000;

/// A bundle's bytes.
pub(super) fn read(path: &Path) -> CliResult<Vec<u8>> {
    if RunDir::holds_a_run(path) {
        return Err(not_exported(path).into());
    }
    Ok(std::fs::read(path).map_err(FileError::at(path))?)
}

/// A file's bytes as a bundle.
pub(super) fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Bundle<'a>, String> {
    Bundle::parse(bytes).map_err(|e| match bytes.get(8) {
        // As safetensors begin.
        Some(b'{') => not_exported(path),
        _ => format!("{}: {e}", path.display()),
    })
}

/// What to do about a run, or its model, where a bundle is wanted.
fn not_exported(path: &Path) -> String {
    let (name, path) = (path.display(), quoted(path));
    format!("{name}: a run's model, no bundle yet: mwt-train export {path} -o model.mwt makes one")
}

/// The model with another number of inner steps, which only one with a shared α can take.
pub(super) fn with_inner_steps(model: ModelConfig, k: Option<usize>) -> CliResult<ModelConfig> {
    let Some(inner_steps) = k else { return Ok(model) };
    if !model.shared_alpha {
        let k = model.inner_steps;
        return Err(format!("--inner-steps: the model has an α of its own for each of its {k} steps; train one with \
             --set model.shared_alpha=true").into());
    }
    let model = ModelConfig { inner_steps, ..model };
    model.check()?;
    Ok(model)
}

/// Says on stderr what of a data set was not taken.
pub(super) fn warn_of_left_out(set: &Dataset) {
    let Remarks { warnings, left_out, .. } = &set.remarks;
    warnings.iter().for_each(|line| eprintln!("warning: {}", shown(line)));
    if let Some(first) = left_out.first() {
        eprintln!("warning: {} images left out, the first: {}", left_out.len(), shown(first));
    }
}

/// Says on stderr that a model is not that of its run's end.
pub(super) fn tell_unfinished(run: &Path, file: Option<&Path>) {
    if let Some(file) = file {
        eprintln!(
            "note: the run has not come to its end, this is {}; go on with: mwt-train resume {}",
            file.display(),
            quoted(run)
        );
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

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
