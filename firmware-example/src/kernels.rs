//! What each kernel of the core gives for the same numbers, as one hash each: the tests compare a board's with a host's.
//!
//! Sides and lengths lie on both sides of every block and register; among the numbers are what is not finite and -0. None
//! is subnormal, nor what becomes of them, because the vectors of an M55 take such for zeros.

use mwt_infer::kernels::{Init, Kernel, Mat, MatMut, PANEL, PackedI16};
use mwt_infer::mwt_core::draw::mix;
use mwt_infer::mwt_core::quant::{Matrix, Values, Vector};

/// f32 values of each of the arrays.
const LEN: usize = 2048;

/// What the kernels read and write.
pub struct Memory {
    a: [f32; LEN],
    b: [f32; LEN],
    c: [f32; LEN],
    panels: [[f32; LEN]; 2],
    /// Stored vectors and matrices, at odd addresses.
    bytes: [[u8; LEN]; 2],
}

impl Memory {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            a: [0.0; LEN],
            b: [0.0; LEN],
            c: [0.0; LEN],
            panels: [[0.0; LEN]; 2],
            bytes: [[0; LEN]; 2],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1a over the bits of values, of which all NaNs count as one.
struct Hash(u64);

impl Hash {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, values: &[f32]) {
        for value in values {
            let bits = if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
            for byte in bits.to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
}

/// Numbers in ±`range`.
fn fill(values: &mut [f32], seed: u32, range: f32) {
    for (i, value) in (0u32..).zip(values) {
        *value = (mix(i ^ mix(seed)) as i32) as f32 / (1u64 << 31) as f32 * range;
    }
}

/// As many of these at the start as there is room for.
fn begin(values: &mut [f32], with: &[f32]) {
    values.iter_mut().zip(with).for_each(|(value, with)| *value = *with);
}

/// A stored vector of numbers in ±`range`.
fn vector(bytes: &mut [u8; LEN], len: usize, seed: u32, range: f32) -> Vector<'_> {
    let mut value = [0.0];
    let bytes = bytes.get_mut(1..=4 * len).unwrap_or_default();
    for (i, to) in (0u32..).zip(bytes.as_chunks_mut::<4>().0) {
        fill(&mut value, i ^ mix(seed), range);
        *to = value[0].to_le_bytes();
    }
    Vector::new(bytes)
}

/// A stored matrix of bytes.
fn matrix<'m>(
    [scales, data]: &'m mut [[u8; LEN]; 2],
    [rows, columns]: [usize; 2],
    seed: u32,
) -> Matrix<'m> {
    let scales = vector(scales, columns, seed, 0.01);
    let data = data.get_mut(1..=rows * columns).unwrap_or_default();
    for (i, byte) in (0u32..).zip(&mut *data) {
        *byte = mix(i ^ mix(seed + 1)).max(1) as u8;
    }
    Matrix { rows, columns, values: Values::Int8 { scales, data } }
}

/// Runs every kernel, and gives each one's name and hash.
pub fn run<K: Kernel>(kernel: K, memory: &mut Memory, give: &mut impl FnMut(&str, u64)) {
    functions(kernel, memory, give);
    rows(kernel, memory, give);
    products(kernel, memory, give);
    integers(kernel, memory, give);
}

/// Lengths of rows.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=21).chain([32, 33, 64])
}

