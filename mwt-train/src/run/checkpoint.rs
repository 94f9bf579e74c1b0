//! Checkpoints: all that a run needs to go on, written so that a crash at any moment leaves one that loads.
//!
//! A checkpoint goes to a temporary file and is synced before it takes its place, and the one before it is kept. A
//! CRC-32 covers all that is read back; a damaged checkpoint makes way for the one before, and never takes its place.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use mwt_core::{ConfigError, ModelConfig};
use safetensors::SafeTensorError;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::train::{Position, State, StepStats};
use crate::util::durable::{FileError, Staged};
use crate::weights::exchange::{self, ExchangeError};
use crate::weights::{Array, Weights, WeightsError, specs};

const LAST: &str = "checkpoint.safetensors";
const BEFORE: &str = "checkpoint.before.safetensors";
/// Key, in the metadata, of the checksum in eight hex digits and the facts as JSON: one key, for safetensors writes
/// several in any order, and the same run writes the same bytes.
const FACTS: &str = "mwt.checkpoint";
/// Prefixes of the moments' names.
const MOMENTS: [&str; 2] = ["adamw.m.", "adamw.v."];

/// What a checkpoint holds besides tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    model: ModelConfig,
    position: Position,
    adamw_steps: u64,
    #[serde(default, alias = "untold")]
    pending: Vec<StepStats>,
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Reading or writing the file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tensors of the file cannot be read.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The file is no safetensors file.
    #[error("{}: {source}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: SafeTensorError,
    },
    /// The file is not one that a run wrote to go on from.
    #[error("{}: is no checkpoint", path.display())]
    NotACheckpoint {
        /// Which file.
        path: PathBuf,
    },
    /// The checksum does not match.
    #[error("{}: is damaged: its checksum does not match", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// What the file says of its run cannot be understood.
    #[error("{}: {source}", path.display())]
    Facts {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The model is outside its limits.
    #[error("{}: {source}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Which limit.
        source: ConfigError,
    },
    /// A moment of the optimiser is missing or of the wrong length.
    #[error("{}: has no {name}", path.display())]
    Moment {
        /// Which file.
        path: PathBuf,
        /// Its tensor.
        name: String,
    },
    /// The tensors are not those of the model.
    #[error("{}: {source}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: WeightsError,
    },
    /// There are checkpoints, but none that loads.
    #[error("no checkpoint to resume from: {last}; {before}")]
    None {
        /// What is wrong with the last one.
        last: Box<CheckpointError>,
        /// What is wrong with the one before.
        before: Box<CheckpointError>,
    },
}

/// Writes a checkpoint into a run's directory, keeping the one before.
///
/// # Errors
/// A file that cannot be written; the checkpoint before it is then as it was.
pub fn save(dir: &Path, state: &State) -> Result<(), CheckpointError> {
    let config = *state.weights.config();
    let mut arrays = state.weights.arrays().clone();
    for (spec, (m, v)) in specs(&config).iter().zip(&state.moments) {
        for (prefix, values) in MOMENTS.iter().zip([m, v]) {
            let array = Array { shape: vec![values.len()], values: values.clone() };
            arrays.insert(format!("{prefix}{}", spec.name), array);
        }
    }
    let State { position, adamw_steps, .. } = *state;
    let facts = Facts { model: config, position, adamw_steps, pending: state.pending.clone() };
    let (last, before) = (dir.join(LAST), dir.join(BEFORE));
    let json = serde_json::to_string(&facts)
        .map_err(|source| CheckpointError::Facts { path: last.clone(), source })?;
    let facts = checksum(&json, &arrays) + &json;
    let bytes = exchange::to_safetensors(&arrays, vec![(FACTS.into(), facts)])
        .map_err(|source| CheckpointError::Format { path: last.clone(), source })?;
    let staged = Staged::new(&last, &bytes)?;
    // One that was damaged on disk must not push out the one before, which the run went on from.
    if last.exists() && read(&last).is_ok() {
        fs::rename(&last, &before).map_err(FileError::at(&before))?;
    }
    Ok(staged.commit()?)
}

/// The newest checkpoint of a run that is not damaged, and its file; `None` when the run has not written one yet.
///
/// # Errors
/// [`CheckpointError::None`] when there is one, but none that loads.
pub fn load(dir: &Path) -> Result<Option<(State, PathBuf)>, CheckpointError> {
    let (last, before) = (dir.join(LAST), dir.join(BEFORE));
    match read(&last) {
        Ok(state) => Ok(Some((state, last))),
        Err(first) => match read(&before) {
            Ok(state) => Ok(Some((state, before))),
            Err(_) if !last.exists() && !before.exists() => Ok(None),
            Err(second) => {
                Err(CheckpointError::None { last: Box::new(first), before: Box::new(second) })
            }
        },
    }
}

