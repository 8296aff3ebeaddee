//! Runs what the scheduler says, on threads, and tells observers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::pipeline::{Kind, Pipeline, StageName};
use crate::plan::{Explanation, Graph, Selection, StageId};
use crate::stages::{Environment, Needs, Sources};

use super::Error;
use super::digests::Digests;
use super::events::{Event, Observer, RunReport, RunStatus, StageReport, StageStatus};
use super::facts::Situation;
use super::journal::Journal;
use super::lock::{Holder, Lock};
use super::publish::{Publication, roll_forward, sweep};
use super::scheduler::{self, Action, Outcome, Scheduler, State};
use super::store::Store;
use super::work::{End, Ended, Shared, TICK, commit, confirmed, interrupted, work};

/// What is asked of a run.
pub struct Request<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its stages in order.
    pub graph: &'a Graph,
    /// The stages that the run is about.
    pub selection: &'a Selection,
    /// Stages and threads at once.
    pub jobs: usize,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Stages that run even if up to date.
    pub forced: Vec<StageId>,
    /// How long to wait for another run to end.
    pub lock_timeout: Duration,
    /// Whether remembered digests are not to be believed.
    pub verify_hashes: bool,
    /// The environment variables.
    pub environment: &'a Environment,
    /// Whether the run was asked to stop.
    pub stop: &'a dyn Fn() -> bool,
}

const DIGESTS: &str = "digests.json";

/// Says what a run would do, without doing or writing anything.
///
/// # Errors
/// If the database or the repository cannot be reached, or a record cannot be read.
pub fn explain(request: &Request<'_>) -> Result<Explanation, Error> {
    let store = Store::new(&request.pipeline.out_dir);
    let digests = Digests::new(store.read_json(DIGESTS), request.verify_hashes);
    let sources = open(request, &store, &digests)?;
    let mut situation =
        Situation::new(request.pipeline, request.graph, request.selection, &store, &digests, &sources)?;
    situation.forced.clone_from(&request.forced);
    Ok(situation.explain())
}

