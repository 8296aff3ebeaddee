//! One attempt at a run: does what the scheduler says, on threads, and reports how each stage ended.
//!
//! Stages that another attempt may save are reported only if there is none: see [`Attempt::undone`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::errors::Class;
use crate::monitor::POLL;
use crate::pipeline::StageName;
use crate::plan::StageId;

use super::Error;
use super::committing::{commit, confirmed};
use super::events::{Event, StageReport, StageStatus};
use super::failure::Failure;
use super::publish::Publication;
use super::reports::Reports;
use super::request::Request;
use super::scheduler::{self, Action, Outcome, Scheduler, State};
use super::shared::Shared;
use super::task::{End, Ended, work};

/// An attempt that is running.
pub(super) struct Attempt<'a> {
    request: &'a Request<'a>,
    shared: &'a Shared<'a>,
    scheduler: Scheduler<'a>,
    sealed: BTreeMap<StageId, (Ended, Publication, Outcome)>,
    unchanged: Vec<StageId>,
    clock: Instant,
    started_after: Vec<f64>,
    reports: &'a mut Reports,
    /// The stages that failed and that another attempt may save, the first to fail first.
    lost: Vec<(StageId, Ended, Failure)>,
    /// Whether the run was told to stop.
    pub signalled: bool,
}

impl<'a> Attempt<'a> {
    /// An attempt in which `unchanged` exports need nothing; whether another one may follow.
    pub(super) fn new(
        request: &'a Request<'a>,
        shared: &'a Shared<'a>,
        unchanged: Vec<StageId>,
        reports: &'a mut Reports,
        clock: Instant,
        may_retry: bool,
    ) -> Self {
        let scheduler =
            Scheduler::new(request.graph, request.selection, &unchanged, request.jobs, request.fail_fast)
                .with_another_attempt(may_retry);
        Self {
            request,
            shared,
            scheduler,
            sealed: BTreeMap::new(),
            unchanged,
            clock,
            started_after: vec![0.0; request.graph.len()],
            reports,
            lost: Vec::new(),
            signalled: false,
        }
    }

