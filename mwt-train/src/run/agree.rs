//! Whether the processes that train together have the same program, settings, data and place in the run.

use super::error::RunError;
use super::facts::DataFacts;
use crate::ranks::Ranks;
use crate::settings::Settings;
use crate::train::State;

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
    if ranks.count() == 1 {
        return Ok(());
    }
    let (mut settings, mut data) = (settings.clone(), data.clone());
    // A machine may have the files elsewhere: their content counts.
    settings.data.source.clear();
    settings.train.init = None;
    data.name.clear();
    let json = serde_json::to_string(&data).unwrap_or_default();
    let weights = state.map(|state| {
        let values = state.weights.arrays().values().flat_map(|array| &array.values);
        let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    });
    let place = format!("{:?} {weights:?}", state.map(|state| state.position));
    Ok(ranks.agree(&[
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("settings", settings.to_toml()?),
        ("data", json),
        ("checkpoint", place),
    ])?)
}
