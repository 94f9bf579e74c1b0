//! Images that cannot be read: a few are left out, more are an error.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::error::{DataError, RankFault};
use crate::ranks::Ranks;

/// One unreadable image per so many is left out; more are an error.
const IMAGES_PER_FAULT: usize = 100;

/// The images of a split that cannot be read, and its number of images.
pub(super) struct Faults {
    images: usize,
    pub(super) found: Vec<DataError>,
}

impl Faults {
    pub(super) fn of(images: usize) -> Self {
        Self { images, found: Vec::new() }
    }

    /// What all ranks found in their shares of the images, in the order of the images, without those that are the file's own
    /// fault; any other error goes through.
    pub(super) fn sift<T: Serialize + DeserializeOwned>(
        &mut self,
        ranks: &Ranks,
        own: Vec<Result<T, DataError>>,
    ) -> Result<Vec<Option<T>>, DataError> {
        let results = of_all(ranks, own);
        let mut sifted = Vec::with_capacity(results.len());
        for result in results {
            sifted.push(match result {
                Ok(value) => Some(value),
                Err(error) if error.is_of_image() => {
                    self.found.push(error);
                    None
                }
                Err(error) => return Err(error),
            });
        }
        if self.found.len() * IMAGES_PER_FAULT <= self.images {
            return Ok(sifted);
        }
        let (faults, images) = (self.found.len(), self.images);
        let first = Box::new(self.found.swap_remove(0));
        Err(DataError::TooManyFaults { faults, images, first })
    }
}

/// The results of all ranks; an error is told with the rank that met it.
fn of_all<T: Serialize + DeserializeOwned>(
    ranks: &Ranks,
    own: Vec<Result<T, DataError>>,
) -> Vec<Result<T, DataError>> {
    let Some(rank) = ranks.name() else { return own };
    let told = own.into_iter().map(|result| result.map_err(|error| RankFault::new(&rank, &error)));
    let all = ranks.gather_all(told.collect());
    all.into_iter().map(|result| result.map_err(DataError::OnRank)).collect()
}
