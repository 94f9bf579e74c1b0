//! One outer step: forward, both losses, one backward pass, AdamW.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, activation};

use super::optim::{AdamW, Scheduled, gradients};
use crate::model::params::{flat, host};
use crate::model::{Model, MwtBackend, Output, Params, Pixels, TrainBackend};
use crate::ranks::Ranks;
use crate::settings::Precision;

/// Which parts of the model a step trains, and so which losses it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainedParts {
    /// Reconstruction and classification at once.
    Both,
    /// Reconstruction alone: the first half of a sequential WT.
    Siren,
    /// Classification alone, of a SIREN that stays as it is: the second half.
    Classifier,
}

/// What a step minimises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Which losses.
    pub parts: TrainedParts,
    /// w_cls: weight of the classification loss's gradient on θ, α and the SIREN's head.
    pub w_cls: f64,
    /// Share of the target that is spread over all classes evenly, in 0..1.
    pub label_smoothing: f64,
    /// Of the Transformer's products; one that the device has.
    pub precision: Precision,
}

impl Objective {
    /// Both losses against the labels as they are, in exact products.
    pub const fn both(w_cls: f64) -> Self {
        Self { parts: TrainedParts::Both, w_cls, label_smoothing: 0.0, precision: Precision::F32 }
    }
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

/// Mean cross-entropy of logits `[N, K]` and classes `[N]`, `[1]`, as PyTorch's with `label_smoothing`.
pub fn cross_entropy<B: Backend>(
    logits: Tensor<B, 2>,
    labels: Tensor<B, 1, Int>,
    label_smoothing: f64,
) -> Tensor<B, 1> {
    let [n, _] = logits.dims();
    let log = activation::log_softmax(logits, 1);
    let right = log.clone().gather(1, labels.reshape([n, 1])).mean().neg();
    if label_smoothing == 0.0 {
        return right;
    }
    right * (1.0 - label_smoothing) + log.mean().neg() * label_smoothing
}

/// Forward pass and losses of a batch.
pub fn losses<B: MwtBackend>(
    model: &Model<B>,
    pixels: &Pixels<B>,
    labels: Tensor<B, 1, Int>,
    objective: Objective,
) -> (Output<B>, Losses<B>) {
    let w_cls = if objective.parts == TrainedParts::Both { objective.w_cls } else { 0.0 };
    losses_of(model.forward(pixels, w_cls), labels, objective.label_smoothing)
}

/// The losses of what a forward pass gave.
pub fn losses_of<B: Backend>(
    output: Output<B>,
    labels: Tensor<B, 1, Int>,
    label_smoothing: f64,
) -> (Output<B>, Losses<B>) {
    let predicted = output.logits.clone().detach().argmax(1).flatten(0, 1);
    let losses = Losses {
        reconstruction: output.fitted.reconstruction.clone().mean(),
        classification: cross_entropy(output.logits.clone(), labels.clone(), label_smoothing),
        correct: predicted.equal(labels).float().sum(),
    };
    (output, losses)
}

/// Figures of an outer step, on the device.
#[derive(Clone, Debug)]
pub struct StepOutput<B: Backend> {
    /// The losses before the step.
    pub losses: Losses<B>,
    /// Gradient norms of the groups before clipping, `[3]`.
    pub norms: Tensor<B, 1>,
}

/// What this process contributes to an outer step that several take together.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'r> {
    /// All of them.
    pub ranks: &'r Ranks,
    /// Its images' share of the batch.
    pub weight: f32,
}

