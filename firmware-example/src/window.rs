//! The last readings of a sensor that is late with some and loses others: a ring of slots at its nominal rate.

use mwt_infer::mwt_core::bundle::Input;
use mwt_infer::{Error, Extents, ModelConfig, SampleSource};

/// One reading: when it was taken, and a number for each of `C` channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<const C: usize> {
    /// Milliseconds since the sensor's start.
    pub time: u64,
    /// What the sensor gave.
    pub values: [i16; C],
}

/// The last `N` slots, each with the reading that fell into it, if one did.
///
/// A classifier fits the window itself, without a copy; a slot without a reading is a sample that is missing.
#[derive(Clone, Debug)]
pub struct Window<const N: usize, const C: usize> {
    /// Slot `n` lies at `n % N`, while none later has taken its place.
    slots: [Option<(u64, [i16; C])>; N],
    newest: u64,
    period: u64,
    unit: f32,
}

impl<const N: usize, const C: usize> Window<N, C> {
    /// An empty window of slots of `period` milliseconds. A number of the sensor times `unit` is in the unit that the
    /// model was trained on.
    pub const fn new(period: u64, unit: f32) -> Self {
        Self { slots: [None; N], newest: 0, period, unit }
    }

    /// Takes in a reading, and gives the number of its slot: that in whose middle it lies nearest. One older than the
    /// window is left out; of two in one slot the later call's stays.
    pub fn push(&mut self, reading: &Reading<C>) -> u64 {
        let slot = (reading.time + self.period / 2) / self.period.max(1);
        self.newest = self.newest.max(slot);
        let place = self.slots.get_mut((slot % N as u64) as usize);
        if let Some(place) = place.filter(|place| place.is_none_or(|(there, _)| there <= slot)) {
            *place = Some((slot, reading.values));
        }
        slot
    }

    /// How many of the `N` slots have a reading.
    pub fn readings(&self) -> usize {
        (0..N).filter(|index| self.get(*index).is_some()).count()
    }

    /// The reading in slot `index` of the window, 0 for the oldest.
    fn get(&self, index: usize) -> Option<&[i16; C]> {
        let number = (self.newest + 1 + index as u64).checked_sub(N as u64)?;
        let slot = self.slots.get((number % N as u64) as usize)?.as_ref();
        slot.filter(|(there, _)| *there == number).map(|(_, values)| values)
    }
}

impl<const N: usize, const C: usize> SampleSource for Window<N, C> {
    fn len(&self) -> usize {
        N
    }

    fn check(&self, config: &ModelConfig) -> Result<(), Error> {
        if config.channels != C {
            return Err(Error::Channels);
        }
        if config.extents == Extents::series(N) { Ok(()) } else { Err(Error::Extents) }
    }

    fn is_there(&self, index: usize) -> bool {
        self.get(index).is_some()
    }

    fn coordinates(&self, index: usize, at: &mut [f32]) {
        Extents::series(N).coordinates(index, at);
    }

    fn values(&self, index: usize, input: &Input<'_>, values: &mut [f32]) {
        let reading = self.get(index).copied().unwrap_or([0; C]);
        for (channel, (value, number)) in values.iter_mut().zip(reading).enumerate() {
            *value = input.scaling(channel).value(f32::from(number) * self.unit);
        }
    }
}
