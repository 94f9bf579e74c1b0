//! Products and kernels of a GPU back end against the host and against ordinary tensor operations, over shapes that fill
//! their cubes and that do not, and over every way in which an input may lie in memory.

mod attention;
mod inner_loop;
mod pieces;
mod pointwise;
mod rowwise;
mod update;

pub(crate) use inner_loop::inner_loops_are_the_same;

use burn::tensor::{Distribution, Tensor};
use mwt_tests::assert_close;
use mwt_tests::train::Tested;
use mwt_train::model::params::host;
use mwt_train::settings::Precision;

/// How an input lies in memory.
#[derive(Clone, Copy, Debug)]
enum Lies {
    /// Row after row.
    Whole,
    /// As columns of a wider tensor: CUDA pads rows, which Vulkan does not.
    Wider,
    /// With its last two dimensions swapped.
    Swapped,
}

impl Lies {
    const ALL: [Self; 3] = [Self::Whole, Self::Wider, Self::Swapped];

    /// Values between -`most` and `most`.
    fn random<B: Tested, const R: usize>(self, mut shape: [usize; R], most: f64) -> Tensor<B, R> {
        let draw = |shape: [usize; R]| {
            Tensor::random(shape, Distribution::Uniform(-most, most), &B::Device::default())
        };
        match self {
            Self::Whole => draw(shape),
            Self::Wider => {
                // Both ends on an address that a view may have on any device.
                let (start, columns) = (128, shape[R - 1]);
                shape[R - 1] = start + columns + 128;
                draw(shape).slice_dim(R - 1, start..start + columns)
            }
            Self::Swapped => {
                shape.swap(R - 2, R - 1);
                draw(shape).swap_dims(R - 2, R - 1)
            }
        }
    }

    /// The same of one dimension: a piece of a longer one, or all of it.
    fn vector<B: Tested>(self, len: usize, most: f64) -> Tensor<B, 1> {
        let draw = self.random::<B, 2>([1, len], most);
        B::piece(&draw.reshape([len]), 0..len)
    }
}

/// The kernels against ordinary tensor operations.
pub(crate) fn equal_tensor_operations<B: Tested>() {
    for shape in [[1, 1, 1], [2, 13, 20], [3, 8, 32], [1, 70, 33], [2, 133, 64]] {
        for lies in Lies::ALL {
            pointwise::kernels::<B>(shape, lies);
            rowwise::kernels::<B>(shape, lies);
            pieces::kernels::<B>(shape, lies);
        }
        pointwise::readout::<B>(shape);
    }
    attention::kernels::<B>();
    pieces::many::<B>();
    update::kernels::<B>();
}

/// Asserts that tensors have the same shapes and values.
fn same<B: Tested, const R: usize, const COUNT: usize>(
    what: &str,
    got: [Tensor<B, R>; COUNT],
    want: [Tensor<B, R>; COUNT],
    within: f32,
) {
    for (at, (got, want)) in got.into_iter().zip(want).enumerate() {
        let what = format!("{what}, {at}, {:?}", want.dims());
        assert_eq!(got.dims(), want.dims(), "{what}");
        assert_close(&what, &host(got), &host(want), within);
    }
}

/// Exact products against those of the host: matrices as they come, as narrow as the coordinates and as tall as a batch,
/// as many on both sides or one on one of them.
pub(crate) fn exact_products<B: Tested>() {
    let shapes = [[1, 1, 1, 1], [2, 33, 2, 32], [3, 196, 32, 3], [1, 5, 700, 17], [2, 64, 64, 64]];
    for [n, m, k, columns] in shapes {
        for lies in [
            [Lies::Wider, Lies::Wider],
            [Lies::Swapped, Lies::Wider],
            [Lies::Wider, Lies::Swapped],
            [Lies::Swapped, Lies::Whole],
        ] {
            for [on_left, on_right] in [[n, n], [1, n], [n, 1]] {
                let a = lies[0].random::<B, 3>([on_left, m, k], 1.0);
                let b = lies[1].random::<B, 3>([on_right, k, columns], 1.0);
                let (left, right) = (host(a.clone()), host(b.clone()));
                let mut want = vec![0.0f32; n * m * columns];
                for (at, want) in want.iter_mut().enumerate() {
                    let (image, row, column) = (at / (m * columns), at / columns % m, at % columns);
                    let term = |i: usize| {
                        let a = left[(image % on_left * m + row) * k + i];
                        let b = right[(image % on_right * k + i) * columns + column];
                        f64::from(a) * f64::from(b)
                    };
                    *want = (0..k).map(term).sum::<f64>() as f32;
                }
                let got = host(B::product(a, b, Precision::F32));
                // A sum of k values below 1, in f32; TF32 would be 5e-4 off in every factor.
                let what = format!("{on_left}, {on_right}×{m}×{k}×{columns}, {lies:?}");
                assert_close(&what, &got, &want, 1e-6 * k as f32 + 1e-6);
            }
        }
    }
}
