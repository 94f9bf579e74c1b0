//! A step of the inner loop and its adjoint, each as one kernel with an image a cube (docs/METHOD.md, "Inner loop" and "The
//! inner step's adjoint"). A thread writes what no other one writes, and sums over pixels in their order.

use cubecl::prelude::*;

use super::at;
use super::work::{
    ADD_OUTER, Each, Held, How, Once, ROWS, Sizes, THREADS, TIMES, TIMES_SWAPPED, product,
};

/// An image's place in the work memory, and what the kernels' parts share.
#[derive(CubeType, Clone, Copy)]
struct Fit {
    /// Where its work memory begins.
    base: usize,
    /// The image.
    n: usize,
    /// Of the first layer.
    omega: f32,
    /// 2/(P·C).
    mean: f32,
    #[cube(comptime)]
    sizes: Sizes,
}

#[cube]
impl Fit {
    fn new(work: &Tensor<f32>, omega: f32, mean: f32, #[comptime] sizes: Sizes) -> Fit {
        let n = CUBE_POS_X as usize;
        Fit { base: n * work.stride(0), n, omega, mean, sizes }
    }

    /// Where an activation of a layer begins.
    fn each(&self, #[comptime] each: Each, layer: usize) -> usize {
        let start = comptime!(self.sizes.each(each));
        self.base + start + layer * comptime!(self.sizes.tile())
    }

    /// Where something begins that there is once.
    fn once(&self, #[comptime] once: Once) -> usize {
        let start = comptime!(self.sizes.once(once));
        self.base + start
    }

    /// Where W_l begins of something that lies like φ, for l from 1 on.
    fn weight(&self, #[comptime] once: Once, layer: usize) -> usize {
        let (first, size) = comptime!((self.sizes.first(), self.sizes.layer()));
        self.once(once) + first + (layer - 1) * size
    }

    /// Where b_l begins of something that lies like φ.
    fn bias(&self, #[comptime] once: Once, layer: usize) -> usize {
        let (inputs, size) = comptime!((self.sizes.axes * self.sizes.dim, self.sizes.layer()));
        self.once(once) + inputs + layer * size
    }

    /// ω on the first layer.
    fn omega_of(&self, layer: usize) -> f32 {
        let mut omega = f32::new(1.0);
        if layer == 0 {
            omega = self.omega;
        }
        omega
    }
}

/// The next place of a thread that goes over many.
#[cube]
fn next(i: usize) -> usize {
    i + THREADS as usize
}

/// Zeros.
#[cube]
fn clear(work: &mut Tensor<f32>, start: usize, len: usize) {
    let mut i = UNIT_POS_X as usize;
    while i < len {
        work[start + i] = f32::new(0.0);
        i = next(i);
    }
}

/// φ = θ + what it has been moved by.
#[cube]
fn begin(
    work: &mut Tensor<f32>,
    fit: Fit,
    theta: &Tensor<f32>,
    offsets: &Tensor<f32>,
    #[comptime] sizes: Sizes,
) {
    let (phi, sums) = (fit.once(Once::Phi), fit.once(Once::Sums));
    let mut i = UNIT_POS_X as usize;
    while i < comptime!(sizes.theta()) {
        let offset = offsets[fit.n * offsets.stride(0) + i * offsets.stride(1)];
        work[phi + i] = theta[i * theta.stride(0)] + offset;
        work[sums + i] = f32::new(0.0);
        i = next(i);
    }
    clear(work, fit.once(Once::Head), comptime!(sizes.head()).runtime());
    sync_storage();
}

