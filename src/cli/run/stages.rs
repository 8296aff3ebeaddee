//! Stages by name, and what to say about a name that no stage has.

use crate::cli::failure::Failure;
use crate::plan::{Graph, StageId, find};

/// The most names in a hint.
const NAMED: usize = 10;

/// The stage with a name.
pub(super) fn stage_of(graph: &Graph, name: &str) -> Result<StageId, Failure> {
    find(graph, name).map_err(|error| Failure::usage(error).hint(stages(graph)))
}

/// The names of the stages, as a hint.
pub(super) fn stages(graph: &Graph) -> String {
    let names: Vec<&str> = graph.ids().take(NAMED).map(|id| graph.stage(id).name.as_str()).collect();
    let names = names.join(", ");
    match graph.len().saturating_sub(NAMED) {
        0 => format!("the stages are {names}"),
        more => format!("the stages are {names} and {more} more; `ssp-run graph` prints all"),
    }
}
