//! Whole images: every instruction set, both arithmetics, the profiler, batches.

#[path = "../dev/random_model.rs"]
mod random_model;

use mwt_core::Schemes;
use mwt_core::quant::Scheme;
use mwt_infer::{
    Arithmetic, Bundle, Classifier, Error, Isa, ModelConfig, Phase, Profiler, Signal, WorkspaceBuf,
};

fn logits(
    bundle: &Bundle<'_>,
    isa: Isa,
    arithmetic: Arithmetic,
    image: &[u8],
) -> Result<Vec<f32>, Error> {
    let config = bundle.config();
    let mut workspace = WorkspaceBuf::new(config);
    let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?.with_isa(isa);
    classifier.set_arithmetic(arithmetic);
    classifier.fit(&Signal::new(image, config.extents, config.channels)?)?;
    Ok(classifier.logits()?.to_vec())
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Models whose widths and token counts fill no register, one, and several.
fn models() -> impl Iterator<Item = ModelConfig> {
    let narrow = ModelConfig { dim: 8, hidden_layers: 1, blocks: 1, ..ModelConfig::NANO };
    let odd = ModelConfig { dim: 40, hidden_layers: 3, classes: 17, ..ModelConfig::NANO };
    let colour = ModelConfig { channels: 3, mlp_mult: 3, pixels_per_step: 61, ..ModelConfig::NANO };
    let wide = ModelConfig { blocks: 2, inner_steps: 2, hidden_layers: 2, ..ModelConfig::BASE };
    [narrow, odd, colour, wide, ModelConfig::NANO, ModelConfig::MICRO, ModelConfig::SMALL]
        .into_iter()
}

#[test]
fn every_instruction_set_gives_the_same_logits() {
    for config in models() {
        for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
            let bytes = random_model::bundle(config, Schemes::all(scheme));
            let bundle = Bundle::parse(&bytes).unwrap();
            let image = random_model::image(&config, 1);
            let want = logits(&bundle, Isa::PORTABLE, Arithmetic::F32, &image).unwrap();
            for isa in Isa::all_available() {
                let got = logits(&bundle, isa, Arithmetic::F32, &image).unwrap();
                let d = distance(&got, &want);
                assert!(d <= 1e-4, "{} {scheme:?} {config:?}: {d}", isa.name());
            }
        }
    }
}

#[test]
fn int8_arithmetic_stays_close() {
    let config = ModelConfig { blocks: 3, ..ModelConfig::SMALL };
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).unwrap();
    for isa in Isa::all_available() {
        let image = random_model::image(&config, 2);
        let want = logits(&bundle, isa, Arithmetic::F32, &image).unwrap();
        let got = logits(&bundle, isa, Arithmetic::Int8, &image).unwrap();
        let spread = distance(&want, &vec![0.0; want.len()]);
        assert!(distance(&got, &want) <= 0.02 * spread, "{}: {got:?} {want:?}", isa.name());
        // Where integers are not faster they are not used.
        let integers = !["neon", "simd128"].contains(&isa.name());
        assert_eq!(got != want, integers, "{}", isa.name());
    }
}

/// A fit in integers is as good, and the weights stay close to those in f32.
#[test]
fn a_fit_in_integers_is_as_good() {
    for config in models() {
        let bytes = random_model::bundle(config, Schemes::all(Scheme::Int8));
        let bundle = Bundle::parse(&bytes).unwrap();
        let image = random_model::image(&config, 3);
        let image = Signal::new(&image[..], config.extents, config.channels).unwrap();
        for isa in Isa::all_available() {
            let [f32, int8] = [Arithmetic::F32, Arithmetic::Int8].map(|arithmetic| {
                let mut workspace = WorkspaceBuf::new(&config);
                let classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
                let mut classifier = classifier.with_isa(isa);
                classifier.set_arithmetic(arithmetic);
                let loss = classifier.fit(&image).unwrap();
                let quality = classifier.quality(&image).unwrap();
                (loss, quality.psnr, classifier.phi().unwrap().to_vec())
            });
            let what = std::format!("{} {config:?}", isa.name());
            let largest = f32.2.iter().fold(0.0, |l: f32, x| l.max(x.abs()));
            assert!((f32.0 - int8.0).abs() < 1e-3 * f32.0, "{what} {} {}", f32.0, int8.0);
            assert!((f32.1 - int8.1).abs() < 0.01, "{what} {} {}", f32.1, int8.1);
            let error = distance(&f32.2, &int8.2);
            assert!(error < 2e-3 * largest, "{what} {error:e} {largest}");
            // Where the integers are in use they do differ, and nowhere else.
            let integers = match isa.name() {
                "portable" => true,
                "neon" | "neon-dotprod" | "simd128" => false,
                _ => config.dim >= 64,
            };
            assert_eq!(error > 0.0, integers, "{what}");
        }
    }
}

