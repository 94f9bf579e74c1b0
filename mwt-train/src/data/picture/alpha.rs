//! A picture that is transparent in places, on a background.

use image::{DynamicImage, ImageBuffer, Pixel, Primitive, Rgb, Rgba};

use crate::util::colour::Colour;

/// Levels of 255 by which the pixels of a picture must differ for anything to be seen.
const SEEN: u8 = 16;

/// Where a picture's alpha leaves a choice: what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The picture is opaque, or can be seen on its background.
    Plain,
    /// On white nothing could be seen, so black is behind it.
    Black,
    /// Nothing can be seen on the background that was asked for.
    Hidden,
    /// All of it is transparent: its alpha was left out.
    Ignored,
}

/// The picture on a background, without alpha. On the background that is given; where none is, on white, or on black
/// where on white nothing could be seen: white lines on nothing are as common as black ones.
pub(crate) fn compose(image: DynamicImage, background: Option<Colour>) -> (DynamicImage, Ground) {
    let colour = image.color();
    if !colour.has_alpha() {
        return (image, Ground::Plain);
    }
    if colour.bytes_per_pixel() == colour.channel_count() {
        let (image, ground) = on_ground(&image.into_rgba8(), background, |n| n as u8);
        (image.into(), ground)
    } else {
        let (image, ground) = on_ground(&image.into_rgba16(), background, |n| n as u16);
        (image.into(), ground)
    }
}

/// A picture whose numbers are `S`, which `narrow` makes of those that fit.
fn on_ground<S: Primitive + Into<u64>>(
    image: &ImageBuffer<Rgba<S>, Vec<S>>,
    background: Option<Colour>,
    narrow: impl Fn(u64) -> S,
) -> (ImageBuffer<Rgb<S>, Vec<S>>, Ground)
where
    Rgba<S>: Pixel<Subpixel = S>,
    Rgb<S>: Pixel<Subpixel = S>,
{
    let most: u64 = S::DEFAULT_MAX_VALUE.into();
    let full = |level: u8| u64::from(level) * (most / 255);
    let over = |pixel: &Rgba<S>, ground: [u8; 3]| -> [u64; 3] {
        let [colour @ .., alpha] = pixel.0.map(Into::into);
        std::array::from_fn(|c| {
            let sum = colour[c] * alpha + full(ground[c]) * (most - alpha);
            (sum + most / 2) / most
        })
    };
    // The largest difference between two pixels on a ground, over the channels.
    let seen = |ground: [u8; 3]| {
        let (mut low, mut high) = ([most; 3], [0; 3]);
        for pixel in image.pixels() {
            for (c, value) in over(pixel, ground).into_iter().enumerate() {
                (low[c], high[c]) = (value.min(low[c]), value.max(high[c]));
            }
        }
        (0..3).any(|c| high[c] >= low[c] + full(SEEN))
    };
    let (white, black) = ([255; 3], [0; 3]);
    let wanted = background.map_or(white, |colour| colour.0);
    let alpha = |pixel: &Rgba<S>| -> u64 { pixel.0[3].into() };
    let (ground, word) = if image.pixels().all(|p| alpha(p) == most) {
        (wanted, Ground::Plain)
    } else if image.pixels().all(|p| alpha(p) == 0) {
        (wanted, Ground::Ignored)
    } else if seen(wanted) {
        (wanted, Ground::Plain)
    } else if background.is_none() && seen(black) {
        (black, Ground::Black)
    } else if seen(black) || seen(white) {
        (wanted, Ground::Hidden)
    } else {
        // There is nothing to be seen on any.
        (wanted, Ground::Plain)
    };
    let composed = ImageBuffer::from_fn(image.width(), image.height(), |x, y| {
        let pixel = image.get_pixel(x, y);
        match word {
            Ground::Ignored => Rgb([pixel.0[0], pixel.0[1], pixel.0[2]]),
            _ => Rgb(over(pixel, ground).map(&narrow)),
        }
    });
    (composed, word)
}

#[cfg(test)]
mod tests {
    use image::{LumaA, RgbaImage};

    use super::*;

    /// Two pixels: these colours and alphas.
    fn pair(a: [u8; 4], b: [u8; 4]) -> DynamicImage {
        RgbaImage::from_fn(2, 1, |x, _| Rgba(if x == 0 { a } else { b })).into()
    }

    fn composed(image: DynamicImage, background: Option<[u8; 3]>) -> (Vec<u8>, Ground) {
        let (image, ground) = compose(image, background.map(Colour));
        assert!(!image.color().has_alpha());
        (image.into_rgb8().into_raw(), ground)
    }

    #[test]
    fn what_is_transparent_shows_white() {
        let image = || pair([0, 0, 0, 255], [0, 0, 0, 0]);
        assert_eq!(composed(image(), None), (vec![0, 0, 0, 255, 255, 255], Ground::Plain));
        assert_eq!(
            composed(image(), Some([10, 20, 30])),
            (vec![0, 0, 0, 10, 20, 30], Ground::Plain)
        );
        // Half of 100 on white: 100 · 128/255 + 255 · 127/255, rounded.
        let half = pair([100, 100, 100, 128], [0, 0, 0, 255]);
        assert_eq!(composed(half, None).0, [177, 177, 177, 0, 0, 0]);
    }

    #[test]
    fn white_on_nothing_is_seen_on_black() {
        let image = || pair([255; 4], [255, 255, 255, 0]);
        assert_eq!(composed(image(), None), (vec![255, 255, 255, 0, 0, 0], Ground::Black));
        assert_eq!(composed(image(), Some([255; 3])).1, Ground::Hidden);
        let grey = image::ImageBuffer::from_fn(2, 1, |x, _| LumaA([250u8, x as u8 * 255]));
        assert_eq!(composed(grey.into(), None), (vec![0, 0, 0, 250, 250, 250], Ground::Black));
    }

    #[test]
    fn a_picture_that_is_all_transparent_keeps_its_colours() {
        let image = pair([1, 2, 3, 0], [4, 5, 6, 0]);
        assert_eq!(composed(image, None), (vec![1, 2, 3, 4, 5, 6], Ground::Ignored));
        // And one that has nothing to see stays what it is.
        assert_eq!(composed(pair([255; 4], [255; 4]), None), (vec![255; 6], Ground::Plain));
    }

    #[test]
    fn sixteen_bits_are_composed_as_such() {
        let image: DynamicImage =
            image::ImageBuffer::from_fn(2, 1, |x, _| LumaA([0x1234u16, x as u16 * 0x8000])).into();
        let (image, ground) = compose(image, None);
        assert_eq!(ground, Ground::Plain);
        // 0x1234 · 0x8000/0xffff + 0xffff · 0x7fff/0xffff, rounded.
        assert_eq!(image.into_rgb16().into_raw(), [0xffff, 0xffff, 0xffff, 0x8919, 0x8919, 0x8919]);
    }
}