/// h_l = sin a_l and cos a_l of `rows` pixels from `first` on, q and e.
#[cube]
fn forward(
    work: &mut Tensor<f32>,
    held: &mut Held,
    fit: Fit,
    head: &Tensor<f32>,
    coordinates: &Tensor<f32>,
    targets: &Tensor<f32>,
    first: usize,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    for l in 0..comptime!(sizes.hidden_layers + 1) {
        let sine = fit.each(Each::Sine, l);
        if l > 0 {
            let (below, weight) = (fit.each(Each::Sine, l - 1), fit.weight(Once::Phi, l));
            product(work, held, below, weight, sine, rows, dim.runtime(), dim, TIMES);
        }
        let (cosine, bias, phi) =
            (fit.each(Each::Cosine, l), fit.bias(Once::Phi, l), fit.once(Once::Phi));
        let mut i = UNIT_POS_X as usize;
        while i < rows * dim {
            let (p, j) = (i / dim, i % dim);
            let mut a = work[bias + j];
            if l == 0 {
                #[unroll]
                for e in 0..comptime!(sizes.axes) {
                    a = fma(
                        coordinates[at(coordinates, fit.n, first + p, e)],
                        work[phi + e * dim + j],
                        a,
                    );
                }
                a *= fit.omega;
            } else {
                a += work[sine + i];
            }
            work[sine + i] = a.sin();
            work[cosine + i] = a.cos();
            i = next(i);
        }
        sync_storage();
    }
    let top = fit.each(Each::Sine, comptime!(sizes.hidden_layers).runtime());
    let (q, error) = (fit.once(Once::Q), fit.once(Once::Error));
    let mut i = UNIT_POS_X as usize;
    while i < rows * comptime!(sizes.channels) {
        let (p, c) = (i / comptime!(sizes.channels), i % comptime!(sizes.channels));
        let value = read_out(work, head, top, p, c, sizes)
            + head[(comptime!(sizes.channels * dim) + c) * head.stride(0)];
        work[q + i] = value;
        work[error + i] = value * scale(head, c, sizes) - targets[at(targets, fit.n, first + p, c)];
        i = next(i);
    }
    sync_storage();
}

/// Σ_j Wo[c, j]·x[p, j].
#[cube]
fn read_out(
    work: &Tensor<f32>,
    head: &Tensor<f32>,
    x: usize,
    p: usize,
    c: usize,
    #[comptime] sizes: Sizes,
) -> f32 {
    let dim = comptime!(sizes.dim);
    let mut sum = f32::new(0.0);
    for j in 0..dim {
        sum = fma(head[(c * dim + j) * head.stride(0)], work[x + p * dim + j], sum);
    }
    sum
}

/// out_scale.
#[cube]
fn scale(head: &Tensor<f32>, c: usize, #[comptime] sizes: Sizes) -> f32 {
    head[(comptime!(sizes.channels * (sizes.dim + 1)) + c) * head.stride(0)]
}

/// Σ_c y[p, c]·Wo[c, j]: values of the head's outputs, back to its inputs.
#[cube]
fn through_wo(
    work: &mut Tensor<f32>,
    head: &Tensor<f32>,
    y: usize,
    out: usize,
    rows: usize,
    factor: f32,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    let mut i = UNIT_POS_X as usize;
    while i < rows * dim {
        let (p, j) = (i / dim, i % dim);
        let mut sum = f32::new(0.0);
        for c in 0..comptime!(sizes.channels) {
            let y = work[y + p * comptime!(sizes.channels) + c] * factor * scale(head, c, sizes);
            sum = fma(y, head[(c * dim + j) * head.stride(0)], sum);
        }
        work[out + i] = sum;
        i = next(i);
    }
    sync_storage();
}

/// δ_L = 2/(P·C)·(e ⊙ out_scale)·Wo, then u_l = δ_l ⊙ cos a_l (times ω for l = 0) and δ_{l-1} = u_l·W_lᵀ.
#[cube]
fn deltas(
    work: &mut Tensor<f32>,
    held: &mut Held,
    fit: Fit,
    head: &Tensor<f32>,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    let last = comptime!(sizes.hidden_layers);
    let top = fit.each(Each::Delta, last.runtime());
    through_wo(work, head, fit.once(Once::Error), top, rows, fit.mean, sizes);
    for down in 0..comptime!(sizes.hidden_layers + 1) {
        let l = last - down;
        let (u, delta, cosine) =
            (fit.each(Each::U, l), fit.each(Each::Delta, l), fit.each(Each::Cosine, l));
        let omega = fit.omega_of(l);
        let mut i = UNIT_POS_X as usize;
        while i < rows * dim {
            work[u + i] = omega * work[delta + i] * work[cosine + i];
            i = next(i);
        }
        sync_storage();
        if l > 0 {
            let (weight, below) = (fit.weight(Once::Phi, l), fit.each(Each::Delta, l - 1));
            product(work, held, u, weight, below, rows, dim.runtime(), dim, TIMES_SWAPPED);
        }
    }
}

