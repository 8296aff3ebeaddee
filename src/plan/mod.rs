//! From a checked pipeline to a sealed DAG, and from facts to verdicts: what runs, and why.
//!
//! Pure: no files, no clock, no network. `run` gathers the facts and does the work.

mod database_state;
mod decision;
mod explanation;
mod graph;
mod reason;
mod record;
mod selection;
#[cfg(test)]
mod tests;

pub use decision::{Facts, OutputState, Verdict, decide};
pub use explanation::{Explanation, StagePlan};
pub use graph::{Graph, StageId};
pub use reason::{Reason, ReasonCode};
pub use record::{Output, RECORD_FORMAT, Record};
pub use selection::{Choice, SelectError, Selection, UnknownStage, find, select};
