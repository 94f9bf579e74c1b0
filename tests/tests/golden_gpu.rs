//! The trainer on a GPU back end, or on a software implementation of one, against the golden vectors.
//!
//! `cargo test --profile quick -p mwt-tests --no-default-features --features cpu,wgpu,cuda`. On a machine without a device
//! the tests say so and pass, unless MWT_REQUIRE_GPU names the back end.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

use burn::tensor::{Distribution, Tensor};
use mwt_tests::assert_close;
use mwt_tests::train::{F32, Tested, Tolerances, Way};
use mwt_train::model::params::host;
use mwt_train::model::{pointwise, rowwise};

/// The tests of a back end.
macro_rules! tests {
    ($module:ident, $name:ident, $ways:expr) => {
        mod $module {
            use burn::backend::$name as Gpu;
            use mwt_tests::golden;
            use mwt_tests::train::{
                F32, Way, assert_forward, assert_gradients, assert_outer_steps,
            };
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
                    $ways.into_iter().for_each(|way| assert_forward::<Gpu>(&golden, way, F32));
                });
            }

            #[test]
            fn nano_gradients() {
                on_device("nano_gradients", || {
                    let golden = golden("nano");
                    for way in $ways {
                        if super::WRONG_WITH_FUSION == Some(way) {
                            continue;
                        }
                        assert_gradients::<Gpu>(&golden, way, super::gradients_within(way, F32));
                    }
                });
            }

            #[test]
            fn micro_gradients() {
                on_device("micro_gradients", || {
                    assert_gradients::<Gpu>(&golden("micro"), Way::Own, F32);
                });
            }

            #[test]
            fn nano_outer_steps() {
                on_device("nano_outer_steps", || assert_outer_steps::<Gpu>(&golden("nano")));
            }

            #[test]
            #[cfg(feature = "cpu")]
            fn rounded_products_stay_close() {
                on_device("rounded_products_stay_close", super::rounded_products::<Gpu>);
            }

            #[test]
            fn products_are_exact() {
                on_device("products_are_exact", super::exact_products::<Gpu>);
            }

            #[test]
            fn kernels_equal_tensor_operations() {
                on_device("kernels_equal_tensor_operations", || super::kernels::<Gpu>());
            }
        }
    };
}

#[cfg(feature = "wgpu")]
tests!(wgpu, Wgpu, Way::ALL);
// Ordinary tensor operations take burn's own products, which are TF32 on tensor cores: no way to train.
#[cfg(feature = "cuda")]
tests!(cuda, Cuda, [Way::Own, Way::Adjoint]);

/// burn 0.21's fusion puts the gradient of Wo 5 % of its maximum off where autodiff goes through ordinary tensor
/// operations, on views of flat parameters (upstream: burn#5122). Training does not go that way.
const WRONG_WITH_FUSION: Option<Way> =
    if cfg!(feature = "fusion") { Some(Way::Tensors) } else { None };

/// In ordinary tensor operations burn's own slope of gelu counts, which on GPUs is that of the approximation by tanh.
fn gradients_within(way: Way, within: Tolerances) -> Tolerances {
    match way {
        Way::Tensors => Tolerances { gradient: within.gradient.max(1e-3), ..within },
        Way::Own | Way::Adjoint => within,
    }
}

/// The Transformer's products in the precisions that the device has, against their emulation on the CPU. How far that is
/// from exact products, `golden_train` holds.
#[cfg(feature = "cpu")]
fn rounded_products<B: Tested>()
where
    burn::backend::Autodiff<B>: mwt_train::model::MwtBackend,
{
    use burn::backend::Flex;
    use mwt_tests::{golden, train::deviations};
    use mwt_train::settings::Precision;

    for precision in [Precision::Tf32, Precision::Bf16] {
        if B::precision(&B::Device::default(), precision) != precision {
            eprintln!("skipped {precision:?}: the device computes in f32 alone");
            continue;
        }
        for name in ["nano", "micro"] {
            let golden = golden(name);
            let emulated = deviations::<Flex>(&golden, Way::Adjoint, precision);
            for ((tensor, got), (_, emulated)) in
                deviations::<B>(&golden, Way::Own, precision).into_iter().zip(emulated)
            {
                // Sums in another order meet other roundings, of the same size.
                let allowed = 4.0 * emulated + F32.gradient;
                assert!(
                    got <= allowed,
                    "{name}, {precision:?}: {tensor} {got:e}, allowed {allowed:e}"
                );
            }
        }
    }
}

