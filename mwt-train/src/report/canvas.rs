//! Lines and text on a picture.

use image::{Rgb, RgbImage};

use super::letters;

/// Height of a line of text in pixels.
pub(super) const LINE: u32 = letters::HEIGHT;

/// What a character stands on.
pub(super) const INK: Rgb<u8> = Rgb([40, 44, 52]);
/// Axes and grids.
pub(super) const PALE: Rgb<u8> = Rgb([222, 226, 232]);
/// The ground of all pictures.
pub(super) const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// Mixes a colour into a pixel; outside the picture nothing is there to mix.
fn mix(picture: &mut RgbImage, x: i64, y: i64, colour: Rgb<u8>, share: f32) {
    let at = u32::try_from(x).ok().zip(u32::try_from(y).ok());
    let Some(pixel) = at.and_then(|(x, y)| picture.get_pixel_mut_checked(x, y)) else { return };
    for (below, above) in pixel.0.iter_mut().zip(colour.0) {
        *below = (f32::from(*below) * (1.0 - share) + f32::from(above) * share) as u8;
    }
}

/// Writes a text with its upper left corner at (x, y).
pub(super) fn text(picture: &mut RgbImage, x: i64, y: i64, text: &str, colour: Rgb<u8>) {
    letters::draw(text, |right, down, cover| {
        mix(picture, x + i64::from(right), y + i64::from(down), colour, cover);
    });
}

/// Writes a text upwards, with its lower left corner at (x, y).
pub(super) fn text_up(picture: &mut RgbImage, x: i64, y: i64, text: &str, colour: Rgb<u8>) {
    letters::draw(text, |right, down, cover| {
        mix(picture, x + i64::from(down), y - i64::from(right), colour, cover);
    });
}

/// A line of `thick` pixels between two points, with soft edges.
pub(super) fn line(
    picture: &mut RgbImage,
    (x0, y0): (f32, f32),
    (x1, y1): (f32, f32),
    thick: f32,
    colour: Rgb<u8>,
) {
    let (dx, dy) = (x1 - x0, y1 - y0);
    let squared = (dx * dx + dy * dy).max(1e-9);
    let reach = thick / 2.0 + 1.0;
    let columns = (x0.min(x1) - reach) as i64..=(x0.max(x1) + reach) as i64;
    let rows = (y0.min(y1) - reach) as i64..=(y0.max(y1) + reach) as i64;
    for y in rows {
        for x in columns.clone() {
            let (px, py) = (x as f32 + 0.5 - x0, y as f32 + 0.5 - y0);
            let along = ((px * dx + py * dy) / squared).clamp(0.0, 1.0);
            let distance = (px - along * dx).hypot(py - along * dy);
            let share = (thick / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
            if share > 0.0 {
                mix(picture, x, y, colour, share);
            }
        }
    }
}

/// Fills a rectangle.
pub(super) fn fill(picture: &mut RgbImage, x: u32, y: u32, w: u32, h: u32, colour: Rgb<u8>) {
    for y in y..(y + h).min(picture.height()) {
        for x in x..(x + w).min(picture.width()) {
            picture.put_pixel(x, y, colour);
        }
    }
}
