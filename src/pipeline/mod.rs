//! The pipeline file: text to checked stages, all mistakes at once with their lines.
//!
//! Not a place for the order of stages (see `plan`) or for reading other files.

pub mod spec;
pub mod values;
