//! `mwt-train data`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::common::{self, CliResult};
use super::recipe::Recipe;
use crate::data::{DataError, Dataset, DatasetLayout, Split};
use crate::report::picture;
use crate::settings::DataSettings;
use crate::util::words;

/// Images that are too few of a class to learn it.
const FEW: usize = 20;
/// Lines of a list that may be long.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a data set holds, and what is wrong with it
    Check {
        /// `digits`, `gestures`, `solids`, or the path of a data set
        data: String,
        /// Bring the images of a folder to this size [default: their own]
        #[arg(long, value_name = "HxW", value_parser = common::parse_size)]
        image_size: Option<(usize, usize)>,
    },
    /// Draw training images beside what augmentation makes of them
    Preview {
        /// The picture to write
        #[arg(long, short, value_name = "OUT.png", default_value = "preview.png")]
        output: PathBuf,
        #[command(flatten)]
        recipe: Box<Recipe>,
    },
}

impl Data {
    pub(super) fn run(&self) -> CliResult {
        match &self.command {
            Command::Check { data, image_size } => {
                let settings = DataSettings {
                    source: data.clone(),
                    image_size: *image_size,
                    ..DataSettings::default()
                };
                check(DatasetLayout::of(data)?, &settings.load()?);
                Ok(())
            }
            Command::Preview { output, recipe } => preview(output, recipe),
        }
    }
}

fn check(layout: DatasetLayout, set: &Dataset) {
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
        DatasetLayout::Mesh => "mesh folder",
        DatasetLayout::Wav => "WAV folder",
    };
    let signal = if set.train.has_pictures() {
        let colours = if set.channels() == 1 { "grey" } else { "RGB" };
        println!("{}: {layout}, {}×{} {colours}", set.name, set.height(), set.width());
        "image"
    } else {
        println!("{}: {layout}, {}", set.name, words::shape(set.train.extents(), set.channels()));
        "signal"
    };
    println!(
        "{} training {signal}s, {} test {signal}s, {} classes",
        set.train.len(),
        set.test.len(),
        set.classes.len()
    );
    if let Some(note) = common::memory_note(set) {
        println!("{note}");
    }
    let counts = |split: &Split| {
        let mut counts = vec![0usize; set.classes.len()];
        split.labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
        counts
    };
    let (train, test) = (counts(&set.train), counts(&set.test));
    let name = set.classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).max("class".len());
    println!("\n{:<name$}  training    test", "class");
    for ((class, train), test) in set.classes.iter().zip(&train).zip(&test) {
        println!("{class:<name$}  {train:>8}  {test:>6}");
    }

    let mut warnings = Vec::new();
    for ((class, train), test) in set.classes.iter().zip(&train).zip(&test) {
        if *train < FEW {
            warnings.push(format!("class {class} has {train} training {signal}s"));
        }
        if *test == 0 {
            warnings.push(format!("class {class} has no test {signal}"));
        }
    }
    let (fewest, most) = (train.iter().min(), train.iter().max());
    if let (Some(fewest), Some(most)) = (fewest, most)
        && *most > 10 * (*fewest).max(1)
    {
        warnings.push(format!(
            "the largest class has {most} training {signal}s, the smallest {fewest}"
        ));
    }
    warnings.extend(set.remarks.warnings.iter().cloned());
    warnings.extend(set.remarks.left_out.iter().map(|line| format!("left out: {line}")));
    println!();
    if warnings.is_empty() {
        println!("nothing wrong was found");
    }
    warnings.iter().take(SHOWN).for_each(|warning| println!("warning: {warning}"));
    if warnings.len() > SHOWN {
        println!("and {} more warnings", warnings.len() - SHOWN);
    }
}

fn preview(output: &Path, recipe: &Recipe) -> CliResult {
    /// Images, and variations of each.
    const ROWS: usize = 8;
    const VARIATIONS: usize = 9;
    picture::format(output)?;
    let layers = recipe.layers()?;
    let data = layers.data()?;
    let set = data.load()?;
    if !set.train.has_pictures() {
        return Err(DataError::OnlyImages {
            source_name: data.source,
            option: "data preview",
            kind: words::kind(set.train.extents()),
        }
        .into());
    }
    let settings = layers.settings(Some(set.shape()))?;
    let size = set.shape().extents;
    let rgb = |bytes: &ndarray::ArrayView3<'_, u8>| {
        picture::to_rgb(&bytes.iter().copied().collect::<Vec<_>>(), size, set.channels())
    };
    let rows: Vec<_> = (0..set.train.len().min(ROWS))
        .map(|n| {
            // Spread over the set: image folders lie sorted by class.
            let image = set.train.image(n * set.train.len() / ROWS.min(set.train.len()))?;
            let varied = (0..VARIATIONS as u64)
                .map(|step| settings.augment.vary(image.view(), settings.train.seed, step, n));
            let varied = varied.map(|image| rgb(&image.view()));
            Ok(std::iter::once(rgb(&image.view())).chain(varied).collect())
        })
        .collect::<Result<_, DataError>>()?;
    let scale = (84 / set.height().max(set.width()) as u32).max(1);
    picture::save(&picture::grid(&rows, scale), output)?;
    println!("{}: originals on the left, {VARIATIONS} variations of each", output.display());
    Ok(())
}
