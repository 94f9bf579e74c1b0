//! Names for classes, given beside the data set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::error::DataError;
use crate::util::words::list;

/// Names the classes anew. `given` is a file, or the names themselves with commas between them. A file has a name a
/// line, in the order of the classes; or lines of a class as it is called now, a tab, and its name, in any order and
/// beside lines of other classes.
///
/// # Errors
/// A file that cannot be read, another number of names than of classes, or a name twice.
pub(super) fn name(classes: &mut Vec<String>, given: &str) -> Result<(), DataError> {
    *classes = names(given, classes)?;
    Ok(())
}

/// The names that `given` has for classes that are called so now; see [`LoadOptions::labels`](super::LoadOptions).
///
/// # Errors
/// A file that cannot be read, another number of names than of classes, or a name twice.
pub fn names(given: &str, classes: &[String]) -> Result<Vec<String>, DataError> {
    let path = Path::new(given);
    let names = match path.is_file() {
        true => {
            let text = fs::read_to_string(path).map_err(|reason| DataError::io(path, reason))?;
            of_file(&text, classes)
        }
        false => given.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if names.len() != classes.len() {
        // One word that is no list is meant as a file.
        if names.len() == 1 && (given.contains(['/', '\\']) || given.ends_with(".txt")) {
            fs::metadata(path).map_err(|reason| DataError::io(path, reason))?;
        }
        return Err(DataError::ClassNames {
            path: path.into(),
            found: names.len(),
            expected: classes.len(),
        });
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(DataError::SameName { path: path.into(), name: name.clone() }),
        None => Ok(names),
    }
}

/// For each class the place of its name among a model's labels: letter by letter, else without regard to case and to
/// what stands between words. Only the classes in `used` need one; the others get 0 where they have none.
///
/// # Errors
/// The classes without one, [`DataError::OtherClasses`].
pub fn match_labels(
    classes: &[String],
    used: &BTreeSet<u16>,
    labels: &[String],
) -> Result<Vec<u16>, DataError> {
    let loose = |name: &str| -> String {
        name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
    };
    let place = |class: &String| {
        let exact = labels.iter().position(|label| label == class);
        let alike = || {
            let name = loose(class);
            let mut found = (0..labels.len()).filter(|n| loose(&labels[*n]) == name);
            // Of two that are alike none is meant.
            found.next().filter(|_| !name.is_empty() && found.next().is_none())
        };
        exact.or_else(alike).and_then(|place| u16::try_from(place).ok())
    };
    let places: Vec<Option<u16>> = classes.iter().map(place).collect();
    let named = |class: &u16| classes.get(usize::from(*class)).cloned().unwrap_or_default();
    let is_other = |class: &&u16| places.get(usize::from(**class)).is_none_or(|p| p.is_none());
    let other: Vec<String> = used.iter().filter(is_other).map(named).collect();
    let mut seen = BTreeSet::new();
    let twice = used.iter().any(|class| !seen.insert(places.get(usize::from(*class))));
    if !other.is_empty() || twice {
        let other = if other.is_empty() { classes.to_vec() } else { other };
        return Err(DataError::OtherClasses {
            classes: list(&other, SHOWN),
            labels: list(labels, SHOWN),
        });
    }
    Ok(places.into_iter().map(Option::unwrap_or_default).collect())
}

/// Names that a message lists.
const SHOWN: usize = 4;

fn of_file(text: &str, classes: &[String]) -> Vec<String> {
    // The mark that some editors put before UTF-8.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let pairs: BTreeMap<&str, &str> = lines
        .iter()
        .filter_map(|line| line.split_once('\t'))
        .map(|(class, name)| (class.trim(), name.trim()))
        .collect();
    let mapped: Option<Vec<String>> =
        classes.iter().map(|class| pairs.get(&**class).map(|name| (*name).to_owned())).collect();
    mapped.unwrap_or_else(|| lines.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_come_from_a_file_a_mapping_or_the_text_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("names.txt");
        let given = file.display().to_string();
        let of = |text: &str, now: &[&str]| {
            fs::write(&file, text).unwrap();
            names(&given, &classes(now))
        };
        assert_eq!(
            of("\u{feff}Ankle boot\r\nBag\n\n", &["0", "1"]).unwrap(),
            ["Ankle boot", "Bag"]
        );
        let words = "n03\tchain saw\nn01\ttench, Tinca tinca\nn02\tx\n";
        assert_eq!(of(words, &["n01", "n03"]).unwrap(), ["tench, Tinca tinca", "chain saw"]);
        assert_eq!(names("cat, dog", &classes(&["0", "1"])).unwrap(), ["cat", "dog"]);
        let line = of("a\nb\n", &["0", "1", "2"]).unwrap_err().to_string();
        assert!(line.contains("2 labels for 3 classes"), "{line}");
        assert!(of("a\na\n", &["0", "1"]).unwrap_err().to_string().contains("called `a`"));
        let line = names("a,b", &classes(&["0"; 10])).unwrap_err().to_string();
        assert_eq!(line, "a,b: 2 labels for 10 classes; give one name a class");
        let line = names("none/names.txt", &classes(&["0", "1"])).unwrap_err().to_string();
        assert!(line.contains("No such file"), "{line}");
    }

    #[test]
    fn classes_find_their_labels() {
        let labels = classes(&["0", "1", "T-shirt/top", "Ankle boot", "a b", "A_B"]);
        let find = |now: &[&str], used: &[u16]| {
            match_labels(&classes(now), &used.iter().copied().collect(), &labels)
        };
        assert_eq!(find(&["1", "0"], &[0, 1]).unwrap(), [1, 0]);
        assert_eq!(find(&["ankle_boot", "t-shirt top"], &[0, 1]).unwrap(), [3, 2]);
        // What has no images needs no label.
        assert_eq!(find(&["cat", "1"], &[1]).unwrap(), [0, 1]);
        let line = find(&["1", "cat"], &[0, 1]).unwrap_err().to_string();
        assert!(
            line.contains("cat") && line.contains("0, 1, T-shirt/top, Ankle boot and 2 more"),
            "{line}"
        );
        // Two labels are alike without case, and two classes mean one label.
        assert!(find(&["AB"], &[0]).is_err());
        assert!(find(&["Ankle boot", "ankle boot"], &[0, 1]).is_err());
        assert_eq!(find(&["a b"], &[0]).unwrap(), [4]);
    }
}
