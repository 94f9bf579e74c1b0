use mwt_tests::assert_close;
use mwt_tests::train::Tested;
use mwt_train::model::params::host;
use mwt_train::model::update::{Rates, adamw};

use super::{Lies, same};

/// A step from moments that are there already, with a norm beyond the clip's and with one below it.
pub(super) fn kernels<B: Tested>() {
    for len in [1, 255, 257, 70_001] {
        let draw = |most: f64| Lies::Whole.random::<B, 1>([len], most);
        let (values, gradient, moments) = (draw(1.0), draw(1.0), [draw(0.1), draw(0.1).abs()]);
        let squares: f64 = host(gradient.clone()).iter().map(|g| f64::from(*g).powi(2)).sum();
        let want = squares.sqrt() as f32;
        let norm = B::norm_of(gradient.clone());
        assert_close(&format!("norm of {len}"), &host(norm.clone()), &[want], 1e-5 * want);
        for clip in [0.5 * f64::from(want), 2.0 * f64::from(want)] {
            let rates = Rates {
                clip,
                beta1: 0.9,
                beta2: 0.999,
                correction2: 0.01,
                epsilon: 1e-8,
                rate: 0.1,
                kept: 0.99,
            };
            let inputs = || (values.clone(), gradient.clone(), norm.clone(), moments.clone());
            let (a, b, c, d) = inputs();
            let want = adamw(a, b, c, d, rates);
            let (a, b, c, d) = inputs();
            same(&format!("adamw of {len}"), B::adamw(a, b, c, d, rates), want, 1e-5);
        }
    }
}