/// Brings the selected stages up to date.
///
/// # Errors
/// If nothing could be run at all. What happens to single stages is in the report.
pub fn execute(request: &Request<'_>, observer: &dyn Observer) -> Result<RunReport, Error> {
    let store = Store::new(&request.pipeline.out_dir);
    let started = Utc::now();
    let clock = Instant::now();
    let mut lock = Lock::take(&store.path("lock"), request.lock_timeout)?;
    let left_behind = interrupted(lock.left_behind.as_ref());
    let digests = Digests::new(store.read_json(DIGESTS), request.verify_hashes);
    let rolled = roll_forward(&store)?;
    sweep(&store, request.graph.ids().map(|id| request.graph.stage(id).out.as_path()))?;
    let sources = open(request, &store, &digests)?;
    let journal = Journal::start(&store, started)?;
    let mut holder = Holder::this_process(journal.run(), started);
    lock.tell(&holder)?;
    let mut situation =
        Situation::new(request.pipeline, request.graph, request.selection, &store, &digests, &sources)?;
    situation.forced.clone_from(&request.forced);
    situation.interrupted = left_behind;
    let observers = Both(&journal, observer);
    let file = request.pipeline.file.display().to_string();
    observers.event(&Event::RunStarted { run: journal.run(), pipeline: &file, jobs: request.jobs });
    for record in rolled {
        let message =
            format!("finished the publication of `{}` that run {} had begun", record.stage, record.run);
        observers.event(&Event::Warning { message: &message });
    }
    for message in &situation.warnings {
        observers.event(&Event::Warning { message });
    }
    if let Some(generation) = &situation.generation {
        let (id, database) = (&generation.snapshot, sources.database_name());
        observers.event(&Event::Snapshot { id, database: &database, lsn: generation.lsn.as_deref() });
    }
    let plan = situation.explain();
    journal.plan(&plan)?;
    let unchanged: Vec<StageId> = plan
        .stages
        .iter()
        .filter(|stage| stage.kind == "export" && stage.verdict.is_up_to_date())
        .filter_map(|stage| request.graph.find(stage.stage.as_str()))
        .collect();
    let mut report = RunReport {
        format: 1,
        run: journal.run().to_owned(),
        pipeline: file.clone(),
        status: RunStatus::Running,
        started,
        seconds: 0.0,
        peak_memory_bytes: None,
        snapshot: situation.generation.as_ref().map(|generation| generation.snapshot.clone()),
        lsn: situation.generation.as_ref().and_then(|generation| generation.lsn.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stages: Vec::new(),
    };
    journal.report(&report)?;
    let (stop_all, stop_exports) = (AtomicBool::new(false), AtomicBool::new(false));
    let shared = Shared {
        situation: &situation,
        observer: &observers,
        run: journal.run(),
        jobs: request.jobs,
        stop_all: &stop_all,
        stop_exports: &stop_exports,
    };
    let mut execution = Execution {
        request,
        shared: &shared,
        scheduler: Scheduler::new(
            request.graph,
            request.selection,
            &unchanged,
            request.jobs,
            request.fail_fast,
        ),
        sealed: BTreeMap::new(),
        unchanged,
        reports: vec![None; request.graph.len()],
        clock,
        started_after: vec![0.0; request.graph.len()],
        signalled: false,
    };
    let outcome = execution.run(|stages| {
        holder.stages = stages;
        // Only for people: a full disk must not fail a run for this.
        let _ = lock.tell(&holder);
    });
    report.stages = execution.reports.into_iter().flatten().collect();
    report.status = status(&report.stages, execution.signalled);
    report.seconds = clock.elapsed().as_secs_f64();
    report.peak_memory_bytes = peak_memory();
    observers.event(&Event::RunFinished { status: report.status, seconds: report.seconds });
    journal.report(&report)?;
    if let Err(error) = super::report::write(&store, journal.run()) {
        let message = format!("no report page: {}", crate::errors::chain(&error).join(": "));
        observers.event(&Event::Warning { message: &message });
    }
    if let Ok(json) = digests.to_json() {
        store.write_json(DIGESTS, &json)?;
    }
    lock.release()?;
    outcome.map(|()| report)
}

/// Opens what the selected stages read; not the database while the recorded exports are young enough to be taken as they
/// are.
fn open(request: &Request<'_>, store: &Store, digests: &Digests) -> Result<Sources, Error> {
    let selected = || {
        request.graph.ids().filter(|id| request.selection.has(*id)).map(|id| &request.graph.stage(id).kind)
    };
    let exports = selected().any(Kind::is_export) && !is_young(request, store, digests)?;
    let extracts = selected().any(|kind| matches!(kind, Kind::Extract(_)));
    Ok(Sources::open(request.pipeline, Needs { exports, extracts }, request.environment)?)
}

/// Whether all recorded exports are of one snapshot, younger than `max_age`, and what they would be but for the database.
fn is_young(request: &Request<'_>, store: &Store, digests: &Digests) -> Result<bool, Error> {
    let Some(max_age) = request.pipeline.database.as_ref().and_then(|database| database.max_age) else {
        return Ok(false);
    };
    let unopened = Sources::default();
    let mut situation =
        Situation::new(request.pipeline, request.graph, request.selection, store, digests, &unopened)?;
    situation.forced.clone_from(&request.forced);
    let exports: Vec<StageId> =
        request.graph.ids().filter(|id| request.graph.stage(*id).kind.is_export()).collect();
    let oldest = Utc::now() - chrono::Duration::from_std(max_age.0).unwrap_or(chrono::Duration::MAX);
    let mut snapshots = exports.iter().map(|id| {
        let record = situation.record(*id)?;
        let generation = record.generation.filter(|generation| generation.taken > oldest)?;
        let observation = situation.observe(*id, &[]).ok()?;
        situation
            .verdict(*id, &observation)
            .is_up_to_date()
            .then_some((generation.server, generation.snapshot))
    });
    let Some(Some(first)) = snapshots.next() else { return Ok(false) };
    Ok(snapshots.all(|snapshot| snapshot.as_ref() == Some(&first)))
}

struct Both<'a>(&'a dyn Observer, &'a dyn Observer);

impl Observer for Both<'_> {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        self.1.event(event);
    }

    fn expect(&self, stage: &StageName, rows: u64) {
        self.1.expect(stage, rows);
    }

    fn advance(&self, stage: &StageName, rows: u64, bytes: u64) {
        self.1.advance(stage, rows, bytes);
    }
}

