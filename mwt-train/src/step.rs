//! One outer step: forward, both losses, one backward pass, AdamW.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, activation};

use crate::model::{Model, MwtBackend, Output, Params, Pixels, TrainBackend};
use crate::optim::{AdamW, Rates, gradients};

/// Which losses a step uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reconstruction and classification at once.
    Both,
    /// Reconstruction alone: the first half of a sequential WT.
    Siren,
    /// Classification alone, of a SIREN that stays as it is: the second half.
    Classifier,
}

/// The losses of a batch, each `[1]`, on the device.
#[derive(Clone, Debug)]
pub struct Losses<B: Backend> {
    /// Mean reconstruction loss R.
    pub reconstruction: Tensor<B, 1>,
    /// Mean cross-entropy CE.
    pub classification: Tensor<B, 1>,
    /// Images classified right.
    pub correct: Tensor<B, 1>,
}

/// Mean cross-entropy of logits `[N, K]` and classes `[N]`, `[1]`.
pub fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let [n, _] = logits.dims();
    activation::log_softmax(logits, 1).gather(1, labels.reshape([n, 1])).mean().neg()
}

/// Forward pass and losses of a batch.
pub fn losses<B: MwtBackend>(
    model: &Model<B>,
    pixels: &Pixels<B>,
    labels: Tensor<B, 1, Int>,
    w_cls: f64,
) -> (Output<B>, Losses<B>) {
    losses_of(model.forward(pixels, w_cls), labels)
}

/// The losses of what a forward pass gave.
pub fn losses_of<B: Backend>(
    output: Output<B>,
    labels: Tensor<B, 1, Int>,
) -> (Output<B>, Losses<B>) {
    let predicted = output.logits.clone().detach().argmax(1).flatten(0, 1);
    let losses = Losses {
        reconstruction: output.fitted.reconstruction.clone().mean(),
        classification: cross_entropy(output.logits.clone(), labels.clone()),
        correct: predicted.equal(labels).float().sum(),
    };
    (output, losses)
}

/// What an outer step tells.
#[derive(Clone, Debug)]
pub struct Taken<B: Backend> {
    /// The losses before the step.
    pub losses: Losses<B>,
    /// Gradient norms of the groups before clipping, `[3]`.
    pub norms: Tensor<B, 1>,
}

/// Takes one outer step. `rates` are the groups'; a phase leaves the groups that it does not train as they are.
pub fn outer_step<B: TrainBackend>(
    params: &mut Params<B::InnerBackend>,
    optimizer: &mut AdamW<B::InnerBackend>,
    pixels: &Pixels<B>,
    labels: Tensor<B, 1, Int>,
    w_cls: f64,
    phase: Phase,
    rates: [Rates; 3],
) -> Taken<B::InnerBackend> {
    let leaves = params.with_tensors(
        params.tensors().iter().map(|t| Tensor::from_inner(t.clone()).require_grad()).collect(),
    );
    let model = Model::new(&leaves);
    let w_cls = if phase == Phase::Both { w_cls } else { 0.0 };
    let (_, losses) = self::losses(&model, pixels, labels, w_cls);
    let (reconstruction, classification) =
        (losses.reconstruction.clone(), losses.classification.clone());
    let (loss, trained) = match phase {
        Phase::Both => (reconstruction + classification, [true; 3]),
        Phase::Siren => (reconstruction, [true, true, false]),
        Phase::Classifier => (classification, [false, false, true]),
    };
    let gradients = gradients(&leaves, loss);
    let [siren, alpha, classifier] = rates;
    let groups = [(siren, trained[0]), (alpha, trained[1]), (classifier, trained[2])];
    let groups = groups.map(|(rates, trained)| trained.then_some(rates));
    let (next, norms) = optimizer.step(params, &gradients, groups);
    *params = next;
    let losses = Losses {
        reconstruction: losses.reconstruction.inner(),
        classification: losses.classification.inner(),
        correct: losses.correct.inner(),
    };
    Taken { losses, norms }
}