/// Adds h_{l-1}ᵀ·v to W and Σ v to b of a layer of what is gathered.
#[cube]
fn add_outer(
    work: &mut Tensor<f32>,
    held: &mut Held,
    fit: Fit,
    coordinates: &Tensor<f32>,
    l: usize,
    v: usize,
    first: usize,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    if l > 0 {
        let (below, weight) = (fit.each(Each::Sine, l - 1), fit.weight(Once::Sums, l));
        product(work, held, below, v, weight, dim.runtime(), rows, dim, ADD_OUTER);
    } else {
        let sums = fit.once(Once::Sums);
        let mut i = UNIT_POS_X as usize;
        while i < comptime!(sizes.axes * dim) {
            let (e, j) = (i / dim, i % dim);
            let mut sum = f32::new(0.0);
            for p in 0..rows {
                sum = fma(
                    coordinates[at(coordinates, fit.n, first + p, e)],
                    work[v + p * dim + j],
                    sum,
                );
            }
            work[sums + i] += sum;
            i = next(i);
        }
    }
    let bias = fit.bias(Once::Sums, l);
    let mut j = UNIT_POS_X as usize;
    while j < dim {
        let mut sum = f32::new(0.0);
        for p in 0..rows {
            sum += work[v + p * dim + j];
        }
        work[bias + j] += sum;
        j = next(j);
    }
    sync_storage();
}

/// h̄_L, and adds the gradients of the head by way of y = q ⊙ out_scale, from ȳ.
#[cube]
fn through_head(
    work: &mut Tensor<f32>,
    fit: Fit,
    head: &Tensor<f32>,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let (dim, channels) = comptime!((sizes.dim, sizes.channels));
    let (y_bar, q, sums) = (fit.once(Once::YBar), fit.once(Once::Q), fit.once(Once::Head));
    let last = comptime!(sizes.hidden_layers).runtime();
    let (top, top_bar) = (fit.each(Each::Sine, last), fit.each(Each::SineBar, last));
    through_wo(work, head, y_bar, top_bar, rows, f32::new(1.0), sizes);
    add_to_wo(work, head, y_bar, top, sums, rows, f32::new(1.0), sizes);
    let mut c = UNIT_POS_X as usize;
    while c < channels {
        let mut bias = f32::new(0.0);
        let mut along = f32::new(0.0);
        for p in 0..rows {
            let y = work[y_bar + p * channels + c];
            bias += y * scale(head, c, sizes);
            along = fma(y, work[q + p * channels + c], along);
        }
        work[sums + channels * dim + c] += bias;
        work[sums + channels * (dim + 1) + c] += along;
        c = next(c);
    }
    sync_storage();
}

/// Adds Σ_p y[p, c]·out_scale·x[p, j] to the gradient of Wo.
#[cube]
fn add_to_wo(
    work: &mut Tensor<f32>,
    head: &Tensor<f32>,
    y: usize,
    x: usize,
    sums: usize,
    rows: usize,
    factor: f32,
    #[comptime] sizes: Sizes,
) {
    let (dim, channels) = comptime!((sizes.dim, sizes.channels));
    let mut i = UNIT_POS_X as usize;
    while i < channels * dim {
        let (c, j) = (i / dim, i % dim);
        let mut sum = f32::new(0.0);
        for p in 0..rows {
            sum = fma(
                work[y + p * channels + c] * factor * scale(head, c, sizes),
                work[x + p * dim + j],
                sum,
            );
        }
        work[sums + i] += sum;
        i = next(i);
    }
    sync_storage();
}

