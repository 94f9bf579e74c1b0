//! What a model sees of picture files: the pixels that a person sees, or an error. The files are written here, or by Pillow
//! (`fixtures/pictures`: 40×24 pixels of [`drawing`], and pictures of three pixels).

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageEncoder, ImageFormat, Luma, Rgb, RgbImage};
use mwt_train::data::{DataError, Remark, View, read_image_bytes};
use mwt_train::settings::Fit;

/// What is read and keeps every pixel as it was.
const EXACT: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Pnm,
];

/// The pixels of a picture in a shape, or why not.
fn see(bytes: &[u8], view: View) -> Result<(Vec<u8>, Vec<Remark>), DataError> {
    let (image, remarks) = read_image_bytes(Path::new("picture"), bytes, &view)?;
    Ok((image.into_iter().collect(), remarks))
}

/// Those of a picture of this size in grey.
#[track_caller]
fn grey(bytes: &[u8], size: (usize, usize)) -> Vec<u8> {
    see(bytes, View::of(size, true)).unwrap().0
}

#[track_caller]
fn rgb(bytes: &[u8], size: (usize, usize)) -> Vec<u8> {
    see(bytes, View::of(size, false)).unwrap().0
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let error = see(bytes, View::of((4, 4), true)).unwrap_err();
    let line = error.to_string();
    assert!(line.starts_with("picture: ") && !line.contains('\n'), "{line}");
    line
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/pictures/", $name)).as_slice()
    };
}

/// What the JPEGs among the fixtures show.
fn drawing() -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        if (4..12).contains(&y) && (6..14).contains(&x) {
            [250, 20, 30]
        } else {
            [(x * 6) as u8, (y * 10) as u8, (x * y) as u8]
        }
    };
    (0..24).flat_map(|y| (0..40).flat_map(move |x| pixel(x, y))).collect()
}

/// Mean difference of two pictures' bytes.
fn difference(a: &[u8], b: &[u8]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>() / a.len() as f32
}

// Which way up

/// Exif data that say nothing but the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// Three rows of two pixels as they are stored under an orientation: its first row is the side of the upright picture that
/// the standard names, and its first column another.
fn stored(upright: &GrayImage, orientation: u8) -> GrayImage {
    let (w, h) = upright.dimensions();
    let turned = orientation > 4;
    let (width, height) = if turned { (h, w) } else { (w, h) };
    GrayImage::from_fn(width, height, |column, row| {
        let (x, y) = match orientation {
            1 => (column, row),
            2 => (w - 1 - column, row),
            3 => (w - 1 - column, h - 1 - row),
            4 => (column, h - 1 - row),
            5 => (row, column),
            6 => (w - 1 - row, column),
            7 => (w - 1 - row, h - 1 - column),
            _ => (row, h - 1 - column),
        };
        *upright.get_pixel(x, y)
    })
}

/// A PNG with Exif data before its pixels, or behind them.
fn png_with_exif(image: GrayImage, orientation: u8, behind: bool) -> Vec<u8> {
    let png = encoded(image, ImageFormat::Png);
    let exif = exif(orientation);
    let mut chunk = (exif.len() as u32).to_be_bytes().to_vec();
    let mut named = b"eXIf".to_vec();
    named.extend(exif);
    let mut sum = flate2::Crc::new();
    sum.update(&named);
    chunk.extend(named);
    chunk.extend(sum.sum().to_be_bytes());
    // Behind the first chunk, or before the last, which has 12 bytes.
    let at = if behind { png.len() - 12 } else { 8 + 12 + 13 };
    [&png[..at], &chunk, &png[at..]].concat()
}

/// A TIFF of grey pixels without compression, as the standard's example.
fn tiff_with_orientation(image: &GrayImage, orientation: u8) -> Vec<u8> {
    let (w, h) = image.dimensions();
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u16, u32); 10] = [
        (256, 3, w),
        (257, 3, h),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 10 * 12 + 4),
        (274, 3, orientation.into()),
        (277, 3, 1),
        (278, 3, h),
        (279, 4, w * h),
    ];
    tiff.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff.extend(image.as_raw());
    tiff
}

fn webp_with_exif(image: &GrayImage, orientation: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
    encoder.set_exif_metadata(exif(orientation)).unwrap();
    let (w, h) = image.dimensions();
    encoder.write_image(image.as_raw(), w, h, image::ExtendedColorType::L8).unwrap();
    bytes
}