/// Exact products against those of the host: whole matrices and slices of wider ones, transposed or not, as narrow as the
/// coordinates and as tall as a batch.
fn exact_products<B: Tested>() {
    use mwt_train::settings::Precision;

    let device = B::Device::default();
    for [n, m, k, columns] in
        [[1, 1, 1, 1], [2, 33, 2, 32], [3, 196, 32, 3], [1, 5, 700, 17], [2, 64, 64, 64]]
    {
        let random = |rows: usize, columns: usize| {
            // A slice whose rows do not follow each other.
            let wider =
                Tensor::<B, 3>::random([n, rows, columns + 5], Distribution::Default, &device);
            wider.slice([0..n, 0..rows, 2..columns + 2])
        };
        let (a, b) = (random(m, k), random(k, columns));
        let (a_turned, b_turned) =
            (random(k, m).swap_dims(1, 2), random(columns, k).swap_dims(1, 2));
        for (a, b) in [(a.clone(), b.clone()), (a_turned, b.clone()), (a, b_turned)] {
            let (left, right) = (host(a.clone()), host(b.clone()));
            let mut want = vec![0.0f32; n * m * columns];
            for (at, want) in want.iter_mut().enumerate() {
                let (image, row, column) = (at / (m * columns), at / columns % m, at % columns);
                let term = |i: usize| {
                    let (a, b) = (
                        left[(image * m + row) * k + i],
                        right[(image * k + i) * columns + column],
                    );
                    f64::from(a) * f64::from(b)
                };
                *want = (0..k).map(term).sum::<f64>() as f32;
            }
            let got = host(B::product(a, b, Precision::F32));
            // A sum of k values below 1, in f32; TF32 would be 5e-4 off in every factor.
            assert_close(&format!("{n}×{m}×{k}×{columns}"), &got, &want, 1e-6 * k as f32 + 1e-6);
        }
    }
}

/// The kernels against ordinary tensor operations over shapes that fill their cubes and that do not.
fn kernels<B: Tested>() {
    for shape in [[1, 1, 1], [2, 13, 20], [3, 8, 32], [1, 70, 33], [2, 33, 64]] {
        pointwise_kernels::<B>(shape);
        rowwise_kernels::<B>(shape);
    }
}

fn rowwise_kernels<B: Tested>([n, t, d]: [usize; 3]) {
    let device = B::Device::default();
    let uniform = Distribution::Uniform(-4.0, 4.0);
    let same = |what: &str, got: Vec<f32>, want: Vec<f32>, within: f32| {
        assert_close(&format!("{what} {n}×{t}×{d}"), &got, &want, within);
    };
    let (x, bar) = (Tensor::<B, 3>::random([n, t, d], uniform, &device), [n, d, t]);
    // Not contiguous, as above.
    let bar = Tensor::<B, 3>::random(bar, uniform, &device).swap_dims(1, 2);
    let [weight, bias] = [0, 1].map(|_| Tensor::<B, 1>::random([d], uniform, &device));
    for x in [x, bar.clone()] {
        let want = rowwise::norm(x.clone(), weight.clone(), bias.clone());
        same("norm", host(B::norm(x.clone(), weight.clone(), bias.clone())), host(want), 1e-4);
        let want = rowwise::norm_backward(x.clone(), weight.clone(), bar.clone());
        let got = B::norm_backward(x.clone(), weight.clone(), bar.clone());
        // A row of one value has the variance 0: what is left is rounding, times 1/√ε.
        let within = if d == 1 { 1e-2 } else { 1e-3 };
        got.into_iter().zip(want).for_each(|(got, want)| {
            same("norm_backward", host(got), host(want), within);
        });
        let (got, want) = (B::gelu_slope(x.clone()), rowwise::gelu_slope(x));
        got.into_iter().zip(want).for_each(|(got, want)| {
            same("gelu_slope", host(got), host(want), 1e-5);
        });
    }
    let scores = Tensor::<B, 4>::random([n, 3, t, d], Distribution::Uniform(-30.0, 30.0), &device);
    let bar = Tensor::<B, 4>::random([n, t, 3, d], uniform, &device).swap_dims(1, 2);
    let want = rowwise::attention_probs(scores.clone(), 0.25);
    same("attention_probs", host(B::attention_probs(scores, 0.25)), host(want.clone()), 1e-6);
    let got = B::attention_probs_backward(want.clone(), bar.clone(), 0.25);
    same(
        "attention_probs_backward",
        host(got),
        host(rowwise::attention_probs_backward(want, bar, 0.25)),
        1e-5,
    );
}

fn pointwise_kernels<B: Tested>([n, p, d]: [usize; 3]) {
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
