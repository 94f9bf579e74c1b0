//! A model's view of a picture: its shape, its channels, and what becomes of all else.

use std::fmt;

use image::{DynamicImage, GenericImageView, GrayImage, Luma, Pixel, Rgb, RgbImage, imageops};
use serde::{Deserialize, Serialize};

use super::alpha::{self, Ground};
use crate::settings::Fit;
use crate::util::colour::Colour;

/// How a picture is brought to the shape that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Height and width, each at least 1.
    pub size: (usize, usize),
    /// One grey channel instead of RGB.
    pub grey: bool,
    /// What becomes of other proportions.
    pub fit: Fit,
    /// What lies behind transparent parts, and around a picture that is padded; see [`View::of`].
    pub background: Option<Colour>,
    /// Light for dark and dark for light, at last.
    pub invert: bool,
}

impl View {
    /// The view that nothing else is said of: cut about the centre; white behind what is transparent, or black where on
    /// white nothing could be seen.
    pub fn of(size: (usize, usize), grey: bool) -> Self {
        Self { size, grey, fit: Fit::Crop, background: None, invert: false }
    }

    /// Numbers of a pixel.
    pub(crate) fn channels(&self) -> usize {
        if self.grey { 1 } else { 3 }
    }

    /// The bytes of an upright picture as the model takes it, `[H, W, C]`, and what a person should know of them.
    /// `None` where the size is not possible.
    pub(crate) fn see(&self, image: DynamicImage) -> Option<(Vec<u8>, Vec<Remark>)> {
        let side = |n: usize| u32::try_from(n).ok().filter(|n| *n > 0);
        let (height, width) = (side(self.size.0)?, side(self.size.1)?);
        let mut remarks: Vec<Remark> = faint(&image).into_iter().collect();
        let (image, ground) = alpha::compose(image, self.background);
        match ground {
            Ground::Plain => {}
            Ground::Black => remarks.push(Remark::OnBlack),
            Ground::Hidden => remarks.push(Remark::Hidden),
            Ground::Ignored => remarks.push(Remark::AlphaIgnored),
        }
        let cut = self.cut((image.width(), image.height()), (width, height));
        if cut > MUCH {
            remarks.push(Remark::Cut { share: cut });
        }
        // The pixel types differ, and nothing else.
        let mut bytes = if self.grey {
            let around = self.background.map(|c| Rgb(c.0).to_luma());
            brought(self.fit, &image.into_luma8(), (width, height), around, border_grey)
        } else {
            let around = self.background.map(|c| Rgb(c.0));
            brought(self.fit, &image.into_rgb8(), (width, height), around, border_rgb)
        };
        if self.invert {
            bytes.iter_mut().for_each(|b| *b = 255 - *b);
        }
        Some((bytes, remarks))
    }

    /// The share of a picture, width and height, that a crop to this size leaves out.
    fn cut(&self, (w, h): (u32, u32), wanted: (u32, u32)) -> f32 {
        if self.fit != Fit::Crop {
            return 0.0;
        }
        let (width, height) = crop((w, h), wanted);
        (1.0 - f64::from(width) * f64::from(height) / (f64::from(w) * f64::from(h))) as f32
    }
}

/// The share of a picture that is much to leave out: more than a square leaves of a photograph of 4:3.
const MUCH: f32 = 0.3;

/// What a person should know of how a picture was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Remark {
    /// White lines on nothing: seen on black.
    OnBlack,
    /// Nothing can be seen of the drawing on the background that was given.
    Hidden,
    /// All is transparent: the colours below were taken.
    AlphaIgnored,
    /// Of its 16 bits a number the upper ones are never used.
    Faint {
        /// The largest number.
        most: u16,
    },
    /// Much lies outside the crop.
    Cut {
        /// Share of the picture's area.
        share: f32,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnBlack => f.write_str(
                "the drawing is in its transparency alone and cannot be seen on white: black was put behind it; \
                 --background says otherwise",
            ),
            Self::Hidden => f.write_str(
                "the drawing is in its transparency alone and cannot be seen on this --background; give another",
            ),
            Self::AlphaIgnored => {
                f.write_str("all of it is transparent: its colours were taken as if it were not")
            }
            Self::Faint { most } => write!(
                f,
                "its 16-bit numbers end at {most} of 65535, so that it is nearly black; save it with the whole range"
            ),
            Self::Cut { share } => write!(
                f,
                "{:.0} % of it lies outside the middle that is looked at; --fit pad or stretch shows all",
                100.0 * share
            ),
        }
    }
}

