//! What the Meta Weight Transformer's trainer and its inference agree on, written once.
//!
//! The Meta Weight Transformer (arXiv 2503.18123) classifies an image by fitting a small sine network
//! (SIREN) to it in k gradient steps from a meta-learned start θ, with a learned rate α for each step
//! and parameter, and by reading the fitted weights, λ(φ - θ + β), with a Transformer.
//!
//! Read the modules in this order:
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`ModelConfig`]: the sizes of a model, everything derived from them, checked limits, presets |
//! | [`grid`] | the regular grid of a signal, a sample's coordinates and value |
//! | [`draw`] | which samples inner step j looks at |
//! | [`layout`] | every tensor of a model, its shape and its place in a bundle |
//! | [`quant`] | int8, f16 and f32 storage of a matrix |
//! | [`bundle`] | the `*.mwt` file: [`Bundle`] borrows it from flash and checks all of it before the first use |
//! | [`math`] | sin and cos together, exp and gelu from +, -, × and ÷ alone: the same bits on every target |
//!
//! The crate is `no_std` and never allocates; the feature `alloc` adds the bundle writer.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;

pub mod bundle;
pub mod config;
pub mod draw;
mod error;
pub mod grid;
pub mod layout;
pub mod math;
pub mod quant;

pub use bundle::Bundle;
pub use config::ModelConfig;
pub use draw::Draw;
pub use error::{ConfigError, Error};
pub use grid::Extents;
pub use quant::{Scheme, Schemes};