/// A fit ends with the step that is sure enough, and with what as many single steps give.
#[test]
fn a_fit_ends_when_it_is_sure() {
    let config = ModelConfig::MICRO;
    let bytes = random_model::bundle(config, Schemes::all(Scheme::Int8));
    let bundle = Bundle::parse(&bytes).unwrap();
    let image = random_model::image(&config, 5);
    let image = Signal::new(&image[..], config.extents, config.channels).unwrap();
    let (mut one, mut other) = (WorkspaceBuf::new(&config), WorkspaceBuf::new(&config));
    let mut steps = Classifier::new(&bundle, one.as_mut_slice()).unwrap();
    let mut until = Classifier::new(&bundle, other.as_mut_slice()).unwrap();
    let mut sure = Vec::new();
    while steps.step(&image).unwrap().is_some() {
        sure.push(steps.top_k::<1>().unwrap()[0].probability);
        for confidence in [0.0, sure[0], 0.5 * (sure[0] + sure[sure.len() - 1]), f32::NAN, 2.0] {
            let there = sure.iter().position(|sure| *sure >= confidence);
            let taken = until.fit_until(&image, confidence).unwrap();
            match there {
                Some(step) => assert_eq!(taken, step + 1),
                None => assert!(taken > sure.len() || taken == config.inner_steps),
            }
            if taken == sure.len() {
                assert_eq!(until.logits().unwrap(), steps.logits().unwrap());
            }
        }
    }
    assert_eq!(until.fit_until(&image, f32::NAN).unwrap(), config.inner_steps);
}

/// A thread whose stack is too small dies.
#[test]
fn a_host_needs_no_more_stack_than_promised() {
    let config = ModelConfig { blocks: 2, inner_steps: 1, ..ModelConfig::BASE };
    let bytes = random_model::bundle(config, Schemes::default());
    let image = random_model::image(&config, 3);
    let run = move || {
        let bundle = Bundle::parse(&bytes).unwrap();
        for isa in Isa::all_available() {
            for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
                logits(&bundle, isa, arithmetic, &image).unwrap();
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(mwt_infer::STACK_HOST);
    small.spawn(run).unwrap().join().unwrap();
}

#[derive(Default)]
struct Log {
    open: Vec<Phase>,
    closed: Vec<Phase>,
}

impl Profiler for Log {
    fn begin(&mut self, phase: Phase) {
        self.open.push(phase);
    }

    fn end(&mut self, phase: Phase) {
        assert_eq!(self.open.pop(), Some(phase));
        self.closed.push(phase);
    }
}

#[test]
fn a_profiler_sees_each_phase_once_and_in_order() {
    let config = ModelConfig::NANO;
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).unwrap();
    let image = random_model::image(&config, 3);
    let mut workspace = WorkspaceBuf::new(&config);
    let mut log = Log::default();
    let mut classifier =
        Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().with_profiler(&mut log);
    classifier.fit(&Signal::grey(&image, 8, 8).unwrap()).unwrap();
    let with = classifier.logits().unwrap().to_vec();
    let want = [
        Phase::Step(0),
        Phase::Step(1),
        Phase::Step(2),
        Phase::Tokens,
        Phase::Block(0),
        Phase::Block(1),
        Phase::Logits,
    ];
    assert_eq!(log.closed, want);
    assert!(log.open.is_empty());
    let without = logits(&bundle, Isa::detect(), Arithmetic::F32, &image).unwrap();
    assert_eq!(with, without);
}

#[test]
fn a_batch_is_its_images_one_by_one() {
    let config = ModelConfig::MICRO;
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).unwrap();
    let images: Vec<Vec<u8>> = (0..23).map(|n| random_model::image(&config, n)).collect();
    let mut sources: Vec<_> = images.iter().map(|i| Signal::grey(i, 28, 28).unwrap()).collect();
    let small = vec![0; 64];
    // One source that does not suit the model must not spoil the others.
    sources.insert(5, Signal::grey(&small, 8, 8).unwrap());
    let mut batch = mwt_infer::classify_batch(&bundle, Arithmetic::F32, &sources);
    assert_eq!(batch.remove(5), Err(Error::Extents));
    assert_eq!(batch.len(), images.len());
    for (got, image) in batch.iter().zip(&images) {
        let want = logits(&bundle, Isa::detect(), Arithmetic::F32, image).unwrap();
        // Memory may be aligned differently, which no sum depends on.
        assert_eq!(got.as_ref().unwrap(), &want);
    }
}

#[test]
fn ranked_classes_are_all_classes_the_most_likely_first() {
    let config = ModelConfig { classes: 17, ..ModelConfig::NANO };
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    classifier.fit(&Signal::grey(&random_model::image(&config, 4), 8, 8).unwrap()).unwrap();
    let logits = classifier.logits().unwrap().to_vec();
    let ranked: Vec<_> = classifier.ranked().unwrap().collect();
    let mut want: Vec<usize> = (0..17).collect();
    want.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    assert_eq!(ranked.iter().map(|p| p.class).collect::<Vec<_>>(), want);
    let all: f64 = logits.iter().map(|l| f64::from(*l).exp()).sum();
    for prediction in &ranked {
        assert_eq!(prediction.logit, logits[prediction.class]);
        let probability = f64::from(prediction.logit).exp() / all;
        assert!((f64::from(prediction.probability) - probability).abs() < 1e-6, "{prediction:?}");
    }
    assert_eq!(*classifier.top_k::<5>().unwrap(), ranked[..5]);
    assert_eq!(*classifier.top_k::<20>().unwrap(), ranked[..]);
}
