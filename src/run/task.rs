//! One stage, from its verdict to its published output, on a thread of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::errors::{self, Class};
use crate::margin::{CheckResult, Margin};
use crate::monitor::{Monitor, Progress};
use crate::pipeline::{Executor, Stage, StageName};
use crate::plan::{Reason, StageId, Verdict};
use crate::quantity::Period;
use crate::stages::{self, Delivered, Job, Subject};
use crate::threads::compute;

use super::committing::{commit, publication};
use super::deliveries;
use super::events::{Event, Observer};
use super::executor::{Made, Order};
use super::facts::{Observation, Situation, output_of};
use super::failure::Failure;
use super::observation::{Unknown, changed_since};
use super::parts;
use super::publish::Publication;
use super::scheduler::Outcome;
use super::shared::Shared;

/// What the run reports of the work on a stage that has ended.
#[derive(Default)]
pub(super) struct Ended {
    pub reasons: Vec<Reason>,
    /// How long it took \[s\].
    pub seconds: f64,
    pub figures: Map<String, Value>,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// The results of the checks on its output.
    pub checks: Vec<Margin>,
}

impl Ended {
    /// Keeps the results of checks, and warns.
    pub(super) fn take(&mut self, checks: Vec<Margin>) {
        let warned = checks.iter().filter(|margin| margin.result == CheckResult::Warning);
        self.warnings.extend(warned.filter_map(|margin| margin.message.clone()));
        self.checks = checks;
    }
}

/// How the work on a stage ended.
pub(super) enum End {
    /// Published, or up to date.
    Finished(Outcome),
    /// A file that waits for the rest of the group.
    Sealed(Box<Publication>, Outcome),
    Failed(Failure),
}

/// Shows the progress of one stage.
struct StageProgress {
    observer: Arc<dyn Observer>,
    stage: StageName,
}

impl Progress for StageProgress {
    fn warn(&self, message: &str) {
        self.observer.event(&Event::StageWarning { stage: &self.stage, message });
    }

    fn expect(&self, rows: u64) {
        self.observer.expect(&self.stage, rows);
    }

    fn advance(&self, rows: u64, bytes: u64) {
        self.observer.advance(&self.stage, rows, bytes);
    }
}

/// Does what is to be done with a stage whose inputs are final, without the outputs of `failed` stages.
pub(super) fn work(shared: &Shared<'_>, id: StageId, failed: &[StageId]) -> (End, Ended) {
    let began = Instant::now();
    let mut ended = Ended::default();
    // A stage that panics is a stage that failed: the run must hear of it, or it would wait for ever.
    let outcome = errors::caught(|| attempt(shared, id, failed, began, &mut ended));
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(Failure::saying(format!("this is a fault in ssp, please report it: a panic: {panic}")))
    });
    ended.seconds = began.elapsed().as_secs_f64();
    (outcome.unwrap_or_else(End::Failed), ended)
}

fn attempt(
    shared: &Shared<'_>,
    id: StageId,
    failed: &[StageId],
    began: Instant,
    ended: &mut Ended,
) -> Result<End, Failure> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let timeout = stage.timeout.or(situation.pipeline.sources.timeout);
    let group = if stage.reads_snapshot() { &shared.group } else { &shared.monitor };
    let progress = StageProgress { observer: Arc::clone(shared.observer), stage: stage.name.clone() };
    // Waiting in a queue is no work.
    let is_queued = matches!(executor_of(situation, stage), Executor::Slurm(_));
    let monitor = group.with_timeout(timeout.map(|period| period.0).filter(|_| !is_queued));
    let monitor = monitor.with_progress(Arc::new(progress));
    let mut observation = situation.observe(id, &[], failed).map_err(|unknown| {
        let class = match &unknown {
            // What was cancelled can fail in any way.
            _ if group.is_stopped() => Class::Stopped,
            Unknown::Source(error) => error.class(),
            _ => Class::Fault,
        };
        Failure { class, ..Failure::of(&unknown) }
    })?;
    let Verdict::Run { reasons } = situation.verdict(id, &observation) else {
        let checks = situation.checks_again(id);
        let failure = Failure::of_checks(&checks, &output_of(stage));
        ended.take(checks);
        return failure.map_or(Ok(End::Finished(Outcome::UpToDate)), Err);
    };
    let now = observation.generation.as_ref().map_or_else(Utc::now, |generation| generation.taken);
    shared.observer.event(&Event::StageStarted { stage: &stage.name, reasons: &reasons });
    ended.reasons = reasons;
    situation.store.check_record(&stage.name).map_err(|error| Failure::of(&error))?;
    if !stage.kind.makes_file {
        // What it did before is no longer the last that it did, also if it fails now.
        situation.forget(id).map_err(|error| Failure::of(&error))?;
    }
    let made = make(shared, id, &mut observation, group, &monitor, timeout);
    let outcome = made.and_then(|made| conclude(shared, id, observation, made, began, now, ended));
    if !stage.kind.makes_file {
        let observer = shared.observer.as_ref();
        deliveries::tell(situation.store, situation.pipeline, shared.run, Some(&stage.name), observer, group);
    }
    outcome
}

