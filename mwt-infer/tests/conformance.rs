//! The conformance set: small bundles with inputs, and what an independent program (`tools/reference/conformance.py`) makes of
//! them in float64, which tells every plausible mistake apart.

#[path = "../dev/random_model.rs"]
mod random_model;

use std::path::PathBuf;

use mwt_core::bundle::SampleType;
use mwt_core::layout::{BlockTensor, Tensor};
use mwt_core::quant::Scheme;
use mwt_core::{Draw, Extents, ModelConfig, Schemes};
use mwt_infer::{Bundle, Classifier, Isa, Numbers, Signal, WorkspaceBuf};
use safetensors::SafeTensors;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance").join(name)
}

/// Every bundle of the set by its name.
fn set() -> Vec<(&'static str, ModelConfig, Schemes, SampleType)> {
    let small = ModelConfig { dim: 8, blocks: 1, classes: 3, ..ModelConfig::NANO };
    let image = |height, width| Extents::image(height, width);
    let all = Schemes::all;
    let mixed = Schemes { theta: Scheme::F16, beta: Scheme::F32, ..Schemes::default() };
    let grey = ModelConfig { extents: image(5, 7), pixels_per_step: 11, ..small };
    let rgb = ModelConfig { channels: 3, inner_steps: 5, pixels_per_step: 9, ..grey };
    let four = ModelConfig { channels: 4, draw: Draw::random(7), mlp_mult: 2, ..grey };
    let line = Extents::series(17);
    let cube = Extents::volume(3, 4, 5);
    vec![
        // Whose norms see a variance like their ε, and whose MLPs count; see `gain`.
        (
            "delicate",
            ModelConfig { lambda: 1e-3, mlp_mult: 2, ..grey },
            all(Scheme::F32),
            SampleType::U8,
        ),
        (
            "grey-random",
            ModelConfig { draw: Draw::random(3), ..grey },
            all(Scheme::F32),
            SampleType::U8,
        ),
        // k·P is beyond the 35 pixels: the last step wraps around.
        ("rgb-partition", ModelConfig { draw: Draw::partition(5), ..rgb }, mixed, SampleType::U8),
        (
            "four-shared",
            ModelConfig { shared_alpha: true, ..four },
            all(Scheme::F16),
            SampleType::U8,
        ),
        (
            "one-head",
            ModelConfig { dim: 64, hidden_layers: 1, ..grey },
            all(Scheme::Int8),
            SampleType::U8,
        ),
        (
            "two-heads",
            ModelConfig { dim: 128, hidden_layers: 1, inner_steps: 1, ..grey },
            all(Scheme::Int8),
            SampleType::U8,
        ),
        (
            "stratified",
            ModelConfig { draw: Draw::stratified(9, image(2, 3)), pixels_per_step: 9, ..grey },
            mixed,
            SampleType::U8,
        ),
        (
            "series",
            ModelConfig {
                extents: line,
                channels: 5,
                draw: Draw::stratified(2, Extents::series(4)),
                pixels_per_step: 5,
                ..small
            },
            all(Scheme::Int8),
            SampleType::I16,
        ),
        (
            "volume",
            ModelConfig { extents: cube, pixels_per_step: 13, draw: Draw::partition(1), ..small },
            all(Scheme::F32),
            SampleType::F32,
        ),
    ]
}

/// By how much a bundle's tensors are larger than a usual model's.
fn gain(name: &str, tensor: Tensor) -> f32 {
    match tensor {
        _ if name != "delicate" => 1.0,
        Tensor::ProjectInBias => 0.05,
        Tensor::Block(_, BlockTensor::LayerScale2) => 20.0,
        Tensor::Block(_, BlockTensor::Mlp1 | BlockTensor::Mlp2) => 3.0,
        _ => 1.0,
    }
}

/// Values of a tensor of a file.
fn values(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let data = tensors.tensor(name).expect("in the set").data().as_chunks::<4>().0;
    data.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Of a tensor's largest value, or of 1 where that is less: a fifth of what the least of the mistakes moves.
const TOLERANCE: f32 = 2e-5;

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let size = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() <= tolerance * size, "{what}: {got} instead of {want}");
    }
}

#[test]
fn every_bundle_of_the_set_gives_the_reference_values_on_every_kernel() {
    for (name, ..) in set() {
        let bytes = std::fs::read(file(&format!("{name}.mwt"))).expect("the set");
        let expect = std::fs::read(file(&format!("{name}.safetensors"))).expect("the set");
        let expect = SafeTensors::deserialize(&expect).expect("the set");
        let bundle = Bundle::parse(&bytes).expect("a bundle");
        let config = *bundle.config();
        let mut workspace = WorkspaceBuf::new(&config);
        let inputs = values(&expect, "inputs");
        let len = config.extents.positions() * config.channels;
        for isa in Isa::all_available() {
            let classifier = Classifier::new(&bundle, workspace.as_mut_slice()).expect("room");
            let mut classifier = classifier.with_isa(isa);
            for (n, numbers) in inputs.chunks_exact(len).enumerate() {
                let what = |part: &str| format!("{name}, {}, input {n}, {part}", isa.name());
                let expected = |part: &str| values(&expect, &format!("{part}.{n}"));
                // NaN where a sample is missing.
                let signal = Signal::new(Numbers::F32(numbers), config.extents, config.channels);
                classifier.fit(&signal.expect("a signal")).expect("fits");
                // Of wide models the set has the logits alone.
                if config.dim < 64 {
                    let phi = classifier.phi().expect("fitted");
                    assert_close(&what("φ"), phi, &expected("phi"), TOLERANCE);
                    let mut tokens = vec![0.0; config.tokens() * config.token_len()];
                    for (t, token) in tokens.chunks_exact_mut(config.token_len()).enumerate() {
                        classifier.token(t, token).expect("a token");
                    }
                    assert_close(&what("tokens"), &tokens, &expected("tokens"), TOLERANCE);
                }
                let logits = classifier.logits().expect("logits");
                assert_close(&what("logits"), logits, &expected("logits"), TOLERANCE);
            }
        }
    }
}

/// A bundle of each format version, which a reader and writer in Python made, golden logits included.
#[test]
fn golden_samples_of_another_program_pass_on_every_kernel() {
    for version in [1, 2] {
        let path = file(&format!("../fixtures/golden-v{version}.mwt"));
        let bytes = std::fs::read(path).expect("the fixture");
        let bundle = Bundle::parse(&bytes).expect("a bundle");
        assert_eq!(bundle.version(), version);
        let mut workspace = WorkspaceBuf::new(bundle.config());
        for isa in Isa::all_available() {
            let classifier = Classifier::new(&bundle, workspace.as_mut_slice()).expect("room");
            let test = classifier.with_isa(isa).self_test().expect("passes");
            assert_eq!(test.samples, 2);
            assert!(test.max_error <= TOLERANCE, "{version}, {}: {}", isa.name(), test.max_error);
        }
    }
}

/// Writes the bundles; `tools/reference/conformance.py` writes what is expected of them.
#[test]
#[ignore = "writes the conformance set"]
fn write_bundles() {
    std::fs::create_dir_all(file("")).unwrap();
    for (name, config, schemes, sample) in set() {
        let bytes = random_model::bundle_of(config, schemes, sample, |tensor| gain(name, tensor));
        std::fs::write(file(&format!("{name}.mwt")), bytes).unwrap();
    }
}
