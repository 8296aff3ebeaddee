//! Which stages a run is about: `--stage`, `--only` and `--exclude`.

use crate::pipeline::did_you_mean;

use super::graph::{Graph, StageId};

/// The flags that choose stages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// Names of stages; all stages if there are none. `x` and `+x` stand for `x` and the stages that `x` needs, `x+` also for
    /// the stages that need `x`.
    pub stages: &'a [String],
    /// Whether the stages that the named ones need are left out.
    pub only: bool,
    /// Names of stages to leave out.
    pub exclude: &'a [String],
}

/// The stages that a run is about.
#[derive(Clone, Debug)]
pub struct Selection {
    selected: Vec<bool>,
    brought: Vec<StageId>,
}

/// A name that no stage has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has no stage `{name}`{hint}")]
pub struct UnknownStage {
    name: String,
    hint: String,
}

/// Why stages cannot be selected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A name that no stage has.
    #[error(transparent)]
    Unknown(#[from] UnknownStage),
    /// A part of what is published together.
    #[error(
        "`--exclude {excluded}`: stages that read the same snapshot are published together; exclude all of them or none: {group}"
    )]
    Group {
        /// The stage to leave out.
        excluded: String,
        /// All of the group.
        group: String,
    },
    /// What is to run is also to be left out.
    #[error("`{0}` is named by `--stage` and by `--exclude`")]
    Both(String),
    /// No stage is left.
    #[error("`--exclude` leaves no stage to run")]
    Empty,
}

impl Selection {
    /// All stages.
    #[must_use]
    pub fn all(graph: &Graph) -> Self {
        Self { selected: vec![true; graph.len()], brought: Vec::new() }
    }

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

    /// `with obs_sbn: 1 more stage of the same snapshot, mpc_orbits`, if stages were added that were not asked for.
    #[must_use]
    pub fn brought(&self, graph: &Graph) -> Option<String> {
        let name = |id: &StageId| graph.stage(*id).name.as_str();
        let names: Vec<&str> = self.brought.iter().map(name).collect();
        let more = match names.len() {
            0 => return None,
            1 => "1 more stage".to_owned(),
            count => format!("{count} more stages"),
        };
        let asked = graph
            .ids()
            .find(|id| self.has(*id) && graph.stage(*id).reads_snapshot() && !self.brought.contains(id))?;
        Some(format!("with {}: {more} of the same snapshot, {}", name(&asked), names.join(", ")))
    }
}

/// Selects the stages named and, unless `only`, what they need. One stage that reads the snapshot brings all such stages
/// along: their outputs are of one snapshot, always.
///
/// # Errors
/// A name that no stage has; an exclusion that would break the group of the snapshot, or leaves no stage.
pub fn select(graph: &Graph, choice: &Choice<'_>) -> Result<Selection, SelectError> {
    let mut selection = Selection::all(graph);
    let mut asked = Vec::new();
    if !choice.stages.is_empty() {
        let mut named = Vec::new();
        for selector in choice.stages {
            let (name, users) =
                selector.strip_suffix('+').map_or((selector.as_str(), false), |name| (name, true));
            let id = find(graph, name.strip_prefix('+').unwrap_or(name))?;
            asked.push(id);
            named.push(id);
            if users {
                named.extend(closure(vec![id], |id| graph.downstream(id)));
            }
        }
        let wanted = if choice.only { named } else { closure(named, |id| graph.upstream(id)) };
        graph.ids().for_each(|id| selection.selected[id.index()] = wanted.contains(&id));
    }
    let excluded = choice.exclude.iter().map(|name| find(graph, name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(both) = excluded.iter().find(|id| asked.contains(id)) {
        return Err(SelectError::Both(graph.stage(*both).name.to_string()));
    }
    let group: Vec<StageId> = graph.ids().filter(|id| graph.stage(*id).reads_snapshot()).collect();
    for id in &excluded {
        selection.selected[id.index()] = false;
    }
    if group.iter().any(|id| selection.has(*id)) {
        if let Some(left_out) = group.iter().find(|id| excluded.contains(id)) {
            let name = |id: &StageId| graph.stage(*id).name.as_str();
            let names: Vec<&str> = group.iter().map(name).collect();
            return Err(SelectError::Group { excluded: name(left_out).to_owned(), group: names.join(",") });
        }
        selection.brought = group.iter().copied().filter(|id| !selection.has(*id)).collect();
        if !choice.only {
            let brought = closure(selection.brought.clone(), |id| graph.upstream(id));
            for id in &brought {
                selection.selected[id.index()] = !excluded.contains(id);
            }
        }
        for id in &group {
            selection.selected[id.index()] = true;
        }
    }
    if selection.is_empty() && !graph.is_empty() { Err(SelectError::Empty) } else { Ok(selection) }
}

/// Stages and all that follow from them.
fn closure<'a>(mut pending: Vec<StageId>, next: impl Fn(StageId) -> &'a [StageId]) -> Vec<StageId> {
    let mut found = Vec::new();
    while let Some(id) = pending.pop() {
        if !found.contains(&id) {
            found.push(id);
            pending.extend(next(id));
        }
    }
    found
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
