//! Which stages a run is about: `--stage` and `--only`.

use crate::pipeline::did_you_mean;

use super::graph::{Graph, StageId};

/// The stages that a run is about.
#[derive(Clone, Debug)]
pub struct Selection {
    selected: Vec<bool>,
}

/// A name that no stage has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has no stage `{name}`{hint}")]
pub struct UnknownStage {
    name: String,
    hint: String,
}

impl Selection {
    /// Whether a stage is among them.
    #[must_use]
    pub fn has(&self, id: StageId) -> bool {
        self.selected[id.index()]
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.selected.iter().filter(|selected| **selected).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Selects the stages named and, unless `only`, what they need; all stages if none is named. One export brings all
/// exports along: their outputs are of one snapshot, always.
///
/// # Errors
/// A name that no stage has.
pub fn select(graph: &Graph, names: &[String], only: bool) -> Result<Selection, UnknownStage> {
    if names.is_empty() {
        return Ok(Selection { selected: vec![true; graph.len()] });
    }
    let mut selected = vec![false; graph.len()];
    let mut pending = Vec::new();
    for name in names {
        pending.push(find(graph, name)?);
    }
    while let Some(id) = pending.pop() {
        if std::mem::replace(&mut selected[id.index()], true) {
            continue;
        }
        if !only {
            pending.extend(graph.upstream(id));
        }
        if graph.stage(id).reads_snapshot() {
            pending.extend(graph.ids().filter(|other| graph.stage(*other).reads_snapshot()));
        }
    }
    Ok(Selection { selected })
}

/// The stage of a name.
///
/// # Errors
/// A name that no stage has.
pub fn find(graph: &Graph, name: &str) -> Result<StageId, UnknownStage> {
    graph.find(name).ok_or_else(|| {
        let hint = did_you_mean(name, graph.ids().map(|id| graph.stage(id).name.as_str()));
        UnknownStage { name: name.to_owned(), hint }
    })
}
