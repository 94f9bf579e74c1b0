//! Training: batches made ahead of their use, one outer step, and the loop over all of them.

pub mod batch;
pub mod example;
mod loader;
pub mod optim;
mod position;
pub mod step;
mod trainer;

pub use position::Position;
pub use trainer::{Next, Progress, State, StepStats, TrainError, Trainer, Watch};
