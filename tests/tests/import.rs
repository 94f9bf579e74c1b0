//! Checkpoints of the reference implementation.

use mwt_core::{Bundle, ModelConfig, Schemes, quant::Scheme};
use mwt_infer::{Classifier, Scattered, workspace_len};
use mwt_tests::{Golden, IMAGES, assert_close, fixture, full_golden, golden, golden_dir, skipped};
use mwt_train::exchange::{infer_config, read};
use mwt_train::export::Export;
use mwt_train::weights::Weights;

/// A checkpoint's values equal the golden weights, and its bundle gives the golden logits.
fn same_logits<const C: usize>(golden: &Golden, path: &std::path::Path) {
    let arrays = read(path).unwrap();
    let config = infer_config(&arrays, golden.config).unwrap();
    assert_eq!(config, golden.config, "the shapes tell the configuration");
    let weights = Weights::new(config, arrays).unwrap();
    assert_eq!(weights, golden.weights);

    let export = Export { schemes: Schemes::all(Scheme::F32), ..Export::default() };
    let bytes = export.bundle(&weights).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = vec![0.0; workspace_len(&config)];
    let mut classifier = Classifier::new(&bundle, &mut workspace).unwrap();
    for image in 0..IMAGES {
        let samples = golden.samples::<C>(image);
        classifier.fit_indices(&Scattered(&samples), &golden.inner_indices(image)).unwrap();
        let logits = classifier.logits().unwrap();
        assert_close("logits", logits, golden.expect_of("logits", image), 1e-4);
    }
}

#[test]
fn micro_pt() {
    same_logits::<1>(&golden("micro"), &fixture("micro.pt"));
}

#[test]
fn base_pt() {
    match (full_golden("base"), golden_dir()) {
        (Some(golden), Some(dir)) => same_logits::<3>(&golden, &dir.join("base.pt")),
        _ => skipped("base_pt", "MWT_GOLDEN_DIR"),
    }
}

/// A checkpoint taken after three outer steps, optimiser state and all.
#[test]
fn a_training_checkpoint_holds_the_trained_values() {
    let golden = golden("nano");
    let arrays = read(&fixture("nano_step3.pt")).unwrap();
    assert!(arrays.keys().all(|name| !name.contains("optim")), "optimiser state is left out");
    let weights = Weights::new(golden.config, arrays).unwrap();
    for (name, array) in weights.arrays() {
        let want = golden.expect(&format!("after_outer_step.3.{name}"));
        assert_close(name, &array.values, want, 2e-6 + 0.002 * f32::from(name.starts_with("meta")));
    }
}

/// Safetensors under the same names are read to the same values.
#[test]
fn safetensors_and_pt_agree() {
    let pt = read(&fixture("micro.pt")).unwrap();
    assert_eq!(pt, read(&fixture("micro.weights.safetensors")).unwrap());
}

#[test]
fn a_checkpoint_without_a_tensor_is_refused_by_name() {
    let mut arrays = read(&fixture("micro.pt")).unwrap();
    arrays.remove("siren_rgb.out.weight");
    let error = infer_config(&arrays, ModelConfig::MICRO).unwrap_err();
    assert_eq!(error, "tensor siren_rgb.out.weight is missing");
}

#[test]
fn what_is_no_checkpoint_is_refused_in_one_line() {
    for name in ["README.md", "micro.weights.safetensors"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pt");
        std::fs::copy(fixture(name), &path).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("x.pt") && !error.contains('\n'), "{error}");
    }
}
