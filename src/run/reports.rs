//! The reports of the stages of a run, each told when it is final.

use std::sync::Arc;

use crate::plan::{Graph, StageId};

use super::events::{Event, Observer, StageReport, StageStatus};

/// The reports of the stages of a run.
pub(super) struct Reports {
    list: Vec<Option<StageReport>>,
    /// The stages that the run is about.
    total: usize,
    observer: Arc<dyn Observer>,
}

impl Reports {
    /// No reports yet; the run has `total` stages.
    pub(super) fn new(graph: &Graph, total: usize, observer: &Arc<dyn Observer>) -> Self {
        Self { list: vec![None; graph.len()], total, observer: Arc::clone(observer) }
    }

    /// Whether a stage has a report.
    pub(super) fn has(&self, id: StageId) -> bool {
        self.list[id.index()].is_some()
    }

    /// Keeps the report of a stage and tells of it. What an earlier attempt did counts more than that nothing was left to do.
    pub(super) fn put(&mut self, id: StageId, report: StageReport) {
        if report.status == StageStatus::UpToDate && self.has(id) {
            return;
        }
        let ended = self.list.iter().flatten().count() + usize::from(!self.has(id));
        self.observer.event(&Event::StageFinished { report: &report, ended, total: self.total });
        self.list[id.index()] = Some(report);
    }

    /// The reports, in the order of the plan.
    pub(super) fn into_list(self) -> Vec<StageReport> {
        self.list.into_iter().flatten().collect()
    }
}
