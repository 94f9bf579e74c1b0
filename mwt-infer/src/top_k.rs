//! The most likely classes.

use core::fmt;
use core::ops::{Deref, DerefMut};

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
    /// Of which the first `len` are there.
    predictions: [Prediction; N],
    len: usize,
}

impl<const N: usize> TopK<N> {
    pub(crate) const fn new() -> Self {
        let none = Prediction { class: 0, logit: 0.0, probability: 0.0 };
        Self { predictions: [none; N], len: 0 }
    }

    /// Adds a prediction at the end, where there is room.
    pub(crate) fn push(&mut self, prediction: Prediction) {
        if let Some(place) = self.predictions.get_mut(self.len) {
            *place = prediction;
            self.len += 1;
        }
    }
}

impl<const N: usize> Deref for TopK<N> {
    type Target = [Prediction];

    fn deref(&self) -> &[Prediction] {
        self.predictions.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> DerefMut for TopK<N> {
    fn deref_mut(&mut self) -> &mut [Prediction] {
        self.predictions.get_mut(..self.len).unwrap_or_default()
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
