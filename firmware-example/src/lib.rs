//! What the programs of this example share: the board, the bundle, and what they print.

#![no_std]

pub mod board;
#[cfg(feature = "kernels")]
pub mod kernels;
pub mod model;
pub mod report;
pub mod window;