/// From the last layer down, z̄ = ā + h̄ ⊙ cos a (times ω for l = 0) to W, b and h̄_{l-1}. `given`: ā and a part of h̄ below
/// the last are known; otherwise they are 0.
#[cube]
fn through_layers(
    work: &mut Tensor<f32>,
    held: &mut Held,
    fit: Fit,
    coordinates: &Tensor<f32>,
    first: usize,
    rows: usize,
    #[comptime] given: bool,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    let z_bar = fit.once(Once::Bar);
    for down in 0..comptime!(sizes.hidden_layers + 1) {
        let l = comptime!(sizes.hidden_layers) - down;
        let (a_bar, sine_bar, cosine) =
            (fit.each(Each::ABar, l), fit.each(Each::SineBar, l), fit.each(Each::Cosine, l));
        let omega = fit.omega_of(l);
        let mut i = UNIT_POS_X as usize;
        while i < rows * dim {
            let mut bar = work[sine_bar + i] * work[cosine + i];
            if given {
                bar += work[a_bar + i];
            }
            work[z_bar + i] = omega * bar;
            i = next(i);
        }
        sync_storage();
        add_outer(work, held, fit, coordinates, l, z_bar, first, rows, sizes);
        if l > 0 {
            let (weight, below) = (fit.weight(Once::Phi, l), fit.each(Each::SineBar, l - 1));
            let how = comptime!(How { add: given, ..TIMES_SWAPPED });
            product(work, held, z_bar, weight, below, rows, dim.runtime(), dim, how);
        }
    }
}

/// From the first layer up, ū, δ̄ and ā, a part of h̄_{l-1}, and what W gets from δ_{l-1} = u_l·W_lᵀ.
#[cube]
fn up(
    work: &mut Tensor<f32>,
    held: &mut Held,
    fit: Fit,
    coordinates: &Tensor<f32>,
    first: usize,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let dim = comptime!(sizes.dim);
    let (u_bar, given) = (fit.once(Once::Bar), fit.once(Once::Given));
    for l in 0..comptime!(sizes.hidden_layers + 1) {
        let (u, delta_bar) = (fit.each(Each::U, l), fit.each(Each::DeltaBar, l));
        if l > 0 {
            let (weight_bar, weight) = (fit.weight(Once::Given, l), fit.weight(Once::Phi, l));
            let (below, bar_below) = (fit.each(Each::Sine, l - 1), fit.each(Each::DeltaBar, l - 1));
            product(work, held, below, weight_bar, u_bar, rows, dim.runtime(), dim, TIMES);
            let add = comptime!(How { add: true, ..TIMES });
            product(work, held, bar_below, weight, u_bar, rows, dim.runtime(), dim, add);
            let sine_bar = fit.each(Each::SineBar, l - 1);
            product(work, held, u, weight_bar, sine_bar, rows, dim.runtime(), dim, TIMES_SWAPPED);
            let sums = fit.weight(Once::Sums, l);
            product(work, held, bar_below, u, sums, dim.runtime(), rows, dim, ADD_OUTER);
        }
        let (sine, cosine, delta) =
            (fit.each(Each::Sine, l), fit.each(Each::Cosine, l), fit.each(Each::Delta, l));
        let (a_bar, bias) = (fit.each(Each::ABar, l), fit.bias(Once::Given, l));
        let omega = fit.omega_of(l);
        let mut i = UNIT_POS_X as usize;
        while i < rows * dim {
            let (p, j) = (i / dim, i % dim);
            let mut bar = work[bias + j];
            if l == 0 {
                #[unroll]
                for e in 0..comptime!(sizes.axes) {
                    bar = fma(
                        coordinates[at(coordinates, fit.n, first + p, e)],
                        work[given + e * dim + j],
                        bar,
                    );
                }
            } else {
                bar += work[u_bar + i];
            }
            bar *= omega;
            work[delta_bar + i] = bar * work[cosine + i];
            work[a_bar + i] = -(bar * work[delta + i] * work[sine + i]);
            i = next(i);
        }
        sync_storage();
    }
}