    /// Works until every stage has ended. `tell` is told which stages are at work.
    ///
    /// # Errors
    /// If the records of unchanged exports cannot be written.
    pub(super) fn run(&mut self, mut tell: impl FnMut(Vec<StageName>)) -> Result<(), Error> {
        for id in self.unchanged.clone() {
            let mut ended = Ended::default();
            ended.take(self.shared.situation.checks_again(id));
            self.report(id, StageStatus::UpToDate, &ended);
        }
        // The group's records move on together: with the group, or now if nothing of it runs.
        let group_runs = self.group().any(|id| self.scheduler.state(id) == State::Waiting);
        if !group_runs {
            commit(self.shared, "snapshot", confirmed(self.shared.situation, &self.unchanged))?;
            self.shared.situation.sources.end_snapshot();
        }
        let shared = self.shared;
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let mut actions = self.stop_if_told();
            actions.extend(self.scheduler.next());
            loop {
                while !actions.is_empty() {
                    let mut next = Vec::new();
                    for action in actions {
                        match action {
                            Action::Start(id) => {
                                self.started_after[id.index()] = self.clock.elapsed().as_secs_f64();
                                let send = send.clone();
                                // The receiver lives until every thread has ended.
                                let failed = self.scheduler.failed_needs(id);
                                scope.spawn(move || send.send((id, work(shared, id, &failed))).ok());
                            }
                            Action::Publish(ids) => next.extend(self.publish(&ids)),
                            Action::StopGroup => shared.group.stop("a stage of the group failed"),
                            Action::StopAll => shared.monitor.stop("the run is ending"),
                        }
                    }
                    actions = next;
                    tell(self.running());
                }
                if let Some(message) = shared.situation.sources.shortage()
                    && !shared.shortage_told.swap(true, Ordering::Relaxed)
                {
                    shared.observer.event(&Event::Warning { message: &message });
                }
                self.report_the_lost_for_good();
                if self.scheduler.is_finished() {
                    return Ok(());
                }
                let received = receive.recv_timeout(POLL);
                // First, since a stage that was stopped by a signal may have ended already.
                actions = self.stop_if_told();
                if let Ok((id, (end, ended))) = received {
                    actions.extend(self.ended(id, end, ended));
                }
            }
        })
    }

    fn stop_if_told(&mut self) -> Vec<Action> {
        if self.signalled || !self.request.monitor.is_stopped() {
            return Vec::new();
        }
        self.signalled = true;
        self.scheduler.handle(scheduler::Event::Stop)
    }

    fn group(&self) -> impl Iterator<Item = StageId> {
        self.request.graph.ids().filter(|id| self.request.graph.stage(*id).reads_snapshot())
    }

    fn running(&self) -> Vec<StageName> {
        let graph = self.request.graph;
        let at_work = |id: &StageId| matches!(self.scheduler.state(*id), State::Running | State::Sealed);
        graph.ids().filter(at_work).map(|id| graph.stage(id).name.clone()).collect()
    }

    fn names(&self, ids: &[StageId]) -> Vec<StageName> {
        ids.iter().map(|id| self.request.graph.stage(*id).name.clone()).collect()
    }

    fn ended(&mut self, id: StageId, end: End, ended: Ended) -> Vec<Action> {
        match end {
            End::Finished(outcome) => {
                self.report(id, status_of(outcome), &ended);
                self.scheduler.handle(scheduler::Event::Finished(id, outcome))
            }
            End::Sealed(publication, outcome) => {
                self.sealed.insert(id, (ended, *publication, outcome));
                self.scheduler.handle(scheduler::Event::Sealed(id))
            }
            End::Failed(failure) if failure.class == Class::Stopped => {
                self.scheduler.handle(scheduler::Event::Stopped(id))
            }
            End::Failed(failure) => {
                if failure.class.may_pass() {
                    self.lost.push((id, ended, failure));
                    return self.scheduler.handle(scheduler::Event::Lost(id));
                }
                self.reports.put(id, self.failed(id, &ended, &failure));
                self.scheduler.handle(scheduler::Event::Failed(id))
            }
        }
    }

    fn publish(&mut self, ids: &[StageId]) -> Vec<Action> {
        let mut publications = confirmed(self.shared.situation, &self.unchanged);
        let mut done = Vec::new();
        for &id in ids {
            if let Some((ended, publication, outcome)) = self.sealed.remove(&id) {
                publications.push((id, publication));
                done.push((id, ended, outcome));
            }
        }
        self.doubt_what_is_not_durable(&mut publications);
        let committed = commit(self.shared, "snapshot", publications);
        self.shared.situation.sources.end_snapshot();
        match committed {
            Ok(()) => done
                .into_iter()
                .flat_map(|(id, ended, outcome)| {
                    self.report(id, status_of(outcome), &ended);
                    self.scheduler.handle(scheduler::Event::Finished(id, outcome))
                })
                .collect(),
            Err(error) => {
                for (id, ended, _) in done {
                    self.reports.put(id, self.failed(id, &ended, &Failure::of(&error)));
                }
                self.scheduler.handle(scheduler::Event::NotPublished)
            }
        }
    }

    /// What a crash of the server can take back cannot be compared with a later state.
    fn doubt_what_is_not_durable(&self, publications: &mut [(StageId, Publication)]) {
        let is_compared = |publication: &Publication| {
            let generation = publication.record.generation.as_ref();
            publication.memory.is_some() || generation.is_some_and(|generation| generation.doubt.is_none())
        };
        if !publications.iter().any(|(_, publication)| is_compared(publication)) {
            return;
        }
        let Some(doubt) = self.shared.situation.sources.doubt() else { return };
        for (_, publication) in publications {
            publication.memory = None;
            if let Some(generation) = &mut publication.record.generation {
                generation.doubt.get_or_insert_with(|| doubt.clone());
            }
        }
    }

    /// Reports the blocked and cancelled stages, unless another attempt may save them.
    fn report_the_lost_for_good(&mut self) {
        if self.lost.is_empty() || self.signalled {
            for (id, report) in self.undone() {
                self.reports.put(id, report);
            }
        }
    }

    /// Why another attempt is needed: the first error and its causes. `None` if none is.
    pub(super) fn lost(&self) -> Option<&[String]> {
        let first = self.lost.first().filter(|_| !self.signalled);
        first.map(|(_, _, failure)| failure.errors.as_slice())
    }

    /// The reports of the stages that have none, if there is no other attempt: lost, blocked and cancelled ones.
    pub(super) fn undone(&self) -> Vec<(StageId, StageReport)> {
        let report = |id: StageId| match self.scheduler.state(id) {
            State::Blocked => Some(self.report_of(id, StageStatus::Blocked, None)),
            State::Cancelled => Some(self.report_of(id, StageStatus::Cancelled, None)),
            State::Failed => {
                let (_, ended, failure) = self.lost.iter().find(|(lost, ..)| *lost == id)?;
                Some(self.failed(id, ended, failure))
            }
            _ => None,
        };
        let silent = self.request.graph.ids().filter(|id| !self.reports.has(*id));
        silent.filter_map(|id| Some((id, report(id)?))).collect()
    }

    fn report(&mut self, id: StageId, status: StageStatus, ended: &Ended) {
        self.reports.put(id, self.report_of(id, status, Some(ended)));
    }

    fn failed(&self, id: StageId, ended: &Ended, failure: &Failure) -> StageReport {
        StageReport {
            errors: failure.errors.clone(),
            check_failed: failure.check,
            unreachable: matches!(failure.class, Class::Unreachable { .. }),
            ..self.report_of(id, StageStatus::Failed, Some(ended))
        }
    }

    fn report_of(&self, id: StageId, status: StageStatus, ended: Option<&Ended>) -> StageReport {
        let situation = self.shared.situation;
        let stage = situation.graph.stage(id);
        let record = situation.record(id);
        let output = record.as_ref().filter(|_| status.is_good()).and_then(|record| record.output.as_ref());
        let relative =
            |out: &PathBuf| out.strip_prefix(situation.store.out_dir()).unwrap_or(out).display().to_string();
        let report = StageReport {
            needs: self.names(situation.graph.upstream(id)),
            rows: output.map(|output| output.rows),
            bytes: output.map(|output| output.bytes),
            digest: output.map(|output| output.digest.to_string()),
            started_after: self.started_after[id.index()],
            kept: record.filter(|_| !status.is_good()).map(|record| record.written_by.clone()),
            blocked_by: if status == StageStatus::Blocked { self.blockers(id) } else { Vec::new() },
            output: stage.out.as_ref().map(relative),
            ..StageReport::new(stage.name.clone(), stage.kind.name, status)
        };
        let Some(ended) = ended else { return report };
        StageReport {
            reasons: ended.reasons.clone(),
            seconds: ended.seconds,
            figures: ended.figures.clone(),
            warnings: ended.warnings.clone(),
            checks: ended.checks.clone(),
            ..report
        }
    }

    /// The failed stages that a stage needs, directly or not; for an export, the failed exports of the group.
    fn blockers(&self, id: StageId) -> Vec<StageName> {
        let graph = self.request.graph;
        let mut pending = vec![id];
        let mut seen: Vec<StageId> = Vec::new();
        while let Some(next) = pending.pop() {
            if seen.contains(&next) {
                continue;
            }
            seen.push(next);
            pending.extend(graph.upstream(next));
            if graph.stage(next).reads_snapshot() {
                pending.extend(self.group());
            }
        }
        seen.sort();
        let failed = seen.into_iter().filter(|id| self.scheduler.state(*id) == State::Failed);
        failed.map(|id| graph.stage(id).name.clone()).collect()
    }
}

fn status_of(outcome: Outcome) -> StageStatus {
    match outcome {
        Outcome::UpToDate => StageStatus::UpToDate,
        Outcome::Unchanged => StageStatus::Unchanged,
        Outcome::Done => StageStatus::Done,
    }
}
