//! The processes that train together, which MPI calls ranks: one alone, or those that `mpirun` or `srun` started.
//!
//! Each takes its share of a batch's images; what crosses between them is the gradients, once an outer step. Sums go
//! through the ranks in their order, so that all have the same bits, in every run. With one rank nothing is exchanged.

mod share;
#[cfg(feature = "mpi")]
mod world;

use std::cell::Cell;
use std::time::{Duration, Instant};

pub use share::Share;

/// Why the processes could not be brought together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// MPI started several, and the program cannot speak with the others.
    #[error(
        "started {count} times by MPI, but this program was built without it; build it with `cargo build --release -p \
         mwt-train --features mpi`"
    )]
    NotBuilt {
        /// Processes that were started.
        count: usize,
    },
    /// MPI refuses to begin.
    #[error("MPI cannot be initialized, or was before")]
    NotInitialized,
}

/// What process managers tell a process of how many they started: Open MPI's and MPICH's `mpirun`, and `srun`.
const STARTED: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// The processes that train together, as one of them sees them.
#[derive(Debug, Default)]
pub struct Ranks {
    #[cfg(feature = "mpi")]
    world: Option<world::World>,
    /// Spent in exchanges since it was last asked.
    waited: Cell<Duration>,
}

impl Ranks {
    /// One process by itself.
    pub fn alone() -> Self {
        Self::default()
    }

    /// Those that MPI started, or one by itself where it started none. To be called once, before anything is computed:
    /// the processes of a machine share its cores.
    ///
    /// # Errors
    /// Several processes of a program that was built without MPI, or an MPI that cannot begin.
    pub fn started() -> Result<Self, RanksError> {
        let told = STARTED.iter().find_map(|name| std::env::var(name).ok()?.parse::<usize>().ok());
        match told {
            Some(count) if count > 1 => Self::several(count),
            _ => Ok(Self::alone()),
        }
    }

    #[cfg(feature = "mpi")]
    fn several(_: usize) -> Result<Self, RanksError> {
        let world = world::World::begin().ok_or(RanksError::NotInitialized)?;
        world.share_cores();
        Ok(Self { world: Some(world), ..Self::default() })
    }

    #[cfg(not(feature = "mpi"))]
    fn several(count: usize) -> Result<Self, RanksError> {
        Err(RanksError::NotBuilt { count })
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.share().rank
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.share().count
    }

    /// Whether this is the one that writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Which share is this process's.
    pub fn share(&self) -> Share {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Share { rank: world.rank(), count: world.count() };
        }
        Share::WHOLE
    }

    /// Its number among those on its machine: that of the GPU that it takes.
    pub fn on_machine(&self) -> usize {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return world.on_machine().rank;
        }
        0
    }

    /// Rank and machine, for people; nothing of one by itself.
    pub fn name(&self) -> Option<String> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Some(world.name());
        }
        None
    }

    /// Sums the values of all ranks, place by place and in the order of the ranks: all get the same bits.
    pub fn sum(&self, values: &mut [f32]) {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return self.timed(|| world.sum(values));
        }
        let _ = values;
    }

    /// Whether any rank says so.
    pub fn any(&self, own: bool) -> bool {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return self.timed(|| world.any(own));
        }
        own
    }

    /// What each rank says, in the order of the ranks.
    pub fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return world.gather(own);
        }
        vec![own.to_vec()]
    }

    /// As [`gather`](Self::gather), of numbers, one rank's after the other's.
    pub fn gather_f32(&self, own: &[f32]) -> Vec<f32> {
        let bytes: Vec<u8> = own.iter().flat_map(|v| v.to_le_bytes()).collect();
        let all = self.gather(&bytes).concat();
        all.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// Ends all of them. Of one by itself, nothing.
    pub fn abort(&self) {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            world.abort();
        }
    }

    /// Time spent in exchanges since this was last asked, most of it waiting for the slowest rank.
    pub fn take_waited(&self) -> Duration {
        self.waited.take()
    }

    #[cfg_attr(not(feature = "mpi"), expect(dead_code, reason = "one by itself exchanges nothing"))]
    fn timed<T>(&self, exchange: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = exchange();
        self.waited.set(self.waited.get() + start.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_itself_has_all_it_says() {
        let alone = Ranks::alone();
        let mut values = [1.5, -2.0];
        alone.sum(&mut values);
        assert_eq!((values, alone.any(true), alone.any(false)), ([1.5, -2.0], true, false));
        assert_eq!(alone.gather(b"ab"), [b"ab"]);
        assert_eq!(alone.gather_f32(&values), values);
        assert_eq!(
            (alone.rank(), alone.count(), alone.is_first(), alone.name()),
            (0, 1, true, None)
        );
        assert_eq!(alone.take_waited(), Duration::ZERO);
    }
}
