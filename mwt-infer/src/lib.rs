//! Fits and classifies images with a Meta Weight Transformer bundle, on any CPU target from a Cortex-M4F to a
//! server, without std, without a heap, in memory that is known at build time.
//!
//! The layers, from the bottom up:
//!
//! | module | holds |
//! |---|---|
//! | [`kernels`] | the arithmetic on slices: matrix products, sin and cos, gelu, exp |
//! | [`workspace`] | the caller's memory: its size as a `const fn` of the configuration, and how it is cut up |
//! | [`source`] | where pixels come from: byte images, scattered samples, or a type of yours |
//! | `fit` | the inner loop: φ ← φ - α ⊙ ∇loss, k times |
//! | `transformer` | tokens λ(φ - θ + β), the blocks, the logits |
//! | [`classifier`] | [`Classifier`], which puts them together |
//!
//! With the feature `std`, `classify_batch` classifies many images on many cores.
//!
//! ```no_run
//! use mwt_infer::{Bundle, Classifier, Image, ModelConfig, Workspace, workspace_len};
//!
//! # fn main() -> Result<(), mwt_infer::Error> {
//! # let (bytes, pixels): (&[u8], &[u8]) = (&[], &[]);
//! // In firmware the workspace is a `static`; its size is a constant of the model.
//! let mut workspace = Workspace::<{ workspace_len(&ModelConfig::MICRO) }>::new();
//! let bundle = Bundle::parse(bytes)?;
//! let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;
//! classifier.fit(&Image::grey(pixels, 28, 28)?)?;
//! let best = classifier.top_k::<1>()?;
//! if let Some(best) = best.first() {
//!     let label = bundle.header().label(best.class);
//!     # let _ = label;
//! }
//! # Ok(())
//! # }
//! ```

// A step or a chunk is given as `.max(1)` where the compiler cannot know that it is not 0: a checked configuration
// never makes it so, and the static library is held to be free of reachable panics.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod arithmetic;
#[cfg(feature = "std")]
mod batch;
pub mod classifier;
mod error;
mod fit;
#[cfg(feature = "kernels")]
pub mod kernels;
// What mwt-train alone uses is neither reachable nor used without the feature.
#[cfg(not(feature = "kernels"))]
#[allow(dead_code, unreachable_pub)]
mod kernels;
mod profile;
pub mod source;
mod top_k;
mod transformer;
pub mod workspace;

pub use arithmetic::Arithmetic;
#[cfg(feature = "std")]
pub use batch::classify_batch;
pub use classifier::{Classifier, Quality, SelfTest};
pub use error::Error;
pub use kernels::Isa;
pub use mwt_core::{self, Bundle, Draw, ImageSize, ModelConfig};
pub use profile::{Phase, Profiler};
pub use source::{Image, PixelSource, Sample, Scattered};
pub use top_k::{Prediction, TopK};
#[cfg(feature = "alloc")]
pub use workspace::WorkspaceBuf;
pub use workspace::{STACK_HOST, STACK_PORTABLE, Workspace, workspace_len};
