//! A share of the training images held out for testing, where a data set has no test images of its own.

use crate::util::random::Rng;

/// The random stream that chooses. Its seed is always the same: the test images shall not change with the seed of a run.
const STREAM: u64 = 0x7465_7374;

/// For each label whether its image is held out: `share` of each class, rounded, but one at least where a class has two,
/// and one at least stays to train on. A share of 1 holds out all.
pub(super) fn held_out(labels: &[u16], share: f64) -> Vec<bool> {
    if share >= 1.0 {
        return vec![true; labels.len()];
    }
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for (n, &label) in labels.iter().enumerate() {
        let class = usize::from(label);
        if class >= classes.len() {
            classes.resize(class + 1, Vec::new());
        }
        classes[class].push(n);
    }
    let mut out = vec![false; labels.len()];
    for (class, mut images) in classes.into_iter().enumerate() {
        // A stream for each class, so that another class's images change nothing here.
        Rng::new(class as u64, STREAM).shuffle(&mut images);
        let rounded = (images.len() as f64 * share).round() as usize;
        let count = rounded.max(1).min(images.len().saturating_sub(1));
        images.iter().take(count).for_each(|n| out[*n] = true);
    }
    out
}

/// What is said of it.
pub(super) fn note(held_out: &[bool], share: f64) -> String {
    let (all, count) = (held_out.len(), held_out.iter().filter(|out| **out).count());
    if share >= 1.0 {
        return format!("no test folder or file: all {all} images are taken as test images");
    }
    let percent = 100.0 * share;
    format!(
        "no test images: {count} of the {all} training images, {percent} % of each class, are held out for testing \
         (--test-share gives another share)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_gives_its_share_and_keeps_one() {
        let labels: Vec<u16> = [vec![0; 10], vec![1; 3], vec![2; 1], vec![4; 2]].concat();
        let out = held_out(&labels, 0.2);
        let count = |class: u16| {
            labels.iter().zip(&out).filter(|(label, out)| **label == class && **out).count()
        };
        assert_eq!([0, 1, 2, 3, 4].map(count), [2, 1, 0, 0, 1]);
        // The same every time, and not the first ones.
        assert_eq!(out, held_out(&labels, 0.2));
        assert!(!(out[0] && out[1]));
        assert_eq!(held_out(&labels, 1.0), [true; 16]);
        assert!(held_out(&[], 0.5).is_empty());
        // More images of another class change nothing of this one.
        let more = held_out(&[labels.clone(), vec![4; 30]].concat(), 0.2);
        assert_eq!(more[..13], out[..13]);
    }
}
