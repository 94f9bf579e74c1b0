//! What the classes of idx data sets are called, which their files do not say.

use std::collections::BTreeSet;

use super::idx_files::IdxFiles;
use crate::data::options::directory_name;

/// The classes of Fashion-MNIST.
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The classes of KMNIST, as torchvision writes them.
const KMNIST: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

const DIGITS: &str = "0123456789";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
/// The small letters that EMNIST's merged sets do not count among the capitals.
const UNLIKE_CAPITALS: &str = "abdefghnqrt";

/// Whose files they are, by the names of the directory and of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Classes are numbers: digits, mostly.
    Numbers,
    Fashion,
    Kmnist,
    /// EMNIST, which of its splits the labels tell where the names do not.
    Emnist(Option<&'static str>),
}

/// EMNIST's splits.
const EMNIST: [&str; 6] = ["letters", "digits", "mnist", "balanced", "bymerge", "byclass"];

impl Family {
    pub(super) fn of(files: &IdxFiles) -> Self {
        let dir = directory_name(&files.dir).to_lowercase();
        let has = |word: &str| dir.contains(word) || files.prefix.contains(word);
        if has("emnist") {
            // The file's name goes before the directory's, which may hold all of them.
            let named = |text: &str| EMNIST.into_iter().find(|split| text.ends_with(*split));
            let of_dir = named(&dir).filter(|split| *split != "mnist");
            Self::Emnist(named(&files.prefix).or(of_dir))
        } else if has("fashion") {
            Self::Fashion
        } else if has("kmnist") || has("kuzushiji") {
            Self::Kmnist
        } else {
            Self::Numbers
        }
    }

    /// Whether rows and columns are exchanged.
    pub(super) fn is_transposed(self) -> bool {
        matches!(self, Self::Emnist(_))
    }

    /// The classes in the order of their labels, each with its label. A class without an image is one where all are known
    /// by name; where they are numbers, those are classes that occur.
    pub(super) fn names(self, labels: &BTreeSet<u16>) -> Vec<(u16, String)> {
        let (first, names) = match self {
            Self::Numbers => (0, Vec::new()),
            Self::Fashion => (0, FASHION.map(String::from).to_vec()),
            Self::Kmnist => (0, KMNIST.map(String::from).to_vec()),
            Self::Emnist(split) => emnist(split, labels),
        };
        let end = first as usize + names.len();
        let known = (first..).zip(names);
        // A label beyond the known ones: another data set under this name.
        if labels.iter().any(|label| *label < first || usize::from(*label) >= end) {
            return labels.iter().map(|label| (*label, label.to_string())).collect();
        }
        known.collect()
    }
}

/// The first label of a split of EMNIST and the names from there on.
fn emnist(split: Option<&str>, labels: &BTreeSet<u16>) -> (u16, Vec<String>) {
    let of = |alphabets: &[&str]| alphabets.concat().chars().map(String::from).collect();
    match (split, labels.first(), labels.last()) {
        (Some("letters"), ..) | (None, Some(1), Some(26)) => (1, of(&[SMALL])),
        (Some("digits" | "mnist"), ..) | (None, Some(0), Some(0..=9)) => (0, of(&[DIGITS])),
        (Some("balanced" | "bymerge"), ..) | (None, _, Some(46)) => {
            (0, of(&[DIGITS, CAPITALS, UNLIKE_CAPITALS]))
        }
        (Some("byclass"), ..) | (None, _, Some(61)) => (0, of(&[DIGITS, CAPITALS, SMALL])),
        _ => (0, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn family(dir: &str, prefix: &str) -> Family {
        let (dir, prefix) = (Path::new(dir).into(), prefix.into());
        Family::of(&IdxFiles { dir, prefix, train: None, test: None })
    }

    fn names(family: Family, labels: impl IntoIterator<Item = u16>) -> Vec<(u16, String)> {
        family.names(&labels.into_iter().collect())
    }

    #[test]
    fn families_are_known_by_directory_or_file() {
        assert_eq!(family("x/Fashion-MNIST", ""), Family::Fashion);
        assert_eq!(family("FashionMNIST/raw", ""), Family::Fashion);
        assert_eq!(family("KMNIST/raw", ""), Family::Kmnist);
        assert_eq!(family("x/mnist", ""), Family::Numbers);
        assert_eq!(family("EMNIST/raw", "emnist-letters"), Family::Emnist(Some("letters")));
        assert_eq!(family("emnist-balanced", ""), Family::Emnist(Some("balanced")));
        assert_eq!(family("emnist", ""), Family::Emnist(None));
        assert_eq!(family("any", "emnist-mnist"), Family::Emnist(Some("mnist")));
        assert_eq!(family("any", "qmnist"), Family::Numbers);
    }

    #[test]
    fn labels_get_their_names() {
        assert_eq!(names(Family::Fashion, [0, 9])[5], (5, "Sandal".into()));
        assert_eq!(names(Family::Kmnist, [3])[3], (3, "tsu".into()));
        assert_eq!(names(Family::Numbers, [3, 11]), [(3, "3".into()), (11, "11".into())]);
        let letters = names(Family::Emnist(None), 1..=26);
        assert_eq!(
            (letters.len(), &letters[0], &letters[25]),
            (26, &(1, "a".into()), &(26, "z".into()))
        );
        let balanced = names(Family::Emnist(Some("balanced")), [0]);
        assert_eq!(
            (balanced.len(), &balanced[10].1, &balanced[46].1),
            (47, &"A".into(), &"t".into())
        );
        assert_eq!(names(Family::Emnist(Some("byclass")), [61])[36].1, "a");
        // Under the name of a set that has no such label.
        assert_eq!(names(Family::Fashion, [4, 12]), [(4, "4".into()), (12, "12".into())]);
    }
}
