//! The trainer on the CPU against the golden vectors: forward pass, every outer gradient, and outer steps.
#![cfg(feature = "cpu")]

use burn::backend::Flex;
use mwt_tests::train::{
    F32, W_CLS, Way, assert_forward, assert_gradients, assert_outer_steps, by_parameter,
    deviations, leaves, pass,
};
use mwt_tests::{Golden, assert_close, full_golden, golden, skipped};
use mwt_train::model::Model;
use mwt_train::settings::Precision;
use mwt_train::train::optim::gradients;
use mwt_train::weights::Group;

fn forward(golden: &Golden) {
    Way::ALL.into_iter().for_each(|way| assert_forward::<Flex>(golden, way, F32));
}

fn gradient(golden: &Golden) {
    Way::ALL.into_iter().for_each(|way| assert_gradients::<Flex>(golden, way, F32));
}

#[test]
fn nano_forward() {
    forward(&golden("nano"));
}

#[test]
fn micro_forward() {
    forward(&golden("micro"));
}

/// Of one axis and of three.
#[test]
fn series_and_volumes() {
    for name in ["line", "cube"] {
        println!("{name}");
        forward(&golden(name));
        gradient(&golden(name));
    }
}

#[test]
fn base_forward() {
    match full_golden("base") {
        Some(golden) => forward(&golden),
        None => skipped("base_forward", "MWT_GOLDEN_DIR"),
    }
}

#[test]
fn nano_gradients() {
    gradient(&golden("nano"));
}

#[test]
fn micro_gradients() {
    gradient(&golden("micro"));
}

#[test]
fn nano_outer_steps() {
    assert_outer_steps::<Flex>(&golden("nano"));
}

#[test]
fn micro_outer_steps() {
    match full_golden("micro") {
        Some(golden) => assert_outer_steps::<Flex>(&golden),
        None => skipped("micro_outer_steps", "MWT_GOLDEN_DIR"),
    }
}

/// What tensor cores will come to, on the CPU: the Transformer's factors rounded as they round them. Exact products
/// are within 1e-4.
#[test]
fn rounded_products_stay_close() {
    for (precision, logits, gradient) in
        [(Precision::Tf32, 1e-3, 2e-3), (Precision::Bf16, 1e-2, 2e-2)]
    {
        for name in ["nano", "micro"] {
            let apart = deviations::<Flex>(&golden(name), Way::Adjoint, precision);
            eprintln!("{name} {precision:?}: {apart:?}");
            for (tensor, apart) in &apart {
                let allowed = if tensor == "logits" { logits } else { gradient };
                assert!(
                    *apart <= allowed,
                    "{name}, {precision:?}: {tensor} {apart:e} of its maximum"
                );
            }
            // The rounding is there.
            assert!(apart[0].1 > 1e-2 * logits, "{name}, {precision:?}: logits {:e}", apart[0].1);
        }
    }
}

/// One backward pass with the gradient scaled at the token boundary equals two passes.
#[test]
fn one_pass_equals_two() {
    let golden = golden("nano");
    let run = |w_cls: f64, classification: bool| {
        let params = leaves::<Flex>(&golden);
        let (_, losses) = pass(&golden, &Model::new(&params), Way::Own, w_cls);
        let loss = if classification { losses.classification } else { losses.reconstruction };
        by_parameter(&golden, &gradients(&params, loss))
    };
    let (scaled, full) = (run(W_CLS, true), run(1.0, true));
    for ((spec, scaled), (_, full)) in scaled.iter().zip(&full) {
        let factor = if spec.group == Group::Classifier { 1.0 } else { W_CLS as f32 };
        let want: Vec<f32> = full.iter().map(|g| factor * g).collect();
        let largest = want.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        assert!(largest > 0.0, "{} has no gradient", spec.name);
        assert_close(&spec.name, scaled, &want, 1e-5 * largest);
    }
    // w_cls = 0 (the paper's WT) cuts the classifier off from the SIREN.
    for (spec, gradient) in run(0.0, true) {
        let zero = gradient.iter().all(|g| *g == 0.0);
        assert_eq!(zero, spec.group != Group::Classifier, "{}", spec.name);
    }
}
