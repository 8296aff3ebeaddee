//! Where an object is at a moment, and what an observer sees of it.

pub mod time;
