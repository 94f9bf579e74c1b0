//! The trainer on a GPU back end, or on a software implementation of one, against the golden vectors.
//!
//! `cargo test --profile quick -p mwt-tests --no-default-features --features cpu,wgpu,cuda`. On a machine without a device
//! the tests say so and pass, unless MWT_REQUIRE_GPU names the back end.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod kernels;

use mwt_tests::train::{F32, Tested, Tolerances, Way};

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
                on_device("products_are_exact", super::kernels::exact_products::<Gpu>);
            }

            #[test]
            fn inner_loops_are_the_same() {
                on_device("inner_loops_are_the_same", || {
                    super::kernels::inner_loops_are_the_same::<Gpu>()
                });
            }

            #[test]
            fn kernels_equal_tensor_operations() {
                on_device("kernels_equal_tensor_operations", || {
                    super::kernels::equal_tensor_operations::<Gpu>()
                });
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
