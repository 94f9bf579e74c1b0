//! Images in archives of NumPy: unsigned bytes, `[N, H, W]` or `[N, H, W, C]` with C 1 or 3, under the names that Keras
//! (`x_train`, `y_train`, …), MedMNIST (`train_images`, `train_labels`, …) and KMNIST (a file for each array) give them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::idx_names::Family;
use super::listing::files_of;
use super::npy::{Element, Kind, c_place};
use super::npz::{Label, Labels, archive_of, fault_of};
use crate::data::array_fault::ArrayFault;
use crate::data::error::DataError;
use crate::data::image::zeroed;
use crate::data::options::{LoadOptions, Parts, Remarks};
use crate::data::split::Split;

/// The arrays of images and labels to train, to choose and to test on.
const NAMES: [[(&str, &str); 3]; 2] = [
    [("x_train", "y_train"), ("x_val", "y_val"), ("x_test", "y_test")],
    [
        ("train_images", "train_labels"),
        ("val_images", "val_labels"),
        ("test_images", "test_labels"),
    ],
];

/// What KMNIST's files of images and labels end with, and the array in them.
const FILES: [&str; 2] = ["-imgs.npz", "-labels.npz"];
const ARRAY: &str = "arr_0";

/// Where the images and the labels of a split lie: a file and the name of the array in it, each.
type Place = [(PathBuf, &'static str); 2];

/// Those of the images to train, to choose and to test on.
type Places = [Option<Place>; 3];

/// Reads the images of an archive, or of a directory; `None` where it has none.
pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<Option<Parts>, DataError> {
    let (places, family) = match kmnist(path)? {
        Some(found) => found,
        None => match named(path)? {
            Some(places) => (places, Family::Numbers),
            None => return Ok(None),
        },
    };
    let [train, validation, test] = places;
    let own_test = test.is_some() || validation.is_some();
    let read = |place: Option<Place>| place.map(|place| Read::of(&place, options)).transpose();
    let train = read(train.filter(|_| !(options.only_test && own_test)))?;
    let (validation, test) = (read(validation)?, read(test)?);
    let all = || [&train, &validation, &test].into_iter().flatten();
    if let Some(first) = all().next()
        && let Some(other) = all().find(|other| other.shape != first.shape)
    {
        let shape = |read: &Read| vec![read.shape.0, read.shape.1, read.shape.2];
        let fault = ArrayFault::Shape { found: shape(other), expected: shape(first) };
        return Err(fault_of(&other.path, other.array)(fault));
    }
    let seen: BTreeSet<&Label> = all().flat_map(|read| read.labels.seen()).collect();
    let classes: BTreeMap<Label, u16> =
        seen.into_iter().zip(0..).map(|(label, class)| (label.clone(), class)).collect();
    let numbers: BTreeSet<u16> = classes.keys().filter_map(Label::small).collect();
    let known: BTreeMap<u16, String> = family.names(&numbers).into_iter().collect();
    let name = |label: &Label| {
        let known = label.small().and_then(|number| known.get(&number));
        known.cloned().unwrap_or_else(|| label.to_string())
    };
    let names = classes.keys().map(name).collect();
    let split = |read: Option<Read>| read.map(|read| read.split(&classes)).transpose();
    Ok(Some(Parts {
        classes: names,
        train: split(train)?,
        validation: split(validation)?,
        test: split(test)?,
        remarks: Remarks::default(),
    }))
}

/// The splits of one archive whose images are bytes.
fn named(path: &Path) -> Result<Option<Places>, DataError> {
    // Several archives are told of where signals are read.
    let Ok(mut archive) = archive_of(path) else { return Ok(None) };
    for names in NAMES {
        let mut are_images = |name: &str| {
            archive.open(name).is_ok_and(|npy| npy.kind == Kind::Unsigned(1) && npy.shape.len() > 2)
        };
        if names.iter().any(|(images, _)| are_images(images)) {
            let file = archive.path.clone();
            let place = |(images, labels): (&'static str, &'static str)| {
                let there = archive.has(images);
                there.then(|| [(file.clone(), images), (file.clone(), labels)])
            };
            return Ok(Some(names.map(place)));
        }
    }
    Ok(None)
}

/// KMNIST's four files: `kmnist-train-imgs.npz` and so on.
fn kmnist(dir: &Path) -> Result<Option<(Places, Family)>, DataError> {
    if !dir.is_dir() {
        return Ok(None);
    }
    let files = files_of(dir)?;
    let stem = |file: &PathBuf| {
        let name = file.file_name()?.to_str()?;
        Some(name.strip_suffix(FILES[0])?.to_owned())
    };
    let find = |split: &str| {
        let stem = files
            .iter()
            .filter_map(stem)
            .find(|stem| stem.to_lowercase().split(['-', '_']).next_back() == Some(split))?;
        Some(FILES.map(|ending| (dir.join(format!("{stem}{ending}")), ARRAY)))
    };
    let (train, test) = (find("train"), find("test"));
    if train.is_none() && test.is_none() {
        return Ok(None);
    }
    let is_kmnist = files.iter().filter_map(stem).all(|stem| stem.starts_with("kmnist"));
    let family = if is_kmnist { Family::Kmnist } else { Family::Numbers };
    Ok(Some(([train, None, test], family)))
}

/// The images of a split and their labels.
struct Read {
    path: PathBuf,
    array: &'static str,
    pixels: Vec<u8>,
    /// Height, width and channels.
    shape: (usize, usize, usize),
    labels: Labels,
}

impl Read {
    fn of(place: &Place, options: &LoadOptions) -> Result<Self, DataError> {
        let [(path, array), (label_path, label_array)] = place;
        let labels = archive_of(label_path)?.labels(label_array, options)?;
        let mut archive = archive_of(path)?;
        let npy = archive.open(array)?;
        let fault = fault_of(path, array);
        let (images, shape) = match npy.shape[..] {
            [images, height, width] => (images, (height, width, 1)),
            [images, height, width, channels @ (1 | 3)] => (images, (height, width, channels)),
            _ => return Err(fault(ArrayFault::ImageAxes(npy.shape.clone()))),
        };
        if npy.kind != Kind::Unsigned(1) {
            return Err(fault(ArrayFault::Kind("another than uint8".into())));
        }
        if !matches!(*labels.shape(), [n] | [n, 1] if n == images) {
            let found = labels.shape().to_vec();
            return Err(fault_of(label_path, label_array)(ArrayFault::Labels {
                found,
                signals: images,
            }));
        }
        if images == 0 || npy.count == 0 {
            return Err(DataError::NoImages { path: path.clone() });
        }
        // A few bytes can unpack to very many.
        if npy.count > options.memory {
            let shape = [shape.0, shape.1, shape.2];
            return Err(DataError::TooLarge { images, shape });
        }
        let mut pixels = zeroed(images, shape)?;
        let (sides, fortran) = (npy.shape.clone(), npy.fortran);
        npy.read(u64::MAX, |stored, element| {
            let place = match fortran {
                true => c_place(stored as usize, &sides),
                false => stored as usize,
            };
            if let (Element::Whole(value), Some(pixel)) = (element, pixels.get_mut(place)) {
                *pixel = value as u8;
            }
            Ok(())
        })
        .map_err(fault)?;
        Ok(Self { path: path.clone(), array, pixels, shape, labels })
    }

    fn split(self, classes: &BTreeMap<Label, u16>) -> Result<Split, DataError> {
        let labels = self.labels.numbers(classes, usize::MAX);
        let labels = labels.map_err(fault_of(&self.path, self.array))?;
        Split::from_bytes(self.pixels, self.shape, labels)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use tempfile::TempDir;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::npy;
    use super::*;
    use crate::data;

    fn archive(dir: &TempDir, name: &str, arrays: &[(&str, Vec<u8>)]) {
        let mut zip = ZipWriter::new(File::create(dir.path().join(name)).unwrap());
        for (array, bytes) in arrays {
            zip.start_file(format!("{array}.npy"), SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn load_dir(dir: &TempDir) -> Result<data::Dataset, DataError> {
        data::load(&dir.path().display().to_string(), &LoadOptions::default())
    }

    #[test]
    fn medmnist_and_keras_archives_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let rgb = |n: usize| {
            npy::bytes(
                "|u1",
                false,
                &format!("({n}, 1, 2, 3)"),
                &(0..6 * n as u8).collect::<Vec<_>>(),
            )
        };
        let labels =
            |labels: &[u8]| npy::bytes("|u1", false, &format!("({}, 1)", labels.len()), labels);
        archive(
            &dir,
            "pathmnist.npz",
            &[
                ("train_images", rgb(3)),
                ("train_labels", labels(&[2, 0, 7])),
                ("val_images", rgb(1)),
                ("val_labels", labels(&[7])),
                ("test_images", rgb(2)),
                ("test_labels", labels(&[0, 2])),
            ],
        );
        let set = load_dir(&dir).unwrap();
        assert_eq!(set.classes, ["0", "2", "7"]);
        assert_eq!((set.train.labels.as_slice(), set.train.shape()), (&[1, 0, 2][..], (1, 2, 3)));
        assert_eq!(set.train.image(1).unwrap()[[0, 1, 2]], 11);
        assert_eq!((set.validation.unwrap().labels, set.test.labels), (vec![2], vec![0, 1]));

        // Grey, and in Fortran's order: rows are the second fastest axis.
        let dir = tempfile::tempdir().unwrap();
        let grey = npy::bytes("|u1", true, "(1, 2, 3)", &[0, 3, 1, 4, 2, 5]);
        let one = npy::bytes("<i8", false, "(1,)", &5i64.to_le_bytes());
        archive(
            &dir,
            "mnist.npz",
            &[
                ("x_train", grey.clone()),
                ("y_train", one.clone()),
                ("x_test", grey),
                ("y_test", one),
            ],
        );
        let set = load_dir(&dir).unwrap();
        assert_eq!((set.classes.as_slice(), set.train.shape()), (&["5".to_owned()][..], (2, 3, 1)));
        assert_eq!(set.train.to_array().unwrap().as_slice().unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn kmnists_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for split in ["train", "test"] {
            let images = npy::bytes("|u1", false, "(2, 1, 1)", &[8, 9]);
            archive(&dir, &format!("kmnist-{split}-imgs.npz"), &[("arr_0", images)]);
            let labels = npy::bytes("|u1", false, "(2,)", &[9, 3]);
            archive(&dir, &format!("kmnist-{split}-labels.npz"), &[("arr_0", labels)]);
        }
        let set = load_dir(&dir).unwrap();
        assert_eq!((set.classes, set.train.labels), (vec!["tsu".into(), "wo".into()], vec![1, 0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let put = |shape: &str, bytes: &[u8], labels: &[u8]| {
            let images = npy::bytes("|u1", false, shape, bytes);
            let labels = npy::bytes("|u1", false, &format!("({},)", labels.len()), labels);
            archive(&dir, "a.npz", &[("x_train", images), ("y_train", labels)]);
            let line = load_dir(&dir).unwrap_err().to_string();
            assert!(line.contains("a.npz") && !line.contains('\n'), "{line}");
            line
        };
        assert!(put("(1, 1, 1, 2)", &[0, 0], &[0]).contains("(1, 1, 1, 2)"));
        assert!(put("(2, 1, 1)", &[0, 0], &[0]).contains("a label for each of 2"));
        put("(0, 1, 1)", &[], &[]);
    }
}
