//! What the programs of this example share: the board, the bundle, and what they print.

#![no_std]

pub mod board;
pub mod model;
pub mod report;
pub mod window;