struct Execution<'a> {
    request: &'a Request<'a>,
    shared: &'a Shared<'a>,
    scheduler: Scheduler<'a>,
    sealed: BTreeMap<StageId, (Ended, Publication, Outcome)>,
    unchanged: Vec<StageId>,
    reports: Vec<Option<StageReport>>,
    clock: Instant,
    started_after: Vec<f64>,
    signalled: bool,
}

impl Execution<'_> {
    fn run(&mut self, mut tell: impl FnMut(Vec<StageName>)) -> Result<(), Error> {
        for id in self.unchanged.clone() {
            self.report(id, StageStatus::UpToDate, None);
        }
        // The group's records move on together: with the group, or now if nothing of it runs.
        let exports_run = self.exports().any(|id| self.scheduler.state(id) == State::Waiting);
        if !exports_run {
            commit(self.shared, "exports", confirmed(self.shared.situation, &self.unchanged))?;
        }
        let shared = self.shared;
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let mut actions = self.scheduler.next();
            loop {
                while !actions.is_empty() {
                    let mut next = Vec::new();
                    for action in actions {
                        match action {
                            Action::Start(id) => {
                                self.started_after[id.index()] = self.clock.elapsed().as_secs_f64();
                                let send = send.clone();
                                // The receiver lives until every thread has ended.
                                scope.spawn(move || send.send((id, work(shared, id))).ok());
                            }
                            Action::Publish(ids) => next.extend(self.publish(&ids)),
                            Action::StopExports => self.stop(shared.stop_exports),
                            Action::StopAll => self.stop(shared.stop_all),
                        }
                    }
                    actions = next;
                    tell(self.running());
                }
                self.report_the_rest();
                if self.scheduler.is_finished() {
                    return Ok(());
                }
                actions = match receive.recv_timeout(TICK) {
                    Ok((id, ended)) => self.ended(id, ended),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Vec::new(),
                };
                if !self.signalled && (self.request.stop)() {
                    self.signalled = true;
                    actions.extend(self.scheduler.handle(scheduler::Event::Stop));
                }
            }
        })
    }

    fn exports(&self) -> impl Iterator<Item = StageId> {
        self.request.graph.ids().filter(|id| self.request.graph.stage(*id).kind.is_export())
    }

    fn running(&self) -> Vec<StageName> {
        let graph = self.request.graph;
        let at_work = |id: &StageId| matches!(self.scheduler.state(*id), State::Running | State::Sealed);
        graph.ids().filter(at_work).map(|id| graph.stage(id).name.clone()).collect()
    }

    fn stop(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Relaxed);
        self.shared.situation.sources.cancel();
    }

    fn ended(&mut self, id: StageId, mut ended: Ended) -> Vec<Action> {
        let end = std::mem::replace(&mut ended.end, End::Finished(Outcome::UpToDate));
        match end {
            End::Finished(outcome) => {
                self.report(id, status_of(outcome), Some(&ended));
                self.scheduler.handle(scheduler::Event::Finished(id, outcome))
            }
            End::Sealed(publication, outcome) => {
                self.sealed.insert(id, (ended, *publication, outcome));
                self.scheduler.handle(scheduler::Event::Sealed(id))
            }
            End::Failed(failure) if failure.stopped => self.scheduler.handle(scheduler::Event::Stopped(id)),
            End::Failed(failure) => {
                self.report(id, StageStatus::Failed, Some(&ended));
                if let Some(report) = &mut self.reports[id.index()] {
                    report.errors = failure.errors;
                    report.check_failed = failure.check;
                }
                self.announce(id);
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
        match commit(self.shared, "exports", publications) {
            Ok(()) => done
                .into_iter()
                .flat_map(|(id, ended, outcome)| {
                    self.report(id, status_of(outcome), Some(&ended));
                    self.scheduler.handle(scheduler::Event::Finished(id, outcome))
                })
                .collect(),
            Err(error) => {
                for (id, ended, _) in done {
                    self.report(id, StageStatus::Failed, Some(&ended));
                    if let Some(report) = &mut self.reports[id.index()] {
                        report.errors = crate::errors::chain(&error);
                    }
                    self.announce(id);
                }
                self.scheduler.handle(scheduler::Event::NotPublished)
            }
        }
    }

    /// Reports the stages that ended without working: blocked and cancelled ones.
    fn report_the_rest(&mut self) {
        for id in self.request.graph.ids() {
            if self.reports[id.index()].is_some() {
                continue;
            }
            match self.scheduler.state(id) {
                State::Blocked => self.report(id, StageStatus::Blocked, None),
                State::Cancelled => self.report(id, StageStatus::Cancelled, None),
                _ => {}
            }
        }
    }

    fn report(&mut self, id: StageId, status: StageStatus, ended: Option<&Ended>) {
        let situation = self.shared.situation;
        let stage = situation.graph.stage(id);
        let record = situation.record(id);
        let good = matches!(status, StageStatus::UpToDate | StageStatus::Unchanged | StageStatus::Done);
        let output = record.as_ref().filter(|_| good).map(|record| &record.output);
        let relative = stage.out.strip_prefix(situation.store.out_dir()).unwrap_or(&stage.out);
        self.reports[id.index()] = Some(StageReport {
            stage: stage.name.clone(),
            kind: stage.kind.name().to_owned(),
            needs: situation
                .graph
                .upstream(id)
                .iter()
                .map(|id| situation.graph.stage(*id).name.clone())
                .collect(),
            status,
            reasons: ended.map(|ended| ended.reasons.clone()).unwrap_or_default(),
            rows: output.map(|output| output.rows),
            bytes: output.map(|output| output.bytes),
            digest: output.map(|output| output.digest.to_string()),
            started_after: self.started_after[id.index()],
            seconds: ended.map_or(0.0, |ended| ended.seconds),
            figures: ended.map(|ended| ended.figures.clone()).unwrap_or_default(),
            warnings: ended.map(|ended| ended.warnings.clone()).unwrap_or_default(),
            errors: Vec::new(),
            check_failed: false,
            kept: record.filter(|_| !good).map(|record| record.written_by),
            blocked_by: if status == StageStatus::Blocked { self.blockers(id) } else { Vec::new() },
            output: relative.display().to_string(),
        });
        if status != StageStatus::Failed {
            self.announce(id);
        }
    }

    fn announce(&self, id: StageId) {
        if let Some(report) = &self.reports[id.index()] {
            let ended = self.reports.iter().flatten().count();
            self.shared.observer.event(&Event::StageFinished {
                report,
                ended,
                total: self.request.selection.len(),
            });
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
            if graph.stage(next).kind.is_export() {
                pending.extend(self.exports());
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

fn status(stages: &[StageReport], signalled: bool) -> RunStatus {
    let failed = || stages.iter().filter(|stage| stage.status == StageStatus::Failed);
    if signalled {
        RunStatus::Interrupted
    } else if failed().next().is_none() {
        RunStatus::Done
    } else if failed().all(|stage| stage.check_failed) {
        RunStatus::CheckFailed
    } else {
        RunStatus::Failed
    }
}

/// The most memory that this process had in use, as the kernel counts it \[bytes\].
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