impl Contribution<'_> {
    /// The mean over the whole batch of what each process has the mean over its own images of: gradients of the groups that
    /// are trained, and the losses. Images classified right are added up.
    fn mean<B: Backend>(
        self,
        gradients: [Tensor<B, 1>; 3],
        losses: Losses<B>,
        trained: [bool; 3],
    ) -> ([Tensor<B, 1>; 3], Losses<B>) {
        if self.ranks.count() == 1 {
            return (gradients, losses);
        }
        let device = gradients[0].device();
        // One exchange for all.
        let Losses { reconstruction, classification, correct } = losses;
        let mut values = Vec::new();
        let sent = |values: &mut Vec<f32>, tensor: Tensor<B, 1>, weight: f32| {
            values.extend(host(tensor).iter().map(|v| v * weight));
        };
        for (gradient, trained) in gradients.iter().zip(trained) {
            if trained {
                sent(&mut values, gradient.clone(), self.weight);
            }
        }
        for (loss, weight) in
            [(reconstruction, self.weight), (classification, self.weight), (correct, 1.0)]
        {
            sent(&mut values, loss, weight);
        }
        self.ranks.sum(&mut values);
        let mut rest = &values[..];
        let mut take = |len: usize| {
            let (first, others) = rest.split_at(len);
            rest = others;
            flat(first.to_vec(), &device)
        };
        let mut trained = trained.into_iter();
        let gradients = gradients.map(|gradient| match trained.next() {
            Some(true) => take(gradient.dims()[0]),
            _ => gradient,
        });
        let [reconstruction, classification, correct] = [take(1), take(1), take(1)];
        (gradients, Losses { reconstruction, classification, correct })
    }
}

/// Takes one outer step with what is scheduled for each group; groups that the objective does not train stay as they are.
pub fn outer_step<B: TrainBackend>(
    params: &mut Params<B::InnerBackend>,
    optimizer: &mut AdamW<B::InnerBackend>,
    pixels: &Pixels<B>,
    labels: Tensor<B, 1, Int>,
    objective: Objective,
    scheduled: [Scheduled; 3],
    contribution: Contribution<'_>,
) -> StepOutput<B::InnerBackend> {
    let trained = match objective.parts {
        TrainedParts::Both => [true; 3],
        TrainedParts::Siren => [true, true, false],
        TrainedParts::Classifier => [false, false, true],
    };
    let mut each = trained.into_iter();
    // What is not trained needs no way back, which saves that through the inner loop.
    let leaves = params.groups().clone().map(|values| {
        let values = Tensor::from_inner(values);
        if each.next() == Some(true) { values.require_grad() } else { values }
    });
    let leaves = params.with_groups(leaves);
    let model = Model::new(&leaves).with_precision(objective.precision);
    let (_, losses) = self::losses(&model, pixels, labels, objective);
    let (reconstruction, classification) =
        (losses.reconstruction.clone(), losses.classification.clone());
    let loss = match objective.parts {
        TrainedParts::Both => reconstruction + classification,
        TrainedParts::Siren => reconstruction,
        TrainedParts::Classifier => classification,
    };
    let gradients = gradients(&leaves, loss);
    let losses = Losses {
        reconstruction: losses.reconstruction.inner(),
        classification: losses.classification.inner(),
        correct: losses.correct.inner(),
    };
    let (gradients, losses) = contribution.mean(gradients, losses, trained);
    let [siren, alpha, classifier] = scheduled;
    let groups = [(siren, trained[0]), (alpha, trained[1]), (classifier, trained[2])];
    let groups = groups.map(|(scheduled, trained)| trained.then_some(scheduled));
    let (next, norms) = optimizer.step(params, gradients, groups);
    *params = next;
    StepOutput { losses, norms }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::Flex;

    use super::*;

    /// By hand from the definition: (1 - ε)·CE + ε times the mean over all classes of -log p.
    #[test]
    fn cross_entropy_follows_its_definition() {
        let device = Default::default();
        let logits = [[1.0, -0.5, 2.0], [0.25, 0.0, -1.0]];
        for (smoothing, expected) in [(0.0, 1.1734086), (0.1, 1.1942419)] {
            let logits = Tensor::<Flex, 2>::from_floats(logits, &device);
            let labels = Tensor::<Flex, 1, Int>::from_ints([0, 1], &device);
            let loss = host(cross_entropy(logits, labels, smoothing))[0];
            assert!((loss - expected).abs() < 1e-6, "{smoothing}: {loss}");
        }
    }
}
