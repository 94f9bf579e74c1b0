//! What a run's data were, kept in its directory, so that it goes on with no others.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use crate::data::{DataError, Dataset, Inputs};
use crate::ranks::Ranks;
use crate::settings::Settings;
use crate::util::durable::{FileError, write};
use crate::util::words;

/// Name of the file.
const FILE: &str = "data.json";

/// What a run's data were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    /// Name of the data set.
    pub name: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Sides of the grid.
    pub sides: Vec<usize>,
    /// Numbers of a sample.
    pub channels: usize,
    /// Images to train on, those that the run sets apart as validation images included.
    pub train: usize,
    /// Validation images that the data set has of its own.
    pub validation: usize,
    /// What the numbers of a signal are.
    pub inputs: Inputs,
    /// A hash of all these images and their labels in their order, in hex digits.
    pub content: String,
}

impl DataFacts {
    /// Those of a data set.
    ///
    /// # Errors
    /// An image that cannot be read any more.
    pub fn of(set: &Dataset) -> Result<Self, DataError> {
        let validation = set.validation.as_ref();
        let own = validation.map_or(Ok(0), |split| split.digest())?;
        Ok(Self {
            name: set.name.clone(),
            classes: set.classes.clone(),
            sides: set.train.extents().sides().to_vec(),
            channels: set.channels(),
            train: set.train.len(),
            validation: validation.map_or(0, |split| split.len()),
            inputs: set.train.inputs().clone(),
            content: format!("{:016x}{own:016x}", set.train.digest()?),
        })
    }

    /// Writes them into a run's directory.
    pub(super) fn save(&self, dir: &Path) -> Result<(), RunError> {
        let path = dir.join(FILE);
        let json = serde_json::to_vec_pretty(self)
            .map_err(|source| RunError::Facts { path: path.clone(), source })?;
        Ok(write(&path, &json)?)
    }

    /// Those of the run in a directory; `None` of a run of a version that wrote none.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn load(dir: &Path) -> Result<Option<Self>, RunError> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(FileError::at(&path))?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| RunError::Facts { path, source })
    }

    /// How other data differ from these; nothing where they are the same.
    fn difference(&self, now: &Self) -> Option<String> {
        let same = |was: &Self| Self { name: now.name.clone(), ..was.clone() } == *now;
        if same(self) {
            return None;
        }
        Some(if self.classes != now.classes {
            let (was, now) = (words::list(&self.classes, 4), words::list(&now.classes, 4));
            format!("its classes were {was}, these are {now}")
        } else if (&self.sides, self.channels) != (&now.sides, now.channels) {
            let shape = |facts: &Self| {
                let sides: Vec<_> = facts.sides.iter().map(usize::to_string).collect();
                format!("{} of {} channels", sides.join("×"), facts.channels)
            };
            format!("its images were {}, these are {}", shape(self), shape(now))
        } else if (self.train, self.validation) != (now.train, now.validation) {
            let count = |facts: &Self| match facts.validation {
                0 => format!("{} training images", facts.train),
                n => format!("{} training and {n} validation images", facts.train),
            };
            format!("it had {}, these are {}", count(self), count(now))
        } else {
            "as many images, but others".into()
        })
    }
}

/// The data set of the run in a directory, as it was when the run began.
///
/// # Errors
/// A data set that cannot be read, or another one than the run's.
pub fn load_data(dir: &Path, settings: &Settings) -> Result<Dataset, RunError> {
    load_data_on(&Ranks::alone(), dir, settings).map(|(set, _)| set)
}

/// The same by several processes, with what it is.
pub(super) fn load_data_on(
    ranks: &Ranks,
    dir: &Path,
    settings: &Settings,
) -> Result<(Dataset, DataFacts), RunError> {
    let set = settings.data.load_on(ranks)?;
    let now = DataFacts::of(&set)?;
    let other = |difference| RunError::OtherData {
        source_name: settings.data.source.clone(),
        run: dir.to_owned(),
        difference,
    };
    match DataFacts::load(dir)? {
        Some(facts) => match facts.difference(&now) {
            Some(difference) => Err(other(difference)),
            None => Ok((set, now)),
        },
        // What can be known of a run of an earlier version.
        None => {
            let (model, shape) = (&settings.model, set.shape());
            let found = (shape.extents, shape.channels, shape.classes);
            match found == (model.extents, model.channels, model.classes) {
                true => Ok((set, now)),
                false => Err(other(format!(
                    "{} in {} classes, the run's model takes {} in {}",
                    words::shape(shape.extents, shape.channels),
                    shape.classes,
                    words::shape(model.extents, model.channels),
                    model.classes
                ))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let facts = DataFacts {
            name: "a".into(),
            classes: vec!["x".into(), "y".into()],
            sides: vec![28, 28],
            channels: 1,
            train: 100,
            validation: 0,
            inputs: Inputs::default(),
            content: "1".into(),
        };
        let difference = |change: fn(&mut DataFacts)| {
            let mut other = facts.clone();
            change(&mut other);
            facts.difference(&other).unwrap_or_default()
        };
        assert_eq!(difference(|other| other.name = "moved".into()), "");
        assert!(difference(|other| drop(other.classes.pop())).contains("were x, y, these are x"));
        assert!(
            difference(|other| other.sides[0] = 30)
                .contains("28×28 of 1 channels, these are 30×28")
        );
        assert!(
            difference(|other| other.train += 1).contains("100 training images, these are 101")
        );
        assert!(difference(|other| other.content = "2".into()).contains("but others"));
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(DataFacts::load(dir.path()).unwrap(), None);
        facts.save(dir.path()).unwrap();
        assert_eq!(DataFacts::load(dir.path()).unwrap(), Some(facts));
        fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(DataFacts::load(dir.path()).unwrap_err().to_string().contains("data.json"));
    }
}
