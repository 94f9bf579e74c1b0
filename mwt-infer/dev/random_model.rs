//! A bundle of random weights, scaled as a trained one's, for tests and benchmarks.

use mwt_core::bundle::{self, Facts, Header, Input, SampleType};
use mwt_core::draw::mix;
use mwt_core::grid::InputScaling;
use mwt_core::layout::{BlockTensor, Tensor};
use mwt_core::{ModelConfig, Schemes};

/// The bytes of the bundle, for pictures.
#[allow(dead_code)] // Not every test that includes this file wants one.
pub(crate) fn bundle(config: ModelConfig, schemes: Schemes) -> Vec<u8> {
    bundle_of(config, schemes, SampleType::U8, |_| 1.0)
}

/// The bytes of the bundle, for numbers of a type: bytes become [-1, 1], and so do others, each channel at its own scale.
/// `gain` multiplies the values of a tensor.
pub(crate) fn bundle_of(
    config: ModelConfig,
    schemes: Schemes,
    sample: SampleType,
    gain: impl Fn(Tensor) -> f32,
) -> Vec<u8> {
    let scaling = |channel: usize| match sample {
        SampleType::U8 => InputScaling::SYMMETRIC,
        _ => InputScaling { scale: 0.01 + 0.003 * channel as f32, offset: 0.1 * channel as f32 },
    };
    let scalings = Input::encode(&(0..config.channels).map(scaling).collect::<Vec<_>>());
    let labels = (0..config.classes).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    let (input, facts) = (Input::new(sample, &scalings), Facts::default());
    let header = Header { config, schemes, input, labels: &labels, golden_samples: 0, facts };
    let mut seed = 0;
    let values = |tensor: Tensor| {
        seed += 1;
        let (rows, columns) = tensor.shape(&config).dims();
        let (middle, spread) = match tensor {
            Tensor::SirenWeight(0) => (0.0, 0.5),
            Tensor::SirenWeight(_) => (0.0, (6.0 / rows as f32).sqrt()),
            Tensor::OutScale => (0.1, 0.0),
            Tensor::AlphaWeight { .. } | Tensor::AlphaBias { .. } => (0.5, 0.4),
            Tensor::Beta(_) => (0.0, 0.002),
            Tensor::Block(_, BlockTensor::Norm1Weight | BlockTensor::Norm2Weight) => (1.0, 0.1),
            Tensor::Block(_, BlockTensor::LayerScale1 | BlockTensor::LayerScale2) => (0.1, 0.05),
            _ if rows == 1 => (0.0, 0.05),
            _ => (0.0, (1.0 / rows as f32).sqrt()),
        };
        (0..(rows * columns) as u32)
            .map(|i| middle + spread * (mix(i ^ mix(seed)) as i32) as f32 / 2f32.powi(31))
            .map(|value| gain(tensor) * value)
            .collect()
    };
    bundle::write(&header, &[], values).expect("the values are finite and of the right number")
}

/// The bytes of an image: a few waves.
#[allow(dead_code)] // Not every test that includes this file wants one.
pub(crate) fn image(config: &ModelConfig, seed: usize) -> Vec<u8> {
    let wave = |y: usize, x: usize, c: usize| {
        let phase = (y * (2 + seed % 3) + x * (3 + seed % 5) + 7 * c) as f32 * 0.1;
        (127.5 + 120.0 * phase.sin()) as u8
    };
    let width = config.extents.side(1);
    (0..config.extents.positions() * config.channels)
        .map(|i| {
            let (pixel, c) = (i / config.channels, i % config.channels);
            wave(pixel / width, pixel % width, c)
        })
        .collect()
}
