//! A place in a run.

use serde::{Deserialize, Serialize};

/// Where a run stands: everything random follows from the seed and this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Phases done: a sequential WT has two, all else one.
    pub phase: usize,
    /// Epochs of the phase done.
    pub epoch: u64,
    /// Batches of the epoch done.
    pub batch: usize,
    /// Outer steps of the phase done.
    pub step: u64,
    /// Outer steps of all phases done.
    pub total: u64,
    /// Those of them that were left out because they diverged.
    #[serde(default)]
    pub skipped: u64,
}
