//! What the programs of this example share: the board, and what they print.

#![no_std]

pub mod board;
pub mod report;
pub mod window;