fn jpeg_with_exif(image: GrayImage, orientation: u8) -> Vec<u8> {
    let jpeg = encoded(image, ImageFormat::Jpeg);
    let exif = [b"Exif\0\0".as_slice(), &exif(orientation)].concat();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn pictures_are_upright() {
    let upright = GrayImage::from_raw(2, 3, vec![10, 60, 110, 160, 210, 250]).unwrap();
    for orientation in 1..=8 {
        let stored = stored(&upright, orientation);
        for (kind, bytes) in [
            ("png", png_with_exif(stored.clone(), orientation, false)),
            ("png, exif behind", png_with_exif(stored.clone(), orientation, true)),
            ("tiff", tiff_with_orientation(&stored, orientation)),
            ("webp", webp_with_exif(&stored, orientation)),
        ] {
            assert_eq!(
                grey(&bytes, (3, 2)),
                *upright.as_raw(),
                "{kind}, orientation {orientation}"
            );
        }
        // Of whole blocks, so that a JPEG keeps them.
        let large = image::imageops::resize(
            &stored,
            8 * stored.width(),
            8 * stored.height(),
            image::imageops::Nearest,
        );
        let seen = grey(&jpeg_with_exif(large, orientation), (24, 16));
        let wanted: Vec<u8> =
            (0..24 * 16).map(|n| upright.as_raw()[n / 16 / 8 * 2 + n % 16 / 8]).collect();
        assert!(difference(&seen, &wanted) < 2.0, "jpeg, orientation {orientation}");
    }
}

#[test]
fn exif_that_says_nothing_turns_nothing() {
    let image = GrayImage::from_raw(2, 1, vec![10, 200]).unwrap();
    for orientation in [0, 9, 255] {
        assert_eq!(grey(&png_with_exif(image.clone(), orientation, false), (1, 2)), [10, 200]);
        assert_eq!(grey(&tiff_with_orientation(&image, orientation), (1, 2)), [10, 200]);
    }
}

// What kind

#[test]
fn what_is_read_is_told_by_content() {
    let image = RgbImage::from_fn(3, 2, |x, y| Rgb([80 * x as u8, 200 * y as u8, 7]));
    for format in EXACT {
        let bytes = encoded(image.clone(), format);
        assert!(difference(&rgb(&bytes, (2, 3)), image.as_raw()) < 1.0, "{format:?}");
    }
    assert_eq!(grey(b"P2\n# a comment\n3 1\n15\n0 15 5\n", (1, 3)), [0, 255, 85]);
    assert_eq!(grey(b"P1\n3 1\n1 0 1\n", (1, 3)), [0, 255, 0]);
}

#[test]
fn palettes_bits_and_inks_are_what_they_show() {
    let three = [200, 100, 50, 10, 20, 30, 255, 255, 255];
    for bytes in [fixture!("palette.png"), fixture!("palette.gif"), fixture!("palette.bmp")] {
        assert_eq!(rgb(bytes, (1, 3)), three);
    }
    // The first of its colours is transparent: white is behind it.
    let transparent = rgb(fixture!("transparent-palette.png"), (1, 3));
    assert_eq!(transparent, [200, 100, 50, 255, 255, 255, 255, 255, 255]);
    assert_eq!(grey(fixture!("grey16.png"), (1, 3)), [0, 128, 255]);
    for bytes in [fixture!("bilevel.png"), fixture!("bilevel.tif"), fixture!("fax.tif")] {
        assert_eq!(grey(bytes, (1, 3)), [255, 0, 255]);
    }
    for bytes in [
        fixture!("cmyk.jpg"),
        fixture!("baseline-420.jpg"),
        fixture!("progressive.jpg"),
        fixture!("progressive-444.jpg"),
        fixture!("restarts.jpg"),
        fixture!("optimized.jpg"),
    ] {
        assert!(difference(&rgb(bytes, (24, 40)), &drawing()) < 12.0);
    }
}

#[test]
fn what_is_not_read_is_named() {
    assert!(refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").contains("HEIC"));
    assert!(refused(b"%PDF-1.7\n").contains("PDF"));
    assert!(refused(b"<html><body>404").contains("a web page"));
    assert!(refused(b"").contains("an empty file"));
    let line = refused(fixture!("palette.tif"));
    assert!(line.contains("a TIFF image of a sort") && line.contains("convert it"), "{line}");
    assert!(refused(b"\x01\x02\x03\xff").contains("no known kind"));
}

// Whether all of it is there

/// Cut anywhere, a picture is an error, or it is still all there.
#[test]
fn a_picture_that_was_cut_is_no_picture() {
    let image = RgbImage::from_fn(9, 7, |x, y| Rgb([28 * x as u8, 36 * y as u8, (x * y) as u8]));
    let formats = EXACT.into_iter().chain([ImageFormat::Jpeg]);
    let mut files: Vec<(String, Vec<u8>)> =
        formats.map(|format| (format!("{format:?}"), encoded(image.clone(), format))).collect();
    for (name, bytes) in jpegs() {
        files.push((name.into(), bytes.into()));
    }
    for (name, bytes) in files {
        let view = View::of((7, 9), false);
        let whole = see(&bytes, view).unwrap().0;
        for end in 0..bytes.len() {
            if let Ok((pixels, _)) = see(&bytes[..end], view) {
                assert_eq!(pixels, whole, "{name} cut to {end} of {} bytes", bytes.len());
                assert!(name != "Jpeg" && !name.ends_with(".jpg"), "{name} cut to {end}");
            }
        }
    }
}

fn jpegs() -> [(&'static str, &'static [u8]); 7] {
    [
        ("baseline-420.jpg", fixture!("baseline-420.jpg")),
        ("cmyk.jpg", fixture!("cmyk.jpg")),
        ("grey.jpg", fixture!("grey.jpg")),
        ("optimized.jpg", fixture!("optimized.jpg")),
        ("progressive.jpg", fixture!("progressive.jpg")),
        ("progressive-444.jpg", fixture!("progressive-444.jpg")),
        ("restarts.jpg", fixture!("restarts.jpg")),
    ]
}

/// Where the data of a JPEG's last scan begin.
fn data(bytes: &[u8]) -> usize {
    let at = bytes.windows(2).rposition(|w| w == b"\xff\xda").unwrap();
    at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]))
}