fn read(path: &Path) -> Result<State, CheckpointError> {
    use CheckpointError::{Config, Damaged, Facts as InFacts, Format, Moment, NotACheckpoint};
    let file = || path.to_owned();
    let bytes = fs::read(path).map_err(FileError::at(path))?;
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|source| Format { path: file(), source })?;
    let metadata: HashMap<String, String> = metadata.metadata().clone().unwrap_or_default();
    let facts = metadata.get(FACTS).ok_or_else(|| NotACheckpoint { path: file() })?;
    let (crc, json) = facts.split_at_checked(8).unwrap_or_default();
    let mut arrays = exchange::read(path)?;
    if crc != checksum(json, &arrays) {
        return Err(Damaged { path: file() });
    }
    let facts: Facts =
        serde_json::from_str(json).map_err(|source| InFacts { path: file(), source })?;
    facts.model.check().map_err(|source| Config { path: file(), source })?;
    let mut moments = Vec::new();
    for spec in specs(&facts.model) {
        let mut take = |prefix: &str| {
            let name = format!("{prefix}{}", spec.name);
            let values = arrays.remove(&name).map(|a| a.values).filter(|v| v.len() == spec.len());
            values.ok_or_else(|| Moment { path: file(), name })
        };
        moments.push((take(MOMENTS[0])?, take(MOMENTS[1])?));
    }
    let weights = Weights::new(facts.model, arrays)
        .map_err(|source| CheckpointError::Weights { path: file(), source })?;
    let Facts { position, adamw_steps, pending, .. } = facts;
    Ok(State { weights, moments, adamw_steps, position, pending })
}

/// CRC-32 of the facts and of all values, in the order of their names.
fn checksum(facts: &str, arrays: &BTreeMap<String, Array>) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(facts.as_bytes());
    for (name, array) in arrays {
        crc.update(name.as_bytes());
        array.values.iter().for_each(|v| crc.update(&v.to_le_bytes()));
    }
    format!("{:08x}", crc.sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::initial;

    fn state(step: u64) -> State {
        let weights = initial(&ModelConfig::NANO, step);
        let moment =
            |v: f32| specs(&ModelConfig::NANO).iter().map(|s| vec![v; s.len()]).collect::<Vec<_>>();
        State {
            weights,
            moments: moment(0.5).into_iter().zip(moment(0.25)).collect(),
            adamw_steps: step,
            position: Position { step, ..Position::default() },
            pending: vec![[0.1, 2.0, 3.0, 1e-7, 5.5, 6.0]],
        }
    }

    #[test]
    fn the_newest_one_that_is_whole_loads() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(load(dir).unwrap(), None);
        save(dir, &state(1)).unwrap();
        assert_eq!(load(dir).unwrap(), Some((state(1), dir.join(LAST))));
        save(dir, &state(2)).unwrap();
        assert_eq!(load(dir).unwrap(), Some((state(2), dir.join(LAST))));

        let whole = fs::read(dir.join(LAST)).unwrap();
        for damaged in [&whole[..whole.len() / 2], &whole[..7], &[]] {
            fs::write(dir.join(LAST), damaged).unwrap();
            assert_eq!(load(dir).unwrap(), Some((state(1), dir.join(BEFORE))));
        }
        fs::remove_file(dir.join(LAST)).unwrap();
        assert_eq!(load(dir).unwrap(), Some((state(1), dir.join(BEFORE))));
        // Both damaged: said, not taken for a run that has not begun.
        fs::write(dir.join(BEFORE), &whole[..100]).unwrap();
        let line = load(dir).unwrap_err().to_string();
        assert!(line.contains("no checkpoint to resume from") && !line.contains('\n'), "{line}");
    }

    /// Each bit of the header, where the run's position is, and bits all over the values.
    #[test]
    fn a_flipped_bit_makes_way_for_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        save(dir, &state(1)).unwrap();
        save(dir, &state(2)).unwrap();
        let whole = fs::read(dir.join(LAST)).unwrap();
        let start = String::from_utf8_lossy(&whole).find("__metadata__").unwrap();
        let facts = (8 * start..8 * (start + 700)).chain((0..8 * 8).chain([8 * whole.len() - 1]));
        let values = (8 * start + 5600..8 * whole.len()).step_by(4999);
        let mut flips = 0;
        for bit in facts.chain(values) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(dir.join(LAST), flipped).unwrap();
            assert_eq!(load(dir).unwrap(), Some((state(1), dir.join(BEFORE))), "bit {bit}");
            flips += 1;
        }
        assert!(flips > 5000, "{flips}");
    }

    /// The one before is never replaced by one that does not load.
    #[test]
    fn a_damaged_one_does_not_push_out_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        save(dir, &state(1)).unwrap();
        save(dir, &state(2)).unwrap();
        fs::write(dir.join(LAST), b"damaged").unwrap();
        save(dir, &state(3)).unwrap();
        assert_eq!(load(dir).unwrap(), Some((state(3), dir.join(LAST))));
        assert_eq!(read(&dir.join(BEFORE)).unwrap(), state(1));
    }
}
