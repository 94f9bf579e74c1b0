//! A trained model: the trainer's evaluation against mwt-infer's, float and int8, on images not trained on.
//!
//! `digits.safetensors` is what `mwt-train demo` left behind after training on the built-in digits.
#![cfg(feature = "cpu")]

use burn::backend::Flex;
use mwt_core::quant::Scheme;
use mwt_core::{Bundle, ModelConfig, Schemes};
use mwt_infer::{Arithmetic, Classifier, Isa, Signal, WorkspaceBuf};
use mwt_tests::{assert_close, fixture};
use mwt_train::data::{LoadOptions, Split, load};
use mwt_train::evaluate::{Conditions, on_backend, on_bundle};
use mwt_train::export::{Export, with_golden};
use mwt_train::model::Params;
use mwt_train::model::params::initial;
use mwt_train::util::random::Rng;
use mwt_train::weights::trained::TrainedModel;

/// Images of the test split of the built-in digits.
fn test_images(images: usize) -> Split {
    let options = LoadOptions { digits_train: 10, digits_test: images, ..LoadOptions::default() };
    load("digits", &options).unwrap().test
}

#[test]
fn trainer_and_inference_agree_on_a_trained_model() {
    let (model, split) =
        (TrainedModel::load(&fixture("digits.safetensors")).unwrap(), test_images(2000));
    let device = Default::default();
    let params = Params::<Flex>::from_weights(&model.weights, &device);
    let trainer = on_backend(&params, &split, 50, &device).unwrap();
    assert!(trainer.accuracy() > 0.9, "the fixture is a trained model: {}", trainer.accuracy());

    let evaluate = |scheme| {
        let bytes = with_golden::<Flex>(&model, Schemes::all(scheme), &device).unwrap();
        on_bundle(&Bundle::parse(&bytes).unwrap(), &split, Conditions::default()).unwrap()
    };
    let float = evaluate(Scheme::F32);
    assert_close("logits", &float.logits, &trainer.logits, 1e-3);
    assert_close("PSNR", &float.psnr, &trainer.psnr, 1e-2);
    assert_eq!(float.predictions(), trainer.predictions());

    for scheme in [Scheme::F16, Scheme::Int8] {
        let lost = trainer.accuracy() - evaluate(scheme).accuracy();
        assert!(lost.abs() <= 0.005, "{} changes the accuracy by {lost}", scheme.name());
    }
}

/// A bundle's golden logits are the trainer's for the values as stored, so its self-test passes whatever the
/// storage, and fails when a weight is another.
#[test]
fn exported_bundles_pass_their_self_test() {
    let model = TrainedModel::load(&fixture("digits.safetensors")).unwrap();
    for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
        let bytes = with_golden::<Flex>(&model, Schemes::all(scheme), &Default::default()).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut workspace = WorkspaceBuf::new(bundle.config());
        let tested =
            Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().self_test().unwrap();
        assert_eq!(tested.samples, 2);
    }
    let mut other = model.clone();
    let mut arrays = other.weights.arrays().clone();
    arrays.get_mut("classifier.to_logits.bias").unwrap().values[0] += 0.01;
    other.weights = mwt_train::weights::Weights::new(*model.weights.config(), arrays).unwrap();
    let golden = with_golden::<Flex>(&model, Schemes::default(), &Default::default()).unwrap();
    let golden: Vec<_> = Bundle::parse(&golden)
        .unwrap()
        .golden_samples()
        .map(|g| mwt_core::bundle::Golden {
            signal: g.signal.to_vec(),
            logits: g.logits.iter().collect(),
        })
        .collect();
    let export = mwt_train::export::Export { golden: &golden, ..Default::default() };
    let bytes = export.bundle(&other.weights).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(bundle.config());
    let error =
        Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().self_test().unwrap_err();
    assert_eq!(error, mwt_infer::Error::SelfTest);
}

/// Long enough sums for linear layers and attention in integers, one head and two.
#[test]
fn integer_arithmetic_stays_close_to_float() {
    for config in [ModelConfig::SMALL, ModelConfig { blocks: 2, ..ModelConfig::BASE }] {
        let weights = initial(&config, 3);
        let export = Export { schemes: Schemes::all(Scheme::Int8), ..Default::default() };
        let bytes = export.bundle(&weights).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut random = Rng::new(1, 2);
        let pixels: Vec<u8> = (0..config.extents.positions() * config.channels)
            .map(|_| random.next_u64() as u8)
            .collect();
        let image = Signal::new(&pixels[..], config.extents, config.channels).unwrap();
        for isa in Isa::all_available() {
            let logits = |arithmetic| {
                let mut workspace = WorkspaceBuf::new(&config);
                let mut classifier =
                    Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().with_isa(isa);
                classifier.set_arithmetic(arithmetic);
                classifier.fit(&image).unwrap();
                classifier.logits().unwrap().to_vec()
            };
            let (float, integer) = (logits(Arithmetic::F32), logits(Arithmetic::Int8));
            let largest = float.iter().fold(0.0f32, |l, x| l.max(x.abs()));
            assert_close(isa.name(), &integer, &float, 0.01 * largest);
            // Where integers are no faster it stays with f32.
            assert_eq!(integer == float, isa.name() == "neon", "{}", isa.name());
        }
    }
}
