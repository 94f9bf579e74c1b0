//! mwt-infer at its edges: what it refuses, and what it must not depend on.

use mwt_core::draw::Draw;
use mwt_core::{Bundle, ModelConfig, Schemes, quant::Scheme};
use mwt_infer::{
    Classifier, Error, Extents, Numbers, Range, Scattered, Signal, Workspace, WorkspaceBuf,
    workspace_len,
};
use mwt_train::export::Export;
use mwt_train::model::params::initial;

const CONFIG: ModelConfig = ModelConfig::NANO;

fn bundle(config: ModelConfig) -> Vec<u8> {
    let export = Export { schemes: Schemes::all(Scheme::Int8), ..Export::default() };
    export.bundle(&initial(&config, 3)).unwrap()
}

/// Targets of one channel in an image.
fn scattered<'a>(coordinates: &'a [f32], values: &'a [f32]) -> Scattered<'a> {
    Scattered::new(coordinates, 2, Numbers::Scaled(values), 1).unwrap()
}

fn image(seed: u32) -> Vec<u8> {
    (0..64).map(|i| mwt_core::draw::mix(i ^ seed << 8) as u8).collect()
}

#[test]
fn a_workspace_is_needed_whole_and_no_more() {
    let bytes = bundle(CONFIG);
    let bundle = Bundle::parse(&bytes).unwrap();
    const NEEDED: usize = workspace_len(&CONFIG);
    let mut workspace = Workspace::<NEEDED>::new();
    let given = NEEDED - 1;
    let error = Classifier::new(&bundle, &mut workspace.as_mut_slice()[..given]).unwrap_err();
    assert_eq!(error, Error::Workspace { needed: 4 * NEEDED, given: 4 * given });
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    classifier.fit(&Signal::grey(&image(1), 8, 8).unwrap()).unwrap();
    assert_eq!(classifier.logits().unwrap().len(), 10);
}

/// A header may ask for hours of work without being wrong.
#[test]
fn work_is_told_and_bounded_before_anything_runs() {
    let bytes = bundle(CONFIG);
    let bundle = Bundle::parse(&bytes).unwrap();
    let needed = bundle.macs();
    assert_eq!(needed, CONFIG.fit_macs() + CONFIG.transformer_macs());
    let mut workspace = WorkspaceBuf::new(&CONFIG);
    let mut new = |macs| {
        Classifier::with_limit(&bundle, workspace.as_mut_slice(), macs).map(|c| c.config().dim)
    };
    assert_eq!(new(needed - 1), Err(Error::Work { needed }));
    assert_eq!(new(needed), Ok(16));
}

#[test]
fn unsuitable_sources_are_refused() {
    let bytes = bundle(CONFIG);
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&CONFIG);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    assert_eq!(classifier.logits().unwrap_err(), Error::NotFitted);
    assert_eq!(classifier.phi().unwrap_err(), Error::NotFitted);
    assert_eq!(Signal::grey(&image(1), 8, 9).unwrap_err(), Error::SignalLength);
    assert_eq!(Signal::grey(&[], 0, 0).unwrap_err(), Error::SignalLength);
    assert_eq!(Signal::grey(&[], usize::MAX, 2).unwrap_err(), Error::SignalLength);
    let (pixels, wide) = (image(1), [0; 63]);
    let fit = |c: &mut Classifier<'_, '_>, i: Signal<'_>| c.fit(&i).unwrap_err();
    assert_eq!(fit(&mut classifier, Signal::grey(&pixels, 4, 16).unwrap()), Error::Extents);
    assert_eq!(fit(&mut classifier, Signal::rgb(&wide, 3, 7).unwrap()), Error::Channels);
    assert_eq!(classifier.fit(&scattered(&[], &[])).unwrap_err(), Error::NoSamples);
    for (at, value, error) in [
        ([0.0, 0.0], f32::INFINITY, Error::NonFiniteSample),
        ([1e30, 0.0], 0.0, Error::SampleOutside),
        ([0.0, f32::NAN], 0.0, Error::SampleOutside),
        // A value that is not a number is a sample that is missing, here the only one.
        ([0.0, 0.0], f32::NAN, Error::NoSamples),
        ([0.0, 0.0], 10.1, Error::OutOfRange),
        ([0.0, 0.0], f32::MAX, Error::OutOfRange),
    ] {
        assert_eq!(classifier.fit(&scattered(&at, &[value])).unwrap_err(), error);
        // A failed fit is no fit.
        assert_eq!(classifier.logits().unwrap_err(), Error::NotFitted);
    }
    // Values so large that the fit leaves the finite numbers.
    classifier.set_range(Range::Any);
    let error = classifier.fit(&scattered(&[0.0; 2], &[f32::MAX])).unwrap_err();
    assert_eq!(error, Error::Diverged);
    for (coordinates, values) in [(3, 1), (2, 2), (4, 1)] {
        let error = Scattered::new(&[0.0; 9][..coordinates], 2, &[0.0; 9][..values], 1);
        assert_eq!(error.unwrap_err(), Error::SignalLength);
    }
    for indices in [&[][..], &[0; 2], &[64, 0, 0]] {
        let source = Signal::grey(&pixels, 8, 8).unwrap();
        assert_eq!(classifier.fit_indices(&source, indices).unwrap_err(), Error::Indices);
    }
    classifier.fit(&Signal::grey(&pixels, 8, 8).unwrap()).unwrap();
    let error = classifier.reconstruct(Extents::image(3, 3), &mut [0u8; 10]);
    assert_eq!(error.unwrap_err(), Error::OutputLength);
    assert_eq!(
        classifier.reconstruct_at(&[0.0; 2], &mut [0.0; 2]).unwrap_err(),
        Error::OutputLength
    );
    assert_eq!(classifier.token(32, &mut [0.0; 17]).unwrap_err(), Error::OutputLength);
}

