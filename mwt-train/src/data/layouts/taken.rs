//! Which entries of a data set are taken for what, before any image is decoded.

use super::listing::thin_out;
use crate::data::held_out::{self, held_out};
use crate::data::options::{LoadOptions, Remarks};

/// The entries to train, to choose and to test on, each where they are there.
pub(super) struct Taken<T> {
    pub(super) train: Option<Vec<T>>,
    pub(super) validation: Option<Vec<T>>,
    pub(super) test: Option<Vec<T>>,
}

impl<T> Taken<T> {
    /// As the options want them: test images report, and validation images choose; where there is one of the two, it reports;
    /// where there is neither, a share of each class is held out; of each the most that were asked for.
    pub(super) fn settled(
        self,
        class: impl Fn(&T) -> u16,
        share: f64,
        options: &LoadOptions,
        remarks: &mut Remarks,
    ) -> Self {
        let Self { mut train, mut validation, test } = self;
        let mut test = test.or_else(|| validation.take());
        if let (Some(entries), None) = (&mut train, &test) {
            let classes: Vec<u16> = entries.iter().map(class).collect();
            let out = held_out(&classes, share);
            remarks.notes.push(held_out::note(&out, share));
            let all = entries.drain(..).zip(out);
            let (out, rest): (Vec<_>, Vec<_>) = all.partition(|(_, out)| *out);
            let own = |all: Vec<(T, bool)>| all.into_iter().map(|(entry, _)| entry).collect();
            (train, test) = (Some(own(rest)), Some(own(out)));
        }
        if options.only_test {
            (train, validation) = (None, None);
        }
        let few = |entries: Option<Vec<T>>| entries.map(|all| thin_out(all, options.limit));
        Self { train: few(train), validation: few(validation), test: few(test) }
    }
}
