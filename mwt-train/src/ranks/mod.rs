//! The processes that train together, which MPI calls ranks: one alone, or those that `mpirun` or `srun` started.
//!
//! Each takes its share of a batch's images; what crosses between them is the gradients, once an outer step. Sums go
//! through the ranks in their order, so that all have the same bits, in every run. With one rank nothing is exchanged.

mod share;
#[cfg(feature = "mpi")]
mod world;

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// A process that does not have what the others have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{other} has another {what} than {first}: bring all to the same")]
pub struct OtherRank {
    /// The first process.
    pub first: String,
    /// One that differs.
    pub other: String,
    /// In what.
    pub what: String,
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

    /// As [`gather`](Self::gather), of a number of things: one rank's after the other's.
    ///
    /// # Panics
    /// When they are none that JSON can hold.
    pub fn gather_all<T: Serialize + DeserializeOwned>(&self, own: Vec<T>) -> Vec<T> {
        if self.count() == 1 {
            return own;
        }
        let own = serde_json::to_vec(&own).expect("things that JSON can hold");
        let of_rank = |bytes: Vec<u8>| serde_json::from_slice::<Vec<T>>(&bytes);
        let all = self.gather(&own).into_iter().map(of_rank);
        all.flat_map(|of_rank| of_rank.expect("what the same program wrote")).collect()
    }

    /// As [`gather`](Self::gather), of numbers, one rank's after the other's.
    pub fn gather_f32(&self, own: &[f32]) -> Vec<f32> {
        let bytes: Vec<u8> = own.iter().flat_map(|v| v.to_le_bytes()).collect();
        let all = self.gather(&bytes).concat();
        all.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// Gives to all what each rank has made of its [share](Self::share) of `n` things, which together are `bytes`, in place.
    pub fn spread(&self, bytes: &mut [u8], n: usize) {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            world.spread(bytes, n);
        }
        let _ = (bytes, n);
    }

    /// Compares facts, each with the word for it, with those of all others.
    ///
    /// # Errors
    /// The first process that differs from the first of all, in every process the same.
    pub fn agree(&self, facts: &[(&str, String)]) -> Result<(), OtherRank> {
        let Some(name) = self.name() else { return Ok(()) };
        let facts: Vec<_> = facts.iter().map(|(word, fact)| ((*word).to_owned(), fact)).collect();
        let own = serde_json::to_vec(&(name, facts)).unwrap_or_default();
        // A rank that is elsewhere in the program says something else.
        let read = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap_or_default();
        let all: Vec<(String, Vec<(String, String)>)> =
            self.gather(&own).into_iter().map(read).collect();
        let Some((first, of_first)) = all.first() else { return Ok(()) };
        for (other, of_other) in &all {
            let fact = |facts: &[(String, String)], n: usize| facts.get(n).cloned();
            let most = of_first.len().max(of_other.len());
            let differs = (0..most).find(|n| fact(of_first, *n) != fact(of_other, *n));
            if let Some(n) = differs {
                let what = fact(of_first, n).or_else(|| fact(of_other, n));
                let (first, other) = (first.clone(), other.clone());
                return Err(OtherRank { first, other, what: what.unwrap_or_default().0 });
            }
        }
        Ok(())
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
        assert_eq!(alone.gather_all(vec!["a".to_owned(), "b".to_owned()]), ["a", "b"]);
        alone.spread(&mut [1, 2], 2);
        assert_eq!(alone.agree(&[("settings", "x".into())]), Ok(()));
        assert_eq!(
            (alone.rank(), alone.count(), alone.is_first(), alone.name()),
            (0, 1, true, None)
        );
        assert_eq!(alone.take_waited(), Duration::ZERO);
    }
}
