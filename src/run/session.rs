//! A run from its lock to its report: attempts, until one ends for good.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::Utc;

use crate::errors::Class;
use crate::margin::CheckResult;
use crate::pipeline::StageName;
use crate::plan::{Explanation, Record, StageId};

use super::Error;
use super::attempt::Attempt;
use super::deliveries;
use super::digests::Digests;
use super::ending::{call_hook, end};
use super::events::{Event, Observer, RunReport, RunStatus, StageReport, StageStatus};
use super::executor::{Queue, clear_all};
use super::facts::Situation;
use super::generations;
use super::journal::Journal;
use super::lock::{Holder, Lock};
use super::opening::{Purpose, open};
use super::parts;
use super::pause::pause;
use super::publish::{RolledForward, roll_forward, sweep};
use super::reports::Reports;
use super::request::Request;
use super::shared::Shared;
use super::store::Store;

/// How often a database or registry that went away is tried again, unless the pipeline file says otherwise.
const DEFAULT_RETRIES: u32 = 2;

/// Says what a run would do, without doing or writing anything; `in_detail`, also of each stage whether it is incremental.
///
/// # Errors
/// If the database or the repository cannot be reached, or a record cannot be read; [`Error::Interrupted`].
pub fn explain(request: &Request<'_>, in_detail: bool) -> Result<Explanation, Error> {
    let store = Store::new(&request.pipeline.out_dir);
    store.check()?;
    let digests = Digests::read(&store, request.verify_hashes);
    let sources = open(request, &store, &digests, Purpose::Plan)?;
    let mut situation = Situation::new(request, &store, &digests, &sources);
    situation.in_detail = in_detail;
    let plan = situation.explain();
    if request.monitor.is_stopped() { Err(Error::Interrupted) } else { Ok(plan) }
}

/// Brings the selected stages up to date.
///
/// # Errors
/// If nothing could be run at all. What happens to single stages is in the report.
pub fn execute(request: &Request<'_>, observer: Arc<dyn Observer>) -> Result<RunReport, Error> {
    let store = Store::new(&request.pipeline.out_dir);
    let started = Utc::now();
    let clock = Instant::now();
    store.check()?;
    let mut lock = Lock::take(&store.path("lock"), request.lock_timeout, &request.monitor)?;
    let left_behind = lock.left_behind.as_ref().map(|holder| holder.stages.clone()).unwrap_or_default();
    let digests = Digests::read(&store, request.verify_hashes);
    let RolledForward { finished, ignored, .. } = roll_forward(&store)?;
    sweep(&store, request.graph.ids().filter_map(|id| request.graph.stage(id).out.as_deref()))?;
    let recorded = store.recorded();
    let kept =
        digests.through(&generations::outputs(request.graph), || parts::clear(store.out_dir(), &recorded));
    let journal = Arc::new(Journal::start(&store, started)?);
    let holder = Holder::this_process(journal.run(), started);
    lock.tell(&holder)?;
    let observers: Arc<dyn Observer> = Arc::new(Both(Arc::clone(&journal), observer));
    let file = request.pipeline.file.display().to_string();
    observers.event(&Event::RunStarted { run: journal.run(), pipeline: &file, jobs: request.jobs });
    let finished = finished.iter().map(|Record { stage, run, .. }| {
        format!("finished the publication of `{stage}` that run {run} had begun")
    });
    for message in journal.unlinked.clone().into_iter().chain(ignored).chain(kept).chain(finished) {
        observers.event(&Event::Warning { message: &message });
    }
    deliveries::tell(&store, request.pipeline, journal.run(), None, observers.as_ref(), &request.monitor);
    let mut session = Session {
        request,
        store: &store,
        digests: &digests,
        journal: &journal,
        observer: &observers,
        lock: &mut lock,
        holder,
        clock,
        left_behind,
        report: RunReport {
            name: request.pipeline.name.clone(),
            ..RunReport::new(journal.run(), &file, started)
        },
        reports: Reports::new(request.graph, request.selection.len(), &observers),
        undone: Vec::new(),
        signalled: false,
        shortage_told: AtomicBool::new(false),
        queue: Queue::default(),
    };
    journal.report(&session.report)?;
    let outcome = session.attempts();
    let Session { mut report, mut reports, undone, signalled, queue, .. } = session;
    for (id, report) in undone {
        reports.put(id, report);
    }
    report.stages = reports.into_list();
    report.status = match &outcome {
        Ok(()) => status(&report.stages, signalled),
        Err(error) if matches!(error.class(), Class::Unreachable { .. }) => RunStatus::Unreachable,
        Err(_) => RunStatus::Failed,
    };
    report.signal = request.monitor.reason().filter(|_| signalled).map(str::to_owned);
    report.errors = outcome.as_ref().err().map(|error| crate::errors::chain(error)).unwrap_or_default();
    report.seconds = clock.elapsed().as_secs_f64();
    report.peak_memory_bytes = peak_memory();
    if let Some(keep) = request.pipeline.keep.filter(|_| report.status == RunStatus::Done) {
        keep_generation(request, &store, &digests, keep as usize, &mut report, observers.as_ref());
    }
    if let Err(error) = digests.write(&store) {
        // They only save time.
        let why = crate::errors::chain(&error).join(": ");
        let message =
            format!("the digests of files could not be saved, so the next run reads all files again: {why}");
        observers.event(&Event::Warning { message: &message });
    }
    // A run that never began leaves the processes of a killed one to the next.
    if outcome.is_ok() {
        let done = report.stages.iter().filter(|stage| stage.status.is_good());
        let done: Vec<&str> = done.map(|stage| stage.stage.as_str()).collect();
        clear_all(&store, &request.pipeline.name, request.graph, &done, &queue);
    }
    let told = end(request, &store, &journal, observers.as_ref(), &report).and(lock.release());
    if let Err(error) = &told {
        // The records cannot say so any more, but a hook can.
        report.errors.extend(crate::errors::chain(error));
        if report.status == RunStatus::Done {
            report.status = RunStatus::Failed;
        }
    }
    call_hook(request, &journal, observers.as_ref(), &report);
    outcome.and(told).map(|()| report)
}

