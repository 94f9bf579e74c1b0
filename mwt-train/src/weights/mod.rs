//! A model's learned values on the host, under the names of the reference's own state dicts.
//!
//! This is where everything meets: the trainer's tensors, checkpoints and trained models ([`trained`]), `.pt` and
//! safetensors files ([`exchange`]), and the tensors of a bundle ([`from_bundle`]). [`layout`] has the order of all
//! values.

mod arrays;
mod bundle;
pub mod exchange;
mod groups;
pub mod layout;
pub(crate) mod names;
pub mod trained;

pub use arrays::{Array, Weights, WeightsError};
pub use bundle::from_bundle;
pub use groups::{join, split};
pub use layout::specs;
pub use names::{Group, Spec};
