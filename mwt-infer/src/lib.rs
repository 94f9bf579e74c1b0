//! Fits and classifies images, series and volumes with a Meta Weight Transformer bundle, on any CPU target from a Cortex-M4F to a
//! server, without std, without a heap, in memory that is known at build time.
//!
//! In firmware the workspace is a `static`; its size is a constant of the model:
//!
//! ```no_run
//! use mwt_infer::{Bundle, Classifier, Error, ModelConfig, Signal, Workspace, workspace_len};
//! use std::sync::Mutex;
//!
//! // On a microcontroller a `ConstStaticCell` of the crate `static_cell` in place of the mutex.
//! static WORKSPACE: Mutex<Workspace<{ workspace_len(&ModelConfig::MICRO) }>> =
//!     Mutex::new(Workspace::new());
//!
//! /// The class of a grey image of 28 by 28 bytes.
//! fn classify(bundle: &[u8], pixels: &[u8]) -> Result<Option<usize>, Error> {
//!     let mut workspace = WORKSPACE.lock().expect("no thread panics with it");
//!     let bundle = Bundle::parse(bundle)?;
//!     let mut classifier = Classifier::new(&bundle, workspace.as_mut_slice())?;
//!     classifier.fit(&Signal::grey(pixels, 28, 28)?)?;
//!     Ok(classifier.top_k::<1>()?.first().map(|best| best.class))
//! }
//! ```
//!
//! 4 KiB of stack suffice in every optimized build ([`STACK_PORTABLE`]); without optimization it is
//! [`STACK_UNOPTIMIZED`], and 39 times the instructions. What firmware wants in its `Cargo.toml`:
//!
//! ```toml
//! [profile.release]
//! opt-level = "s"
//! lto = "fat"
//! codegen-units = 1
//!
//! [profile.release.package.mwt-infer]  # speed where the arithmetic is
//! opt-level = 2
//!
//! [profile.dev.package."*"]            # one's own code as the debugger wants it, what it calls small and fast
//! opt-level = "s"
//! ```
//!
//! On a host, `WorkspaceBuf` has the size of a model that is known at run time alone.
//!
//! The modules, from the bottom up:
//!
//! | module | holds |
//! |---|---|
//! | `kernels` | the arithmetic on slices: matrix products, sin and cos, gelu, exp; [`Isa`] chooses the instruction set |
//! | [`workspace`] | the caller's memory: its size as a `const fn` of the configuration, and how it is cut up |
//! | [`source`] | where samples come from: images, series and volumes, with holes or without, scattered samples, or a type of yours |
//! | `profile` | [`Profiler`], a hook to see where the time goes |
//! | `range` | [`Range`], what becomes of values that training never saw |
//! | `fit` | the inner loop: φ ← φ - α ⊙ ∇loss, k times |
//! | `arithmetic` | [`Arithmetic`], the choice between f32 and integer products |
//! | `transformer` | tokens λ(φ - θ + β), the blocks, the logits |
//! | `top_k` | [`TopK`], the most likely classes |
//! | [`classifier`] | [`Classifier`], which puts them together |
//! | `batch` | `classify_batch` and `fit_batch`, many images on many cores |
//!
//! | feature | adds |
//! |---|---|
//! | `alloc` | `WorkspaceBuf`, a workspace on the heap |
//! | `std` | `classify_batch`, `fit_batch`; on 64-bit ARM, whether the CPU has SDOT is found at run time; implies `alloc` |
//! | `defmt` | `defmt::Format` for errors and answers, to log them over a debug probe |
//! | `kernels` | the arithmetic itself, for mwt-train; no promise of stability |

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
mod fit_int16;
#[cfg(feature = "kernels")]
pub mod kernels;
// What mwt-train alone uses is neither reachable nor used without the feature.
#[cfg(not(feature = "kernels"))]
#[allow(dead_code, unreachable_pub)]
mod kernels;
mod profile;
mod range;
pub mod source;
mod top_k;
mod transformer;
pub mod workspace;

pub use arithmetic::Arithmetic;
#[cfg(feature = "std")]
pub use batch::{classify_batch, fit_batch};
pub use classifier::{Classifier, Quality, SelfTest};
pub use error::Error;
pub use kernels::Isa;
pub use mwt_core::{self, Bundle, Draw, Extents, ModelConfig};
pub use profile::{Phase, Profiler};
pub use range::Range;
pub use source::{FromNumber, Numbers, SampleSource, Scattered, Signal};
pub use top_k::{Prediction, TopK};
#[cfg(feature = "alloc")]
pub use workspace::WorkspaceBuf;
pub use workspace::{STACK_HOST, STACK_PORTABLE, STACK_UNOPTIMIZED, Workspace, workspace_len};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
