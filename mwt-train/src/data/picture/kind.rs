//! What a file is, told from its first bytes, and which kinds of pictures can be read.

use image::ImageFormat;

/// Endings that name a picture that can be read, in lower case.
pub(crate) const ENDINGS: [&str; 19] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "bmp", "dib", "gif", "webp", "tif",
    "tiff", "pnm", "pbm", "pgm", "ppm", "pam",
];

/// The kinds that can be read, in words.
pub(crate) const READABLE: &str = "PNG, JPEG, BMP, GIF, WebP, TIFF and PNM";

/// As many of a file's first bytes tell what it is.
pub(crate) const FIRST_BYTES: usize = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A picture that can be read, if it is whole.
    Picture(ImageFormat),
    /// Something else that is known: its name, and what to do with it.
    Other(&'static str, Advice),
    /// Nothing that is known.
    Unknown,
}

/// What helps where a file is no picture that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// It is a picture: convert it.
    Convert,
    /// It holds files.
    Unpack,
    /// It stands for a file that never came.
    Download,
    /// There is no picture in it.
    Remove,
}

impl Kind {
    /// What to do, in words, where the file cannot be read.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Other(_, Advice::Convert) => "convert it to PNG or JPEG",
            Self::Other(_, Advice::Unpack) => "unpack it",
            Self::Other(_, Advice::Download) => "download it again",
            Self::Other(_, Advice::Remove) | Self::Unknown | Self::Picture(_) => {
                "replace or remove the file"
            }
        }
    }

    /// Its name: `JPEG`, `HEIC`, `an empty file`; nothing where it is unknown.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Picture(format) => Some(match format {
                ImageFormat::Png => "PNG",
                ImageFormat::Jpeg => "JPEG",
                ImageFormat::Bmp => "BMP",
                ImageFormat::Gif => "GIF",
                ImageFormat::WebP => "WebP",
                ImageFormat::Tiff => "TIFF",
                _ => "PNM",
            }),
            Self::Other(name, _) => Some(name),
            Self::Unknown => None,
        }
    }
}

/// What a file is whose first bytes, up to [`FIRST_BYTES`] of them, are these.
pub(crate) fn kind_of(bytes: &[u8]) -> Kind {
    use Advice::{Convert, Download, Remove, Unpack};
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let at = |place: usize, magic: &[u8]| bytes.get(place..).is_some_and(|b| b.starts_with(magic));
    let other = |name, advice| Kind::Other(name, advice);
    match bytes {
        [] => other("an empty file", Download),
        _ if begins(b"\x89PNG\r\n\x1a\n") => Kind::Picture(ImageFormat::Png),
        _ if begins(b"\xff\xd8\xff") => Kind::Picture(ImageFormat::Jpeg),
        _ if begins(b"GIF87a") || begins(b"GIF89a") => Kind::Picture(ImageFormat::Gif),
        _ if begins(b"RIFF") && at(8, b"WEBP") => Kind::Picture(ImageFormat::WebP),
        _ if begins(b"II*\0") && at(8, b"CR") => other("Canon raw", Convert),
        _ if begins(b"II*\0") || begins(b"MM\0*") || begins(b"II+\0") || begins(b"MM\0+") => {
            Kind::Picture(ImageFormat::Tiff)
        }
        // Two letters are few: the next header's length must be one of a bitmap too.
        _ if begins(b"BM") && is_bitmap(bytes) => Kind::Picture(ImageFormat::Bmp),
        [b'P', b'1'..=b'7', next, ..] if next.is_ascii_whitespace() || *next == b'#' => {
            Kind::Picture(ImageFormat::Pnm)
        }
        _ if at(4, b"ftyp") => media(bytes),
        _ if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL \r\n\x87\n") => {
            other("JPEG XL", Convert)
        }
        _ if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xff\x4f\xff\x51") => {
            other("JPEG 2000", Convert)
        }
        _ if begins(b"%PDF") => other("PDF", Convert),
        _ if begins(b"%!PS") => other("PostScript", Convert),
        _ if begins(b"8BPS") => other("Photoshop", Convert),
        _ if begins(b"gimp xcf") => other("GIMP", Convert),
        _ if begins(b"\0\0\x01\0") || begins(b"\0\0\x02\0") => other("an icon", Convert),
        _ if begins(b"qoif") => other("QOI", Convert),
        _ if begins(b"DDS ") => other("DDS", Convert),
        _ if begins(b"v/1\x01") => other("OpenEXR", Convert),
        _ if begins(b"#?RADIANCE") || begins(b"#?RGBE") => other("Radiance HDR", Convert),
        _ if begins(b"FUJIFILMCCD-RAW") => other("Fuji raw", Convert),
        _ if begins(b"SIMPLE  =") => other("FITS", Convert),
        _ if at(128, b"DICM") => other("DICOM", Convert),
        _ if begins(b"\x93NUMPY") => other("a NumPy array", Convert),
        _ if begins(b"RIFF") && at(8, b"WAVE") => other("a sound", Remove),
        _ if begins(b"RIFF") || begins(b"\x1a\x45\xdf\xa3") => other("a film", Remove),
        _ if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") => other("a zip archive", Unpack),
        _ if begins(b"\x1f\x8b") => other("a gzip archive", Unpack),
        _ if begins(b"7z\xbc\xaf\x27\x1c") => other("a 7z archive", Unpack),
        _ if begins(b"Rar!") => other("a rar archive", Unpack),
        _ if begins(b"BZh") || begins(b"\xfd7zXZ\0") || at(257, b"ustar") => {
            other("an archive", Unpack)
        }
        _ if begins(b"version https://git-lfs") => other("a Git LFS pointer", Download),
        _ if bytes.iter().all(|b| *b == 0) => other("a file of zeros", Download),
        _ => text(bytes),
    }
}

