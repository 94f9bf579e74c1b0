//! Opening a picture: what it is, how large and which way up, and its pixels.

use std::io::{BufRead, Cursor, Read as _, Seek, SeekFrom};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use serde::{Deserialize, Serialize};

use super::kind::{FIRST_BYTES, Kind, kind_of};
use super::{jpeg, png_exif};
use crate::data::picture_fault::PictureFault;

/// Bytes that the pixels of one picture may take, decoded: 1 GiB, which are 357 megapixels of 8-bit RGB. Turning it
/// upright and taking its colours may take as much again.
const MOST_BYTES: u64 = 1 << 30;

/// What a file says of its picture before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Height and width, upright.
    pub(crate) size: (usize, usize),
    /// Whether it can have no colours.
    pub(crate) grey: bool,
}

/// A reader failed, or what it read is no picture.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(std::io::Error),
    Picture(PictureFault),
}

impl From<std::io::Error> for OpenError {
    fn from(reason: std::io::Error) -> Self {
        Self::Io(reason)
    }
}

impl From<PictureFault> for OpenError {
    fn from(fault: PictureFault) -> Self {
        Self::Picture(fault)
    }
}

/// A decoder whose picture is small enough, with what it does not tell by itself.
struct Opened<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    kind: &'static str,
    orientation: Orientation,
}

/// What a picture's header says.
pub(crate) fn header<R: BufRead + Seek>(mut reader: R) -> Result<Header, OpenError> {
    let format = format(&mut reader)?;
    let opened = open(reader, format)?;
    let (width, height) = opened.decoder.dimensions();
    let size = (height as usize, width as usize);
    let grey = !opened.decoder.color_type().has_color();
    Ok(Header { size: if lies(opened.orientation) { (size.1, size.0) } else { size }, grey })
}

/// The picture, upright, its alpha as it is. Nothing of it is missing.
pub(crate) fn decode<R: BufRead + Seek>(mut reader: R) -> Result<DynamicImage, OpenError> {
    let format = format(&mut reader)?;
    if format != ImageFormat::Jpeg {
        return pixels(open(reader, format)?);
    }
    // The decoder fills up what is missing with grey, and says nothing.
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    // What it cannot decode at all it tells better.
    let opened = open(Cursor::new(&bytes), format)?;
    jpeg::require_whole(&bytes)
        .map_err(|what| PictureFault::Damaged { kind: opened.kind, what: what.to_string() })?;
    pixels(opened)
}

/// Whether a picture lies on its side in its file.
fn lies(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// What the reader's content is, which its name may not say; the reader is where it was.
fn format<R: BufRead + Seek>(reader: &mut R) -> Result<ImageFormat, OpenError> {
    let start = reader.stream_position()?;
    let mut first = Vec::with_capacity(FIRST_BYTES);
    reader.by_ref().take(FIRST_BYTES as u64).read_to_end(&mut first)?;
    reader.seek(SeekFrom::Start(start))?;
    match kind_of(&first) {
        Kind::Picture(format) => Ok(format),
        kind => Err(match kind.name() {
            Some(what) => PictureFault::Other { what, advice: kind.advice() },
            None => PictureFault::Unknown,
        }
        .into()),
    }
}

fn open<'a, R: BufRead + Seek + 'a>(
    mut reader: R,
    format: ImageFormat,
) -> Result<Opened<'a>, OpenError> {
    let kind = Kind::Picture(format).name().unwrap_or_default();
    let named = |reason| PictureFault::of_decoder(kind, reason);
    let png = match format {
        ImageFormat::Png => png_exif::orientation(&mut reader)?,
        _ => Orientation::NoTransforms,
    };
    let mut reader = ImageReader::with_format(reader, format);
    let mut limits = Limits::default();
    // The pixels are counted below; this is for what a decoder allocates besides.
    limits.max_alloc = Some(2 * MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(named)?;
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    if bytes > MOST_BYTES {
        return Err(PictureFault::TooLarge { height, width, bytes, most: MOST_BYTES }.into());
    }
    if bytes == 0 {
        return Err(PictureFault::Empty.into());
    }
    let orientation = match format {
        ImageFormat::Png => png,
        // What says nothing that can be understood says nothing.
        _ => decoder.orientation().unwrap_or(Orientation::NoTransforms),
    };
    Ok(Opened { decoder: Box::new(decoder), kind, orientation })
}

fn pixels(Opened { decoder, kind, orientation }: Opened<'_>) -> Result<DynamicImage, OpenError> {
    let decoded = DynamicImage::from_decoder(decoder);
    let mut image = decoded.map_err(|reason| PictureFault::of_decoder(kind, reason))?;
    image.apply_orientation(orientation);
    Ok(image)
}
