//! The one size that all images of a data set are brought to.

use std::path::{Path, PathBuf};

use crate::data::error::DataError;
use crate::data::image::{Header, Size};
use crate::data::options::LoadOptions;

/// More pixels than this are too many to train on by mistake: the photos of a telephone have 12 million.
const LARGE: usize = 512 * 512;

/// The longer side of a size that is proposed.
const PROPOSED: usize = 64;

/// The size of all images: that of the options, or their own, where it is one and not too large.
///
/// # Errors
/// Sizes that differ or are large, told with the name of the first such image; no images.
pub(super) fn one_size(
    dir: &Path,
    names: impl Iterator<Item = PathBuf>,
    headers: &[Header],
    options: &LoadOptions,
) -> Result<Size, DataError> {
    if let Some(size) = options.image_size {
        return Ok(size);
    }
    let first = headers.first().ok_or_else(|| DataError::NoImages { path: dir.into() })?;
    let hint = proposed(headers);
    for (path, header) in names.zip(headers) {
        let found = header.size;
        if found.0.saturating_mul(found.1) > LARGE {
            return Err(DataError::LargeImages { path, found, hint });
        }
        if found != first.size {
            return Err(DataError::MixedSizes { path, found, expected: first.size, hint });
        }
    }
    Ok(first.size)
}

/// A size for all images: the median of their heights and of their widths, made smaller where that is large.
fn proposed(headers: &[Header]) -> Size {
    let median = |side: fn(&Header) -> usize| {
        let mut sides: Vec<usize> = headers.iter().map(side).collect();
        sides.sort_unstable();
        sides.get(sides.len() / 2).copied().unwrap_or(1)
    };
    smaller((median(|header| header.size.0), median(|header| header.size.1)))
}

/// A size of the same proportions whose longer side is small enough to train on quickly.
pub(crate) fn smaller((height, width): Size) -> Size {
    let longer = height.max(width);
    if longer <= PROPOSED {
        return (height, width);
    }
    let side = |side: usize| ((side * PROPOSED + longer / 2) / longer).max(1);
    (side(height), side(width))
}