/// One value everywhere, one sample, two samples in one place: finite results.
#[test]
fn degenerate_images_give_finite_results() {
    let bytes = bundle(CONFIG);
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&CONFIG);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    for value in [0, 127, 255] {
        classifier.fit(&Signal::grey(&[value; 64], 8, 8).unwrap()).unwrap();
        assert!(classifier.logits().unwrap().iter().all(|l| l.is_finite()));
    }
    for values in [&[1e-42][..], &[-1.0, 1.0]] {
        classifier.fit(&scattered(&[0.25, -0.5, 0.25, -0.5][..2 * values.len()], values)).unwrap();
        assert!(classifier.logits().unwrap().iter().all(|l| l.is_finite()));
    }
}

/// Nothing of an earlier image, of another order of calls, or of the workspace's content is left in a result.
#[test]
fn results_depend_on_the_image_alone() {
    for draw in [Draw::random(5), Draw::partition(5)] {
        let config = ModelConfig { draw, pixels_per_step: 21, ..CONFIG };
        let bytes = bundle(config);
        let bundle = Bundle::parse(&bytes).unwrap();
        let (first, second) = (image(1), image(2));
        let logits = |classifier: &mut Classifier<'_, '_>, bytes: &[u8]| {
            classifier.fit(&Signal::grey(bytes, 8, 8).unwrap()).unwrap();
            classifier.logits().unwrap().to_vec()
        };
        let mut clean = vec![0.0; workspace_len(&config)];
        let want = logits(&mut Classifier::new(&bundle, &mut clean).unwrap(), &first);
        let mut dirty = vec![f32::NAN; workspace_len(&config) + 7];
        let mut classifier = Classifier::new(&bundle, &mut dirty).unwrap();
        assert_ne!(logits(&mut classifier, &second), want);
        assert_eq!(logits(&mut classifier, &first), want);

        // Step by step, with everything else called in between.
        let source = Signal::grey(&first, 8, 8).unwrap();
        classifier.begin();
        let mut steps = 0;
        loop {
            classifier.logits().unwrap();
            classifier.quality(&source).unwrap();
            classifier.reconstruct(config.extents, &mut [0u8; 64]).unwrap();
            assert_eq!(classifier.steps(), steps);
            if classifier.step(&source).unwrap().is_none() {
                break;
            }
            steps += 1;
        }
        assert_eq!((steps, classifier.logits().unwrap()), (config.inner_steps, &want[..]));
    }
}

/// A whole image given as scattered samples is the same image: the steps see the same pixels, in another order.
#[test]
fn scattered_samples_of_all_pixels_are_the_image() {
    let config = ModelConfig { pixels_per_step: 21, ..CONFIG };
    let bytes = bundle(config);
    let bundle = Bundle::parse(&bytes).unwrap();
    let pixels = image(1);
    let mut coordinates = vec![0.0; 2 * 64];
    for (i, at) in coordinates.chunks_exact_mut(2).enumerate() {
        config.extents.coordinates(i, at);
    }
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    classifier.fit(&Signal::grey(&pixels, 8, 8).unwrap()).unwrap();
    let want = classifier.logits().unwrap().to_vec();
    classifier.fit(&Scattered::new(&coordinates, 2, &pixels[..], 1).unwrap()).unwrap();
    let got = classifier.logits().unwrap();
    assert!(mwt_tests::distance(got, &want) < 1e-5, "{got:?} {want:?}");
}

#[test]
fn top_k_is_sorted_and_its_probabilities_are_a_softmax() {
    let bytes = bundle(CONFIG);
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&CONFIG);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    classifier.fit(&Signal::grey(&image(1), 8, 8).unwrap()).unwrap();
    let logits = classifier.logits().unwrap().to_vec();
    let all = classifier.top_k::<16>().unwrap();
    assert_eq!(all.len(), 10);
    assert!(all.windows(2).all(|w| w[0].logit >= w[1].logit));
    assert!(all.iter().all(|p| p.logit == logits[p.class]));
    assert!((all.iter().map(|p| p.probability).sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(classifier.top_k::<3>().unwrap()[..], all[..3]);
    assert!(classifier.top_k::<0>().unwrap().is_empty());
}
