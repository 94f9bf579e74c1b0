//! Checkpoints: all that a run needs to go on, written so that a crash at any moment leaves one that loads.
//!
//! A checkpoint goes to a temporary file, is synced and renamed; the one before it is kept. Its data carry a
//! CRC-32, and a damaged one makes way for the one before.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use mwt_core::ModelConfig;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::exchange;
use crate::run_dir::write;
use crate::trainer::{Position, State};
use crate::weights::{Array, Weights, specs};

const LAST: &str = "checkpoint.safetensors";
const BEFORE: &str = "checkpoint.before.safetensors";
/// Key of the facts in the metadata.
const FACTS: &str = "mwt.checkpoint";
/// Prefixes of the moments' names.
const MOMENTS: [&str; 2] = ["adamw.m.", "adamw.v."];

/// What a checkpoint holds besides tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    model: ModelConfig,
    position: Position,
    adamw_steps: u64,
    /// Of the tensors' bytes.
    crc: u32,
}

/// Writes a checkpoint into a run's directory, keeping the one before.
///
/// # Errors
/// One line naming the file.
pub fn save(dir: &Path, state: &State) -> Result<(), String> {
    let config = *state.weights.config();
    let mut arrays = state.weights.arrays().clone();
    for (spec, (m, v)) in specs(&config).iter().zip(&state.moments) {
        for (prefix, values) in MOMENTS.iter().zip([m, v]) {
            let array = Array { shape: vec![values.len()], values: values.clone() };
            arrays.insert(format!("{prefix}{}", spec.name), array);
        }
    }
    let facts = Facts {
        model: config,
        position: state.position,
        adamw_steps: state.adamw_steps,
        crc: checksum(&arrays),
    };
    let json = serde_json::to_string(&facts).map_err(|e| e.to_string())?;
    let bytes = exchange::to_safetensors(&arrays, vec![(FACTS.into(), json)])?;
    let (last, before) = (dir.join(LAST), dir.join(BEFORE));
    if last.exists() {
        fs::rename(&last, &before).map_err(|e| format!("{}: {e}", before.display()))?;
    }
    write(&last, &bytes)
}

/// The newest checkpoint of a run that is not damaged, and its file.
///
/// # Errors
/// One line naming both files when neither loads.
pub fn load(dir: &Path) -> Result<(State, PathBuf), String> {
    let (last, before) = (dir.join(LAST), dir.join(BEFORE));
    match read(&last) {
        Ok(state) => Ok((state, last)),
        Err(first) => match read(&before) {
            Ok(state) => Ok((state, before)),
            Err(second) => Err(format!("no checkpoint to resume from: {first}; {second}")),
        },
    }
}

fn read(path: &Path) -> Result<State, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let bytes = fs::read(path).map_err(|e| named(&e))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| named(&e))?;
    let metadata: HashMap<String, String> = metadata.metadata().clone().unwrap_or_default();
    let json = metadata.get(FACTS).ok_or_else(|| named(&"is no checkpoint"))?;
    let facts: Facts = serde_json::from_str(json).map_err(|e| named(&e))?;
    let mut arrays = exchange::read(path).map_err(|e| e.to_string())?;
    if checksum(&arrays) != facts.crc {
        return Err(named(&"is damaged: its checksum does not match"));
    }
    facts.model.check().map_err(|e| named(&e))?;
    let mut moments = Vec::new();
    for spec in specs(&facts.model) {
        let mut take = |prefix: &str| {
            let array = arrays.remove(&format!("{prefix}{}", spec.name));
            let values = array.map(|a| a.values).filter(|v| v.len() == spec.len());
            values.ok_or_else(|| named(&format!("has no {prefix}{}", spec.name)))
        };
        moments.push((take(MOMENTS[0])?, take(MOMENTS[1])?));
    }
    let weights = Weights::new(facts.model, arrays).map_err(|e| named(&e))?;
    let Facts { position, adamw_steps, .. } = facts;
    Ok(State { weights, moments, adamw_steps, position })
}

/// CRC-32 of all values, in the order of their names.
fn checksum(arrays: &BTreeMap<String, Array>) -> u32 {
    let mut crc = flate2::Crc::new();
    for (name, array) in arrays {
        crc.update(name.as_bytes());
        array.values.iter().for_each(|v| crc.update(&v.to_le_bytes()));
    }
    crc.sum()
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
        }
    }

    #[test]
    fn the_newest_one_that_is_whole_loads() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(load(dir).unwrap_err().contains("no checkpoint"));
        save(dir, &state(1)).unwrap();
        assert_eq!(load(dir).unwrap().0, state(1));
        save(dir, &state(2)).unwrap();
        assert_eq!(load(dir).unwrap(), (state(2), dir.join(LAST)));

        // Any damage to the last one, a flipped bit of a value included, makes way for the one before.
        let whole = fs::read(dir.join(LAST)).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 2], &[]] {
            fs::write(dir.join(LAST), damaged).unwrap();
            assert_eq!(load(dir).unwrap(), (state(1), dir.join(BEFORE)));
        }
        fs::remove_file(dir.join(LAST)).unwrap();
        assert_eq!(load(dir).unwrap().0, state(1));
    }
}
