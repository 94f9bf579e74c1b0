//! The trainer on any back end against the golden vectors.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use mwt_train::model::adjoint::{AdjointInnerLoop, AdjointTransformer};
use mwt_train::model::attention::Attention;
use mwt_train::model::operation;
use mwt_train::model::params::host;
use mwt_train::model::pointwise::Pointwise;
use mwt_train::model::tokens::boundary;
use mwt_train::model::update::Update;
use mwt_train::model::{Model, MwtBackend, Output, Params, Pixels, TrainBackend, inner};
use mwt_train::ranks::Ranks;
use mwt_train::settings::Precision;
use mwt_train::train::optim::{AdamW, AdamWConfig, OneCycle, gradients};
use mwt_train::train::step::{Contribution, Losses, Objective, losses_of, outer_step};
use mwt_train::weights::{Group, Spec, specs, split};

use crate::{Golden, IMAGES, assert_close, distance};

/// The paper's weight of the classification loss on θ, α and the head.
pub const W_CLS: f64 = 0.01;

/// A back end on which the model has every form.
pub trait Tested: Pointwise + Attention + Update + MwtBackend {}

impl<B: Pointwise + Attention + Update + MwtBackend> Tested for B {}

/// An implementation of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What training on the back end uses.
    Own,
    /// Ordinary tensor operations and autodiff.
    Tensors,
    /// Tensor operations with the adjoint in closed form.
    Adjoint,
}

impl Way {
    /// Every implementation.
    pub const ALL: [Self; 3] = [Self::Own, Self::Tensors, Self::Adjoint];
}

/// How far a back end's f32 may be from the golden values.
#[derive(Clone, Copy, Debug)]
pub struct Tolerances {
    /// Of φ - θ.
    pub offsets: f32,
    /// Of tokens, λ = 500 times larger.
    pub tokens: f32,
    /// Of logits.
    pub logits: f32,
    /// Of both losses.
    pub losses: f32,
    /// Of a gradient, as a share of its tensor's largest one.
    pub gradient: f32,
}

/// What f32 arithmetic on the CPU keeps to.
pub const F32: Tolerances =
    Tolerances { offsets: 5e-6, tokens: 1e-3, logits: 1e-4, losses: 1e-5, gradient: 1e-4 };

/// The pixels that the golden run drew at an outer step.
pub fn pixels<B: Backend>(golden: &Golden, outer: usize) -> Pixels<B> {
    let config = golden.config;
    let (p, c, device) = (config.pixels_per_step, config.channels, Default::default());
    let e = config.axes();
    let (images, all) = (golden.images(), golden.coordinates());
    let mut pixels = Pixels { coordinates: Vec::new(), targets: Vec::new() };
    for draw in 0..=config.inner_steps {
        let (mut coordinates, mut targets) = (Vec::<f32>::new(), Vec::<f32>::new());
        for image in 0..IMAGES {
            for &index in golden.draw(outer, draw, image) {
                let index = index as usize;
                coordinates.extend(&all[e * index..][..e]);
                let start = (image * config.extents.positions() + index) * c;
                targets.extend(&images[start..start + c]);
            }
        }
        let data = TensorData::new(coordinates, [IMAGES, p, e]);
        pixels.coordinates.push(Tensor::from_data(data, &device));
        let data = TensorData::new(targets, [IMAGES, p, c]);
        pixels.targets.push(Tensor::from_data(data, &device));
    }
    pixels
}

/// The classes of the golden images.
pub fn labels<B: Backend>(golden: &Golden) -> Tensor<B, 1, Int> {
    let labels: Vec<i64> = golden.labels.iter().map(|l| *l as i64).collect();
    Tensor::from_data(TensorData::new(labels, [IMAGES]), &Default::default())
}

/// The golden parameters, to be differentiated by.
pub fn leaves<I: Backend>(golden: &Golden) -> Params<Autodiff<I>> {
    let params = Params::<Autodiff<I>>::from_weights(&golden.weights, &Default::default());
    params.with_groups(params.groups().clone().map(Tensor::require_grad))
}

/// Every parameter's part of what belongs to the groups, under its spec.
pub fn by_parameter<B: Backend>(
    golden: &Golden,
    groups: &[Tensor<B, 1>; 3],
) -> Vec<(Spec, Vec<f32>)> {
    let specs = specs(&golden.config);
    let values = split(&specs, &groups.clone().map(host));
    specs.into_iter().zip(values).collect()
}

/// Forward pass and losses at outer step 0.
pub fn pass<I: Tested>(
    golden: &Golden,
    model: &Model<Autodiff<I>>,
    way: Way,
    w_cls: f64,
) -> (Output<Autodiff<I>>, Losses<Autodiff<I>>)
where
    Autodiff<I>: MwtBackend,
{
    let (pixels, config) = (pixels(golden, 0), golden.config);
    let output = match way {
        Way::Own => model.forward(&pixels, w_cls),
        Way::Tensors => {
            let fitted = inner::fit(&config, &model.siren(), &model.alpha, &pixels);
            let tokens = model.tokens(boundary(fitted.offsets.clone(), w_cls));
            Output { fitted, logits: model.transformer().forward(tokens) }
        }
        Way::Adjoint => {
            let inputs = model.fit_inputs(&pixels);
            let fitted = operation::fit_tracked::<AdjointInnerLoop, I, NoCheckpointing>(inputs);
            let inputs = model.transformer_inputs(fitted.offsets.clone());
            let logits = operation::transformer_tracked::<AdjointTransformer, I, NoCheckpointing>(
                inputs, w_cls,
            );
            Output { fitted, logits }
        }
    };
    losses_of(output, labels(golden), 0.0)
}

