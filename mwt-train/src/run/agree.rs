//! Whether the processes that train together have the same program, settings, data and place in the run.

use super::error::RunError;
use super::facts::DataFacts;
use crate::ranks::Ranks;
use crate::settings::Settings;
use crate::train::State;

/// What must be the same everywhere, each with the word for it.
type Facts = [(&'static str, String); 4];

fn facts(settings: &Settings, data: &DataFacts, state: Option<&State>) -> Result<Facts, RunError> {
    let mut settings = settings.clone();
    // A machine may have the files elsewhere: their content counts.
    settings.data.source.clear();
    settings.train.init = None;
    let json = serde_json::to_string(data).unwrap_or_default();
    let weights = state.map(|state| {
        let values = state.weights.arrays().values().flat_map(|array| &array.values);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    });
    let place = format!("{:?} {weights:?}", state.map(|state| state.position));
    Ok([
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("settings", settings.to_toml()?),
        ("data", json),
        ("checkpoint", place),
    ])
}

/// Compares with all others.
///
/// # Errors
/// [`RunError::OtherRank`], in every process the same.
pub(super) fn check(
    ranks: &Ranks,
    settings: &Settings,
    data: &DataFacts,
    state: Option<&State>,
) -> Result<(), RunError> {
    let Some(name) = ranks.name() else { return Ok(()) };
    let own = facts(settings, data, state)?;
    let words = own.each_ref().map(|(word, _)| *word);
    let own = serde_json::to_vec(&(name, own.map(|(_, fact)| fact))).unwrap_or_default();
    let all = ranks.gather(&own);
    let all: Vec<(String, [String; 4])> =
        all.iter().filter_map(|bytes| serde_json::from_slice(bytes).ok()).collect();
    let Some((first, of_first)) = all.first() else { return Ok(()) };
    for (other, of_other) in &all {
        let differs = of_first.iter().zip(of_other).position(|(a, b)| a != b);
        if let Some(what) = differs {
            let (first, other) = (first.clone(), other.clone());
            return Err(RunError::OtherRank { first, other, what: words[what] });
        }
    }
    Ok(())
}
