//! Pictures of fits.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageBuffer, ImageError, ImageFormat, Rgb, RgbImage, imageops};
use mwt_core::{Bundle, Extents};
use mwt_infer::{Classifier, Signal, WorkspaceBuf};
use ndarray::ArrayView3;

use crate::util::durable::{self, FileError};

/// Pixels between the images of a picture.
const GAP: u32 = 2;

/// A row for each image: the original, then what θ and each inner step make of it, `scale` times enlarged.
///
/// # Errors
/// An image that mwt-infer refuses or cannot fit.
pub fn steps(
    bundle: &Bundle<'_>,
    images: &[ArrayView3<'_, u8>],
    scale: u32,
) -> Result<RgbImage, mwt_infer::Error> {
    let config = *bundle.config();
    let size = config.extents;
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
    let mut rows = Vec::new();
    for image in images {
        let bytes = image.as_slice().unwrap_or_default();
        let source = Signal::new(bytes, size, config.channels)?;
        let mut row = vec![to_rgb(bytes, size, config.channels)];
        classifier.begin();
        loop {
            let mut out = vec![0u8; bytes.len()];
            classifier.reconstruct(size, &mut out)?;
            row.push(to_rgb(&out, size, config.channels));
            if classifier.step(&source)?.is_none() {
                break;
            }
        }
        rows.push(row);
    }
    Ok(grid(&rows, scale))
}

/// Images of one size in rows, `scale` times enlarged, on white.
pub fn grid(rows: &[Vec<RgbImage>], scale: u32) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let (w, h) = rows.iter().flatten().next().map_or((0, 0), |i| (i.width(), i.height()));
    let (w, h) = (w * scale + GAP, h * scale + GAP);
    let white = Rgb([255; 3]);
    let mut picture =
        ImageBuffer::from_pixel(columns * w + GAP, rows.len() as u32 * h + GAP, white);
    for (y, row) in rows.iter().enumerate() {
        for (x, image) in row.iter().enumerate() {
            let enlarged = imageops::resize(image, w - GAP, h - GAP, imageops::FilterType::Nearest);
            let at = (i64::from(x as u32 * w + GAP), i64::from(y as u32 * h + GAP));
            imageops::replace(&mut picture, &enlarged, at.0, at.1);
        }
    }
    picture
}

/// `[H, W, C]` bytes as RGB; one or two channels become grey, a fourth is dropped.
pub fn to_rgb(bytes: &[u8], size: Extents, channels: usize) -> RgbImage {
    let (height, width) = (size.side(0), size.side(1));
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let start = (y as usize * width + x as usize) * channels;
        let pixel = bytes.get(start..start + channels).unwrap_or_default();
        match pixel {
            [r, g, b, ..] => Rgb([*r, *g, *b]),
            [grey, ..] => Rgb([*grey; 3]),
            [] => Rgb([0; 3]),
        }
    })
}

/// Endings of the pictures that are written, the kinds that lose nothing first.
const WRITTEN: [&str; 7] = ["png", "bmp", "tif", "tiff", "ppm", "jpg", "jpeg"];

/// The kind that a picture's ending names; PNG where it has none.
///
/// # Errors
/// An ending of another kind.
pub fn format(path: &Path) -> Result<ImageFormat, PictureError> {
    let Some(ending) = path.extension() else { return Ok(ImageFormat::Png) };
    let written = WRITTEN.iter().any(|known| ending.eq_ignore_ascii_case(known));
    let format = ImageFormat::from_extension(ending).filter(|_| written);
    format.ok_or_else(|| PictureError::Ending { path: path.to_owned() })
}

/// Writes a picture as the kind that its ending names, whole or not at all.
///
/// # Errors
/// An ending of no kind that is written, or a file that cannot be written.
pub fn save(picture: &RgbImage, path: &Path) -> Result<(), PictureError> {
    let format = format(path)?;
    let mut bytes = Cursor::new(Vec::new());
    let encoded = match format {
        // The default of 75 shows around lines and letters.
        ImageFormat::Jpeg => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95))
        }
        format => picture.write_to(&mut bytes, format),
    };
    encoded.map_err(|source| PictureError::Encode { path: path.to_owned(), source })?;
    Ok(durable::write(path, bytes.get_ref())?)
}

/// A picture that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Its ending names no kind of picture that is written.
    #[error("{}: pictures are written as {}; give it one of these endings", path.display(), WRITTEN.join(", "))]
    Ending {
        /// Which file.
        path: PathBuf,
    },
    /// It cannot be encoded.
    #[error("{}: {source}", path.display())]
    Encode {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is what the name says, or nothing is.
    #[test]
    fn the_ending_says_the_kind() {
        let dir = tempfile::tempdir().unwrap();
        let picture = RgbImage::from_fn(9, 5, |x, y| Rgb([20 * x as u8, 40 * y as u8, 100]));
        for (name, kind) in [
            ("a.png", ImageFormat::Png),
            ("a.JPG", ImageFormat::Jpeg),
            ("a.bmp", ImageFormat::Bmp),
            ("a.tiff", ImageFormat::Tiff),
            ("a.ppm", ImageFormat::Pnm),
            ("none", ImageFormat::Png),
        ] {
            let path = dir.path().join(name);
            save(&picture, &path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(image::guess_format(&bytes).unwrap(), kind, "{name}");
            let back = image::load_from_memory(&bytes).unwrap().into_rgb8();
            assert_eq!(back.dimensions(), (9, 5));
            let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 24;
            assert!(!back.as_raw().iter().zip(picture.as_raw()).any(far), "{name}");
        }
        for name in ["a.mwt", "a.txt", "a.heic", "a.html"] {
            let path = dir.path().join(name);
            let line = save(&picture, &path).unwrap_err().to_string();
            assert!(line.contains(name) && line.contains("png") && !path.exists(), "{line}");
        }
    }
}
