//! The inner loop: fitting a batch in k gradient steps.
//!
//! [`fit`] is the readable reference, in ordinary tensor operations on any back end: the gradient is in closed
//! form and of first order, so first-order autodiff through the k steps gives the exact meta-gradient.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use super::params::Cursor;

/// θ and the SIREN's head, which all images share.
#[derive(Clone, Debug)]
pub struct Siren<B: Backend> {
    /// W_l `[inputs, D]` and b_l `[D]` of the sine layers.
    pub layers: Vec<(Tensor<B, 2>, Tensor<B, 1>)>,
    /// Wo, `[C, D]`.
    pub head_weight: Tensor<B, 2>,
    /// bo, `[C]`.
    pub head_bias: Tensor<B, 1>,
    /// out_scale, `[C]`.
    pub out_scale: Tensor<B, 1>,
}

impl<B: Backend> Siren<B> {
    /// From θ and the head (Wo, bo, out_scale), flat.
    pub fn new(config: &ModelConfig, theta: &Tensor<B, 1>, siren_head: &Tensor<B, 1>) -> Self {
        let (d, c) = (config.dim, config.channels);
        let mut next = Cursor::new(theta);
        let layers = (0..=config.hidden_layers)
            .map(|l| (next.take([config.layer_inputs(l), d]), next.take([d])))
            .collect();
        let mut next = Cursor::new(siren_head);
        Self {
            layers,
            head_weight: next.take([c, d]),
            head_bias: next.take([c]),
            out_scale: next.take([c]),
        }
    }
}

/// The pixels of a batch: k draws to fit and one more for the outer reconstruction loss.
#[derive(Clone, Debug)]
pub struct Pixels<B: Backend> {
    /// Draws of (y, x), each `[N, P, 2]`.
    pub coordinates: Vec<Tensor<B, 3>>,
    /// Draws of values, each `[N, P, C]`.
    pub targets: Vec<Tensor<B, 3>>,
}

/// Fitted images.
#[derive(Clone, Debug)]
pub struct Fitted<B: Backend> {
    /// φ_k - θ, `[N, |θ|]`.
    pub offsets: Tensor<B, 2>,
    /// Mean squared error on the last draw, `[N]`.
    pub reconstruction: Tensor<B, 1>,
}

/// φ of a batch: W_l `[N, inputs, D]` and b_l `[N, 1, D]` of each sine layer.
type Phi<B> = Vec<(Tensor<B, 3>, Tensor<B, 3>)>;

/// The SIREN's activations: h_{-1} = coordinates, h_0, …, h_L, each `[N, P, ·]`, and the pre-activations a_0, …, a_L,
/// where a_l = (ω if l = 0)·(h_{l-1}·W_l + b_l) and h_l = sin a_l.
struct Activations<B: Backend> {
    h: Vec<Tensor<B, 3>>,
    a: Vec<Tensor<B, 3>>,
}

fn activations<B: Backend>(
    config: &ModelConfig,
    phi: &Phi<B>,
    coordinates: Tensor<B, 3>,
) -> Activations<B> {
    let mut h = vec![coordinates];
    let mut all = Vec::new();
    for (l, (weight, bias)) in phi.iter().enumerate() {
        let mut a = h[l].clone().matmul(weight.clone()) + bias.clone();
        if l == 0 {
            a = a * config.omega;
        }
        h.push(a.clone().sin());
        all.push(a);
    }
    Activations { h, a: all }
}

impl<B: Backend> Siren<B> {
    /// out = (h_L·Woᵀ + bo) ⊙ out_scale, `[N, P, C]`.
    fn head(&self, h: Tensor<B, 3>) -> Tensor<B, 3> {
        let out = h.matmul(self.head_weight.clone().transpose().unsqueeze());
        (out + self.head_bias.clone().unsqueeze()) * self.out_scale.clone().unsqueeze()
    }