/// Whether the numbers of a picture are those of a camera of 12 bits or fewer, in 16.
fn faint(image: &DynamicImage) -> Option<Remark> {
    let most = match image {
        DynamicImage::ImageLuma16(image) => image.as_raw().iter().max(),
        DynamicImage::ImageRgb16(image) => image.as_raw().iter().max(),
        _ => None,
    };
    most.filter(|most| (1..=4095).contains(*most)).map(|most| Remark::Faint { most: *most })
}

/// The longest sides (width, height) that fit into an image at the wanted proportions. One of the two is always the
/// image's own; neither is ever more than that.
fn crop((old_width, old_height): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    let scaled = |a: u32, b: u32, c: u32| (u64::from(a) * u64::from(b) / u64::from(c)).max(1);
    let crop_width = u64::from(old_width).min(scaled(old_height, width, height)) as u32;
    let crop_height = u64::from(old_height).min(scaled(old_width, height, width)) as u32;
    (crop_width, crop_height)
}

/// The bytes of an image brought to (width, height). `around` is what fills it up; otherwise what `border` says.
fn brought<P: Pixel<Subpixel = u8> + 'static>(
    fit: Fit,
    image: &image::ImageBuffer<P, Vec<u8>>,
    (width, height): (u32, u32),
    around: Option<P>,
    border: fn(&image::ImageBuffer<P, Vec<u8>>) -> P,
) -> Vec<u8> {
    let old = image.dimensions();
    if old == (width, height) {
        return image.as_raw().clone();
    }
    // Triangle averages over all the pixels that shrink into one, so nothing
    // flickers, and unlike Lanczos it leaves no ringing at the edges.
    let filter = imageops::FilterType::Triangle;
    match fit {
        Fit::Crop => {
            let (w, h) = crop(old, (width, height));
            let middle = image.view((old.0 - w) / 2, (old.1 - h) / 2, w, h);
            imageops::resize(&*middle, width, height, filter).into_raw()
        }
        Fit::Stretch => imageops::resize(image, width, height, filter).into_raw(),
        Fit::Pad => {
            // As large as it can be inside: what of the shape a crop of these proportions would keep.
            let (w, h) = crop((width, height), old);
            let around = around.unwrap_or_else(|| border(image));
            let mut whole = image::ImageBuffer::from_pixel(width, height, around);
            let small = imageops::resize(image, w, h, filter);
            let at = (i64::from((width - w) / 2), i64::from((height - h) / 2));
            imageops::replace(&mut whole, &small, at.0, at.1);
            whole.into_raw()
        }
    }
}

/// The level that half of an image's border is not above.
fn border_grey(image: &GrayImage) -> Luma<u8> {
    let [level] = border_of(image);
    Luma([level])
}

/// The same of each channel.
fn border_rgb(image: &RgbImage) -> Rgb<u8> {
    Rgb(border_of(image))
}

fn border_of<P: Pixel<Subpixel = u8>, const C: usize>(
    image: &image::ImageBuffer<P, Vec<u8>>,
) -> [u8; C] {
    let size = [image.height() as usize, image.width() as usize];
    std::array::from_fn(|c| border(image.as_raw(), size, C, c).unwrap_or_default())
}

/// The median of one channel on the border of `[H, W, C]` bytes; nothing of an image without pixels.
pub(crate) fn border(
    bytes: &[u8],
    [height, width]: [usize; 2],
    channels: usize,
    c: usize,
) -> Option<u8> {
    let at = |y: usize, x: usize| bytes.get((y * width + x) * channels + c).copied();
    let rows = (0..width).flat_map(|x| [at(0, x), at(height.wrapping_sub(1), x)]);
    let columns = (0..height).flat_map(|y| [at(y, 0), at(y, width.wrapping_sub(1))]);
    let mut levels: Vec<u8> = rows.chain(columns).flatten().collect();
    levels.sort_unstable();
    levels.get(levels.len() / 2).copied()
}
