//! Both halves of the model with their adjoints in closed form, in tensor operations on any back end: what training on
//! GPUs uses. The matrix products are the back end's, on tensor cores where it has them.

mod fit;
mod transformer;

pub use fit::AdjointInnerLoop;
pub use transformer::AdjointTransformer;
