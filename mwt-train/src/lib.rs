//! wip
pub mod data;
pub mod exchange;
pub mod export;
pub mod weights;