/// Half a download into a file that had its length already, and holes within: no grey where a picture was.
#[test]
fn a_jpeg_that_was_overwritten_is_an_error() {
    for (name, bytes) in jpegs() {
        let start = data(bytes);
        let end = bytes.len() - 2;
        let mut half = bytes.to_vec();
        half[start + (end - start) / 2..].fill(0);
        let line = refused(&half);
        assert!(line.contains("damaged JPEG"), "{name}: {line}");
        // The first part of its data left out, as by a lost block.
        let lost = [&bytes[..start], &bytes[start + (end - start) / 3..]].concat();
        assert!(refused(&lost).contains("damaged"), "{name}");
        // What follows the end is no part of the picture: cameras append previews and notes there.
        let more = [bytes, b"\0\0camera notes\xff\xd8\xff\xe0", bytes].concat();
        let size = View::of((24, 40), false);
        assert_eq!(see(&more, size).unwrap().0, see(bytes, size).unwrap().0, "{name}");
    }
    // Stretches overwritten with other data: nearly all of them show, for the count of blocks does not come out.
    let pixel = |x: u32, y: u32| (x * y / 3 + 40 * (x / 16 % 3)) as u8;
    let image = RgbImage::from_fn(200, 160, |x, y| Rgb([pixel(x, y), pixel(y, x), (x + y) as u8]));
    let bytes = encoded(image, ImageFormat::Jpeg);
    let (start, end) = (data(&bytes), bytes.len() - 2);
    let (mut tried, mut found) = (0, 0);
    for at in (start..end - 24).step_by(101) {
        let mut bytes = bytes.clone();
        let garbage = |n: usize| ((at * 31 + n * 97) & 0x7f) as u8;
        bytes[at..at + 24].iter_mut().enumerate().for_each(|(n, b)| *b = garbage(n));
        tried += 1;
        found += usize::from(see(&bytes, View::of((4, 4), true)).is_err());
    }
    assert!(tried > 100 && found * 10 >= tried * 9, "{found} of {tried}");
}

