//! Images that cannot be read: a few are left out, more are an error.

use crate::data::error::DataError;

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

    /// The results without those that are the file's own fault; any other error goes through.
    pub(super) fn sift<T>(
        &mut self,
        results: Vec<Result<T, DataError>>,
    ) -> Result<Vec<Option<T>>, DataError> {
        let mut sifted = Vec::with_capacity(results.len());
        for result in results {
            sifted.push(match result {
                Ok(value) => Some(value),
                Err(error @ (DataError::Io { .. } | DataError::Decode { .. })) => {
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
