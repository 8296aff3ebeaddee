//! SSSource: the observations, their detections and their objects.

mod case;
#[path = "../support/parquet.rs"]
mod parquet;
#[path = "../support/said.rs"]
mod said;

mod designations;
mod determinism;
mod errors;
mod inputs;
mod matching;
mod orbits;
mod parts;
mod program;
mod report;
mod slices;
mod wide;
mod wide_determinism;
