//! `mwt-train data`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::check;
use super::common::{self, CliResult};
use super::recipe::Recipe;
use crate::data::DataError;
use crate::report::picture;
use crate::util::words;

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
            Command::Check { data, image_size } => check::check(data, *image_size),
            Command::Preview { output, recipe } => preview(output, recipe),
        }
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