/// Keeps the outputs as a generation if they are a complete night. A run is no failure if they cannot be kept.
fn keep_generation(
    request: &Request<'_>,
    store: &Store,
    digests: &Digests,
    keep: usize,
    report: &mut RunReport,
    observer: &dyn Observer,
) {
    match generations::keep(store, request.graph, digests, &report.run, keep) {
        Ok(Ok(kept)) => {
            if kept.switched {
                let verb = if kept.run == report.run { "kept" } else { "is current again" };
                let message = format!("generation {} {verb}: {} of at most {keep}", kept.run, kept.number);
                observer.event(&Event::Note { message: &message });
            }
            report.generation = Some(kept.run);
        }
        Ok(Err(why)) => {
            observer.event(&Event::Note { message: &format!("no generation is kept: {why}") });
        }
        Err(error) => {
            let message = format!("no generation is kept: {}", crate::errors::chain(&error).join(": "));
            observer.event(&Event::Warning { message: &message });
        }
    }
}

/// A run that is running: attempts at it, each with sources of its own.
struct Session<'a> {
    request: &'a Request<'a>,
    store: &'a Store,
    digests: &'a Digests,
    journal: &'a Journal,
    observer: &'a Arc<dyn Observer>,
    lock: &'a mut Lock,
    holder: Holder,
    clock: Instant,
    /// The stages that a killed run had started.
    left_behind: Vec<StageName>,
    report: RunReport,
    reports: Reports,
    /// The reports of the stages that have none, if the last attempt stays the last.
    undone: Vec<(StageId, StageReport)>,
    signalled: bool,
    shortage_told: AtomicBool,
    /// The queue of Slurm.
    queue: Queue,
}

/// How an attempt ended.
enum End {
    Final,
    /// The database was lost or could not be reached for now: the error and its causes.
    Lost(Vec<String>),
}