fn functions<K: Kernel>(kernel: K, memory: &mut Memory, give: &mut impl FnMut(&str, u64)) {
    let Memory { a, b, .. } = memory;
    let ends = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 65536.0, -65535.0, 5.7, -5.7];
    let (mut sines, mut gelus, mut softmaxes) = (Hash::new(), Hash::new(), Hash::new());
    for n in lengths() {
        let (x, cos) = (a.get_mut(..n).unwrap_or_default(), b.get_mut(..n).unwrap_or_default());
        for (seed, range) in [(1, 1.0), (2, 30.0), (3, 8000.0), (4, 70_000.0)] {
            fill(x, seed, range);
            begin(x, if seed == 4 { &ends } else { &[] });
            kernel.sin_cos(x, cos);
            sines.add(x);
            sines.add(cos);
        }
        for (seed, range) in [(1, 1.0), (2, 8.0)] {
            fill(x, seed, range);
            begin(x, if seed == 2 { &ends } else { &[] });
            kernel.gelu(x);
            gelus.add(x);
        }
        for (rows, range, with) in [(1, 40.0, 0.0), (3, 40.0, f32::NAN), (4, 9000.0, 0.0)] {
            let scores = a.get_mut(..rows * n).unwrap_or_default();
            let (max, rest) = b.split_at_mut(n);
            let (sum, correction) = rest.split_at_mut(n);
            max.fill(f32::NEG_INFINITY);
            sum.fill(0.0);
            let correction = correction.get_mut(..n).unwrap_or_default();
            for seed in 5..8 {
                fill(scores, seed, range);
                begin(scores, &[0.0, with]);
                let view = MatMut::dense(scores, rows, n);
                kernel.softmax(view, 0.7, max, sum, correction);
                for values in [&*scores, max, sum, correction] {
                    softmaxes.add(values);
                }
            }
        }
    }
    give("sin_cos", sines.0);
    give("gelu", gelus.0);
    give("softmax", softmaxes.0);
}

fn rows<K: Kernel>(kernel: K, memory: &mut Memory, give: &mut impl FnMut(&str, u64)) {
    const ROWS: usize = 3;
    let Memory { a, b, c, bytes, .. } = memory;
    let [mut norms, mut scaled, mut sums, mut steps] = [(); 4].map(|()| Hash::new());
    for n in lengths() {
        let (x, y) =
            (a.get_mut(..ROWS * n).unwrap_or_default(), b.get_mut(..ROWS * n).unwrap_or_default());
        fill(x, 1, 3.0);
        fill(y, 2, 2.0);
        let [first, second] = bytes;
        let (weight, bias) = (vector(first, n, 3, 1.0), vector(second, n, 4, 1.0));
        kernel.layer_norm(x, weight, bias, 1e-5, y);
        norms.add(y);
        kernel.add_scaled(x, y, weight);
        scaled.add(x);
        kernel.scale(x, 0.3);
        scaled.add(x);
        kernel.multiply(x, y);
        scaled.add(x);
        kernel.scale_rows(MatMut::dense(x, ROWS, n), &[0.5, -3.0, 0.1]);
        scaled.add(x);
        let mut total = [0.0; 64];
        kernel.add_rows(Mat::dense(x, ROWS, n), total.get_mut(..n).unwrap_or_default());
        sums.add(&total);
        sums.add(&[kernel.sum(x), kernel.dot(x, y), kernel.largest(x)]);
        for bad in [1.0, f32::NAN, f32::INFINITY] {
            fill(y, 7, 2.0);
            if let Some(last) = y.last_mut() {
                *last = bad;
            }
            let phi = c.get_mut(..ROWS * n).unwrap_or_default();
            fill(phi, 8, 1.0);
            let int8 = matrix(bytes, [ROWS, n], 5);
            let finite = kernel.descend(phi, &int8, y);
            steps.add(phi);
            let [first, _] = &mut *bytes;
            let values = Values::F32(vector(first, ROWS * n, 6, 0.1));
            let f32 = Matrix { rows: ROWS, columns: n, values };
            let both = finite & kernel.descend(phi, &f32, y);
            steps.add(phi);
            steps.add(&[f32::from(u8::from(finite)), f32::from(u8::from(both))]);
        }
    }
    give("layer_norm", norms.0);
    give("scale", scaled.0);
    give("sum", sums.0);
    give("descend", steps.0);
}

