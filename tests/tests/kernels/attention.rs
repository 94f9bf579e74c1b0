use mwt_tests::train::Tested;
use mwt_train::model::attention::{Heads, attend, attend_backward};
use mwt_train::settings::Precision;

use super::{Lies, same};

/// Over every number of values of a head that a preset has, and two that none has; over one column, a few, whole cubes, and
/// some more. Scores lie about 0, or far from it and apart.
pub(super) fn kernels<B: Tested>() {
    for [n, heads, dim, t] in
        [[1, 1, 1, 1], [2, 3, 5, 7], [2, 1, 16, 32], [1, 2, 32, 131], [1, 2, 64, 200]]
    {
        for lies in Lies::ALL {
            for most in [1.0, 12.0] {
                let [columns, gathered] = [3 * heads * dim, heads * dim];
                let qkv = Heads::new(lies.random::<B, 3>([n, columns, t], most), heads);
                let bar = lies.random::<B, 3>([n, gathered, t], 1.0);
                let name =
                    |what: &str| format!("{what}, {heads} heads of {dim}, up to {most}, {lies:?}");

                // All at once, and one image at a time.
                let want = attend(&qkv, usize::MAX, Precision::F32);
                let got = B::attend(&qkv, Precision::F32);
                same(&name("attend"), [got.gathered.clone()], [want.clone()], 1e-5 * most as f32);
                let one = attend(&qkv, 1, Precision::F32);
                same(&name("attend, in groups"), [one], [want], 1e-6 * most as f32);

                // Sums of t terms as large as values and probabilities' gradients are.
                let within = 2e-6 * (most * most) as f32 * (dim as f32).sqrt() + 1e-5;
                let want = attend_backward(&qkv, bar.clone(), usize::MAX, Precision::F32);
                let got = B::attend_backward(&qkv, &got, bar, Precision::F32);
                same(&name("attend_backward"), [got], [want], within);
            }
        }
    }
}
