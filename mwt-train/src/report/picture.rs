//! Pictures of fits.

use std::path::{Path, PathBuf};

use image::{ImageBuffer, ImageError, Rgb, RgbImage, imageops};
use mwt_core::{Bundle, Extents};
use mwt_infer::{Classifier, Signal, WorkspaceBuf};
use ndarray::ArrayView3;

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

/// Writes a picture as PNG.
///
/// # Errors
/// A file that cannot be written.
pub fn save(picture: &RgbImage, path: &Path) -> Result<(), PictureError> {
    picture
        .save_with_format(path, image::ImageFormat::Png)
        .map_err(|source| PictureError { path: path.to_owned(), source })
}

/// A picture that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct PictureError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: ImageError,
}
