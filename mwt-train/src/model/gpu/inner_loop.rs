//! The inner loop with one kernel for each step, and one for each step's adjoint.

use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::{CubeCount, CubeDim};

use super::kernels::inner_loop as kernels;
use super::kernels::work::{Sizes, THREADS};
use super::{empty, tensor};
use crate::model::operation::{FitGrads, FitInputs, InnerLoopOp, primitive};
use crate::model::pieces::Terms;
use crate::model::pointwise::{Pointwise, mean_gradient};

/// Threads of a cube.
pub(super) const DIM: CubeDim = CubeDim { x: THREADS, y: 1, z: 1 };

/// The inner loop in one kernel a step.
#[derive(Debug)]
pub(super) struct FusedInnerLoop;

impl<R, F, I, T> InnerLoopOp<CubeBackend<R, F, I, T>> for FusedInnerLoop
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    type Saved = Steps<R, F, I, T>;

    fn forward(
        inputs: &FitInputs<CubeBackend<R, F, I, T>>,
    ) -> (Tensor<CubeBackend<R, F, I, T>, 2>, Self::Saved) {
        let fit = Fit::new(inputs);
        let start = Tensor::zeros([fit.n, fit.m], &inputs.theta.device());
        let mut saved = Steps { offsets: vec![start], gradients: Vec::new() };
        for step in 0..inputs.config.inner_steps {
            let [gradient, offsets] = fit.descend(step, &saved.offsets[step]);
            saved.gradients.push(gradient);
            saved.offsets.push(offsets);
        }
        let offsets = saved.offsets[inputs.config.inner_steps].clone();
        let loss = fit.loss(&offsets);
        (Tensor::cat(vec![offsets, loss], 1), saved)
    }

    fn backward(
        inputs: &FitInputs<CubeBackend<R, F, I, T>>,
        saved: &Self::Saved,
        out_bar: Tensor<CubeBackend<R, F, I, T>, 2>,
    ) -> FitGrads<CubeBackend<R, F, I, T>> {
        let fit = Fit::new(inputs);
        let (n, m, k) = (fit.n, fit.m, inputs.config.inner_steps);
        let mut phi_bar = out_bar.clone().slice([0..n, 0..m]);
        let loss_bar = out_bar.slice([0..n, m..m + 1]);
        let [mut through, bar] = fit.loss_backward(&saved.offsets[k], loss_bar);
        let mut head = vec![bar.reshape([n, 1, fit.sizes.head()])];
        let (mut theta, mut alpha) = (Terms::new(), Terms::new());
        for step in (0..k).rev() {
            let (gradient, rate) = (saved.gradients[step].clone(), inputs.alpha_row(step));
            let [bar, theta_bar, alpha_bar, gradient_bar] =
                CubeBackend::descend_backward(phi_bar, through, gradient, rate);
            phi_bar = bar;
            theta.push(theta_bar.reshape([1, 1, m]));
            alpha.push(alpha_bar.reshape([1, 1, m]));
            let [next, bar] = fit.step_backward(step, &saved.offsets[step], gradient_bar);
            through = next;
            head.push(bar.reshape([n, 1, fit.sizes.head()]));
        }
        theta.push(through.reshape([n, 1, m]));
        FitGrads::packed(&inputs.config, theta, alpha, vec![head])
    }
}

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub(super) struct Steps<R: CubeRuntime, F: FloatElement, I: IntElement, T: BoolElement> {
    /// φ_0 - θ, …, φ_k - θ, each `[N, |θ|]`.
    offsets: Vec<Tensor<CubeBackend<R, F, I, T>, 2>>,
    /// The gradient of each step, `[N, |θ|]`.
    gradients: Vec<Tensor<CubeBackend<R, F, I, T>, 2>>,
}

/// What all launches share.
struct Fit<'i, R: CubeRuntime, F: FloatElement, I: IntElement, T: BoolElement> {
    inputs: &'i FitInputs<CubeBackend<R, F, I, T>>,
    sizes: Sizes,
    n: usize,
    /// |θ|.
    m: usize,
    theta: CubeTensor<R>,
    head: CubeTensor<R>,
    /// Each image's work memory.
    work: CubeTensor<R>,
}

impl<'i, R: CubeRuntime, F: FloatElement, I: IntElement, T: BoolElement> Fit<'i, R, F, I, T> {
    fn new(inputs: &'i FitInputs<CubeBackend<R, F, I, T>>) -> Self {
        let config = &inputs.config;
        let [n, _, channels] = inputs.pixels.targets[0].dims();
        let sizes = Sizes {
            axes: config.axes(),
            dim: config.dim,
            hidden_layers: config.hidden_layers,
            channels,
        };
        let (theta, head) = (primitive(inputs.theta.clone()), primitive(inputs.siren_head.clone()));
        let work = empty(&theta, [n, sizes.work()].into());
        Self { inputs, sizes, n, m: config.theta_len(), theta, head, work }
    }

