//! The sealed DAG: stages in an order in which they can run. Only a sealed graph can be executed.

use std::collections::HashMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::pipeline::{Mistake, Pipeline, Stage, StageName};

/// A stage of a [`Graph`]: its position in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(usize);

impl StageId {
    /// The index into a list with one item for each stage.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// A pipeline's stages without cycles, each after all that it needs.
#[derive(Debug)]
pub struct Graph {
    stages: Vec<Stage>,
    upstream: Vec<Vec<StageId>>,
    downstream: Vec<Vec<StageId>>,
    depths: Vec<usize>,
    by_name: HashMap<StageName, StageId>,
}

impl Graph {
    /// Seals a pipeline's stages: those that need nothing first, those of one depth in the order of the file.
    ///
    /// # Errors
    /// Every cycle as a path, and every export that waits for another export.
    pub fn seal(pipeline: &Pipeline) -> Result<Self, Vec<Mistake>> {
        let stages = &pipeline.stages;
        let index: HashMap<&StageName, usize> =
            stages.iter().enumerate().map(|(i, stage)| (&stage.name, i)).collect();
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(stages.len());
        for stage in stages {
            let mut own = Vec::new();
            for need in stage.upstream().filter_map(|name| index.get(name).copied()) {
                if !own.contains(&need) {
                    own.push(need);
                }
            }
            needs.push(own);
        }
        let components = components(&needs);
        let cycles = cycles(stages, &needs, &components);
        if !cycles.is_empty() {
            return Err(cycles);
        }
        let depths = depths(&needs, &components);
        let chained = chained_exports(stages, &needs);
        if !chained.is_empty() {
            return Err(chained);
        }
        let mut order: Vec<usize> = (0..stages.len()).collect();
        order.sort_by_key(|&stage| (depths[stage], stage));
        let mut position = vec![StageId(0); stages.len()];
        for (place, &stage) in order.iter().enumerate() {
            position[stage] = StageId(place);
        }
        let mut downstream = vec![Vec::new(); stages.len()];
        let upstream: Vec<Vec<StageId>> =
            order.iter().map(|&stage| needs[stage].iter().map(|&need| position[need]).collect()).collect();
        for (place, needed) in upstream.iter().enumerate() {
            for need in needed {
                downstream[need.0].push(StageId(place));
            }
        }
        let stages: Vec<Stage> = order.iter().map(|&stage| stages[stage].clone()).collect();
        let by_name =
            stages.iter().enumerate().map(|(place, stage)| (stage.name.clone(), StageId(place))).collect();
        let depths = order.iter().map(|&stage| depths[stage]).collect();
        Ok(Self { stages, upstream, downstream, depths, by_name })
    }

    /// All stages, each after what it needs.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = StageId> + use<> {
        (0..self.stages.len()).map(StageId)
    }

    /// Some of the stages, in order, cut where the depth grows: no two of one depth need each other.
    pub fn levels<'a>(&self, ids: &'a [StageId]) -> impl Iterator<Item = &'a [StageId]> {
        ids.chunk_by(|before, id| self.depths[before.0] == self.depths[id.0])
    }

    /// How many stages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// A stage.
    #[must_use]
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0]
    }

    /// The stage of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StageId> {
        self.by_name.get(name).copied()
    }

    /// What a stage needs, directly.
    #[must_use]
    pub fn upstream(&self, id: StageId) -> &[StageId] {
        &self.upstream[id.0]
    }

    /// What needs a stage, directly.
    #[must_use]
    pub fn downstream(&self, id: StageId) -> &[StageId] {
        &self.downstream[id.0]
    }
}

/// The strongly connected components, each after all that its stages need: one stage, or stages that need each other.
fn components(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: Vec<NodeIndex> = (0..needs.len()).map(|stage| graph.add_node(stage)).collect();
    for (stage, own) in needs.iter().enumerate() {
        for &need in own {
            graph.add_edge(nodes[stage], nodes[need], ());
        }
    }
    let stages = |nodes: Vec<NodeIndex>| nodes.into_iter().map(|node| graph[node]).collect::<Vec<_>>();
    tarjan_scc(&graph).into_iter().map(stages).collect()
}

fn cycles(stages: &[Stage], needs: &[Vec<usize>], components: &[Vec<usize>]) -> Vec<Mistake> {
    let knots =
        components.iter().filter(|members| members.len() > 1 || needs[members[0]].contains(&members[0]));
    knots
        .map(|members| {
            let start = members.iter().copied().min().unwrap_or_default();
            let path: Vec<String> = cycle_from(start, members, needs)
                .into_iter()
                .map(|stage| format!("`{}`", stages[stage].name))
                .collect();
            Mistake::new(
                stages[start].place,
                format!("stages need each other in a circle: {}", path.join(" needs ")),
            )
        })
        .collect()
}

/// A shortest path from a stage back to itself that stays within one strongly connected component.
fn cycle_from(start: usize, members: &[usize], needs: &[Vec<usize>]) -> Vec<usize> {
    let mut paths = vec![vec![start]];
    let mut seen = Vec::new();
    loop {
        let mut longer = Vec::new();
        for path in paths {
            for &need in &needs[*path.last().unwrap_or(&start)] {
                let mut next = path.clone();
                next.push(need);
                if need == start {
                    return next;
                }
                if members.contains(&need) && !seen.contains(&need) {
                    seen.push(need);
                    longer.push(next);
                }
            }
        }
        if longer.is_empty() {
            return vec![start];
        }
        paths = longer;
    }
}

/// The length of the longest path from each stage to one that needs nothing.
fn depths(needs: &[Vec<usize>], components: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0; needs.len()];
    for &stage in components.iter().flatten() {
        depths[stage] = needs[stage].iter().map(|&need| depths[need] + 1).max().unwrap_or(0);
    }
    depths
}

/// Exports are published together, so that none of them can wait for another.
fn chained_exports(stages: &[Stage], needs: &[Vec<usize>]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.reads_snapshot()) {
        let mut pending = needs[index].clone();
        let mut seen = Vec::new();
        while let Some(need) = pending.pop() {
            if seen.contains(&need) {
                continue;
            }
            seen.push(need);
            if stages[need].reads_snapshot() {
                let (name, other) = (&stage.name, &stages[need].name);
                let message = format!(
                    "stage `{name}` needs stage `{other}`, but all stages that read the database share one snapshot \
                    and are published together: remove `{other}` from `needs`"
                );
                mistakes.push(Mistake::new(stage.place, message));
            } else {
                pending.extend(&needs[need]);
            }
        }
    }
    mistakes
}
