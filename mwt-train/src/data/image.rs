//! One image file: its header, and its pixels in the shape that a model takes.

use std::fs;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, imageops};
use ndarray::Array3;

use super::error::DataError;

/// Endings of the image files that are read, compared without regard to case.
pub(super) const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// Height and width.
pub(super) type Size = (usize, usize);

/// What a file says of its image before it is decoded.
pub(super) struct Header {
    pub(super) size: Size,
    pub(super) grey: bool,
}

/// Reads one image as a data set of this shape would hold it: cropped about its
/// centre to the shape of `size` (height, width), resized to it, and as one
/// grey channel or as RGB. Returns `[H, W, C]`.
///
/// Transparency is dropped and 16-bit samples become 8-bit.
///
/// # Errors
///
/// [`DataError::Io`] or [`DataError::Decode`] when the file cannot be read,
/// [`DataError::BadSize`] or [`DataError::TooLarge`] when `size` is impossible.
pub fn read_image(path: &Path, size: Size, grey: bool) -> Result<Array3<u8>, DataError> {
    let shape = (size.0, size.1, channels(grey));
    let mut bytes = zeroed(1, shape)?;
    read_into(path, size, grey, &mut bytes)?;
    Array3::from_shape_vec(shape, bytes).map_err(|_| bad_size(size))
}

/// Reads the header of one image.
pub(super) fn read_header(path: &Path) -> Result<Header, DataError> {
    let decoder = open(path)?.into_decoder().map_err(|reason| decode_error(path, reason))?;
    let (width, height) = decoder.dimensions();
    Ok(Header { size: (height as usize, width as usize), grey: !decoder.color_type().has_color() })
}

/// Decodes one image into `out`, which has room for the shape asked for.
pub(super) fn read_into(
    path: &Path,
    size: Size,
    grey: bool,
    out: &mut [u8],
) -> Result<(), DataError> {
    let image = fit(recolour(decode_file(path)?, grey), size)?;
    for (to, from) in out.iter_mut().zip(image.as_bytes()) {
        *to = *from;
    }
    Ok(())
}

/// Decodes an image as its file has it.
pub(super) fn decode_file(path: &Path) -> Result<DynamicImage, DataError> {
    open(path)?.decode().map_err(|reason| decode_error(path, reason))
}

/// Opens an image; what it is, its content tells better than its name.
fn open(path: &Path) -> Result<ImageReader<std::io::BufReader<fs::File>>, DataError> {
    let io = |reason| DataError::io(path, reason);
    let reader = ImageReader::open(path).map_err(io)?;
    reader.with_guessed_format().map_err(io)
}

/// Makes the image 8-bit grey or 8-bit RGB.
fn recolour(image: DynamicImage, grey: bool) -> DynamicImage {
    if grey { image.into_luma8().into() } else { image.into_rgb8().into() }
}

/// Crops the image about its centre to the proportions of `size`, so that
/// nothing is distorted, and resizes it.
pub(super) fn fit(image: DynamicImage, size: Size) -> Result<DynamicImage, DataError> {
    let side = |n: usize| u32::try_from(n).ok().filter(|&n| n > 0);
    let (Some(height), Some(width)) = (side(size.0), side(size.1)) else {
        return Err(bad_size(size));
    };
    let (old_width, old_height) = (image.width(), image.height());
    if (old_width, old_height) == (width, height) {
        return Ok(image);
    }
    // The longest sides that fit into the image at the wanted proportions. One
    // of the two is always the image's own; neither is ever more than that.
    let scaled = |a: u32, b: u32, c: u32| (u64::from(a) * u64::from(b) / u64::from(c)).max(1);
    let crop_width = u64::from(old_width).min(scaled(old_height, width, height)) as u32;
    let crop_height = u64::from(old_height).min(scaled(old_width, height, width)) as u32;
    let left = (old_width - crop_width) / 2;
    let top = (old_height - crop_height) / 2;
    // Triangle averages over all the pixels that shrink into one, so nothing
    // flickers, and unlike Lanczos it leaves no ringing at the edges.
    Ok(image.crop_imm(left, top, crop_width, crop_height).resize_exact(
        width,
        height,
        imageops::FilterType::Triangle,
    ))
}

/// Bytes per pixel.
pub(super) fn channels(grey: bool) -> usize {
    if grey { 1 } else { 3 }
}

pub(super) fn bad_size((height, width): Size) -> DataError {
    DataError::BadSize { height, width }
}

fn decode_error(path: &Path, reason: image::ImageError) -> DataError {
    DataError::Decode { path: path.into(), reason }
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