    /// φ of each image from φ - θ, `[N, |θ|]`.
    fn phi(&self, config: &ModelConfig, offsets: &Tensor<B, 2>) -> Phi<B> {
        let (d, [n, _]) = (config.dim, offsets.dims());
        let mut start = 0;
        let mut take = |rows: usize| {
            let part = offsets.clone().slice([0..n, start..start + rows * d]);
            start += rows * d;
            part.reshape([n, rows, d])
        };
        self.layers
            .iter()
            .enumerate()
            .map(|(l, (weight, bias))| {
                let weight = take(config.layer_inputs(l)) + weight.clone().unsqueeze();
                (weight, take(1) + bias.clone().unsqueeze())
            })
            .collect()
    }

    /// The values that SIRENs with φ = θ + `offsets` `[N, |θ|]` give at coordinates [N, P, 2]: `[N, P, C]`.
    pub fn predict(
        &self,
        config: &ModelConfig,
        offsets: &Tensor<B, 2>,
        coordinates: Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let Activations { mut h, .. } =
            activations(config, &self.phi(config, offsets), coordinates);
        self.head(h.pop().expect("at least the coordinates"))
    }
}

/// Fits a batch in k gradient steps from θ: φ ← φ - α_j ⊙ ∇loss_j.
pub fn fit<B: Backend>(
    config: &ModelConfig,
    siren: &Siren<B>,
    alpha: &Tensor<B, 2>,
    pixels: &Pixels<B>,
) -> Fitted<B> {
    let [n, ..] = pixels.coordinates[0].dims();
    let device = alpha.device();
    let mut offsets = Tensor::zeros([n, config.theta_len()], &device);
    for step in 0..config.inner_steps {
        let phi = siren.phi(config, &offsets);
        let (x, target) = (pixels.coordinates[step].clone(), pixels.targets[step].clone());
        let gradient = gradient(config, siren, &phi, x, target);
        let row = if config.shared_alpha { 0 } else { step };
        let alpha_j = alpha.clone().slice([row..row + 1, 0..config.theta_len()]);
        offsets = offsets - alpha_j * gradient;
    }
    let prediction =
        siren.predict(config, &offsets, pixels.coordinates[config.inner_steps].clone());
    let error = prediction - pixels.targets[config.inner_steps].clone();
    let [_, p, c] = error.dims();
    let reconstruction = (error.clone() * error).reshape([n, p * c]).mean_dim(1).reshape([n]);
    Fitted { offsets, reconstruction }
}

/// ∇_φ of each image's mean squared error, `[N, |θ|]`, in closed form (docs/METHOD.md, "Inner loop").
fn gradient<B: Backend>(
    config: &ModelConfig,
    siren: &Siren<B>,
    phi: &Phi<B>,
    coordinates: Tensor<B, 3>,
    target: Tensor<B, 3>,
) -> Tensor<B, 2> {
    let Activations { h, a } = activations(config, phi, coordinates);
    let error = siren.head(h[config.hidden_layers + 1].clone()) - target;
    let [n, p, c] = error.dims();
    let error = error * siren.out_scale.clone().unsqueeze() * (2.0 / (p * c) as f64);
    let mut delta = error.matmul(siren.head_weight.clone().unsqueeze());
    // From the last layer to the first; the flat order is from the first to the last.
    let mut parts = Vec::new();
    for l in (0..=config.hidden_layers).rev() {
        let mut u = delta * a[l].clone().cos();
        if l == 0 {
            u = u * config.omega;
        }
        let size = config.layer_inputs(l) * config.dim;
        parts.push(u.clone().sum_dim(1).reshape([n, config.dim]));
        parts.push(h[l].clone().swap_dims(1, 2).matmul(u.clone()).reshape([n, size]));
        delta = if l > 0 { u.matmul(phi[l].0.clone().swap_dims(1, 2)) } else { u };
    }
    parts.reverse();
    Tensor::cat(parts, 1)
}