impl Session<'_> {
    /// Makes attempts until one ends for good, or there were enough. A lost connection is the end of its snapshot, so all
    /// exports that were not published are read again, in a new one.
    fn attempts(&mut self) -> Result<(), Error> {
        let database = self.request.pipeline.sources.database.as_ref();
        let retries = database.and_then(|database| database.retries).unwrap_or(DEFAULT_RETRIES);
        for attempt in 1.. {
            let may_retry = attempt <= retries;
            let errors = match self.attempt(may_retry) {
                Ok(End::Lost(errors)) if may_retry => errors,
                Ok(End::Lost(_) | End::Final) => break,
                Err(Error::Interrupted) => {
                    self.signalled = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            let pause = pause(attempt - 1);
            let pause_seconds = pause.as_secs_f64();
            self.observer.event(&Event::Retry { errors: &errors, attempt, retries, pause_seconds });
            self.report.retries = attempt;
            if !self.request.monitor.sleep(pause) {
                self.signalled = true;
                break;
            }
        }
        Ok(())
    }

    fn attempt(&mut self, may_retry: bool) -> Result<End, Error> {
        let request = self.request;
        let sources = match open(request, self.store, self.digests, Purpose::Run) {
            Err(error) if may_retry && error.class().may_pass() => {
                return Ok(End::Lost(crate::errors::chain(&error)));
            }
            other => other?,
        };
        let mut situation = Situation::new(request, self.store, self.digests, &sources);
        // What an earlier attempt has done need not be done again, not even by force.
        situation.forced.retain(|id| !self.reports.has(*id));
        situation.interrupted.clone_from(&self.left_behind);
        for message in situation.warnings.iter().chain(&deliveries::orphans(self.store, &situation)) {
            self.observer.event(&Event::Warning { message });
        }
        if let Some(generation) = &situation.generation {
            let (id, database) = (&generation.snapshot, sources.database_name());
            self.observer.event(&Event::Snapshot { id, database: &database, lsn: generation.lsn.as_deref() });
            self.report.database = Some(database);
            self.report.snapshot = Some(generation.snapshot.clone());
            self.report.lsn.clone_from(&generation.lsn);
        }
        let plan = situation.explain();
        self.journal.plan(&plan)?;
        if let Some(message) = plan.brought.as_deref().filter(|_| self.report.retries == 0) {
            self.observer.event(&Event::Note { message });
        }
        let unchanged = plan
            .stages
            .iter()
            .filter(|stage| stage.verdict.is_up_to_date())
            .filter_map(|stage| request.graph.find(stage.stage.as_str()))
            .filter(|id| request.graph.stage(*id).reads_snapshot())
            // One whose check fails now is looked at as the others are, and fails.
            .filter(|id| {
                !situation.checks_again(*id).iter().any(|margin| margin.result == CheckResult::Failed)
            })
            .collect();
        let monitor = request.monitor.child();
        let shared = Shared {
            situation: &situation,
            observer: self.observer,
            run: self.journal.run(),
            threads: request.threads,
            queue: &self.queue,
            environment: request.environment,
            group: monitor.child(),
            monitor,
            shortage_told: &self.shortage_told,
        };
        let mut attempt = Attempt::new(request, &shared, unchanged, &mut self.reports, self.clock, may_retry);
        let outcome = attempt.run(|stages| {
            self.holder.stages = stages;
            // Only for people: a full disk must not fail a run for this.
            let _ = self.lock.tell(&self.holder);
        });
        self.signalled = attempt.signalled;
        outcome?;
        let lost = attempt.lost().map(<[String]>::to_vec);
        self.undone = attempt.undone();
        Ok(lost.map_or(End::Final, End::Lost))
    }
}

/// The journal, which shows no progress, and another observer.
struct Both(Arc<Journal>, Arc<dyn Observer>);

impl Observer for Both {
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

fn status(stages: &[StageReport], signalled: bool) -> RunStatus {
    let mut failed = stages.iter().filter(|stage| stage.status == StageStatus::Failed);
    if signalled {
        RunStatus::Interrupted
    } else if stages.iter().all(|stage| stage.status.is_good()) {
        RunStatus::Done
    } else if failed.clone().next().is_some() && failed.clone().all(|stage| stage.unreachable) {
        RunStatus::Unreachable
    } else if stages.iter().any(|stage| stage.check_failed) && failed.all(|stage| stage.check_failed) {
        RunStatus::CheckFailed
    } else {
        RunStatus::Failed
    }
}

/// The most memory that this process had in use, as the kernel counts it \[bytes\].
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