fn products<K: Kernel>(kernel: K, memory: &mut Memory, give: &mut impl FnMut(&str, u64)) {
    let Memory { a, b, c, panels: [panel, bias], bytes } = memory;
    fill(bias, 5, 1.0);
    let (mut straight, mut transposed) = (Hash::new(), Hash::new());
    for m in [1, 2, 3, 4, 5, 8, 9] {
        for n in [1, 3, 4, 7, 8, 9, 12, 16, 19] {
            for k in [1, 2, 3, 8, 17] {
                fill(a, 1, 1.0);
                fill(b, 2, 1.0);
                let bias = bias.get(..n).unwrap_or_default();
                for init in [Init::Zero, Init::Bias(bias), Init::Add] {
                    fill(c, 3, 1.0);
                    let left = Mat::new(a.get(..m * (k + 3)).unwrap_or_default(), m, k, k + 3);
                    let right = b.get(..k * (n + 2)).unwrap_or_default();
                    let right = Mat::new(right, k, n, n + 2);
                    let all = c.get_mut(..m * (n + 1)).unwrap_or_default();
                    kernel.gemm(left, right, init, MatMut::new(all, m, n, n + 1));
                    straight.add(all);
                }
                let left = Mat::new(a.get(..k * (m + 1)).unwrap_or_default(), k, m, m + 1);
                let right = Mat::new(b.get(..k * (n + 2)).unwrap_or_default(), k, n, n + 2);
                let all = c.get_mut(..m * (n + 1)).unwrap_or_default();
                kernel.gemm_tn(left, right, MatMut::new(all, m, n, n + 1));
                transposed.add(all);
            }
        }
    }
    let (mut floats, mut int8) = (Hash::new(), Hash::new());
    for m in [1, 2, 3, 7, 8, 9, 17] {
        for n in [5, 8, 16, 24] {
            for k in [1, 15, 16, 17, 33, 40] {
                fill(a, 1, 2.0);
                let weight = matrix(bytes, [k, n], 9);
                let left = Mat::dense(a.get(..m * k).unwrap_or_default(), m, k);
                let panel = panel.get_mut(..k.next_multiple_of(8) * PANEL * 2).unwrap_or_default();
                let mut start = [0; LEN];
                let bias = vector(&mut start, n, 10, 1.0);
                for bias in [None, Some(bias)] {
                    let all = c.get_mut(..m * n).unwrap_or_default();
                    kernel.linear(left, &weight, bias, MatMut::dense(all, m, n), panel);
                    floats.add(all);
                    kernel.linear_int8(left, &weight, bias, MatMut::dense(all, m, n), panel);
                    int8.add(all);
                }
            }
        }
    }
    give("gemm", straight.0);
    give("gemm_tn", transposed.0);
    give("linear", floats.0);
    give("linear_int8", int8.0);
}

/// Both ways of packing A and B.
fn integers<K: PackedI16>(kernel: K, memory: &mut Memory, give: &mut impl FnMut(&str, u64)) {
    const FACTOR: f32 = 4095.0;
    let Memory { a, b, c, panels: [left, right], .. } = memory;
    let [mut straight, mut transposed, mut mixed] = [(); 3].map(|()| Hash::new());
    let bias = [1.5; 32];
    for m in [1, 2, 3, 4, 5, 8, 13] {
        for n in [1, 3, 4, 5, 8, 16, 19] {
            for k in [1, 2, 7, 8, 9, 16, 17, 33] {
                fill(a, 1, 1.0);
                fill(b, 2, 1.0);
                // What the panels held before must not show.
                left.fill(7.0);
                right.fill(7.0);
                let a = a.get(..m * k).unwrap_or_default();
                let b = b.get(..k * n).unwrap_or_default();
                kernel.pack_a(Mat::dense(a, m, k), FACTOR, left);
                kernel.pack_b(Mat::dense(b, k, n), FACTOR, right);
                for init in [Init::Zero, Init::Add, Init::Bias(bias.get(..n).unwrap_or_default())] {
                    let all = c.get_mut(..m * n).unwrap_or_default();
                    fill(all, 3, 1.0);
                    kernel.product_i16(left, right, k, 1e-7, init, MatMut::dense(all, m, n));
                    straight.add(all);
                }
                kernel.pack_a_t(Mat::dense(a, k, m), FACTOR, left);
                let all = c.get_mut(..m * n).unwrap_or_default();
                kernel.product_tn_i16(left, right, k, 1e-7, MatMut::dense(all, m, n));
                transposed.add(all);
                let mut scratch = [0.0; LEN];
                kernel.pack_b_t(Mat::dense(b, n, k), FACTOR, &mut scratch, right);
                kernel.product_tn_i16(left, right, k, 1e-7, MatMut::dense(all, m, n));
                mixed.add(all);
            }
        }
    }
    give("product_i16", straight.0);
    give("product_tn_i16", transposed.0);
    give("pack_b_t", mixed.0);
}
