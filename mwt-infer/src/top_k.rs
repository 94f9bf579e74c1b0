//! The most likely classes.

use core::fmt;
use core::ops::Deref;

/// A class and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Prediction {
    /// Index of the class, 0..K.
    pub class: usize,
    /// Its logit.
    pub logit: f32,
    /// Its softmax probability.
    pub probability: f32,
}

/// Up to `N` predictions, the most likely first: a slice of [`Prediction`] that needs no heap.
#[derive(Clone)]
pub struct TopK<const N: usize> {
    /// The first `len` are classes, any others are not.
    predictions: [Prediction; N],
    len: usize,
}

impl<const N: usize> TopK<N> {
    /// The most likely of all classes, whose finite logits these are.
    pub(crate) fn new(logits: &[f32]) -> Self {
        let none = Prediction { class: 0, logit: f32::NEG_INFINITY, probability: 0.0 };
        let mut predictions = [none; N];
        let places = predictions.iter_mut().zip(ranked(logits));
        places.for_each(|(place, prediction)| *place = prediction);
        Self { predictions, len: logits.len().min(N) }
    }
}

/// All classes, the most likely first, and of two alike that which comes first; without memory for them: each looks for
/// itself among all logits, which are finite.
pub(crate) fn ranked(logits: &[f32]) -> impl Iterator<Item = Prediction> {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, l| if *l > max { *l } else { max });
    let sum: f32 = logits.iter().map(|l| libm::expf(l - max)).sum();
    let mut last = (f32::INFINITY, 0);
    (0..logits.len()).map_while(move |_| {
        let (before, class) = last;
        // What comes behind the last one, and of that the largest.
        let behind = |(i, l): &(usize, &f32)| **l < before || (**l == before && *i > class);
        let next = logits.iter().enumerate().filter(behind);
        let (class, logit) = next.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        last = (*logit, class);
        Some(Prediction { class, logit: *logit, probability: libm::expf(logit - max) / sum })
    })
}

impl<const N: usize> Deref for TopK<N> {
    type Target = [Prediction];

    fn deref(&self) -> &[Prediction] {
        self.predictions.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Debug for TopK<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<const N: usize> PartialEq for TopK<N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a, const N: usize> IntoIterator for &'a TopK<N> {
    type Item = &'a Prediction;
    type IntoIter = core::slice::Iter<'a, Prediction>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
