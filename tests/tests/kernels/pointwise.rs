use burn::tensor::Tensor;
use mwt_tests::train::Tested;
use mwt_train::model::pointwise;

use super::{Lies, same};

pub(super) fn kernels<B: Tested>([n, p, d]: [usize; 3], lies: Lies) {
    let draw = |p: usize| lies.random::<B, 3>([n, p, d], 1.5);
    let [a, b, c, e] = std::array::from_fn(|_| draw(p));
    let bias = draw(1);
    let name = |what: &str| format!("{what} {lies:?}");

    let want = pointwise::sine(a.clone(), bias.clone(), 10.0);
    // Sines of angles up to 30.
    same(&name("sine"), B::sine(a.clone(), bias.clone(), 10.0), want, 1e-5);

    for (a_bar, more) in [(None, None), (Some(&b), None), (None, Some(&e)), (Some(&b), Some(&e))] {
        let inputs = || (a_bar.cloned(), a.clone(), more.cloned(), c.clone());
        let (a_bar, h_bar, more, cosine) = inputs();
        let want = pointwise::sine_backward(a_bar, h_bar, more, cosine, 10.0);
        let (a_bar, h_bar, more, cosine) = inputs();
        // A sum of p values of up to 60.
        let got = B::sine_backward(a_bar, h_bar, more, cosine, 10.0);
        same(&name("sine_backward"), got, want, 1e-3);
    }

    for below in [None, Some(&b)] {
        let inputs =
            || (a.clone(), below.cloned(), bias.clone(), c.clone(), [e.clone(), c.clone()]);
        let (direct, below, bias, delta, waves) = inputs();
        let want = pointwise::gate_backward(direct, below, bias, delta, waves, 10.0);
        let (direct, below, bias, delta, waves) = inputs();
        let got = B::gate_backward(direct, below, bias, delta, waves, 10.0);
        same(&name("gate_backward"), got, want, 1e-3);
    }

    // φ of n images.
    let draw = |n: usize| lies.random::<B, 2>([n, p * d], 1.5);
    let inputs = [draw(n), draw(n), draw(n), draw(1)];
    let [phi_bar, through, gradient, alpha] = inputs.clone();
    let want = pointwise::descend_backward(phi_bar, through, gradient, alpha);
    let [phi_bar, through, gradient, alpha] = inputs;
    let got = B::descend_backward(phi_bar, through, gradient, alpha);
    same(&name("descend_backward"), got, want, 1e-5);
}

/// Images of one channel and of three.
pub(super) fn readout<B: Tested>([n, p, d]: [usize; 3]) {
    for c in [1, 3] {
        for lies in Lies::ALL {
            let [a, b, e] = [(); 3].map(|()| lies.random::<B, 3>([n, p * d, c], 1.5));
            let [bias, scale] = [(); 2].map(|()| lies.vector::<B>(c, 1.5));
            let name = |what: &str| format!("{what} {lies:?}");
            let inputs = || (a.clone(), bias.clone(), scale.clone(), b.clone());
            let (product, bias, out_scale, target) = inputs();
            let want = pointwise::readout(product, bias, out_scale, target);
            let (product, bias, out_scale, target) = inputs();
            same(&name("readout"), B::readout(product, bias, out_scale, target), want, 1e-5);
            for error in [None, Some(e.clone())] {
                let inputs = || (a.clone(), error.clone(), b.clone(), scale.clone());
                let (bar, error, raw, scale): (_, Option<Tensor<B, 3>>, _, _) = inputs();
                let want = pointwise::readout_backward(bar, error, raw, scale);
                let (bar, error, raw, scale) = inputs();
                let got = B::readout_backward(bar, error, raw, scale);
                // Sums of p·d values of up to 4.
                same(&name("readout_backward"), got, want, 1e-6 * (p * d) as f32 + 1e-5);
            }
        }
    }
}