/// From δ̄_L to ȳ, by way of δ_L = 2/(P·C)·(e ⊙ out_scale)·Wo, and to the gradients of Wo and out_scale.
#[cube]
fn top(
    work: &mut Tensor<f32>,
    fit: Fit,
    head: &Tensor<f32>,
    rows: usize,
    #[comptime] sizes: Sizes,
) {
    let (dim, channels) = comptime!((sizes.dim, sizes.channels));
    let bar = fit.each(Each::DeltaBar, comptime!(sizes.hidden_layers).runtime());
    let (error, y_bar, sums) = (fit.once(Once::Error), fit.once(Once::YBar), fit.once(Once::Head));
    let mut i = UNIT_POS_X as usize;
    while i < rows * channels {
        // The gradient of e ⊙ out_scale first: out_scale's needs it.
        work[y_bar + i] = fit.mean * read_out(work, head, bar, i / channels, i % channels, sizes);
        i = next(i);
    }
    add_to_wo(work, head, error, bar, sums, rows, fit.mean, sizes);
    let mut c = UNIT_POS_X as usize;
    while c < channels {
        let mut along = f32::new(0.0);
        for p in 0..rows {
            let place = p * channels + c;
            along = fma(work[error + place], work[y_bar + place], along);
            work[y_bar + place] *= scale(head, c, sizes);
        }
        work[sums + channels * (dim + 1) + c] += along;
        c = next(c);
    }
    sync_storage();
}

/// Writes what was gathered of an image, `[N, ·]`.
#[cube]
fn write(work: &Tensor<f32>, start: usize, out: &mut Tensor<f32>, n: usize) {
    let mut i = UNIT_POS_X as usize;
    while i < out.shape(1) {
        let place = n * out.stride(0) + i * out.stride(1);
        out[place] = work[start + i];
        i = next(i);
    }
}

/// A step: the gradient of an image's mean squared error on a draw, and `offsets` = φ - θ less α times that.
#[cube(launch)]
pub(in crate::model::gpu) fn descend(
    theta: &Tensor<f32>,
    alpha: &Tensor<f32>,
    head: &Tensor<f32>,
    coordinates: &Tensor<f32>,
    targets: &Tensor<f32>,
    offsets: &Tensor<f32>,
    work: &mut Tensor<f32>,
    gradient: &mut Tensor<f32>,
    next_offsets: &mut Tensor<f32>,
    omega: f32,
    mean: f32,
    #[comptime] sizes: Sizes,
) {
    let mut held = Held::new();
    let fit = Fit::new(work, omega, mean, sizes);
    begin(work, fit, theta, offsets, sizes);
    let mut first = 0usize;
    while first < targets.shape(1) {
        let rows = min(targets.shape(1) - first, ROWS);
        forward(work, &mut held, fit, head, coordinates, targets, first, rows, sizes);
        deltas(work, &mut held, fit, head, rows, sizes);
        for l in 0..comptime!(sizes.hidden_layers + 1) {
            let u = fit.each(Each::U, l);
            add_outer(work, &mut held, fit, coordinates, l, u, first, rows, sizes);
        }
        first += ROWS;
    }
    let sums = fit.once(Once::Sums);
    write(work, sums, gradient, fit.n);
    let mut i = UNIT_POS_X as usize;
    while i < comptime!(sizes.theta()) {
        let from = offsets[fit.n * offsets.stride(0) + i * offsets.stride(1)];
        let place = fit.n * next_offsets.stride(0) + i * next_offsets.stride(1);
        next_offsets[place] = from - alpha[i * alpha.stride(1)] * work[sums + i];
        i = next(i);
    }
}

