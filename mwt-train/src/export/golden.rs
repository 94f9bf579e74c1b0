//! Golden samples that notice: signals whose logits move far when inference makes a common mistake.

use mwt_core::{Bundle, ModelConfig, Scheme, Schemes};
use mwt_infer::{Classifier, Error, Numbers, Range, Signal, WorkspaceBuf};

use super::bundle::Export;
use super::mistakes::{Made, Mistake};
use crate::data::Inputs;
use crate::weights::{Weights, from_bundle};

/// Golden samples of a bundle: a few, as each takes a signal's bytes of flash.
pub const COUNT: usize = 2;

/// Signals among which the golden samples of a run's bundles are chosen.
pub const CANDIDATES: usize = 16;

/// How far a mistake moves the logits of a bundle's golden samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notice {
    /// The mistake.
    pub mistake: Mistake,
    /// Largest distance of a logit from the right one, in units of the self-test's tolerance: above 1 the self-test
    /// fails. Infinite where the logits are not finite.
    pub tolerances: f32,
}

/// Multiply-adds of one signal with every mistake that can be made with a model, and without.
pub fn macs(bundle: &Bundle<'_>) -> u64 {
    (Mistake::of(bundle.config()).count() as u64 + 1) * bundle.macs()
}

/// How far each mistake that can be made with a bundle's model moves the logits of its golden samples; of those
/// that `macs` multiply-adds suffice for, and nothing where they suffice for none.
///
/// # Errors
/// What fitting and classifying a golden sample gives.
pub fn notices(bundle: &Bundle<'_>, macs: u64) -> Result<Vec<Notice>, Error> {
    let affordable = (macs / self::macs(bundle).max(1)) as usize;
    let input = bundle.header().input;
    let signals = bundle.golden_samples().take(affordable).map(|sample| {
        let numbers = Numbers::Encoded(input.sample, sample.signal);
        (0..numbers.len()).map(|i| numbers.get(i)).collect()
    });
    let signals: Vec<Vec<f32>> = signals.collect();
    if signals.is_empty() {
        return Ok(Vec::new());
    }
    let scalings = (0..bundle.config().channels).map(|c| input.scaling(c)).collect();
    let inputs = Inputs { sample: input.sample, scalings };
    let table = table(&from_bundle(bundle), &inputs, &signals)?;
    let most = |row: Vec<f32>| row.into_iter().fold(0.0, f32::max);
    Ok(table.into_iter().map(|(mistake, row)| Notice { mistake, tolerances: most(row) }).collect())
}

/// What golden samples notice, in a sentence.
pub fn summary(notices: &[Notice]) -> String {
    let missed: Vec<_> =
        notices.iter().filter(|n| n.tolerances <= 1.0).map(|n| n.mistake.name()).collect();
    let least = notices.iter().min_by(|a, b| a.tolerances.total_cmp(&b.tolerances));
    let Some(least) = least else { return "not looked at".into() };
    let all = notices.len();
    if missed.is_empty() {
        let (name, times) = (least.mistake.name(), least.tolerances);
        format!(
            "notice all of {all} common mistakes; the least (\"{name}\") moves logits by {times:.0} times the tolerance"
        )
    } else {
        format!(
            "notice {} of {all} common mistakes; not: {}",
            all - missed.len(),
            missed.join(", ")
        )
    }
}

/// The numbers of [`COUNT`] signals, or of all where there are fewer, that together notice the least noticed mistake
/// best: one after the other, each the best beside those before it.
///
/// # Errors
/// What fitting and classifying a signal gives.
pub fn choose(
    weights: &Weights,
    inputs: &Inputs,
    signals: &[Vec<f32>],
) -> Result<Vec<usize>, Error> {
    Ok(best(&table(weights, inputs, signals)?, signals.len(), COUNT))
}

/// `count` of so many signals, one after the other.
fn best(table: &[(Mistake, Vec<f32>)], signals: usize, count: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < count.min(signals) {
        let least = |candidate: usize| {
            let with = |row: &[f32]| {
                chosen.iter().fold(row[candidate], |most, other| most.max(row[*other]))
            };
            table.iter().map(|(_, row)| with(row)).fold(f32::INFINITY, f32::min)
        };
        let left = (0..signals).filter(|n| !chosen.contains(n));
        // The first of equals.
        let next = left.rev().max_by(|a, b| least(*a).total_cmp(&least(*b)));
        chosen.extend(next);
    }
    chosen
}

/// For each mistake and each signal, how many tolerances it moves the logits.
fn table(
    weights: &Weights,
    inputs: &Inputs,
    signals: &[Vec<f32>],
) -> Result<Vec<(Mistake, Vec<f32>)>, Error> {
    let right = logits(&Made::right(weights, inputs), signals)?;
    let right = right.into_iter().collect::<Result<Vec<_>, _>>()?;
    let made = Mistake::of(weights.config()).map(|mistake| {
        // A mistake may well end in numbers that are not finite, which any test notices.
        let Ok(wrong) = logits(&mistake.made(weights, inputs), signals) else {
            return (mistake, vec![f32::INFINITY; signals.len()]);
        };
        let row = right.iter().zip(wrong).map(|(right, wrong)| {
            let Ok(wrong) = wrong else { return f32::INFINITY };
            let off = right.iter().zip(&wrong).fold(0.0f32, |m, (r, w)| m.max((r - w).abs()));
            off / Classifier::self_test_tolerance(right.iter().copied())
        });
        (mistake, row.collect())
    });
    Ok(made.collect())
}

/// The logits of each signal, or why there are none; in f32 throughout, so that what differs is the mistake alone.
fn logits(made: &Made, signals: &[Vec<f32>]) -> Result<Vec<Result<Vec<f32>, Error>>, Error> {
    let schemes = Schemes::all(Scheme::F32);
    let bytes =
        Export { schemes, inputs: &made.inputs, ..Export::default() }.bundle(&made.weights)?;
    let bundle = Bundle::parse(&bytes)?;
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;
    classifier.set_range(Range::Any);
    let mut one = |signal: &Vec<f32>| {
        let numbers: Vec<f32> = match &made.order {
            Some(order) => order.iter().map(|from| signal[*from]).collect(),
            None => signal.clone(),
        };
        let ModelConfig { extents, channels, .. } = *classifier.config();
        let signal = Signal::new(Numbers::F32(&numbers), extents, channels)?;
        classifier.begin();
        for _ in 0..made.steps {
            classifier.step(&signal)?;
        }
        Ok(classifier.logits()?.to_vec())
    };
    Ok(signals.iter().map(&mut one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two samples notice what one alone would not: the first is the best alone, the second the best beside it.
    #[test]
    fn samples_are_chosen_for_what_they_notice_together() {
        let table = [[9.0, 5.0, 0.5], [0.1, 0.2, 8.0], [3.0, 2.0, 4.0]];
        let table: Vec<_> = table.into_iter().map(|row| (Mistake::Beta, row.to_vec())).collect();
        assert_eq!(best(&table, 3, 1), [2]);
        assert_eq!(best(&table, 3, 2), [2, 0]);
        assert_eq!(best(&table, 3, 5), [2, 0, 1]);
    }

    #[test]
    fn what_is_missed_is_said() {
        let notice = |mistake, tolerances| Notice { mistake, tolerances };
        let both = [notice(Mistake::Beta, 40.4), notice(Mistake::Draw, 0.7)];
        assert_eq!(summary(&both), "notice 1 of 2 common mistakes; not: draw of another seed");
        let one = "notice all of 1 common mistakes; the least (\"β left out\") moves logits by 40 times the tolerance";
        assert_eq!(summary(&both[..1]), one);
    }
}
