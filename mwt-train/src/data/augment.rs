//! Augmentation: each training image varied anew every time that it is used (docs/METHOD.md, "Outer loop": reflect-pad and crop,
//! flip; rotation and resized crop for large images).

use ndarray::{Array3, ArrayView3};

use crate::settings::AugmentSettings;
use crate::util::random::Rng;

/// The random stream of the variations.
const AUGMENT_STREAM: u64 = 0x6175_676d;

impl AugmentSettings {
    /// A variation of an image `[H, W, C]`. It follows from the run's seed, the outer step and the image's place in the
    /// batch, so a resumed run sees the same ones.
    pub fn vary(
        &self,
        image: ArrayView3<'_, u8>,
        seed: u64,
        step: u64,
        place: usize,
    ) -> Array3<u8> {
        let stream = AUGMENT_STREAM ^ (step << 32) ^ ((place as u64) << 8);
        let view = View::random(self, image.dim(), &mut Rng::new(seed, stream));
        if self.rotate == 0.0 && self.crop == 1.0 {
            view.shifted(image)
        } else {
            view.resampled(image)
        }
    }
}

/// Where a varied image looks into the original.
#[derive(Clone, Copy, Debug)]
struct View {
    flip: bool,
    /// Whole pixels, (y, x).
    shift: [isize; 2],
    /// Rows of the map from the varied image to the original, about the centres of both.
    turn: [[f32; 2]; 2],
    /// Centre of what is seen, from the centre of the original, in pixels.
    centre: [f32; 2],
}

impl View {
    fn random(settings: &AugmentSettings, (h, w, _): (usize, usize, usize), rng: &mut Rng) -> Self {
        // Every number is drawn, whether it is used or not: settings then do not disturb each other.
        let flip = rng.below(2) == 1 && settings.flip;
        let mut shift = || rng.below(2 * settings.pad + 1) as isize - settings.pad as isize;
        let shift = [shift(), shift()];
        let angle = rng.between(-settings.rotate, settings.rotate).to_radians();
        let side = rng.between(settings.crop, 1.0).sqrt();
        let (sin, cos) = (angle.sin() * side, angle.cos() * side);
        let mut offset = |len: usize| rng.between(-1.0, 1.0) * (1.0 - side) * len as f32 / 2.0;
        let centre = [offset(h), offset(w)];
        Self { flip, shift, turn: [[cos, sin], [-sin, cos]], centre }
    }

    /// By whole pixels alone: every byte is one of the original's.
    fn shifted(&self, image: ArrayView3<'_, u8>) -> Array3<u8> {
        let (h, w, _) = image.dim();
        Array3::from_shape_fn(image.dim(), |(y, x, c)| {
            let x = if self.flip { w - 1 - x } else { x };
            let y = reflect(y as isize + self.shift[0], h);
            image[[y, reflect(x as isize + self.shift[1], w), c]]
        })
    }

    /// Between pixels, linearly.
    fn resampled(&self, image: ArrayView3<'_, u8>) -> Array3<u8> {
        let (h, w, _) = image.dim();
        let middle = [(h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0];
        Array3::from_shape_fn(image.dim(), |(y, x, c)| {
            let x = if self.flip { w - 1 - x } else { x };
            let from = [y as f32 - middle[0], x as f32 - middle[1]];
            let at = |axis: usize| {
                let turned = self.turn[axis][0] * from[0] + self.turn[axis][1] * from[1];
                turned + middle[axis] + self.centre[axis] + self.shift[axis] as f32
            };
            let (y, x) = (at(0), at(1));
            let (top, left) = (y.floor(), x.floor());
            let (down, right) = (y - top, x - left);
            let pixel = |dy: isize, dx: isize| {
                let (y, x) = (reflect(top as isize + dy, h), reflect(left as isize + dx, w));
                f32::from(image[[y, x, c]])
            };
            let row = |dy| pixel(dy, 0) * (1.0 - right) + pixel(dy, 1) * right;
            (row(0) * (1.0 - down) + row(1) * down).round() as u8
        })
    }
}

/// The place in `0..len` that `at` reaches by reflection at the first and the last one, which are not repeated.
fn reflect(at: isize, len: usize) -> usize {
    let last = len as isize - 1;
    if last <= 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    (if at > last { 2 * last - at } else { at }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(h: usize, w: usize) -> Array3<u8> {
        Array3::from_shape_fn((h, w, 2), |(y, x, c)| (10 * y + x + 100 * c) as u8)
    }

    #[test]
    fn reflects_as_pytorch_pads() {
        // torch.nn.functional.pad(torch.arange(4.)[None], (3, 3), "reflect")
        let padded: Vec<_> = (-3..7).map(|at| reflect(at, 4)).collect();
        assert_eq!(padded, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert!((-9..9).all(|at| reflect(at, 1) == 0));
    }

    #[test]
    fn off_is_the_image_itself() {
        let image = ramp(5, 6);
        assert_eq!(AugmentSettings::default().vary(image.view(), 1, 2, 3), image);
        // The path between pixels agrees with it where nothing turns.
        let still =
            View { flip: false, shift: [0; 2], turn: [[1.0, 0.0], [0.0, 1.0]], centre: [0.0; 2] };
        assert_eq!(still.resampled(image.view()), image);
        let moved = View { flip: true, shift: [2, -3], ..still };
        assert_eq!(moved.resampled(image.view()), moved.shifted(image.view()));
    }

    #[test]
    fn a_quarter_turn_moves_every_pixel() {
        let image = ramp(5, 5);
        let turn =
            View { flip: false, shift: [0; 2], turn: [[0.0, 1.0], [-1.0, 0.0]], centre: [0.0; 2] };
        let turned = turn.resampled(image.view());
        for (y, x) in (0..5).flat_map(|y| (0..5).map(move |x| (y, x))) {
            assert_eq!(turned[[y, x, 0]], image[[x, 4 - y, 0]]);
        }
    }

    #[test]
    fn variations_cover_their_range_and_follow_from_the_seed() {
        let image = ramp(9, 9);
        let settings = AugmentSettings { pad: 1, flip: true, ..AugmentSettings::default() };
        let vary = |seed, step, place| settings.vary(image.view(), seed, step, place);
        assert_eq!(vary(1, 2, 3), vary(1, 2, 3));
        // Nine shifts, each mirrored or not.
        let mut seen: Vec<_> =
            (0..400).map(|step| vary(1, step, 0).into_raw_vec_and_offset().0).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 18);
        let all = AugmentSettings { rotate: 30.0, crop: 0.5, ..settings };
        let (first, second) = (all.vary(image.view(), 1, 0, 0), all.vary(image.view(), 1, 0, 1));
        assert!(first != second && first != image);
    }
}
