//! The most likely classes.

use core::fmt;
use core::ops::Deref;

/// A class and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
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
        for (class, &logit) in logits.iter().enumerate() {
            // Takes its place, moves all behind it by one, and forgets what falls off the end.
            let mut new = Prediction { class, logit, probability: 0.0 };
            for p in predictions.iter_mut().skip_while(|p| logit <= p.logit) {
                core::mem::swap(p, &mut new);
            }
        }
        let max = predictions.first().map_or(0.0, |p| p.logit);
        let sum: f32 = logits.iter().map(|l| libm::expf(l - max)).sum();
        predictions.iter_mut().for_each(|p| p.probability = libm::expf(p.logit - max) / sum);
        Self { predictions, len: logits.len().min(N) }
    }
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
