//! The choice between f32 and integer products.

/// How products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// In f32, whatever the weights are stored as.
    #[default]
    F32,
    /// In integers, so logits differ a little, where the instruction set is faster that way. Every sum is exact.
    ///
    /// | kernels | linear layers with int8 weights | attention | fit |
    /// |---|---|---|---|
    /// | AVX2, AVX-512 | each token rounded to 8 bits with a scale of its own | 12 bits, from 128 tokens on | 12 bits in the hidden layers, from D 64 on |
    /// | portable, with the DSP extension of Cortex-M4, M7 and M33 or without | to 16 bits | 13 bits, with one head | 13 bits in the hidden layers |
    /// | NEON with SDOT | each token rounded to 8 bits with a scale of its own | f32 | f32 |
    /// | NEON without, SIMD128 | f32 | f32 | f32 |
    Int8,
}
