//! wip
pub mod batch;
pub mod data;
pub mod exchange;
pub mod export;
pub mod model;
pub mod optim;
pub mod random;
pub mod step;
pub mod weights;
