//! Trains a Meta Weight Transformer and exports it as one quantized bundle.
//!
//! The program `mwt-train` is a thin layer over this library. Its rooms, from the ground floor up:
//!
//! | module | holds |
//! |---|---|
//! | [`util`] | files written whole or not at all; random numbers that are the same everywhere |
//! | [`settings`] | every setting of a run, once: types, ranges, meanings, layers |
//! | [`weights`] | learned values on the host under the reference's names; their order; safetensors and `.pt` |
//! | [`data`] | data sets: images, series and volumes, of files or built in; augmentation |
//! | [`model`] | the model as tensors of any burn back end, its two halves as operations, and their forms on CPU and GPU |
//! | [`ranks`] | the processes that train together, where MPI started several |
//! | [`train`] | batches, one outer step, AdamW and its schedule, the outer loop |
//! | [`evaluate`] | accuracy and PSNR, through burn or through mwt-infer |
//! | [`run`] | a run's directory: settings, metrics, checkpoints, the best model, resuming, stopping |
//! | [`export`] | bundles with golden samples, model cards, bundles as source text |
//! | [`report`] | pictures, and a run's `report.html` |
//! | [`backend`], [`cli`] | the choice of a back end, and the program |
//!
//! A run in a few lines is in [`run`], and `examples/train.rs` trains, resumes and exports.

pub mod backend;
pub mod cli;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod model;
pub mod ranks;
pub mod report;
pub mod run;
pub mod settings;
pub mod train;
pub mod util;
pub mod weights;

/// The README's example.
#[cfg(all(doctest, feature = "cpu"))]
#[doc = include_str!("../README.md")]
struct Readme;
