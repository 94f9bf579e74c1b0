//! What belongs to no part of the trainer alone.

pub mod colour;
pub mod durable;
pub mod random;
pub mod text;
pub mod words;