/// Checks the product of a stage and publishes it, or keeps it for the group.
fn conclude(
    shared: &Shared<'_>,
    id: StageId,
    observation: Observation,
    Made { product, folder }: Made,
    began: Instant,
    now: DateTime<Utc>,
    ended: &mut Ended,
) -> Result<End, Failure> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let group = if stage.reads_snapshot() { &shared.group } else { &shared.monitor };
    if let Some(path) = changed_since(&observation.seen) {
        let message =
            format!("input `{}` was changed while stage `{}` read it; run again", path.display(), stage.name);
        return Err(Failure::saying(message));
    }
    let before = situation.record(id);
    let rows_before = before.as_ref().and_then(|record| record.output.as_ref()).map(|output| output.rows);
    let output = output_of(stage);
    let subject =
        Subject { product: &product, output: &output, schema: stage.schema.as_ref(), rows_before, now };
    let checks = if product.unchanged {
        stages::check_unchanged(&stage.checks, situation.checks_again(id), &product)
    } else {
        compute(|| stages::check(&stage.checks, &subject))
    };
    ended.figures.clone_from(&product.figures);
    ended.warnings.clone_from(&product.warnings);
    ended.take(checks);
    if let Some(failure) = Failure::of_checks(&ended.checks, &output) {
        return Err(failure);
    }
    let (mut publication, outcome) = publication(shared, id, observation, product, began, before.as_deref())
        .map_err(|error| Failure::of(&error))?;
    publication.record.checks.clone_from(&ended.checks);
    publication.folder = folder;
    if stage.reads_snapshot() {
        return Ok(End::Sealed(Box::new(publication), outcome));
    }
    // The last moment to stop: what follows is quick, and half of it would be wrong.
    if group.is_stopped() {
        return Err(Failure::stopped());
    }
    commit(shared, stage.name.as_str(), vec![(id, publication)]).map_err(|error| Failure::of(&error))?;
    if !stage.kind.makes_file {
        deliveries::forget(situation.store, &stage.name).map_err(|error| Failure::of(&error))?;
    }
    Ok(End::Finished(outcome))
}

/// Makes the product of a stage that is to run.
fn make(
    shared: &Shared<'_>,
    id: StageId,
    observation: &mut Observation,
    group: &Monitor,
    monitor: &Monitor,
    timeout: Option<Period>,
) -> Result<Made, Failure> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let last = situation.last(id, &observation.key).map(|(last, identity)| {
        observation.seen.push((last.path.clone(), identity));
        last
    });
    let out_dir = situation.store.out_dir();
    let target = match stage.out.as_deref() {
        Some(out) if stage.in_parts => {
            parts::check_link(out_dir, out).map_err(|error| Failure::of(&error))?;
            parts::target(out_dir, stage.name.as_str())
        }
        out => out.unwrap_or(out_dir).to_owned(),
    };
    let state = deliveries::state(situation.store, &stage.name);
    let announce =
        |delivered: &Delivered| deliveries::note(situation.store, situation.pipeline, &stage.name, delivered);
    let within =
        (!stage.kind.makes_file).then(|| deliveries::within(shared, id, observation, &state, &announce));
    let job = Job {
        sources: situation.sources,
        inputs: &observation.inputs,
        datasets: observation.datasets.as_ref(),
        target: &target,
        in_parts: stage.in_parts,
        scratch: None,
        last: last.as_ref(),
        threads: NonZeroUsize::new(shared.threads).unwrap_or(NonZeroUsize::MIN),
        monitor,
        within: within.as_ref(),
    };
    let order = Order {
        situation,
        stage,
        job: &job,
        observation,
        is_forced: situation.forced.contains(&id),
        queue: shared.queue,
        timeout: timeout.map(|period| period.0),
        log: situation.store.path(&format!("runs/{}/{}.log", shared.run, stage.name)),
    };
    order.work(executor_of(situation, stage)).map_err(|failed| match (failed.class, timeout) {
        (Class::Stopped, Some(period)) if !group.is_stopped() => {
            let mut failure =
                Failure::saying(format!("stage `{}` took longer than its timeout, {period}", stage.name));
            // What it waited for, if that is known.
            failure.errors.extend(failed.errors.into_iter().next().filter(|text| text != "stopped"));
            failure
        }
        // The run was not stopped, so this is a fault: the other stages are not published without this one.
        (Class::Stopped, _) if !monitor.is_stopped() => Failure { class: Class::Fault, ..failed },
        _ => failed,
    })
}

/// Where a stage does its work.
fn executor_of<'a>(situation: &Situation<'a>, stage: &'a Stage) -> &'a Executor {
    situation.executor.unwrap_or(&stage.executor)
}
