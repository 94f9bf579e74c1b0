//! Models whose activations leave the usual range: every kernel gives the prediction of the same model in f64.

use mwt_infer::{Arithmetic, Bundle, Classifier, Isa, Signal, WorkspaceBuf};

type Rows = Vec<Vec<f64>>;

fn wide(values: impl Iterator<Item = f32>) -> Vec<f64> {
    values.map(f64::from).collect()
}

/// x·W + bias, row by row, for a weight that `read` decodes by the row.
fn linear(x: &Rows, read: impl Fn(usize, &mut [f32]), columns: usize, bias: &[f64]) -> Rows {
    let weight: Rows = (0..x[0].len())
        .map(|row| {
            let mut values = vec![0.0; columns];
            read(row, &mut values);
            wide(values.into_iter())
        })
        .collect();
    let at = |row: &Vec<f64>, c: usize| -> f64 {
        let products = row.iter().zip(&weight).map(|(x, w)| x * w[c]);
        products.sum::<f64>() + bias.get(c).copied().unwrap_or(0.0)
    };
    x.iter().map(|row| (0..columns).map(|c| at(row, c)).collect()).collect()
}

macro_rules! apply {
    ($x:expr, $weight:expr, $bias:expr) => {
        linear($x, |row, out| $weight.read(row, 0, out), $weight.columns, &$bias)
    };
}

fn normed(x: &Rows, weight: &[f64], bias: &[f64]) -> Rows {
    let row = |x: &Vec<f64>| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let value =
            |(x, (w, b)): (&f64, (&f64, &f64))| (x - mean) / (variance + 1e-5).sqrt() * w + b;
        x.iter().zip(weight.iter().zip(bias)).map(value).collect()
    };
    x.iter().map(row).collect()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The Transformer in f64, from the tokens that a fit gave.
fn logits(bundle: &Bundle<'_>, tokens: &Rows) -> Vec<f64> {
    let config = bundle.config();
    let dim = config.head_dim();
    let project_in = bundle.project_in();
    let mut x = apply!(tokens, project_in.weight, wide(project_in.bias.iter()));
    for b in 0..config.blocks {
        let block = bundle.block(b);
        let add = |x: &mut Rows, branch: Rows, scale: Vec<f64>| {
            for (x, branch) in x.iter_mut().zip(branch) {
                x.iter_mut().zip(branch.iter().zip(&scale)).for_each(|(x, (b, s))| *x += b * s);
            }
        };
        let norm = normed(&x, &wide(block.norm1.weight.iter()), &wide(block.norm1.bias.iter()));
        let (query, key) = (apply!(&norm, block.query, []), apply!(&norm, block.key, []));
        let value = apply!(&norm, block.value, []);
        let mut attended = vec![vec![0.0; config.dim]; x.len()];
        for head in (0..config.dim).step_by(dim) {
            let range = head..head + dim;
            for (query, out) in query.iter().zip(&mut attended) {
                let product = |key: &Vec<f64>| -> f64 {
                    range.clone().map(|i| query[i] * key[i]).sum::<f64>() / (dim as f64).sqrt()
                };
                let scores: Vec<f64> = key.iter().map(product).collect();
                let max = scores.iter().fold(f64::NEG_INFINITY, |m, s| m.max(*s));
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for (score, value) in scores.iter().zip(&value) {
                    let weight = (score - max).exp() / sum;
                    range.clone().for_each(|i| out[i] += weight * value[i]);
                }
            }
        }
        let out = apply!(&attended, block.attn_out.weight, wide(block.attn_out.bias.iter()));
        add(&mut x, out, wide(block.layer_scale1.iter()));
        let norm = normed(&x, &wide(block.norm2.weight.iter()), &wide(block.norm2.bias.iter()));
        let mut hidden = apply!(&norm, block.mlp1.weight, wide(block.mlp1.bias.iter()));
        hidden.iter_mut().flatten().for_each(|h| *h = gelu(*h));
        let out = apply!(&hidden, block.mlp2.weight, wide(block.mlp2.bias.iter()));
        add(&mut x, out, wide(block.layer_scale2.iter()));
    }
    let mean = (0..config.dim).map(|i| x.iter().map(|x| x[i]).sum::<f64>() / x.len() as f64);
    let head = bundle.to_logits();
    apply!(&vec![mean.collect()], head.weight, wide(head.bias.iter())).remove(0)
}

/// Every kernel and arithmetic on a few images, against f64.
fn agree(name: &str) {
    let path = format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let config = bundle.config();
    let pixels = config.extents.positions();
    let waves =
        (0..40).map(|seed| (0..pixels).map(|i| ((i * (seed + 3) * 7) % 256) as u8).collect());
    let golden = bundle.golden_samples().map(|s| s.signal.to_vec());
    for (n, image) in golden.chain(waves).enumerate() {
        for isa in Isa::all_available() {
            for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
                let mut workspace = WorkspaceBuf::new(config);
                let mut classifier =
                    Classifier::new(&bundle, workspace.as_mut_slice()).unwrap().with_isa(isa);
                classifier.set_arithmetic(arithmetic);
                classifier.fit(&Signal::new(&image[..], config.extents, 1).unwrap()).unwrap();
                let got = classifier.logits().unwrap().to_vec();
                let mut token = vec![0.0; config.token_len()];
                let tokens = (0..config.tokens())
                    .map(|t| {
                        classifier.token(t, &mut token).unwrap();
                        wide(token.iter().copied())
                    })
                    .collect();
                let want = logits(&bundle, &tokens);
                // The portable kernels alone round models as small as these: to 13 bits.
                let rounds = arithmetic == Arithmetic::Int8 && isa.name() == "portable";
                let allowed = if rounds { 1e-3 } else { 2e-5 };
                for (got, want) in got.iter().zip(&want) {
                    let error = (f64::from(*got) - want).abs();
                    assert!(error < allowed, "{name} {n} {} {got} {want}", isa.name());
                }
                let class = classifier.top_k::<1>().unwrap()[0].class;
                assert!(want.iter().all(|l| *l <= want[class]), "{name} {n} {}", isa.name());
            }
        }
    }
}

#[test]
fn scores_far_from_0_keep_their_weights() {
    agree("far-scores.mwt");
}

#[test]
fn gelu_is_0_far_below_0() {
    agree("far-gelu.mwt");
}
