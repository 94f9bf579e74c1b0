//! The model's two halves on the CPU, on mwt-infer's kernels: one image per thread.
//!
//! - The inner loop: (θ, α, the SIREN's head, pixels of k+1 draws) → (φ_k - θ, reconstruction loss). An image's pixels go
//!   through in tiles; for the backward pass only φ_j and the gradient of each step are saved.
//! - The Transformer: (φ - θ, β, parameters) → logits. Saved are each block's input and what its attention gave.
//!
//! `op` makes them operations of burn's autodiff graph; `batch_*` share a batch out over the threads; `image_*` and `tile`
//! compute. The tensor forms in [`model`](crate::model) are the readable reference, and the same tests hold both.

mod batch_fit;
mod batch_transformer;
mod image_fit;
mod image_transformer;
mod op;
mod rows;
mod tile;
mod values;

/// Images per group. The gradients of a group's images are summed one after the other, and then the sums of the groups
/// in their order, so that every bit is the same however many threads there are.
fn group_len(images: usize) -> usize {
    /// Each group takes the memory of a whole gradient.
    const GROUPS: usize = 16;
    images.div_ceil(GROUPS).max(1)
}