/// Whatever the bytes are, there is an answer. MWT_MUTATIONS asks for more of them.
#[test]
fn any_bytes_are_answered() {
    let count = std::env::var("MWT_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let image = RgbImage::from_fn(9, 7, |x, y| Rgb([28 * x as u8, 36 * y as u8, (x * y) as u8]));
    let mut files: Vec<Vec<u8>> = EXACT.map(|format| encoded(image.clone(), format)).into();
    files.extend(jpegs().map(|(_, bytes)| bytes.to_vec()));
    files.push(fixture!("palette.bmp").into());
    files.push(fixture!("fax.tif").into());
    files.push(fixture!("palette.gif").into());
    files.push(webp_with_exif(&GrayImage::new(3, 2), 6));
    let mut random = mwt_train::util::random::Rng::new(7, 1);
    for _ in 0..count {
        let mut bytes = files[random.below(files.len())].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = 0xff,
                2 => bytes[at] = 0,
                3 => bytes[at] ^= 1 << random.below(8),
                _ => bytes[at] = random.next_u64() as u8,
            }
        }
        for fit in [Fit::Crop, Fit::Pad] {
            if let Ok((pixels, _)) = see(&bytes, View { fit, ..View::of((4, 3), false) }) {
                assert_eq!(pixels.len(), 36);
            }
        }
    }
}

#[test]
fn too_large_a_picture_is_refused_before_it_is_decoded() {
    // A PNG of 40000×40000 pixels of one bit, whose data never come.
    let mut header = b"IHDR\0\0\x9c\x40\0\0\x9c\x40\x01\0\0\0\0".to_vec();
    let mut sum = flate2::Crc::new();
    sum.update(&header);
    header.extend(sum.sum().to_be_bytes());
    let png =
        [b"\x89PNG\r\n\x1a\n\0\0\0\x0d".as_slice(), &header, b"\0\0\0\x01IDAT\0\0\0\0\0"].concat();
    let line = refused(&png);
    assert!(line.contains("40000x40000") && line.contains("1600000000 bytes"), "{line}");
}

// How it is brought to a size

fn fitted(image: impl Into<DynamicImage>, view: View) -> (Vec<u8>, Vec<Remark>) {
    see(&encoded(image, ImageFormat::Png), view).unwrap()
}

#[test]
fn a_picture_is_cut_padded_or_stretched() {
    // A dark border around a light row: 6 wide, 2 high.
    let image = GrayImage::from_fn(6, 2, |x, y| Luma([if y == 1 && x < 2 { 200 } else { 20 }]));
    let view = View::of((2, 2), true);
    assert_eq!(fitted(image.clone(), view), (vec![20; 4], vec![Remark::Cut { share: 2.0 / 3.0 }]));
    let (stretched, remarks) = fitted(image.clone(), View { fit: Fit::Stretch, ..view });
    assert!(stretched[2] > 100 && stretched[3] < 60 && remarks.is_empty(), "{stretched:?}");
    // As wide as it can be, in the middle, on the colour of its border.
    let (padded, remarks) = fitted(image.clone(), View { fit: Fit::Pad, ..View::of((6, 6), true) });
    let mut wanted = vec![20; 36];
    wanted[18..20].fill(200);
    assert_eq!((padded, remarks), (wanted.clone(), vec![]));
    let white = View {
        background: Some("white".parse().unwrap()),
        fit: Fit::Pad,
        ..View::of((6, 6), true)
    };
    wanted[..12].fill(255);
    wanted[24..].fill(255);
    assert_eq!(fitted(image.clone(), white).0, wanted);
    // Light for dark, the padding as well.
    let inverted: Vec<u8> = wanted.iter().map(|level| 255 - level).collect();
    assert_eq!(fitted(image, View { invert: true, ..white }).0, inverted);
}

#[test]
fn twelve_bits_in_sixteen_are_told_of() {
    let image = |most: u16| {
        DynamicImage::ImageLuma16(image::ImageBuffer::from_raw(2, 1, vec![0, most]).unwrap())
    };
    let view = View::of((1, 2), true);
    assert_eq!(fitted(image(4095), view), (vec![0, 16], vec![Remark::Faint { most: 4095 }]));
    assert_eq!(fitted(image(4096), view), (vec![0, 16], vec![]));
}

#[test]
fn drawings_of_transparency_alone_are_seen() {
    let drawing = |colour: u8| {
        let image = image::ImageBuffer::from_fn(2, 1, |x, _| image::LumaA([colour, 255 * x as u8]));
        DynamicImage::ImageLumaA8(image)
    };
    let view = View::of((1, 2), true);
    assert_eq!(fitted(drawing(0), view), (vec![255, 0], vec![]));
    assert_eq!(fitted(drawing(255), view), (vec![0, 255], vec![Remark::OnBlack]));
    let white = View { background: Some("white".parse().unwrap()), ..view };
    assert_eq!(fitted(drawing(255), white), (vec![255, 255], vec![Remark::Hidden]));
}
