//! The portable kernel against definitions in f64.

use alloc::{vec, vec::Vec};

use super::*;
use crate::kernels::tests::values;

/// Every shape around the block edges, rows wider apart than they are long, against f64; each operand's slice
/// ends a stride after its last row, or with it.
#[test]
fn products_agree_with_their_definition() {
    for m in [1, 2, 3, 4, 5, 8, 13] {
        for n in [1, 3, 7, 8, 9, 16, 21] {
            for k in [1, 2, 5, 17, 33] {
                let (a, b) = (values(m * (k + 3), 1), values(k * (n + 2), 2));
                let (at, start) = (values(k * (m + 1), 3), values(m * (n + 1), 4));
                let bias = values(n, 5);
                for (case, ends) in (0..4).flat_map(|case| (0..4).map(move |ends| (case, ends))) {
                    let end = |cut: bool, rows: usize, columns: usize, stride: usize| {
                        if cut { (rows - 1) * stride + columns } else { rows * stride }
                    };
                    let (cut_a, cut_b) = (ends & 1 == 1, ends & 2 == 2);
                    let a_view = Mat::new(&a[..end(cut_a, m, k, k + 3)], m, k, k + 3);
                    let at_view = Mat::new(&at[..end(cut_a, k, m, m + 1)], k, m, m + 1);
                    let b_view = Mat::new(&b[..end(cut_b, k, n, n + 2)], k, n, n + 2);
                    let mut c = start.clone();
                    let view = MatMut::new(&mut c, m, n, n + 1);
                    match case {
                        0 => Portable.gemm(a_view, b_view, Init::Zero, view),
                        1 => Portable.gemm(a_view, b_view, Init::Bias(&bias), view),
                        2 => Portable.gemm(a_view, b_view, Init::Add, view),
                        _ => Portable.gemm_tn(at_view, b_view, view),
                    }
                    for (i, (&got, &before)) in c.iter().zip(&start).enumerate() {
                        let (row, column) = (i / (n + 1), i % (n + 1));
                        if column == n {
                            assert_eq!(got, before, "wrote between the rows");
                            continue;
                        }
                        let sum: f64 = (0..k)
                            .map(|p| {
                                let a = if case == 3 {
                                    at[p * (m + 1) + row]
                                } else {
                                    a[row * (k + 3) + p]
                                };
                                f64::from(a) * f64::from(b[p * (n + 2) + column])
                            })
                            .sum();
                        let want = sum
                            + match case {
                                0 => 0.0,
                                1 => f64::from(bias[column]),
                                _ => f64::from(before),
                            };
                        assert!(
                            (f64::from(got) - want).abs() < 1e-5,
                            "case {case}, ends {ends}, {m}×{k}×{n}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_stored_weight_multiplies_like_its_values() {
    use mwt_core::quant::{Scheme, encode};
    let (m, k, n) = (5, 33, 19);
    let (a, w, bias) = (values(m * k, 1), values(k * n, 2), values(n, 3));
    let bias_bytes: Vec<u8> = bias.iter().flat_map(|v| v.to_le_bytes()).collect();
    for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
        let mut bytes = vec![0xee]; // an odd address
        encode(scheme, n, &w, &mut bytes);
        let matrix = Matrix::new(k, n, scheme, &bytes[1..]);
        let mut decoded = vec![0.0; k * n];
        decoded.chunks_exact_mut(n).enumerate().for_each(|(r, out)| matrix.read(r, 0, out));
        let (mut got, mut want) = (vec![0.0; m * n], vec![0.0; m * n]);
        let mut panel = vec![0.0; k * PANEL];
        let a = Mat::dense(&a, m, k);
        let bias_view = Some(Vector::new(&bias_bytes));
        Portable.linear(a, &matrix, bias_view, MatMut::dense(&mut got, m, n), &mut panel);
        let b = Mat::dense(&decoded, k, n);
        Portable.gemm(a, b, Init::Bias(&bias), MatMut::dense(&mut want, m, n));
        assert_eq!(got, want, "{scheme:?}");
    }
}

#[test]
fn sums_take_every_value() {
    for n in [0, 1, 7, 8, 9, 40] {
        let (a, b) = (values(n, 1), values(n, 2));
        let want: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((f64::from(Portable.dot(&a, &b)) - want).abs() < 1e-6);
    }
}
