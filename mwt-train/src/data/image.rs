//! One image file: its header, and its pixels in the shape that a model takes.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array3;

use super::error::DataError;
pub(super) use super::picture::Header;
use super::picture::{self, OpenError, Remark, View};

/// Images that this process has begun to decode.
static DECODED: AtomicUsize = AtomicUsize::new(0);

/// How many images this process has begun to decode.
pub(super) fn decoded() -> usize {
    DECODED.load(Ordering::Relaxed)
}

/// Height and width.
pub(super) type Size = (usize, usize);

/// Reads one image as a data set with this view would hold it, `[H, W, C]`, and tells what a person should know of how it
/// was seen. It is upright as its Exif data say; what is transparent is composed on a background; 16-bit samples become
/// 8-bit. PNG, JPEG, BMP, GIF, WebP, TIFF and PNM are told by their content; of several frames or pages the first is
/// read. A picture may take 1 GiB decoded, and takes up to twice that while it is read.
///
/// # Errors
///
/// [`DataError::Io`] or [`DataError::Decode`] when the file cannot be read or is not whole, [`DataError::BadSize`] or
/// [`DataError::TooLarge`] when the size is impossible.
pub fn read_image(path: &Path, view: &View) -> Result<(Array3<u8>, Vec<Remark>), DataError> {
    let file = fs::File::open(path).map_err(|reason| DataError::io(path, reason))?;
    read(path, BufReader::new(file), view)
}

/// The bytes of an image's file.
pub(super) fn bytes_of(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|reason| DataError::io(path, reason))
}

/// The same of an image's bytes; `name` is for errors.
///
/// # Errors
///
/// As [`read_image`].
pub fn read_image_bytes(
    name: &Path,
    bytes: &[u8],
    view: &View,
) -> Result<(Array3<u8>, Vec<Remark>), DataError> {
    read(name, Cursor::new(bytes), view)
}

fn read<R: BufRead + Seek>(
    path: &Path,
    reader: R,
    view: &View,
) -> Result<(Array3<u8>, Vec<Remark>), DataError> {
    let shape = (view.size.0, view.size.1, view.channels());
    // Before any work: a size beyond reach is refused.
    zeroed(1, shape)?;
    DECODED.fetch_add(1, Ordering::Relaxed);
    let image = picture::decode(reader).map_err(at(path))?;
    let (bytes, remarks) = view.see(image).ok_or_else(|| bad_size(view.size))?;
    let pixels = Array3::from_shape_vec(shape, bytes).map_err(|_| bad_size(view.size))?;
    Ok((pixels, remarks))
}

/// Reads the header of one image.
pub(super) fn read_header(path: &Path) -> Result<Header, DataError> {
    let file = fs::File::open(path).map_err(|reason| DataError::io(path, reason))?;
    picture::header(BufReader::new(file)).map_err(at(path))
}

/// The same of an image's bytes; `name` is for errors.
#[cfg(feature = "parquet")]
pub(super) fn read_header_bytes(name: &Path, bytes: &[u8]) -> Result<Header, DataError> {
    picture::header(Cursor::new(bytes)).map_err(at(name))
}

/// Decodes one image into `out`, which has room for the shape asked for.
pub(super) fn read_into(
    path: &Path,
    view: &View,
    out: &mut [u8],
) -> Result<Vec<Remark>, DataError> {
    let (image, remarks) = read_image(path, view)?;
    for (to, from) in out.iter_mut().zip(&image) {
        *to = *from;
    }
    Ok(remarks)
}

/// Puts a path to what went wrong.
fn at(path: &Path) -> impl FnOnce(OpenError) -> DataError {
    move |error| match error {
        OpenError::Io(reason) => DataError::io(path, reason),
        OpenError::Picture(fault) => DataError::Decode { path: path.into(), fault },
    }
}

pub(super) fn bad_size((height, width): Size) -> DataError {
    DataError::BadSize { height, width }
}

/// Zeroed bytes for `images` images of `(H, W, C)`.
///
/// The counts may come from a person, so a size beyond reach is an error here
/// where `vec!` would end the program.
pub(super) fn zeroed(images: usize, shape: (usize, usize, usize)) -> Result<Vec<u8>, DataError> {
    let (height, width, channels) = shape;
    let too_large = || DataError::TooLarge { images, shape: [height, width, channels] };
    let length = [height, width, channels]
        .into_iter()
        .try_fold(images, usize::checked_mul)
        .ok_or_else(too_large)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| too_large())?;
    bytes.resize(length, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(zeroed(usize::MAX, (2, 1, 1)).is_err());
        assert!(zeroed(1 << 20, (1 << 30, 1 << 10, 3)).is_err());
        assert_eq!(zeroed(2, (2, 1, 3)).unwrap().len(), 12);
    }
}
