//! Signals of one to three axes, and samples that are missing or lie anywhere.

#[path = "../dev/random_model.rs"]
mod random_model;

use mwt_core::{Draw, Schemes};
use mwt_infer::{
    Bundle, Classifier, Error, Extents, Isa, ModelConfig, Numbers, Range, SampleSource, Scattered,
    Signal, WorkspaceBuf,
};

/// A model for each number of axes, with each draw.
fn models() -> Vec<ModelConfig> {
    let series = ModelConfig { extents: Extents::series(40), channels: 3, ..ModelConfig::NANO };
    let image = ModelConfig { extents: Extents::image(6, 9), channels: 1, ..ModelConfig::NANO };
    let volume =
        ModelConfig { extents: Extents::volume(3, 4, 5), channels: 16, ..ModelConfig::NANO };
    let cell = |sides: &[usize]| Extents::new(sides).unwrap();
    let mut models = Vec::new();
    for (config, cell) in [(series, cell(&[3])), (image, cell(&[2, 2])), (volume, cell(&[1, 2, 2]))]
    {
        let third = config.extents.positions() / 3;
        let cells = config.extents.cells(cell).unwrap().positions();
        for (draw, pixels_per_step) in [
            (Draw::random(1), third),
            (Draw::partition(2), third),
            (Draw::stratified(3, cell), cells),
        ] {
            models.push(ModelConfig { draw, pixels_per_step, ..config });
        }
    }
    models
}

/// Waves in every channel.
fn numbers(config: &ModelConfig) -> Vec<f32> {
    let n = config.extents.positions() * config.channels;
    (0..n).map(|i| 120.0 + 110.0 * (0.37 * i as f32).sin()).collect()
}

/// What `fit` makes of each model.
fn each(mut test: impl FnMut(&ModelConfig, &mut Classifier<'_, '_>)) {
    for config in models() {
        let bytes = random_model::bundle(config, Schemes::default());
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut workspace = WorkspaceBuf::new(&config);
        test(&config, &mut Classifier::new(&bundle, workspace.as_mut_slice()).unwrap());
    }
}

