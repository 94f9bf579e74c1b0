//! `mwt-train data check`: what a data set holds, and what a person should know of it before a model is trained on it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::common::{self, CliResult};
use crate::data::{self, DataError, Dataset, DatasetLayout, LoadOptions, Numbers, Split};
use crate::settings::SettingsError;
use crate::util::text::shown;
use crate::util::words;

/// Images that are too few of a class to learn it.
const FEW: usize = 20;
/// Warnings that are printed.
const SHOWN: usize = 20;
/// Names in a warning.
const NAMES: usize = 6;
/// Pixels of an image from which on training takes long.
const MANY_PIXELS: usize = 128 * 128;

pub(super) fn check(source: &str, image_size: Option<(usize, usize)>) -> CliResult {
    let layout = DatasetLayout::of(source)?;
    let (set, mut warnings) = load(source, image_size)?;
    println!("{}", header(layout, &set));
    println!("{}", counts(&set));
    set.remarks.notes.iter().for_each(|note| println!("{}", shown(note)));
    if let Some(note) = common::memory_note(&set) {
        println!("{note}");
    }
    let of_class = |split: &Split| {
        let mut counts = vec![0usize; set.classes.len()];
        split.labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
        counts
    };
    let (train, test) = (of_class(&set.train), of_class(&set.test));
    let classes: Vec<String> = set.classes.iter().map(|class| shown(class)).collect();
    let name = classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).max("class".len());
    println!("\n{:<name$}  training    test", "class");
    for ((class, train), test) in classes.iter().zip(&train).zip(&test) {
        println!("{class:<name$}  {train:>8}  {test:>6}");
    }

    warnings.extend(set.remarks.warnings.iter().cloned());
    warnings.extend(repeated(&set)?);
    warnings.extend(grey_as_rgb(&set)?);
    if image_size.is_none() && set.test.has_pictures() {
        warnings.extend(many_pixels(&set));
    }
    if !set.train.is_empty() {
        warnings.extend(few(&set, &train, &test));
    }
    warnings.extend(set.remarks.left_out.iter().map(|line| format!("left out: {line}")));
    println!();
    if warnings.is_empty() {
        println!("nothing wrong was found");
    }
    warnings.iter().take(SHOWN).for_each(|warning| println!("warning: {}", shown(warning)));
    if warnings.len() > SHOWN {
        println!("and {} more warnings", warnings.len() - SHOWN);
    }
    Ok(())
}

/// The data set, and what had to be done to load it: images that cannot be trained on as they are, are brought to the
/// size that is proposed, so that the rest is looked at too.
fn load(source: &str, image_size: Option<(usize, usize)>) -> CliResult<(Dataset, Vec<String>)> {
    let mut options = LoadOptions { image_size, ..LoadOptions::default() };
    let mut warnings = Vec::new();
    loop {
        let error = match data::load(source, &options) {
            Ok(set) => return Ok((set, warnings)),
            Err(error) => error,
        };
        warnings.push(error.to_string());
        match error {
            DataError::MixedSizes { hint, .. } | DataError::LargeImages { hint, .. }
                if options.image_size.is_none() =>
            {
                options.image_size = Some(hint);
            }
            DataError::Missing { .. } if !options.only_test => {
                options.only_test = true;
                options.test_share = 1.0;
                // What is missing may be more than the training images.
                match data::load(source, &options) {
                    Ok(set) => {
                        let line = "no training images: enough to evaluate on, not to train";
                        return Ok((set, vec![line.into()]));
                    }
                    Err(_) => return Err(error.into()),
                }
            }
            error => return Err(error.into()),
        }
    }
}

fn header(layout: DatasetLayout, set: &Dataset) -> String {
    let layout = match layout {
        DatasetLayout::Digits => "built-in digits",
        DatasetLayout::Idx => "idx files",
        DatasetLayout::CifarBinary => "binary batches",
        DatasetLayout::CifarPython => "CIFAR python batches",
        DatasetLayout::ImageFolder => "image folder",
        DatasetLayout::Gestures => "built-in gestures",
        DatasetLayout::Solids => "built-in solids",
        DatasetLayout::Ts => ".ts files",
        DatasetLayout::Npz => "NumPy archive",
        DatasetLayout::Parquet => "parquet files",
        DatasetLayout::Mesh => "mesh folder",
        DatasetLayout::Wav => "WAV folder",
    };
    let name = shown(&set.name);
    if set.test.has_pictures() {
        let colours = if set.channels() == 1 { "grey" } else { "RGB" };
        return format!("{name}: {layout}, {}×{} {colours}", set.height(), set.width());
    }
    format!("{name}: {layout}, {}", words::shape(set.test.extents(), set.channels()))
}

