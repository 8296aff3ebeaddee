//! The kinds of stage, one file each: wiring between sources, science and the Parquet sink.
//!
//! A stage makes a sealed file and never publishes it: that is for `run` and for the command-line tools. Not a place
//! for decisions on whether a stage runs.

pub mod export;
pub mod extract;

use serde_json::{Map, Value};

use crate::parquet::write::SealedTable;

/// What a stage made, safe on disk, not yet in place of its target.
#[derive(Debug)]
pub struct Product {
    /// The file.
    pub table: SealedTable,
    /// What is worth a line in the run's record, by name: counts and figures, in a fixed order.
    pub figures: Map<String, Value>,
    /// What people should know though the stage succeeded.
    pub warnings: Vec<String>,
}

/// Somebody who watches a stage and may stop it.
pub trait Monitor: Sync {
    /// Whether the stage should stop: it then ends with its error for that, soon.
    fn stopped(&self) -> bool {
        false
    }

    /// How many rows or objects there will be, as far as is known.
    fn expect(&self, _rows: u64) {}

    /// More was done: rows (or objects) and bytes, since the last call.
    fn advance(&self, _rows: u64, _bytes: u64) {}
}

/// A [`Monitor`] that neither shows nor stops anything.
#[derive(Debug)]
pub struct Unwatched;

impl Monitor for Unwatched {}
