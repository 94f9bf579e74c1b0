//! The images of a data set as a model takes them, and labelled as the model labels.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use mwt_core::ModelConfig;
use mwt_core::bundle::SampleType;

use super::common::{self, CliResult};
use crate::data::{self, Dataset, DatasetLayout, LoadOptions};
use crate::settings::{DataSettings, Fit};
use crate::util::colour::Colour;
use crate::util::words;

/// What a model takes, and how much of a data set is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) config: &'a ModelConfig,
    /// Type of the numbers that the model takes.
    pub(super) sample: SampleType,
    /// The model's labels.
    pub(super) labels: &'a [String],
    /// Name of the data set that the model was trained on.
    pub(super) trained_on: &'a str,
    /// The most signals of each split.
    pub(super) limit: Option<usize>,
    /// Samples per second to which sounds are brought.
    pub(super) rate: Option<NonZeroU32>,
    /// What its run was told of its data, where it is one.
    pub(super) run: Option<&'a DataSettings>,
    /// How images of a folder are brought to the model's size, where it is not as the run's were.
    pub(super) fit: Option<Fit>,
    /// What lies behind their transparent parts, where it is not the run's.
    pub(super) background: Option<Colour>,
    /// Whether validation images are wanted, and not the test images.
    pub(super) validation: bool,
    /// Share that is held out for testing where there are no test images.
    pub(super) test_share: Option<f64>,
    /// Names of the data set's classes.
    pub(super) named: Option<&'a str>,
    /// Whether the data set's classes are the model's in their order, whatever they are called.
    pub(super) by_number: bool,
}

/// A data set whose signals a model can take, labelled by the model's classes.
pub(super) fn load_for(wanted: Wanted<'_>, source: &str) -> CliResult<Dataset> {
    let Wanted { config, sample, limit, rate, .. } = wanted;
    let mut options = wanted.run.map(LoadOptions::from).unwrap_or_default();
    (options.limit, options.only_test) = (limit, !wanted.validation);
    // The model says what these are.
    (options.image_size, options.grey) = (None, None);
    options.rate = rate.unwrap_or(options.rate);
    options.fit = wanted.fit.unwrap_or(options.fit);
    options.background = wanted.background.or(options.background);
    options.labels = wanted.named.map(str::to_owned);
    // A folder without test images: of what the model was trained on the share that it was not, of any other all.
    let own = data::name_of(source)? == wanted.trained_on;
    let share = if own || wanted.validation { DataSettings::default().test_share } else { 1.0 };
    options.test_share = wanted.test_share.unwrap_or(share);
    // Files that have no grid of their own are brought to the model's; the other layouts have theirs.
    let length = config.extents.side(0);
    match DatasetLayout::of(source)? {
        DatasetLayout::ImageFolder | DatasetLayout::Parquet => {
            options.image_size = Some(common::image_size(config)?);
            options.grey = Some(config.channels == 1);
        }
        DatasetLayout::Wav => options.window = length,
        DatasetLayout::Mesh => options.side = length,
        _ => {}
    }
    let mut set = data::load(source, &options)?;
    common::warn_of_left_out(&set);
    let (extents, channels) = (set.test.extents(), set.channels());
    let found = set.test.inputs().sample;
    if (extents, channels, found) != (config.extents, config.channels, sample) {
        return Err(format!(
            "{source}: {} as {}, the model takes {} as {}",
            words::shape(extents, channels),
            found.name(),
            words::shape(config.extents, config.channels),
            sample.name(),
        )
        .into());
    }
    let covered = relabel(&mut set, wanted).map_err(|e| format!("{source}: {e}"))?;
    let notes = set.remarks.notes.iter().map(String::as_str);
    notes.chain(covered.as_deref()).for_each(|note| eprintln!("note: {note}"));
    Ok(set)
}

/// Gives each image the place of its class among the model's labels. What to say where not all of them occur.
fn relabel(set: &mut Dataset, wanted: Wanted<'_>) -> CliResult<Option<String>> {
    let labels = wanted.labels;
    let splits =
        || [Some(&set.train), set.validation.as_ref(), Some(&set.test)].into_iter().flatten();
    let used: BTreeSet<u16> = splits().flat_map(|split| split.labels.iter().copied()).collect();
    let places: Vec<u16> = if !wanted.by_number {
        data::match_labels(&set.classes, &used, labels)?
    } else if set.classes.len() <= labels.len() {
        (0..=u16::MAX).take(set.classes.len()).collect()
    } else {
        let (found, most) = (set.classes.len(), labels.len());
        return Err(format!("{found} classes, the model has {most}").into());
    };
    let of_set: BTreeSet<u16> = used.iter().map(|class| places[usize::from(*class)]).collect();
    let covered = (of_set.len() < labels.len())
        .then(|| format!("images of {} of the model's {} classes", of_set.len(), labels.len()));
    let splits = [Some(&mut set.train), set.validation.as_mut(), Some(&mut set.test)];
    for split in splits.into_iter().flatten() {
        split.labels.iter_mut().for_each(|label| *label = places[usize::from(*label)]);
    }
    set.classes = labels.to_vec();
    Ok(covered)
}