/// Asserts every golden value of a forward pass.
pub fn assert_forward<I: Tested>(golden: &Golden, way: Way, within: Tolerances)
where
    Autodiff<I>: MwtBackend,
{
    let model = Model::new(&leaves::<I>(golden));
    let (output, losses) = pass(golden, &model, way, W_CLS);
    let fitted = output.fitted;
    let offsets = golden.expect(&format!("offset.{}", golden.config.inner_steps));
    assert_close("φ - θ", &host(fitted.offsets.clone()), offsets, within.offsets);
    let tokens = host(model.tokens(fitted.offsets.clone()));
    assert_close("tokens", &tokens, golden.expect("tokens"), within.tokens);
    assert_close("logits", &host(output.logits), golden.expect("logits"), within.logits);
    let reconstruction = host(fitted.reconstruction);
    let want = golden.expect("recon_loss");
    assert_close("reconstruction loss", &reconstruction, want, within.losses);
    let cross_entropy = host(losses.classification);
    assert_close("cross-entropy", &cross_entropy, golden.expect("cls_loss"), within.losses);
    let coordinates = golden.coordinates().repeat(IMAGES);
    let data = TensorData::new(
        coordinates,
        [IMAGES, golden.config.extents.positions(), golden.config.axes()],
    );
    let coordinates = Tensor::from_data(data, &Default::default());
    let prediction = model.siren().predict(&golden.config, &fitted.offsets, coordinates);
    let psnr = psnr(&host(prediction), &golden.images());
    assert_close("PSNR", &psnr, golden.expect("psnr_all"), 100.0 * within.losses);
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

/// How far logits and each parameter's gradient are from the golden values, as shares of their largest one.
pub fn deviations<I: Tested>(golden: &Golden, way: Way, precision: Precision) -> Vec<(String, f32)>
where
    Autodiff<I>: MwtBackend,
{
    let params = leaves::<I>(golden);
    let model = Model::new(&params).with_precision(precision);
    let (output, losses) = pass(golden, &model, way, W_CLS);
    let share = |name: String, got: &[f32], want: &[f32]| {
        let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        (name, distance(got, want) / largest)
    };
    let logits = share("logits".into(), &host(output.logits), golden.expect("logits"));
    let gradients = gradients(&params, losses.reconstruction + losses.classification);
    let gradients = by_parameter(golden, &gradients).into_iter().map(|(spec, gradient)| {
        let want = golden.expect(&format!("grad.{}", spec.name));
        share(spec.name, &gradient, want)
    });
    [logits].into_iter().chain(gradients).collect()
}

/// Asserts every golden outer gradient.
pub fn assert_gradients<I: Tested>(golden: &Golden, way: Way, within: Tolerances)
where
    Autodiff<I>: MwtBackend,
{
    for (name, apart) in deviations::<I>(golden, way, Precision::F32).into_iter().skip(1) {
        let allowed = within.gradient;
        assert!(apart <= allowed, "{way:?}: gradient of {name} {apart:e} of its maximum");
    }
}

/// Asserts the parameters after outer steps 1 and 3 of a schedule of 60.
pub fn assert_outer_steps<I: Tested>(golden: &Golden)
where
    Autodiff<I>: TrainBackend<InnerBackend = I>,
{
    let schedule = OneCycle { steps: 60, warmup: 0.05 };
    let mut params = Params::<I>::from_weights(&golden.weights, &Default::default());
    let mut optimizer = AdamW::new(&params, AdamWConfig::default());
    for step in 0..3u64 {
        let scheduled = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(step, peak));
        let pixels = pixels::<Autodiff<I>>(golden, step as usize);
        let (labels, objective) = (labels(golden), Objective::both(W_CLS));
        let whole = Contribution { ranks: &Ranks::alone(), weight: 1.0 };
        outer_step(&mut params, &mut optimizer, &pixels, labels, objective, scheduled, whole);
        if step == 1 {
            continue;
        }
        for (spec, values) in by_parameter(golden, params.groups()) {
            let want = golden.expect(&format!("after_outer_step.{}.{}", step + 1, spec.name));
            // AdamW divides by √v: where a gradient is close to 0, its rounding error decides the direction of a
            // step of up to the rate. The first steps' rates are at most 1e-4·4e-2 … 1e-2.
            let rate: f64 = (0..=step).map(|s| rate_of(spec.group, &schedule, s)).sum();
            let tolerance = (0.05 * rate) as f32 + 1e-7;
            assert_close(&spec.name, &values, want, tolerance);
        }
    }
}

fn rate_of(group: Group, schedule: &OneCycle, step: u64) -> f64 {
    let peak = if group == Group::Alpha { 1e-2 } else { 1e-4 };
    schedule.at(step, peak).learning_rate
}