/// Whether the bytes behind `BM` are the headers of a bitmap.
fn is_bitmap(bytes: &[u8]) -> bool {
    let length = bytes.get(14..18).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    length.is_some_and(|n| (12..=256).contains(&n))
}

/// What a file of boxes is, told from its brands.
fn media(bytes: &[u8]) -> Kind {
    let length = bytes.first_chunk().map_or(0, |b| u32::from_be_bytes(*b) as usize);
    let brands = bytes.get(8..length.min(bytes.len())).unwrap_or_default();
    let has = |names: &[&[u8; 4]]| brands.chunks_exact(4).any(|b| names.iter().any(|n| b == *n));
    let convert = |name| Kind::Other(name, Advice::Convert);
    if has(&[b"avif", b"avis"]) {
        convert("AVIF")
    } else if has(&[b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"]) {
        convert("HEIC")
    } else if has(&[b"crx "]) {
        convert("Canon raw")
    } else {
        Kind::Other("a film", Advice::Remove)
    }
}

/// What a text is; unknown where it is none.
fn text(bytes: &[u8]) -> Kind {
    let end = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        // The last character may have been cut off with the rest of the file.
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Err(_) => return Kind::Unknown,
    };
    if bytes.contains(&0) {
        return Kind::Unknown;
    }
    let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let has = |word: &str| text.contains(word);
    if has("<svg") {
        Kind::Other("SVG", Advice::Convert)
    } else if has("<!doctype html") || has("<html") || has("<head") {
        Kind::Other("a web page", Advice::Download)
    } else if has("<?xml") {
        Kind::Other("XML", Advice::Remove)
    } else {
        Kind::Other("text", Advice::Remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Option<&'static str> {
        kind_of(bytes).name()
    }

    #[test]
    fn pictures_are_told_by_content() {
        for (bytes, format) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], ImageFormat::Png),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", ImageFormat::Jpeg),
            (b"GIF89a\x01\0", ImageFormat::Gif),
            (b"RIFF\x24\0\0\0WEBPVP8 ", ImageFormat::WebP),
            (b"II*\0\x08\0\0\0", ImageFormat::Tiff),
            (b"MM\0*\0\0\0\x08", ImageFormat::Tiff),
            (b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", ImageFormat::Bmp),
            (b"P5\n28 28\n255\n", ImageFormat::Pnm),
            (b"P6#made by hand\n1 1\n", ImageFormat::Pnm),
        ] {
            assert_eq!(kind_of(bytes), Kind::Picture(format));
        }
    }

    #[test]
    fn what_is_no_readable_picture_is_named() {
        assert_eq!(name(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), Some("HEIC"));
        assert_eq!(name(b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf"), Some("AVIF"));
        assert_eq!(name(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"), Some("AVIF"));
        assert_eq!(name(b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"), Some("a film"));
        assert_eq!(name(b"%PDF-1.7"), Some("PDF"));
        assert_eq!(name(b"<?xml version=\"1.0\"?>\n<svg xmlns="), Some("SVG"));
        assert_eq!(name(b"\n<!DOCTYPE HTML><html>"), Some("a web page"));
        assert_eq!(
            name(b"version https://git-lfs.github.com/spec/v1\n"),
            Some("a Git LFS pointer")
        );
        assert_eq!(name(b"II*\0\x10\0\0\0CR\x02\0"), Some("Canon raw"));
        assert_eq!(name(b"BMW drives away"), Some("text"));
        assert_eq!(name("Pflaume é".as_bytes().split_last().unwrap().1), Some("text"));
        assert_eq!(name(b""), Some("an empty file"));
        assert_eq!(name(&[0; 64]), Some("a file of zeros"));
        assert_eq!(name(b"\x01\x02\xfe\xff\0"), None);
    }

    /// Whatever bytes there are, and however few, there is an answer.
    #[test]
    fn any_beginning_has_an_answer() {
        for magic in [&b"\0\0\0\x18ftypheic"[..], b"RIFF\0\0\0\0WEBP", b"BM0123456789012345678"] {
            for end in 0..magic.len() {
                let _ = kind_of(&magic[..end]);
            }
        }
        assert_eq!(kind_of(b"\xff\xff\xff\xffftyp"), Kind::Other("a film", Advice::Remove));
    }
}
