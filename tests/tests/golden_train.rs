//! The trainer against the golden vectors: forward pass, every outer gradient, and outer steps.
#![cfg(feature = "cpu")]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Int, Tensor, TensorData};
use mwt_tests::{Golden, IMAGES, assert_close, distance, full_golden, golden, skipped};
use mwt_train::model::params::host;
use mwt_train::model::tokens::boundary;
use mwt_train::model::{self, Output, Params, Pixels, inner};
use mwt_train::optim::{AdamW, AdamWConfig, OneCycle, gradients};
use mwt_train::step::{Losses, Objective, losses_of, outer_step};

type Cpu = Autodiff<Flex>;

/// The paper's weight of the classification loss on θ, α and the head.
const W_CLS: f64 = 0.01;

/// The pixels that the golden run drew at an outer step.
fn pixels(golden: &Golden, outer: usize) -> Pixels<Cpu> {
    let config = golden.config;
    let (p, c, device) = (config.pixels_per_step, config.channels, Default::default());
    let (images, all) = (golden.images(), golden.coordinates());
    let mut pixels = Pixels { coordinates: Vec::new(), targets: Vec::new() };
    for draw in 0..=config.steps {
        let (mut coordinates, mut targets) = (Vec::<f32>::new(), Vec::<f32>::new());
        for image in 0..IMAGES {
            for &index in golden.draw(outer, draw, image) {
                let index = index as usize;
                coordinates.extend(&all[2 * index..2 * index + 2]);
                let start = (image * config.image.pixels() + index) * c;
                targets.extend(&images[start..start + c]);
            }
        }
        let data = TensorData::new(coordinates, [IMAGES, p, 2]);
        pixels.coordinates.push(Tensor::from_data(data, &device));
        let data = TensorData::new(targets, [IMAGES, p, c]);
        pixels.targets.push(Tensor::from_data(data, &device));
    }
    pixels
}

fn labels(golden: &Golden) -> Tensor<Cpu, 1, Int> {
    let labels: Vec<i64> = golden.labels.iter().map(|l| *l as i64).collect();
    Tensor::from_data(TensorData::new(labels, [IMAGES]), &Default::default())
}

fn leaves(golden: &Golden) -> Params<Cpu> {
    let params = Params::<Cpu>::from_weights(&golden.weights, &Default::default());
    params.with_tensors(params.tensors().iter().map(|t| t.clone().require_grad()).collect())
}

/// The two implementations of inner loop and Transformer.
#[derive(Clone, Copy, Debug)]
enum Model {
    /// Operations with their own backward: what training on the CPU uses.
    Native,
    /// Ordinary tensor operations: what other back ends use.
    Tensors,
}

const BOTH: [Model; 2] = [Model::Native, Model::Tensors];

/// Forward pass and losses at outer step 0.
fn pass(
    golden: &Golden,
    model: &model::Model<Cpu>,
    which: Model,
    w_cls: f64,
) -> (Output<Cpu>, Losses<Cpu>) {
    let (pixels, config) = (pixels(golden, 0), golden.config);
    let output = match which {
        Model::Native => model.forward(&pixels, w_cls),
        Model::Tensors => {
            let fitted = inner::fit(&config, &model.siren, &model.alpha, &pixels);
            let tokens = model.tokens(boundary(fitted.offsets.clone(), w_cls));
            Output { fitted, logits: model.transformer.forward(tokens) }
        }
    };
    losses_of(output, labels(golden), 0.0)
}

fn forward(golden: &Golden) {
    for which in BOTH {
        let model = model::Model::new(&leaves(golden));
        let (output, losses) = pass(golden, &model, which, W_CLS);
        let fitted = output.fitted;
        let offsets = golden.expect(&format!("offset.{}", golden.config.steps));
        assert_close("φ - θ", &host(fitted.offsets.clone()), offsets, 5e-6);
        let tokens = host(model.tokens(fitted.offsets.clone()));
        assert_close("tokens", &tokens, golden.expect("tokens"), 1e-3);
        assert_close("logits", &host(output.logits), golden.expect("logits"), 1e-4);
        let reconstruction = host(fitted.reconstruction);
        let want = golden.expect("recon_loss");
        assert_close("reconstruction loss", &reconstruction, want, 1e-5);
        let cross_entropy = host(losses.classification);
        assert_close("cross-entropy", &cross_entropy, golden.expect("cls_loss"), 1e-5);
        let coordinates = golden.coordinates().repeat(IMAGES);
        let data = TensorData::new(coordinates, [IMAGES, golden.config.image.pixels(), 2]);
        let coordinates = Tensor::from_data(data, &Default::default());
        let prediction = model.siren.predict(&golden.config, &fitted.offsets, coordinates);
        let psnr = psnr(&host(prediction), &golden.images());
        assert_close("PSNR", &psnr, golden.expect("psnr_all"), 1e-3);
    }
}

