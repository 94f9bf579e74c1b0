//! Trains a Meta Weight Transformer and exports it as one quantized bundle.
//!
//! The program `mwt-train` is a thin layer over this library; its parts, from the bottom up:
//!
//! | module | holds |
//! |---|---|
//! | [`data`] | data sets: idx, CIFAR-10 binary, image folders, and the built-in digits |
//! | [`weights`], [`exchange`] | learned values on the host under the reference's names; safetensors and `.pt` |
//! | [`model`] | the model as tensors of any burn back end: the readable reference, and its two halves as operations |
//! | `native`, `cube` | those operations on the CPU; kernels for those on GPUs |
//! | [`augment`] | training images varied |
//! | [`batch`] | from byte images to the pixels of a batch; `loader` makes them ahead of their use |
//! | [`optim`], [`step`], [`trainer`] | AdamW and its schedule, one outer step, the outer loop |
//! | [`evaluate`] | accuracy and PSNR, through burn or through mwt-infer |
//! | [`export`], [`embed`], [`card`] | bundles, bundles as source text, model cards |
//! | [`picture`], [`report`] | pictures, a run's report |
//! | [`settings`], [`keys`], [`layers`], [`metrics`], [`run_dir`], [`checkpoint`], [`backend`], [`cli`] | what a user sets, what a run leaves behind, the program |

pub mod augment;
pub mod backend;
pub mod batch;
pub mod card;
pub mod checkpoint;
pub mod cli;
#[cfg(feature = "cube")]
mod cube;
pub mod data;
mod durable;
pub mod embed;
pub mod evaluate;
pub mod exchange;
pub mod export;
pub mod keys;
pub mod layers;
mod loader;
pub mod metrics;
pub mod model;
#[cfg(feature = "cpu")]
mod native;
pub mod optim;
pub mod picture;
pub mod random;
pub mod report;
pub mod run_dir;
pub mod settings;
pub mod step;
pub mod trainer;
pub mod weights;
