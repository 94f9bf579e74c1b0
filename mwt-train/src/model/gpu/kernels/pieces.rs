//! Many small sums and copies as one launch.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, over_lanes};

/// Writes pieces side by side into `out` `[R, ·]`, from the column `start` on. A piece is the sum of tensors `[G, R, C]`,
/// which are summed over G too: in the same order each time.
///
/// The cubes along z have a piece each. Where a sum is long (`summed`), a cube has [`COLUMNS`] columns and its lanes share
/// the terms; where it is not, every thread has a column.
#[cube(launch)]
pub(in crate::model::gpu) fn pack(
    pieces: &Sequence<Sequence<Tensor<f32>>>,
    out: &mut Tensor<f32>,
    start: u32,
    #[comptime] summed: bool,
) {
    let mut lanes = SharedMemory::<f32>::new(comptime!((COLUMNS * LANES) as usize));
    let r = CUBE_POS_Y as usize;
    let across = comptime!(if summed { COLUMNS } else { COLUMNS * LANES });
    let step = comptime!(if summed { LANES as usize } else { 1 });
    let (column, first) = if summed { (UNIT_POS_X, UNIT_POS_Y) } else { (UNIT_POS, u32::new(0)) };
    let c = (CUBE_POS_X * across + column) as usize;
    let mut before = start as usize;
    let mut place = 0usize;
    let mut inside = false;
    let mut total = f32::new(0.0);
    #[unroll]
    for piece in 0..comptime![pieces.len()] {
        let terms = pieces[piece].clone();
        let columns = terms[0].shape(2);
        if CUBE_POS_Z as usize == piece {
            inside = c < columns;
            place = before + c;
            if inside {
                #[unroll]
                for term in 0..comptime![terms.len()] {
                    let tensor = &terms[term];
                    let at = r * tensor.stride(1) + c * tensor.stride(2);
                    let mut g = first as usize;
                    while g < tensor.shape(0) {
                        total += tensor[at + g * tensor.stride(0)];
                        g += step;
                    }
                }
            }
        }
        before += columns;
    }
    if summed {
        total = over_lanes(&mut lanes, total);
        inside = inside && UNIT_POS_Y == 0;
    }
    if inside {
        let place = r * out.stride(0) + place * out.stride(1);
        out[place] = total;
    }
}
