//! Room for signals in memory, refused before it is taken.

use std::path::Path;

use mwt_core::Extents;

use super::error::DataError;
use super::options::LoadOptions;

/// An empty buffer that holds `signals` signals of `channels` numbers a sample without growing.
///
/// Counts come from files and are not to be trusted: what would not fit in the memory that the
/// options allow is refused here, before any of it is asked of the system, which may promise more
/// than it has.
///
/// # Errors
///
/// [`DataError::GridSize`] when no model can have the grid, [`DataError::SignalsTooLarge`] when the
/// values take more than `options.memory`, or more than the system gives.
pub(super) fn room(
    path: &Path,
    signals: usize,
    extents: Extents,
    channels: usize,
    options: &LoadOptions,
) -> Result<Vec<f32>, DataError> {
    if !extents.within_limits() || channels == 0 {
        return Err(DataError::GridSize { path: path.into(), sides: extents.sides().to_vec() });
    }
    // The positions are below 2²⁴, so that only the two other factors can be too large.
    let numbers =
        (signals as u64).saturating_mul(channels as u64).saturating_mul(extents.positions() as u64);
    let bytes = numbers.saturating_mul(size_of::<f32>() as u64);
    let mut values = Vec::new();
    let fits = bytes <= options.memory
        && usize::try_from(numbers).is_ok_and(|n| values.try_reserve_exact(n).is_ok());
    match fits {
        true => Ok(values),
        false => Err(DataError::SignalsTooLarge {
            path: path.into(),
            signals,
            bytes,
            memory: options.memory,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_is_asked_for_and_no_more_than_is_allowed() {
        let options = LoadOptions { memory: 240, ..LoadOptions::default() };
        let ask = |signals, sides: &[usize], channels| {
            room(Path::new("x"), signals, Extents::new(sides).unwrap(), channels, &options)
        };
        let values = ask(2, &[5, 2], 3).unwrap();
        assert!(values.is_empty() && values.capacity() >= 60);
        let message = ask(3, &[5, 2], 3).unwrap_err().to_string();
        assert!(message.contains("3 signals take 360 bytes"), "{message}");
        assert!(matches!(ask(usize::MAX, &[9], 9), Err(DataError::SignalsTooLarge { .. })));
        assert!(matches!(ask(1, &[5, 0], 1), Err(DataError::GridSize { .. })));
        assert!(matches!(ask(1, &[usize::MAX, 2, 2], 1), Err(DataError::GridSize { .. })));
        assert!(matches!(ask(1, &[2], 0), Err(DataError::GridSize { .. })));
    }
}
