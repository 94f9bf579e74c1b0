//! The memory that a cube fits an image in, and the products between its parts.
//!
//! A cube goes over an image's pixels [`ROWS`] at a time, as the CPU's tiles do: all activations of these and their
//! adjoints take less than a megabyte, which stays in the second-level cache. So do φ and what it gathers, which no
//! multiprocessor's own memory would hold.

use cubecl::prelude::*;

/// Threads of a cube.
pub(in crate::model::gpu) const THREADS: u32 = 256;
/// Pixels of a tile.
pub(super) const ROWS: usize = 32;
/// Terms of a product's sums that a cube holds at once.
const DEPTH: usize = 32;
/// A thread has four rows of a product, so many apart.
const DOWN: usize = 8;
/// And four columns, so many apart: neighbouring threads then read neighbouring values.
const ACROSS: usize = 32;
/// Rows and columns of a product that a cube computes at once.
const BLOCK: [usize; 2] = [4 * DOWN, 4 * ACROSS];
/// Between two terms in shared memory: one more than there are, so that no two threads meet in a bank.
const APART: [usize; 2] = [DOWN + 1, ACROSS + 1];

/// Four rows or columns.
type Four = Vector<f32, Const<4>>;

/// A model's sizes, and with them where everything lies in an image's work memory, counted in values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::model::gpu) struct Sizes {
    /// E.
    pub(in crate::model::gpu) axes: usize,
    /// D.
    pub(in crate::model::gpu) dim: usize,
    /// L.
    pub(in crate::model::gpu) hidden_layers: usize,
    /// C.
    pub(in crate::model::gpu) channels: usize,
}

impl Sizes {
    /// |θ|.
    pub(in crate::model::gpu) fn theta(self) -> usize {
        self.weight(self.hidden_layers + 1)
    }

    /// Wo, bo and out_scale.
    pub(in crate::model::gpu) fn head(self) -> usize {
        self.channels * (self.dim + 2)
    }

    /// Where W_l begins in θ.
    pub(super) fn weight(self, layer: usize) -> usize {
        if layer == 0 { 0 } else { self.first() + (layer - 1) * self.layer() }
    }

    /// Values of the first layer.
    pub(super) fn first(self) -> usize {
        (self.axes + 1) * self.dim
    }

    /// Values of a hidden layer.
    pub(super) fn layer(self) -> usize {
        (self.dim + 1) * self.dim
    }

    /// Values of an activation of a tile.
    pub(super) fn tile(self) -> usize {
        ROWS * self.dim
    }

    /// An activation of all layers, one of [`Each`], begins.
    pub(super) fn each(self, each: Each) -> usize {
        (each as usize) * (self.hidden_layers + 1) * self.tile()
    }

    /// One of [`Once`] begins.
    pub(super) fn once(self, once: Once) -> usize {
        let activations = self.each(Each::Count);
        let large = self.tile();
        let small = ROWS * self.channels;
        match once {
            Once::Bar => activations,
            Once::Q => activations + large,
            Once::Error => activations + large + small,
            Once::YBar => activations + large + 2 * small,
            Once::Head => activations + large + 3 * small,
            Once::Phi => activations + large + 3 * small + self.head(),
            Once::Given => self.once(Once::Phi) + self.theta(),
            Once::Sums => self.once(Once::Given) + self.theta(),
        }
    }

    /// All of it.
    pub(in crate::model::gpu) fn work(self) -> usize {
        self.once(Once::Sums) + self.theta()
    }
}

/// What each layer has of a tile, `[L+1][ROWS, D]`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Each {
    /// h_l.
    Sine,
    /// cos a_l.
    Cosine,
    /// δ_l.
    Delta,
    /// u_l.
    U,
    /// h̄_l.
    SineBar,
    /// δ̄_l.
    DeltaBar,
    /// ā_l.
    ABar,
    Count,
}

/// What there is once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Once {
    /// ū or z̄ of the layer at hand, `[ROWS, D]`.
    Bar,
    /// q = h_L·Woᵀ + bo, `[ROWS, C]`.
    Q,
    /// e = q ⊙ out_scale - target, `[ROWS, C]`.
    Error,
    /// ȳ, `[ROWS, C]`.
    YBar,
    /// The gradient of Wo, bo and out_scale.
    Head,
    /// φ.
    Phi,
    /// ḡ, like φ.
    Given,
    /// What is gathered over the tiles, like φ: the gradient, or what the step adds to φ̄.
    Sums,
}

/// Which factors of a product are swapped, and whether it is added to what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct How {
    pub(super) left_swapped: bool,
    pub(super) right_swapped: bool,
    pub(super) add: bool,
}

/// x·W.
pub(super) const TIMES: How = How { left_swapped: false, right_swapped: false, add: false };
/// x·Wᵀ.
pub(super) const TIMES_SWAPPED: How = How { right_swapped: true, ..TIMES };
/// Σ xᵀ·v.
pub(super) const ADD_OUTER: How = How { left_swapped: true, add: true, ..TIMES };

