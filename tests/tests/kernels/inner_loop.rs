use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::tensor::{Distribution, Tensor};
use mwt_core::ModelConfig;
use mwt_core::grid::Extents;
use mwt_tests::distance;
use mwt_tests::train::Tested;
use mwt_train::model::adjoint::AdjointInnerLoop;
use mwt_train::model::params::host;
use mwt_train::model::{FitInputs, Fitted, MwtBackend, Pixels, operation};

use super::Lies;

/// A back end's own inner loop against that of tensor operations, forward and backward: tiles and blocks that are full and
/// that are not, one to three axes, several channels.
pub(crate) fn inner_loops_are_the_same<B: Tested>()
where
    Autodiff<B>: MwtBackend,
{
    let one_channel = ModelConfig { pixels_per_step: 5, hidden_layers: 1, ..ModelConfig::NANO };
    let series = ModelConfig {
        dim: 40,
        channels: 3,
        extents: Extents::series(90),
        pixels_per_step: 45,
        ..ModelConfig::NANO
    };
    let wide = ModelConfig {
        dim: 192,
        channels: 2,
        pixels_per_step: 64,
        shared_alpha: true,
        ..one_channel
    };
    let volume = ModelConfig {
        extents: Extents::volume(4, 5, 6),
        pixels_per_step: 33,
        inner_steps: 1,
        hidden_layers: 3,
        ..ModelConfig::MICRO
    };
    for lies in Lies::ALL {
        same::<B>(one_channel, 1, lies);
    }
    same::<B>(series, 3, Lies::Swapped);
    same::<B>(wide, 2, Lies::Wider);
    same::<B>(volume, 2, Lies::Whole);
}

fn same<B: Tested>(config: ModelConfig, n: usize, lies: Lies)
where
    Autodiff<B>: MwtBackend,
{
    let ModelConfig { dim, channels, pixels_per_step: p, .. } = config;
    let (m, head) = (config.theta_len(), channels * (dim + 2));
    // As a SIREN's are: the sums of a layer's inputs about 1.
    let theta = lies.vector::<B>(m, (6.0 / dim as f64).sqrt());
    let head = lies.vector::<B>(head, 0.5);
    let rows = config.alpha_rows();
    let rates = Distribution::Uniform(0.0, 0.05);
    let alpha = Tensor::<B, 1>::random([rows * m], rates, &Default::default());
    let draw = |columns: usize| -> Vec<Tensor<Autodiff<B>, 3>> {
        let draws = (0..=config.inner_steps).map(|_| lies.random::<B, 3>([n, p, columns], 1.0));
        draws.map(Tensor::from_inner).collect()
    };
    let pixels = Pixels { coordinates: draw(config.axes()), targets: draw(channels) };
    // Every output has a gradient of its own.
    let [offsets, losses] = [m, 1].map(|columns| {
        Tensor::<Autodiff<B>, 2>::from_inner(Lies::Whole.random::<B, 2>([n, columns], 1.0))
    });
    let values = |fit: fn(FitInputs<Autodiff<B>>) -> Fitted<Autodiff<B>>| {
        let leaves = [&theta, &alpha, &head]
            .map(|of| Tensor::<Autodiff<B>, 1>::from_inner(of.clone()).require_grad());
        let [theta, alpha, siren_head] = leaves.clone();
        let alpha = alpha.reshape([rows, m]);
        let fitted = fit(FitInputs { config, theta, alpha, siren_head, pixels: pixels.clone() });
        let ahead = [host(fitted.offsets.clone()), host(fitted.reconstruction.clone())];
        let loss = (fitted.offsets * offsets.clone()).sum()
            + (fitted.reconstruction.reshape([n, 1]) * losses.clone()).sum();
        let grads = loss.backward();
        let back = leaves.map(|leaf| host(leaf.grad(&grads).expect("a gradient")));
        [ahead.to_vec(), back.to_vec()].concat()
    };
    let want = values(operation::fit_tracked::<AdjointInnerLoop, B, NoCheckpointing>);
    let got = values(Autodiff::<B>::fit);
    let names = ["φ - θ", "losses", "θ", "α", "head"];
    for ((name, want), got) in names.into_iter().zip(want).zip(got) {
        let largest = want.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let apart = distance(&got, &want);
        assert!(
            apart <= 1e-4 * largest,
            "{name} of {config:?}, {lies:?}: {apart:e} of {largest:e}"
        );
    }
}
