//! The flags that say how a picture is seen, and a picture as a bundle's model sees it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mwt_core::Bundle;
use mwt_core::bundle::SampleType;

use super::common::{self, CliResult};
use crate::data::{self, View};
use crate::evaluate::ground;
use crate::settings::Fit;
use crate::util::colour::Colour;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FitName {
    /// Cut about its centre to the model's proportions, and scaled
    Crop,
    /// Scaled to lie within the model's size, and filled up around it
    Pad,
    /// Scaled to the model's size, each side by itself
    Stretch,
}

impl From<FitName> for Fit {
    fn from(name: FitName) -> Self {
        match name {
            FitName::Crop => Self::Crop,
            FitName::Pad => Self::Pad,
            FitName::Stretch => Self::Stretch,
        }
    }
}

/// How a picture is brought to what a model takes.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ViewArgs {
    /// How a picture of other proportions than the model's is brought to its size
    #[arg(long, value_enum, default_value = "crop")]
    fit: FitName,
    /// What lies behind transparent parts and around a padded picture: white, black, grey or #rrggbb [default: white, or
    /// black where on white nothing could be seen; the colour of the border around a padded picture]
    #[arg(long, value_name = "COLOUR")]
    background: Option<Colour>,
    /// Light for dark and dark for light: for dark lines on white paper and a model of light lines on black
    #[arg(long)]
    invert: bool,
    /// Without colours, as a model sees a picture that was trained on grey pictures stored as RGB; a model of one channel
    /// always does
    #[arg(long)]
    grey: bool,
}

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What is piped in, named `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// What a path on the command line means.
    pub(super) fn of(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// Its name, for people.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("-"),
            Self::File(path) => path,
        }
    }
}

/// A picture as a model takes it.
pub(super) struct Seen {
    /// `[H, W, C]`.
    pub(super) pixels: Vec<u8>,
    /// What a person should know of it, a line each.
    pub(super) warnings: Vec<String>,
}

/// Checks that a model takes pictures at all.
pub(super) fn require_pictures(bundle: &Bundle<'_>) -> CliResult {
    let config = bundle.config();
    common::image_size(config)?;
    let sample = bundle.header().input.sample;
    if sample != SampleType::U8 {
        // How bytes would become numbers of its kind, only its application knows.
        return Err(
            format!("the model takes no image files, but numbers as {}", sample.name()).into()
        );
    }
    if config.channels != 1 && config.channels != 3 {
        return Err(format!(
            "image files have 1 or 3 channels, the model takes {}",
            config.channels
        )
        .into());
    }
    Ok(())
}

impl ViewArgs {
    /// Reads a picture as a bundle's model, which takes pictures, sees it.
    pub(super) fn see(&self, bundle: &Bundle<'_>, source: &Source) -> CliResult<Seen> {
        let config = bundle.config();
        let size = common::image_size(config)?;
        let grey = self.grey || config.channels == 1;
        let Self { background, invert, .. } = *self;
        let view = View { fit: self.fit.into(), background, invert, ..View::of(size, grey) };
        let (image, remarks) = match source {
            Source::File(path) => data::read_image(path, &view)?,
            Source::Stdin => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).map_err(|e| format!("-: {e}"))?;
                data::read_image_bytes(source.path(), &bytes, &view)?
            }
        };
        let copies = if grey { config.channels } else { 1 };
        let pixels: Vec<u8> =
            image.into_iter().flat_map(|level| std::iter::repeat_n(level, copies)).collect();
        let mut warnings: Vec<String> = remarks.iter().map(ToString::to_string).collect();
        warnings.extend(ground::unlike(bundle, &pixels).map(|unlike| unlike.advice(invert)));
        Ok(Seen { pixels, warnings })
    }
}

/// The pictures that paths name: files, `-`, and all that lie in folders and the folders in them, sorted by name. What
/// lies in a folder and is no picture is told of; `Err` is for a path that is no picture's, with why.
pub(super) fn pictures(paths: &[PathBuf]) -> Vec<Result<Source, (PathBuf, String)>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(Ok(Source::of(path)));
            continue;
        }
        match data::pictures_in(path) {
            Ok(inside) => {
                if !inside.others.is_empty() {
                    eprintln!("warning: {}: left out {}", path.display(), inside.others);
                }
                if inside.pictures.is_empty() {
                    let what = "no pictures lie in this folder".to_owned();
                    found.push(Err((path.clone(), what)));
                }
                found.extend(inside.pictures.into_iter().map(|file| Ok(Source::File(file))));
            }
            Err(e) => found.push(Err((path.clone(), e.to_string()))),
        }
    }
    found
}

/// Refuses an output that would overwrite what is read.
pub(super) fn require_other(output: &Path, inputs: &[&Path]) -> Result<(), String> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let same = |input: &&&Path| real(output).is_some_and(|output| real(input) == Some(output));
    match inputs.iter().find(same) {
        Some(input) => {
            Err(format!("{} is read here, and cannot be written as well", input.display()))
        }
        None => Ok(()),
    }
}