/// A product's factors in shared memory, as many terms of each as [`DEPTH`].
#[derive(CubeType)]
pub(super) struct Held {
    left: SharedMemory<Four>,
    right: SharedMemory<Four>,
}

#[cube]
impl Held {
    pub(super) fn new() -> Held {
        Held {
            left: SharedMemory::<Four>::new(comptime!(DEPTH * APART[0])),
            right: SharedMemory::<Four>::new(comptime!(DEPTH * APART[1])),
        }
    }
}

/// left·right `[rows, D]` of sums of `terms`, from `out` on, or added to what is there. Both factors have rows of D values,
/// or columns where they are swapped. What they are read from has to be there for all threads ([`sync_storage`]), as the
/// product is afterwards.
#[cube]
pub(super) fn product(
    work: &mut Tensor<f32>,
    held: &mut Held,
    left: usize,
    right: usize,
    out: usize,
    rows: usize,
    terms: usize,
    #[comptime] dim: usize,
    #[comptime] how: How,
) {
    let thread = UNIT_POS_X as usize;
    // A warp has 4 × 8 neighbours, which read as little as they can.
    let (down, across) = (thread / 8 % 4 + thread / 128 * 4, thread % 8 + thread / 32 % 4 * 8);
    let mut row = 0usize;
    while row < rows {
        let mut column = 0usize;
        while column < dim {
            let mut sums = Array::<Four>::new(4usize);
            #[unroll]
            for i in 0..4usize {
                sums[i] = Four::new(0.0);
            }
            let mut term = 0usize;
            while term < terms {
                sync_cube();
                hold_left(work, held, left, row, term, rows, terms, dim, how.left_swapped);
                hold_right(work, held, right, term, column, terms, dim, how.right_swapped);
                sync_cube();
                for k in 0..DEPTH {
                    let l = held.left[k * comptime!(APART[0]) + down];
                    let r = held.right[k * comptime!(APART[1]) + across];
                    #[unroll]
                    for i in 0..4usize {
                        sums[i] = fma(Four::new(l[i]), r, sums[i]);
                    }
                }
                term += DEPTH;
            }
            #[unroll]
            for i in 0..4usize {
                let r = row + down + i * DOWN;
                #[unroll]
                for j in 0..4usize {
                    let c = column + across + j * ACROSS;
                    if r < rows && c < dim {
                        let place = out + r * dim + c;
                        if how.add {
                            work[place] += sums[i][j];
                        } else {
                            work[place] = sums[i][j];
                        }
                    }
                }
            }
            column += comptime!(BLOCK[1]);
        }
        row += comptime!(BLOCK[0]);
    }
    sync_storage();
}

/// Where a factor's value lies.
#[cube]
fn place(
    start: usize,
    row: usize,
    column: usize,
    #[comptime] dim: usize,
    #[comptime] swapped: bool,
) -> usize {
    if swapped { start + column * dim + row } else { start + row * dim + column }
}

/// Holds the left factor's rows from `row` on and terms from `term` on: a thread four rows of one term.
#[cube]
fn hold_left(
    work: &Tensor<f32>,
    held: &mut Held,
    left: usize,
    row: usize,
    term: usize,
    rows: usize,
    terms: usize,
    #[comptime] dim: usize,
    #[comptime] swapped: bool,
) {
    let thread = UNIT_POS_X as usize;
    let (k, down) =
        if swapped { (thread / DOWN, thread % DOWN) } else { (thread % DEPTH, thread / DEPTH) };
    let mut four = Four::new(0.0);
    #[unroll]
    for i in 0..4usize {
        let r = row + down + i * DOWN;
        if r < rows && term + k < terms {
            four[i] = work[place(left, r, term + k, dim, swapped)];
        }
    }
    held.left[k * comptime!(APART[0]) + down] = four;
}

/// Holds the right factor's terms from `term` on and columns from `column` on: a thread four columns of four terms.
#[cube]
fn hold_right(
    work: &Tensor<f32>,
    held: &mut Held,
    right: usize,
    term: usize,
    column: usize,
    terms: usize,
    #[comptime] dim: usize,
    #[comptime] swapped: bool,
) {
    #[unroll]
    for turn in 0..4usize {
        let thread = UNIT_POS_X as usize + turn * THREADS as usize;
        let (k, across) = if swapped {
            (thread % DEPTH, thread / DEPTH)
        } else {
            (thread / ACROSS, thread % ACROSS)
        };
        let mut four = Four::new(0.0);
        #[unroll]
        for j in 0..4usize {
            let c = column + across + j * ACROSS;
            if term + k < terms && c < dim {
                four[j] = work[place(right, term + k, c, dim, swapped)];
            }
        }
        held.right[k * comptime!(APART[1]) + across] = four;
    }
}