fn logits(classifier: &mut Classifier<'_, '_>, source: &impl SampleSource) -> Vec<f32> {
    classifier.fit(source).unwrap();
    let logits = classifier.logits().unwrap().to_vec();
    assert!(logits.iter().all(|l| l.is_finite()));
    logits
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Bits of a mask.
fn bits(config: &ModelConfig, there: &[u32]) -> Vec<u8> {
    let mut bits = vec![0; config.extents.positions().div_ceil(8)];
    there.iter().for_each(|i| bits[*i as usize / 8] |= 1 << (i % 8));
    bits
}

#[test]
fn every_instruction_set_fits_every_kind_of_signal_alike() {
    for config in models() {
        let bytes = random_model::bundle(config, Schemes::default());
        let bundle = Bundle::parse(&bytes).unwrap();
        let numbers = numbers(&config);
        let signal = Signal::new(&numbers[..], config.extents, config.channels).unwrap();
        let mut workspace = WorkspaceBuf::new(&config);
        let mut of = |isa| {
            let classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
            logits(&mut classifier.with_isa(isa), &signal)
        };
        let want = of(Isa::PORTABLE);
        for isa in Isa::all_available() {
            assert!(distance(&of(isa), &want) < 1e-4, "{} {config:?}", isa.name());
        }
    }
}

/// NaN, bits and a list of positions say the same, to the last bit.
#[test]
fn a_mask_may_be_written_in_three_ways() {
    each(|config, classifier| {
        let numbers = numbers(config);
        let there: Vec<u32> =
            (0..config.extents.positions() as u32).filter(|i| i % 3 != 1).collect();
        let mut holes = numbers.clone();
        for (i, sample) in holes.chunks_exact_mut(config.channels).enumerate() {
            if !there.contains(&(i as u32)) {
                // One channel is enough.
                *sample.last_mut().unwrap() = f32::NAN;
            }
        }
        let signal = |n| Signal::new(Numbers::F32(n), config.extents, config.channels).unwrap();
        let bits = bits(config, &there);
        let want = logits(classifier, &signal(&holes));
        assert_eq!(logits(classifier, &signal(&numbers).with_bits(&bits).unwrap()), want);
        assert_eq!(logits(classifier, &signal(&numbers).with_positions(&there).unwrap()), want);
        assert_ne!(logits(classifier, &signal(&numbers)), want);
    });
}

/// A step sees those of its draw's positions that have a sample, as far down its order as the signal needs.
#[test]
fn a_step_keeps_its_part_of_the_grid() {
    for config in models() {
        // `fit_indices` takes as many samples in each step, which only a model of one step does of any signal.
        let config = ModelConfig { inner_steps: 1, ..config };
        let bytes = random_model::bundle(config, Schemes::default());
        let bundle = Bundle::parse(&bytes).unwrap();
        let mut workspace = WorkspaceBuf::new(&config);
        let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
        let numbers = numbers(&config);
        let signal = Signal::new(&numbers[..], config.extents, config.channels).unwrap();
        let step = config.draw.step(0, config.pixels_per_step, config.extents);
        for every in [2, 3, 7] {
            let there: Vec<u32> =
                (0..config.extents.positions() as u32).filter(|i| i % every != 1).collect();
            let step = step.for_samples(there.len());
            let seen: Vec<u32> = (0..step.count())
                .map(|i| step.index(i) as u32)
                .filter(|position| there.contains(position))
                .collect();
            classifier.fit_indices(&signal, &seen).unwrap();
            let want = classifier.logits().unwrap().to_vec();
            assert_eq!(logits(&mut classifier, &signal.with_positions(&there).unwrap()), want);
        }
    }
}

/// Samples that happen to lie on the grid are those of the grid, in another order.
#[test]
fn scattered_samples_on_the_grid_are_the_grids() {
    each(|config, classifier| {
        let numbers = numbers(config);
        let there: Vec<u32> =
            (0..config.extents.positions() as u32).filter(|i| i % 5 != 2).collect();
        let signal = Signal::new(&numbers[..], config.extents, config.channels).unwrap();
        let signal = signal.with_positions(&there).unwrap();
        let want = logits(classifier, &signal);
        let (axes, channels) = (config.axes(), config.channels);
        let mut coordinates = vec![0.0; there.len() * axes];
        // From the last to the first: their order does not matter.
        for (position, at) in there.iter().rev().zip(coordinates.chunks_exact_mut(axes)) {
            config.extents.coordinates(*position as usize, at);
        }
        let values: Vec<f32> = there
            .iter()
            .rev()
            .flat_map(|i| numbers[*i as usize * channels..][..channels].to_vec())
            .collect();
        let scattered = Scattered::new(&coordinates, axes, &values[..], channels).unwrap();
        let got = logits(classifier, &scattered);
        assert!(distance(&got, &want) < 1e-4, "{config:?}: {got:?} {want:?}");
    });
}

/// Nothing there is an error; one sample, or samples that one step alone would see, give an answer.
#[test]
fn few_samples_give_an_answer_and_none_an_error() {
    each(|config, classifier| {
        let numbers = numbers(config);
        let signal = Signal::new(&numbers[..], config.extents, config.channels).unwrap();
        let none = vec![0; config.extents.positions().div_ceil(8)];
        assert_eq!(classifier.fit(&signal.with_bits(&none).unwrap()), Err(Error::NoSamples));
        assert_eq!(classifier.fit(&signal.with_positions(&[]).unwrap()), Err(Error::NoSamples));
        let nothing = Scattered::new(&[], config.axes(), &[][..] as &[f32], config.channels);
        assert_eq!(classifier.fit(&nothing.unwrap()), Err(Error::NoSamples));
        let (at, one) = (vec![0.3; config.axes()], &numbers[..config.channels]);
        let missing = vec![f32::NAN; config.channels];
        let of = |values| Scattered::new(&at, config.axes(), values, config.channels).unwrap();
        assert_eq!(classifier.fit(&of(Numbers::F32(&missing))), Err(Error::NoSamples));

        let alone = logits(classifier, &of(Numbers::F32(one)));
        let mut first = vec![0.0; config.axes()];
        config.extents.coordinates(7, &mut first);
        let same = signal.with_positions(&[7]).unwrap();
        let masked = logits(classifier, &same);
        assert!(alone.len() == masked.len() && classifier.quality(&same).unwrap().mse.is_finite());

        // What the first step alone would see: the others look at all of it, too.
        let step = config.draw.step(0, config.pixels_per_step, config.extents);
        let mut only: Vec<u32> = (0..step.count()).map(|i| step.index(i) as u32).collect();
        only.sort_unstable();
        let of_first = logits(classifier, &signal.with_positions(&only).unwrap());
        assert_ne!(of_first, masked);
    });
}

#[test]
fn masks_and_signals_that_do_not_fit_are_refused() {
    let numbers = [0u8; 54];
    let signal = Signal::grey(&numbers, 6, 9).unwrap();
    assert_eq!(signal.with_bits(&[0xff; 6]).unwrap_err(), Error::Mask);
    assert!(signal.with_bits(&[0xff; 7]).is_ok());
    for positions in [&[54][..], &[3, 3], &[5, 4]] {
        assert_eq!(signal.with_positions(positions).unwrap_err(), Error::Mask);
    }
    assert_eq!(Signal::new(&numbers[..], Extents::series(54), 0).unwrap_err(), Error::SignalLength);
    assert_eq!(Signal::new(&numbers[..], Extents::series(27), 1).unwrap_err(), Error::SignalLength);
    let short = Scattered::new(&[0.0; 3], 2, &[0.0f32; 2][..], 1);
    assert_eq!(short.unwrap_err(), Error::SignalLength);
    each(|config, classifier| {
        let wrong = Signal::grey(&numbers, 9, 6).unwrap();
        let error = if config.channels == 1 { Error::Extents } else { Error::Channels };
        assert_eq!(classifier.fit(&wrong), Err(error));
    });
}

/// A reconstruction comes back in the numbers' own unit and type.
#[test]
fn a_reconstruction_has_the_type_that_is_asked_for() {
    each(|config, classifier| {
        let numbers = numbers(config);
        let signal = Signal::new(&numbers[..], config.extents, config.channels).unwrap();
        classifier.fit(&signal).unwrap();
        let mut floats = vec![0f32; numbers.len()];
        let (mut bytes, mut shorts) = (vec![0u8; numbers.len()], vec![0i16; numbers.len()]);
        classifier.reconstruct(config.extents, &mut floats).unwrap();
        classifier.reconstruct(config.extents, &mut bytes).unwrap();
        classifier.reconstruct(config.extents, &mut shorts).unwrap();
        for ((float, byte), short) in floats.iter().zip(bytes).zip(shorts) {
            assert_eq!(byte, float.round().clamp(0.0, 255.0) as u8, "{float}");
            assert!((f32::from(short) - float).abs() <= 0.5, "{float} {short}");
        }
        let wrong = if config.axes() == 1 { Extents::image(4, 10) } else { Extents::series(40) };
        let error = classifier.reconstruct(wrong, &mut vec![0u8; 40 * config.channels]);
        assert_eq!(error, Err(Error::OutputLength));
    });
}

/// Values beyond the range are refused or clamped, as the caller chooses; at its end they are as any other.
#[test]
fn values_beyond_the_range_are_refused_or_clamped() {
    let config = ModelConfig { channels: 1, ..ModelConfig::NANO };
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).unwrap();
    let mut workspace = WorkspaceBuf::new(&config);
    let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice()).unwrap();
    let waves: Vec<f32> = numbers(&config).iter().map(|n| n / 127.5 - 1.0).collect();
    let with = |value: f32| {
        let mut values = waves.clone();
        values[3] = value;
        values
    };
    let mut fit = |range, values: &[f32]| {
        classifier.set_range(range);
        let signal = Signal::new(Numbers::Scaled(values), config.extents, 1).unwrap();
        classifier.fit(&signal).map(|_| classifier.phi().unwrap().to_vec())
    };
    let (inside, outside) = (with(2.0), with(2.5));
    let free = fit(Range::Any, &inside).unwrap();
    assert_ne!(fit(Range::Any, &outside).unwrap(), free);
    assert_eq!(fit(Range::Refused(2.0), &inside).unwrap(), free);
    assert_eq!(fit(Range::Refused(2.0), &outside), Err(Error::OutOfRange));
    assert_eq!(fit(Range::Refused(2.0), &with(-2.5)), Err(Error::OutOfRange));
    assert_eq!(fit(Range::Clamped(2.0), &outside).unwrap(), free);
    assert_eq!(fit(Range::Clamped(2.0), &with(-2.5)), fit(Range::Any, &with(-2.0)));
    // Numbers in another unit are noticed by whoever chooses nothing.
    assert_eq!(fit(Range::default(), &with(2048.0)), Err(Error::OutOfRange));
    // What is no number is no matter of the range.
    assert_eq!(fit(Range::Clamped(2.0), &with(f32::INFINITY)), Err(Error::NonFiniteSample));
    // A limit that is none refuses nothing and stops nothing.
    assert_eq!(fit(Range::Clamped(f32::NAN), &inside).unwrap(), free);
}
