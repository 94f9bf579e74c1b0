//! [`Pieces`] with views, and with one kernel for many pieces.

use std::ops::Range;

use burn::tensor::{Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::{CubeCount, SequenceArg};
use cubecl::zspace::metadata::Metadata;

use super::kernels::{COLUMNS, LANES, pieces as kernels};
use super::{DIM, tensor};
use crate::model::operation::primitive;
use crate::model::pieces::{Pieces, Terms, packed};

/// Tensors that a launch takes at most: a device lets a kernel read that many and more.
const TENSORS: usize = 14;

impl<R, F, I, T> Pieces for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    /// burn's own slice is a view only where both of its ends are aligned; a kernel needs no more than its start to be.
    fn piece(flat: &Tensor<Self, 1>, range: Range<usize>) -> Tensor<Self, 1> {
        let mut piece = primitive(flat.clone());
        let (size, stride) = (piece.dtype.size() as u64, piece.meta.strides()[0] as u64);
        let place = |value: usize| value as u64 * stride * size;
        if !place(range.start).is_multiple_of(piece.client.properties().memory.alignment) {
            return flat.clone().slice(range);
        }
        let behind = piece.meta.shape()[0] - range.end;
        piece.handle = piece.handle.offset_start(place(range.start)).offset_end(place(behind));
        let strides = piece.meta.strides().clone();
        piece.meta = Box::new(Metadata::new(Shape::from([range.len()]), strides));
        tensor(piece)
    }

    fn pack(into: Tensor<Self, 2>, start: usize, pieces: Vec<Terms<Self>>) -> Tensor<Self, 2> {
        let out = primitive(into);
        // Written in place, if nobody else looks at it.
        let out = if out.can_mut() { out } else { out.copy() };
        let mut start = start;
        let mut batch = Vec::<Terms<Self>>::new();
        for terms in pieces {
            let terms = few(terms);
            if batch.iter().map(Vec::len).sum::<usize>() + terms.len() > TENSORS {
                launch(&out, &mut start, std::mem::take(&mut batch));
            }
            batch.push(terms);
        }
        launch(&out, &mut start, batch);
        tensor(out)
    }
}

/// The same sum of no more terms than a launch takes.
fn few<B: Pieces>(mut terms: Terms<B>) -> Terms<B> {
    while terms.len() > TENSORS {
        let sums = terms.chunks(TENSORS).map(|terms| packed(vec![terms.to_vec()]).unsqueeze());
        terms = sums.collect();
    }
    terms
}

/// Writes pieces to `out` from the column `start` on, and moves it behind them.
fn launch<R, F, I, T>(
    out: &CubeTensor<R>,
    start: &mut usize,
    pieces: Vec<Terms<CubeBackend<R, F, I, T>>>,
) where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    let count = pieces.len() as u32;
    let (mut widest, mut columns, mut summed) = (0, 0, false);
    let mut arguments = SequenceArg::new();
    for terms in pieces {
        let mut sequence = SequenceArg::new();
        let [_, _, width] = terms[0].dims();
        (widest, columns) = (widest.max(width), columns + width);
        for term in terms {
            let [groups, _, _] = term.dims();
            summed |= groups > 1;
            sequence.push(primitive(term).into_tensor_arg());
        }
        arguments.push(sequence);
    }
    let across = if summed { COLUMNS } else { COLUMNS * LANES };
    let rows = out.meta.shape()[0] as u32;
    kernels::pack::launch::<R>(
        &out.client,
        CubeCount::Static((widest as u32).div_ceil(across), rows, count),
        DIM,
        arguments,
        out.clone().into_tensor_arg(),
        *start as u32,
        summed,
    );
    *start += columns;
}