/// PSNR of each of the images.
fn psnr(predicted: &[f32], target: &[f32]) -> Vec<f32> {
    let len = predicted.len() / IMAGES;
    let images = predicted.chunks_exact(len).zip(target.chunks_exact(len));
    let error = |(p, t): (&[f32], &[f32])| {
        p.iter().zip(t).map(|(p, t)| mwt_core::grid::clamped_squared_error(*p, *t)).sum::<f32>()
    };
    images.map(|image| mwt_core::grid::psnr(error(image) / len as f32)).collect()
}

/// Every outer gradient within `tolerance` of its tensor's largest one.
fn gradient(golden: &Golden, tolerance: f32) {
    for which in BOTH {
        let params = leaves(golden);
        let (_, losses) = pass(golden, &model::Model::new(&params), which, W_CLS);
        let gradients = gradients(&params, losses.reconstruction + losses.classification);
        for (spec, gradient) in params.specs().iter().zip(gradients) {
            let want = golden.expect(&format!("grad.{}", spec.name));
            let largest = want.iter().fold(0.0f32, |m, g| m.max(g.abs()));
            let apart = distance(&host(gradient), want) / largest;
            let name = &spec.name;
            assert!(apart <= tolerance, "{which:?}: gradient of {name} {apart:e} of its maximum");
        }
    }
}

#[test]
fn nano_forward() {
    forward(&golden("nano"));
}

#[test]
fn micro_forward() {
    forward(&golden("micro"));
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
    gradient(&golden("nano"), 1e-4);
}

#[test]
fn micro_gradients() {
    gradient(&golden("micro"), 1e-4);
}

#[test]
fn nano_outer_steps() {
    outer_steps(&golden("nano"));
}

#[test]
fn micro_outer_steps() {
    match full_golden("micro") {
        Some(golden) => outer_steps(&golden),
        None => skipped("micro_outer_steps", "MWT_GOLDEN_DIR"),
    }
}

/// The parameters after outer steps 1 and 3 of a schedule of 60.
fn outer_steps(golden: &Golden) {
    let schedule = OneCycle { steps: 60, rise: 0.05 };
    let mut params = Params::<Flex>::from_weights(&golden.weights, &Default::default());
    let mut optimizer = AdamW::new(&params, AdamWConfig::default());
    for step in 0..3u64 {
        let rates = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(step, peak));
        let pixels = pixels(golden, step as usize);
        let labels = labels(golden);
        outer_step(&mut params, &mut optimizer, &pixels, labels, Objective::both(W_CLS), rates);
        if step == 1 {
            continue;
        }
        for (spec, tensor) in params.specs().iter().zip(params.tensors()) {
            let want = golden.expect(&format!("after_outer_step.{}.{}", step + 1, spec.name));
            // AdamW divides by √v: where a gradient is close to 0, its rounding error decides the direction of a
            // step of up to the rate. The first steps' rates are at most 1e-4·4e-2 … 1e-2.
            let rate: f64 = (0..=step).map(|s| rates_of(spec.group, &schedule, s)).sum();
            let tolerance = (0.05 * rate) as f32 + 1e-7;
            assert_close(&spec.name, &host(tensor.clone()), want, tolerance);
        }
    }
}

fn rates_of(group: mwt_train::weights::Group, schedule: &OneCycle, step: u64) -> f64 {
    use mwt_train::weights::Group;
    let peak = if group == Group::Alpha { 1e-2 } else { 1e-4 };
    schedule.at(step, peak).rate
}

/// One backward pass with the gradient scaled at the token boundary equals two passes.
#[test]
fn one_pass_equals_two() {
    let golden = golden("nano");
    let run = |w_cls: f64, classification: bool| {
        let params = leaves(&golden);
        let (_, losses) = pass(&golden, &model::Model::new(&params), Model::Native, w_cls);
        let loss = if classification { losses.classification } else { losses.reconstruction };
        gradients(&params, loss).into_iter().map(host).collect::<Vec<_>>()
    };
    let (scaled, full) = (run(W_CLS, true), run(1.0, true));
    let specs = leaves(&golden).specs().to_vec();
    for ((spec, scaled), full) in specs.iter().zip(&scaled).zip(&full) {
        use mwt_train::weights::Group;
        let factor = if spec.group == Group::Classifier { 1.0 } else { W_CLS as f32 };
        let want: Vec<f32> = full.iter().map(|g| factor * g).collect();
        let largest = want.iter().fold(0.0f32, |m, g| m.max(g.abs()));
        assert!(largest > 0.0, "{} has no gradient", spec.name);
        assert_close(&spec.name, scaled, &want, 1e-5 * largest);
    }
    // w_cls = 0 (the paper's WT) cuts the classifier off from the SIREN.
    for (spec, gradient) in specs.iter().zip(run(0.0, true)) {
        let zero = gradient.iter().all(|g| *g == 0.0);
        assert_eq!(zero, spec.group != mwt_train::weights::Group::Classifier, "{}", spec.name);
    }
}