fn counts(set: &Dataset) -> String {
    let signal = signal(set);
    let validation = set.validation.as_ref();
    let validation = validation.map(|split| format!("{} validation {signal}s, ", split.len()));
    format!(
        "{} training {signal}s, {}{} test {signal}s, {} classes",
        set.train.len(),
        validation.unwrap_or_default(),
        set.test.len(),
        set.classes.len()
    )
}

fn signal(set: &Dataset) -> &'static str {
    if set.test.has_pictures() { "image" } else { "signal" }
}

/// The splits with their names.
fn splits(set: &Dataset) -> impl Iterator<Item = (&'static str, &Split)> {
    let validation = set.validation.as_ref().map(|split| ("validation", split));
    [Some(("training", &set.train)), validation, Some(("test", &set.test))].into_iter().flatten()
}

/// Images that are there more than once: under two classes, in two splits, or in one.
fn repeated(set: &Dataset) -> CliResult<Vec<String>> {
    let mut first: HashMap<u64, (&str, u16)> = HashMap::new();
    let (mut classes, mut twice) = (Vec::new(), HashMap::<(&str, &str), usize>::new());
    for (name, split) in splits(set) {
        for (digest, label) in split.digests()?.into_iter().zip(&split.labels) {
            let (other, other_label) = *first.entry(digest).or_insert((name, *label));
            // The first of its kind meets itself.
            let entry = twice.entry((other, name)).or_default();
            *entry += 1;
            if other_label != *label {
                classes.push((other_label, *label));
            }
        }
    }
    let signal = signal(set);
    let mut lines = Vec::new();
    if let Some((a, b)) = classes.first() {
        let class = |label: &u16| set.classes[usize::from(*label)].clone();
        lines.push(format!(
            "{} {signal}s are there under another class too, the first under {} and {}",
            classes.len(),
            class(a),
            class(b)
        ));
    }
    let names: Vec<&str> = splits(set).map(|(name, _)| name).collect();
    for (n, a) in names.iter().enumerate() {
        for b in &names[n + 1..] {
            if let Some(count) = twice.get(&(*a, *b)) {
                lines.push(format!("{count} {b} {signal}s are {a} {signal}s too"));
            }
        }
    }
    let all: usize = splits(set).map(|(_, split)| split.len()).sum();
    let across: usize = twice.iter().filter(|((a, b), _)| a != b).map(|(_, count)| count).sum();
    let within = all - first.len() - across;
    if within > 0 {
        lines.push(format!("{within} {signal}s are there twice in one split"));
    }
    Ok(lines)
}

/// Pictures in three channels that say the same.
fn grey_as_rgb(set: &Dataset) -> CliResult<Option<String>> {
    if !set.test.has_pictures() || set.channels() != 3 {
        return Ok(None);
    }
    for (_, split) in splits(set) {
        let grey = (0..split.len()).into_par_iter().map(|n| match split.numbers(n)? {
            Numbers::U8(bytes) => Ok(bytes.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2])),
            Numbers::F32(_) => Ok(false),
        });
        // Stops soon where pictures have colours.
        let coloured = grey.find_any(|grey: &Result<bool, DataError>| !matches!(grey, Ok(true)));
        match coloured {
            None => {}
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(_)) => return Ok(None),
        }
    }
    let line = "all pictures are grey but stored as RGB: --grey trains on one channel";
    Ok(Some(line.into()))
}

fn many_pixels(set: &Dataset) -> Option<String> {
    let size = (set.height(), set.width());
    let (height, width) = data::smaller(size);
    let times = (size.0 * size.1) as f64 / (height * width) as f64;
    (size.0 * size.1 > MANY_PIXELS).then(|| {
        format!(
            "images of {}x{} (height x width) take long to train on: --image-size {height}x{width} is about {times:.0} \
             times as fast",
            size.0, size.1
        )
    })
}

/// Classes of which there is little, or nothing.
fn few(set: &Dataset, train: &[usize], test: &[usize]) -> Vec<String> {
    let signal = signal(set);
    let mut lines = Vec::new();
    let mut told = |what: String, is: &dyn Fn(usize) -> bool| {
        let named = (0..set.classes.len()).filter(|class| is(*class));
        let names: Vec<_> = named.map(|class| set.classes[class].as_str()).collect();
        if !names.is_empty() {
            lines.push(format!("{what}: {}", words::list(&names, NAMES)));
        }
    };
    told(format!("classes without training {signal}s"), &|class| train[class] == 0);
    told(format!("classes with fewer than {FEW} training {signal}s"), &|class| {
        (1..FEW).contains(&train[class])
    });
    told(format!("classes without test {signal}s"), &|class| test[class] == 0);
    let (fewest, most) = (train.iter().min(), train.iter().max());
    if let (Some(fewest), Some(most)) = (fewest, most)
        && *most > 10 * (*fewest).max(1)
    {
        lines.push(format!(
            "the largest class has {most} training {signal}s, the smallest {fewest}"
        ));
    }
    if set.classes.len() == 1 {
        lines.push(SettingsError::OneClass.to_string());
    }
    lines
}
