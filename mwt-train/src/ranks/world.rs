//! All processes that MPI started.

use std::fmt;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::{Universe, initialize_with_threading, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use super::share::Share;

/// Bytes that cross at a time: MPI counts in 32 bits, and large data sets are more.
const PIECE: usize = 1 << 20;

/// MPI from its beginning to its end, which comes when this is dropped.
pub(super) struct World {
    all: SimpleCommunicator,
    on_machine: Share,
    machine: String,
    // Last: the communicator goes before MPI does.
    _universe: Universe,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl World {
    /// Begins; `None` where MPI does not let itself be initialized.
    pub(super) fn begin() -> Option<Self> {
        // All exchanges come from the thread that trains, which is the main one.
        let (universe, _) = initialize_with_threading(Threading::Funneled)?;
        let all = universe.world();
        let node = all.split_shared(all.rank());
        let on_machine = Share { rank: node.rank() as usize, count: node.size() as usize };
        let machine = processor_name().unwrap_or_else(|_| "?".into());
        Some(Self { all, on_machine, machine, _universe: universe })
    }

    /// Gives each process of a machine its share of the cores, where nobody else did: a process that is bound to some has
    /// no others.
    pub(super) fn share_cores(&self) {
        if std::env::var_os("RAYON_NUM_THREADS").is_some() {
            return;
        }
        let own = std::thread::available_parallelism().map_or(1, usize::from);
        let bound = own < online_cores().unwrap_or(own);
        let threads = if bound { own } else { (own / self.on_machine.count).max(1) };
        // Only where threads run already is this refused, and then they stay as many.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }

    pub(super) fn rank(&self) -> usize {
        self.all.rank() as usize
    }

    pub(super) fn count(&self) -> usize {
        self.all.size() as usize
    }

    pub(super) fn on_machine(&self) -> Share {
        self.on_machine
    }

    pub(super) fn name(&self) -> String {
        format!("rank {} on {}", self.all.rank(), self.machine)
    }

    /// Each rank sums one part of all, in the order of the ranks, and gives it to the others: twice the values cross, however
    /// many ranks there are. MPI's own sum may take any order.
    pub(super) fn sum(&self, values: &mut [f32]) {
        let count = self.count();
        let part = values.len().div_ceil(count).max(1);
        let mut padded = values.to_vec();
        padded.resize(part * count, 0.0);
        let mut received = vec![0.0f32; part * count];
        self.all.all_to_all_into(&padded[..], &mut received[..]);
        let mut own = vec![0.0f32; part];
        for of_rank in received.chunks_exact(part) {
            for (sum, value) in own.iter_mut().zip(of_rank) {
                *sum += value;
            }
        }
        self.all.all_gather_into(&own[..], &mut padded[..]);
        values.copy_from_slice(&padded[..values.len()]);
    }

    pub(super) fn any(&self, own: bool) -> bool {
        let (own, mut any) = (i32::from(own), 0i32);
        self.all.all_reduce_into(&own, &mut any, SystemOperation::max());
        any > 0
    }

    pub(super) fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let mut lengths = vec![0u64; self.count()];
        self.all.all_gather_into(&(own.len() as u64), &mut lengths[..]);
        let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
        let most = lengths.iter().copied().max().unwrap_or(0);
        let mut all: Vec<Vec<u8>> = lengths.iter().map(|n| Vec::with_capacity(*n)).collect();
        for start in (0..most).step_by(PIECE) {
            let piece = |length: usize| start.min(length)..(start + PIECE).min(length);
            let counts: Vec<i32> = lengths.iter().map(|n| piece(*n).len() as i32).collect();
            let starts: Vec<i32> = counts
                .iter()
                .scan(0, |end, count| {
                    *end += count;
                    Some(*end - count)
                })
                .collect();
            let total: i32 = counts.iter().sum();
            let mut received = vec![0u8; total as usize];
            let mut parts = PartitionMut::new(&mut received[..], &counts[..], &starts[..]);
            self.all.all_gather_varcount_into(&own[piece(own.len())], &mut parts);
            let mut rest = &received[..];
            for (of_rank, count) in all.iter_mut().zip(&counts) {
                let (first, others) = rest.split_at(*count as usize);
                of_rank.extend(first);
                rest = others;
            }
        }
        all
    }

    /// Each rank in turn gives its share to all others.
    pub(super) fn spread(&self, bytes: &mut [u8], n: usize) {
        let (count, length) = (self.count(), bytes.len().checked_div(n).unwrap_or(0));
        for rank in 0..count {
            let of_rank = Share { rank, count }.of(n);
            let root = self.all.process_at_rank(rank as i32);
            let share = &mut bytes[of_rank.start * length..of_rank.end * length];
            share.chunks_mut(PIECE).for_each(|piece| root.broadcast_into(piece));
        }
    }

    pub(super) fn abort(&self) -> ! {
        self.all.abort(1)
    }
}

/// The cores of this machine, whether or not this process may use them; `None` where the system does not say.
fn online_cores() -> Option<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    text.trim().split(',').try_fold(0, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}
