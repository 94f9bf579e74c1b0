//! The choice between f32 and integer products.

/// How the Transformer's products are computed. The fit is always computed in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arithmetic {
    /// In f32, whatever the weights are stored as.
    #[default]
    F32,
    /// In integers where the instruction set is faster that way, in f32 elsewhere, so logits differ a little. Linear
    /// layers whose weights are int8 round each token to int8 with a scale of its own (AVX2, AVX-512); attention over 128
    /// tokens or more rounds queries, keys, values and weights to 12 bits (AVX2).
    Int8,
}