    fn draw(&self, draw: usize) -> [CubeTensor<R>; 2] {
        let pixels = &self.inputs.pixels;
        [&pixels.coordinates[draw], &pixels.targets[draw]].map(|of| primitive(of.clone()))
    }

    fn cubes(&self) -> CubeCount {
        CubeCount::Static(self.n as u32, 1, 1)
    }

    fn omega(&self) -> f32 {
        self.inputs.config.omega
    }

    /// 2/(P·C).
    fn mean(&self) -> f32 {
        mean_gradient(&self.inputs.pixels.targets[0]) as f32
    }

    /// A step's gradient and φ - θ behind it.
    fn descend(
        &self,
        step: usize,
        offsets: &Tensor<CubeBackend<R, F, I, T>, 2>,
    ) -> [Tensor<CubeBackend<R, F, I, T>, 2>; 2] {
        let [coordinates, targets] = self.draw(step);
        let [gradient, next] = [(); 2].map(|()| empty(&self.theta, [self.n, self.m].into()));
        kernels::descend::launch::<R>(
            &self.theta.client,
            self.cubes(),
            DIM,
            self.theta.clone().into_tensor_arg(),
            primitive(self.inputs.alpha_row(step)).into_tensor_arg(),
            self.head.clone().into_tensor_arg(),
            coordinates.into_tensor_arg(),
            targets.into_tensor_arg(),
            primitive(offsets.clone()).into_tensor_arg(),
            self.work.clone().into_tensor_arg(),
            gradient.clone().into_tensor_arg(),
            next.clone().into_tensor_arg(),
            self.omega(),
            self.mean(),
            self.sizes,
        );
        [tensor(gradient), tensor(next)]
    }

    /// The mean squared error on the last draw, `[N, 1]`.
    fn loss(
        &self,
        offsets: &Tensor<CubeBackend<R, F, I, T>, 2>,
    ) -> Tensor<CubeBackend<R, F, I, T>, 2> {
        let [coordinates, targets] = self.draw(self.inputs.config.inner_steps);
        let losses = empty(&self.theta, [self.n, 1].into());
        kernels::loss::launch::<R>(
            &self.theta.client,
            self.cubes(),
            DIM,
            self.theta.clone().into_tensor_arg(),
            self.head.clone().into_tensor_arg(),
            coordinates.into_tensor_arg(),
            targets.into_tensor_arg(),
            primitive(offsets.clone()).into_tensor_arg(),
            self.work.clone().into_tensor_arg(),
            losses.clone().into_tensor_arg(),
            self.omega(),
            self.mean(),
            self.sizes,
        );
        tensor(losses)
    }

    /// What φ_k and the head get from the loss's gradient `[N, 1]`.
    fn loss_backward(
        &self,
        offsets: &Tensor<CubeBackend<R, F, I, T>, 2>,
        loss_bar: Tensor<CubeBackend<R, F, I, T>, 2>,
    ) -> [Tensor<CubeBackend<R, F, I, T>, 2>; 2] {
        let [coordinates, targets] = self.draw(self.inputs.config.inner_steps);
        let outputs = [self.m, self.sizes.head()];
        let [through, head] = outputs.map(|len| empty(&self.theta, [self.n, len].into()));
        kernels::loss_backward::launch::<R>(
            &self.theta.client,
            self.cubes(),
            DIM,
            self.theta.clone().into_tensor_arg(),
            self.head.clone().into_tensor_arg(),
            coordinates.into_tensor_arg(),
            targets.into_tensor_arg(),
            primitive(offsets.clone()).into_tensor_arg(),
            primitive(loss_bar).into_tensor_arg(),
            self.work.clone().into_tensor_arg(),
            through.clone().into_tensor_arg(),
            head.clone().into_tensor_arg(),
            self.omega(),
            self.mean(),
            self.sizes,
        );
        [tensor(through), tensor(head)]
    }

    /// What φ and the head get through a step's gradient.
    fn step_backward(
        &self,
        step: usize,
        offsets: &Tensor<CubeBackend<R, F, I, T>, 2>,
        gradient_bar: Tensor<CubeBackend<R, F, I, T>, 2>,
    ) -> [Tensor<CubeBackend<R, F, I, T>, 2>; 2] {
        let [coordinates, targets] = self.draw(step);
        let outputs = [self.m, self.sizes.head()];
        let [through, head] = outputs.map(|len| empty(&self.theta, [self.n, len].into()));
        kernels::step_backward::launch::<R>(
            &self.theta.client,
            self.cubes(),
            DIM,
            self.theta.clone().into_tensor_arg(),
            self.head.clone().into_tensor_arg(),
            coordinates.into_tensor_arg(),
            targets.into_tensor_arg(),
            primitive(offsets.clone()).into_tensor_arg(),
            primitive(gradient_bar).into_tensor_arg(),
            self.work.clone().into_tensor_arg(),
            through.clone().into_tensor_arg(),
            head.clone().into_tensor_arg(),
            self.omega(),
            self.mean(),
            self.sizes,
        );
        [tensor(through), tensor(head)]
    }
}
