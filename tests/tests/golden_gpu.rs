//! The trainer on a GPU back end, or on a software implementation of one, against the golden vectors.
//!
//! `cargo test --profile quick -p mwt-tests --no-default-features --features wgpu,cuda`. On a machine without a device the
//! tests say so and pass, unless MWT_REQUIRE_GPU names the back end.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

use burn::tensor::{Distribution, Tensor};
use mwt_tests::assert_close;
use mwt_tests::train::Tested;
use mwt_train::model::params::host;
use mwt_train::model::pointwise;

/// The tests of a back end.
macro_rules! tests {
    ($module:ident, $name:ident, $within:expr) => {
        mod $module {
            use burn::backend::$name as Gpu;
            use mwt_tests::golden;
            use mwt_tests::train::{Way, assert_forward, assert_gradients, assert_outer_steps};
            use mwt_train::backend::BackendName;

            /// Runs a test where there is a device.
            fn on_device(test: &str, run: impl FnOnce()) {
                let required = std::env::var("MWT_REQUIRE_GPU");
                match BackendName::$name.check() {
                    Ok(()) => run(),
                    Err(why) if required.as_deref() == Ok(stringify!($module)) => panic!("{why}"),
                    Err(why) => eprintln!("skipped {test}: {why}"),
                }
            }

            #[test]
            fn nano_forward() {
                on_device("nano_forward", || {
                    let golden = golden("nano");
                    Way::ALL
                        .into_iter()
                        .for_each(|way| assert_forward::<Gpu>(&golden, way, $within));
                });
            }

            #[test]
            fn nano_gradients() {
                on_device("nano_gradients", || {
                    let golden = golden("nano");
                    Way::ALL
                        .into_iter()
                        .for_each(|way| assert_gradients::<Gpu>(&golden, way, $within));
                });
            }

            #[test]
            fn micro_gradients() {
                on_device("micro_gradients", || {
                    assert_gradients::<Gpu>(&golden("micro"), Way::Own, $within);
                });
            }

            #[test]
            fn nano_outer_steps() {
                on_device("nano_outer_steps", || assert_outer_steps::<Gpu>(&golden("nano")));
            }

            #[test]
            fn kernels_equal_tensor_operations() {
                on_device("kernels_equal_tensor_operations", || super::kernels::<Gpu>());
            }
        }
    };
}

// burn's erf on GPUs is a polynomial of 1.5e-7: in gradients that nearly cancel out, those of the norm before gelu, it
// shows.
#[cfg(feature = "wgpu")]
tests!(wgpu, Wgpu, mwt_tests::train::Tolerances { gradient: 1e-3, ..mwt_tests::train::F32 });
// A matrix product may take its inputs as TF32, of 11 significant bits, where autotuning finds that faster.
#[cfg(feature = "cuda")]
tests!(
    cuda,
    Cuda,
    mwt_tests::train::Tolerances {
        offsets: 1e-3,
        tokens: 0.5,
        logits: 1e-2,
        losses: 1e-3,
        gradient: 2e-2
    }
);

/// The kernels against ordinary tensor operations over shapes that fill their cubes and that do not.
fn kernels<B: Tested>() {
    for shape in [[1, 1, 1], [2, 13, 20], [3, 8, 32], [1, 70, 33], [2, 33, 64]] {
        compare::<B>(shape);
    }
}

fn compare<B: Tested>([n, p, d]: [usize; 3]) {
    let device = B::Device::default();
    let draw =
        |p: usize| Tensor::<B, 3>::random([n, p, d], Distribution::Uniform(-1.5, 1.5), &device);
    let [a, b, c, e] = std::array::from_fn(|_| draw(p));
    // Not contiguous: what a kernel is handed may be a view.
    let swapped = draw(p).swap_dims(1, 2).reshape([n, d, p]).swap_dims(1, 2);
    let bias = draw(1);
    let same = |what: &str, got: [Tensor<B, 3>; 2], want: [Tensor<B, 3>; 2], within: f32| {
        for (got, want) in got.into_iter().zip(want) {
            assert_eq!(got.dims(), want.dims());
            assert_close(&format!("{what} {n}×{p}×{d}"), &host(got), &host(want), within);
        }
    };
    for z in [a.clone(), swapped.clone()] {
        let want = pointwise::sine(z.clone(), bias.clone(), 10.0);
        // Sines of angles up to 30.
        same("sine", B::sine(z, bias.clone(), 10.0), want, 1e-5);
    }
    for (a_bar, more) in
        [(None, None), (Some(b.clone()), None), (None, Some(swapped.clone())), (Some(b), Some(e))]
    {
        let inputs = || (a_bar.clone(), a.clone(), more.clone(), c.clone());
        let (a_bar, h_bar, more, cosine) = inputs();
        let want = pointwise::sine_backward(a_bar, h_bar, more, cosine, 10.0);
        let (a_bar, h_bar, more, cosine) = inputs();
        // A sum of p values of up to 60.
        same("sine_backward", B::sine_backward(a_bar, h_bar, more, cosine, 10.0), want, 1e-3);
    }
    for below in [None, Some(swapped)] {
        let inputs = || (a.clone(), below.clone(), bias.clone(), c.clone(), [a.clone(), c.clone()]);
        let (direct, below, bias, delta, waves) = inputs();
        let want = pointwise::gate_backward(direct, below, bias, delta, waves, 10.0);
        let (direct, below, bias, delta, waves) = inputs();
        let got = B::gate_backward(direct, below, bias, delta, waves, 10.0);
        same("gate_backward", got, want, 1e-3);
    }
}