/// An image's mean squared error on a draw, `[N, 1]`.
#[cube(launch)]
pub(in crate::model::gpu) fn loss(
    theta: &Tensor<f32>,
    head: &Tensor<f32>,
    coordinates: &Tensor<f32>,
    targets: &Tensor<f32>,
    offsets: &Tensor<f32>,
    work: &mut Tensor<f32>,
    losses: &mut Tensor<f32>,
    omega: f32,
    mean: f32,
    #[comptime] sizes: Sizes,
) {
    let mut held = Held::new();
    let fit = Fit::new(work, omega, mean, sizes);
    begin(work, fit, theta, offsets, sizes);
    let mut sum = f32::new(0.0);
    let mut first = 0usize;
    while first < targets.shape(1) {
        let rows = min(targets.shape(1) - first, ROWS);
        forward(work, &mut held, fit, head, coordinates, targets, first, rows, sizes);
        if UNIT_POS_X == 0 {
            for i in 0..rows * comptime!(sizes.channels) {
                let error = work[fit.once(Once::Error) + i];
                sum = fma(error, error, sum);
            }
        }
        sync_storage();
        first += ROWS;
    }
    if UNIT_POS_X == 0 {
        let place = fit.n * losses.stride(0);
        losses[place] = sum * mean * 0.5;
    }
}

/// What φ and the head get from that of each image's loss, `[N, 1]`.
#[cube(launch)]
pub(in crate::model::gpu) fn loss_backward(
    theta: &Tensor<f32>,
    head: &Tensor<f32>,
    coordinates: &Tensor<f32>,
    targets: &Tensor<f32>,
    offsets: &Tensor<f32>,
    loss_bar: &Tensor<f32>,
    work: &mut Tensor<f32>,
    through: &mut Tensor<f32>,
    head_bar: &mut Tensor<f32>,
    omega: f32,
    mean: f32,
    #[comptime] sizes: Sizes,
) {
    let mut held = Held::new();
    let fit = Fit::new(work, omega, mean, sizes);
    begin(work, fit, theta, offsets, sizes);
    let factor = loss_bar[fit.n * loss_bar.stride(0)] * mean;
    let mut first = 0usize;
    while first < targets.shape(1) {
        let rows = min(targets.shape(1) - first, ROWS);
        forward(work, &mut held, fit, head, coordinates, targets, first, rows, sizes);
        let (error, y_bar) = (fit.once(Once::Error), fit.once(Once::YBar));
        let mut i = UNIT_POS_X as usize;
        while i < rows * comptime!(sizes.channels) {
            work[y_bar + i] = factor * work[error + i];
            i = next(i);
        }
        sync_storage();
        through_head(work, fit, head, rows, sizes);
        through_layers(work, &mut held, fit, coordinates, first, rows, false, sizes);
        first += ROWS;
    }
    write(work, fit.once(Once::Sums), through, fit.n);
    write(work, fit.once(Once::Head), head_bar, fit.n);
}

/// What φ and the head get through the gradient of a step, from that of the gradient, `[N, |θ|]`.
#[cube(launch)]
pub(in crate::model::gpu) fn step_backward(
    theta: &Tensor<f32>,
    head: &Tensor<f32>,
    coordinates: &Tensor<f32>,
    targets: &Tensor<f32>,
    offsets: &Tensor<f32>,
    gradient_bar: &Tensor<f32>,
    work: &mut Tensor<f32>,
    through: &mut Tensor<f32>,
    head_bar: &mut Tensor<f32>,
    omega: f32,
    mean: f32,
    #[comptime] sizes: Sizes,
) {
    let mut held = Held::new();
    let fit = Fit::new(work, omega, mean, sizes);
    let given = fit.once(Once::Given);
    let mut i = UNIT_POS_X as usize;
    while i < comptime!(sizes.theta()) {
        work[given + i] = gradient_bar[fit.n * gradient_bar.stride(0) + i * gradient_bar.stride(1)];
        i = next(i);
    }
    begin(work, fit, theta, offsets, sizes);
    let mut first = 0usize;
    while first < targets.shape(1) {
        let rows = min(targets.shape(1) - first, ROWS);
        forward(work, &mut held, fit, head, coordinates, targets, first, rows, sizes);
        deltas(work, &mut held, fit, head, rows, sizes);
        up(work, &mut held, fit, coordinates, first, rows, sizes);
        top(work, fit, head, rows, sizes);
        through_head(work, fit, head, rows, sizes);
        through_layers(work, &mut held, fit, coordinates, first, rows, true, sizes);
        first += ROWS;
    }
    write(work, fit.once(Once::Sums), through, fit.n);
    write(work, fit.once(Once::Head), head_bar, fit.n);
}
