//! mwt-infer against the golden vectors of an independent PyTorch implementation.

use mwt_core::{Bundle, Schemes, quant::Scheme};
use mwt_infer::{Classifier, Isa, SampleSource, WorkspaceBuf};
use mwt_tests::{Golden, IMAGES, assert_close, full_golden, golden, skipped};
use mwt_train::export::Export;

/// Every instruction set that this CPU has.
fn check(golden: &Golden) {
    for isa in Isa::all_available() {
        println!("{}", isa.name());
        check_isa(golden, isa);
    }
}

fn check_isa(golden: &Golden, isa: Isa) {
    let export = Export { schemes: Schemes::all(Scheme::F32), ..Export::default() };
    let bytes = export.bundle(&golden.weights).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let config = golden.config;
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().with_isa(isa);
    let theta = golden.weights.theta();

    for image in 0..IMAGES {
        let values = golden.values(image);
        let source = golden.source(&values);
        let loss = classifier.fit_indices(&source, &golden.inner_indices(image)).unwrap();
        let losses = golden.expect("loss_per_step");
        let last = losses[(config.inner_steps - 1) * IMAGES + image];
        assert_close("loss of the last step", &[loss], &[last], 1e-6);

        let offsets: Vec<_> =
            classifier.phi().unwrap().iter().zip(&theta).map(|(phi, theta)| phi - theta).collect();
        let want = golden.expect_of(&format!("offset.{}", config.inner_steps), image);
        assert_close("φ - θ", &offsets, want, 5e-6);

        let mut tokens = vec![0.0; config.tokens() * config.token_len()];
        for (t, token) in tokens.chunks_exact_mut(config.token_len()).enumerate() {
            classifier.token(t, token).unwrap();
        }
        assert_close("tokens", &tokens, golden.expect_of("tokens", image), 1e-3);
        let logits = classifier.logits().unwrap().to_vec();
        assert_close("logits", &logits, golden.expect_of("logits", image), 1e-4);

        let quality = classifier.quality(&source).unwrap();
        assert_close("PSNR", &[quality.psnr], golden.expect_of("psnr_all", image), 1e-3);
        if golden.has("recon_all") {
            let (mut at, mut out) = (vec![0.0; config.axes()], vec![0.0; values.len()]);
            for (i, out) in out.chunks_exact_mut(config.channels).enumerate() {
                source.coordinates(i, &mut at);
                classifier.reconstruct_at(&at, out).unwrap();
            }
            assert_close("reconstruction", &out, golden.expect_of("recon_all", image), 1e-5);
        }
        // Reading the reconstruction back must not disturb the logits.
        assert_eq!(classifier.logits().unwrap(), logits);
    }
}

#[test]
fn nano() {
    check(&golden("nano"));
}

#[test]
fn micro() {
    check(&golden("micro"));
}

#[test]
fn series_and_volumes() {
    check(&golden("line"));
    check(&golden("cube"));
}

#[test]
fn base() {
    match full_golden("base") {
        Some(golden) => check(&golden),
        None => skipped("base", "MWT_GOLDEN_DIR"),
    }
}

/// φ and the loss after each single step, and classification in between.
#[test]
fn nano_step_by_step() {
    let golden = golden("nano");
    let mut config = golden.config;
    let theta = golden.weights.theta();
    for steps in 1..=config.inner_steps {
        // A model of fewer steps is the same model stopped earlier.
        config.inner_steps = steps;
        let weights = golden.weights.clone().with_config(config).unwrap();
        let bytes = Export { schemes: Schemes::all(Scheme::F32), ..Export::default() }
            .bundle(&weights)
            .unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut workspace = WorkspaceBuf::new(&config);
        let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
        for image in 0..IMAGES {
            let values = golden.values(image);
            let indices: Vec<u32> =
                (0..steps).flat_map(|j| golden.draw(0, j, image)).copied().collect();
            let loss = classifier.fit_indices(&golden.source(&values), &indices).unwrap();
            let want = golden.expect("loss_per_step")[(steps - 1) * IMAGES + image];
            assert_close("loss", &[loss], &[want], 1e-6);
            let phi = classifier.phi().unwrap();
            let offsets: Vec<_> = phi.iter().zip(&theta).map(|(phi, theta)| phi - theta).collect();
            let want = golden.expect_of(&format!("offset.{steps}"), image);
            assert_close("φ - θ", &offsets, want, 5e-6);
        }
    }
}
