//! Signals in memory that are no pictures: series and volumes, as f32.

use mwt_core::Extents;

/// Signals on one grid, each with its class.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// The grid.
    pub extents: Extents,
    /// C: numbers of a sample.
    pub channels: usize,
    /// `[N, positions, C]`; NaN in one of a sample's channels where the sample is missing.
    pub values: Vec<f32>,
    /// The class of each signal, `[N]`.
    pub labels: Vec<u16>,
}
