//! One stage, from its verdict to its published output, on a thread of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::Utc;
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::durable::SealedFile;
use crate::errors::{self, Class};
use crate::generation::Generation;
use crate::margin::{CheckResult, Margin};
use crate::monitor::{Monitor, Progress};
use crate::pipeline::{Executor, Stage, StageName};
use crate::plan::{Output, OutputState, RECORD_FORMAT, Reason, Record, StageId, Verdict};
use crate::quantity::Period;
use crate::stages::{self, Evidence, Job, Product, Subject};
use crate::threads::compute;

use super::Error;
use super::digests::Identity;
use super::events::{Event, Observer};
use super::executor::{Made, Order, Queue};
use super::facts::{Observation, Situation, digest_of_checks, output_of};
use super::failure::Failure;
use super::observation::{Unknown, changed_since};
use super::parts;
use super::publish::{Publication, publish};
use super::scheduler::Outcome;

/// How the work on a stage ended.
pub(super) struct Ended {
    pub end: End,
    pub reasons: Vec<Reason>,
    /// How long it took \[s\].
    pub seconds: f64,
    pub figures: Map<String, Value>,
    /// What people should know though it succeeded.
    pub warnings: Vec<String>,
    /// The results of the checks on its output.
    pub checks: Vec<Margin>,
}

impl Ended {
    /// Of a stage that is up to date, with what its checks found.
    pub(super) fn up_to_date(checks: Vec<Margin>) -> Self {
        let mut ended = Self {
            end: End::Finished(Outcome::UpToDate),
            reasons: Vec::new(),
            seconds: 0.0,
            figures: Map::new(),
            warnings: Vec::new(),
            checks: Vec::new(),
        };
        ended.take(checks);
        ended
    }

    /// Keeps the results of checks, and warns.
    fn take(&mut self, checks: Vec<Margin>) {
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

/// What the threads of a run share.
pub(super) struct Shared<'a> {
    pub situation: &'a Situation<'a>,
    pub observer: &'a Arc<dyn Observer>,
    pub run: &'a str,
    /// Threads that a stage may use.
    pub threads: usize,
    /// The queue of Slurm.
    pub queue: &'a Queue,
    pub monitor: Monitor,
    pub group: Monitor,
    /// Whether it was told, in this attempt or an earlier one, that connections are short.
    pub shortage_told: &'a AtomicBool,
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

/// Does what is to be done with a stage whose inputs are final.
pub(super) fn work(shared: &Shared<'_>, id: StageId) -> Ended {
    let began = Instant::now();
    let mut ended = Ended::up_to_date(Vec::new());
    // A stage that panics is a stage that failed: the run must hear of it, or it would wait for ever.
    let outcome = errors::caught(|| attempt(shared, id, began, &mut ended));
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(Failure::saying(format!("this is a fault in ssp, please report it: a panic: {panic}")))
    });
    if let Err(failure) = outcome {
        ended.end = End::Failed(failure);
    }
    ended.seconds = began.elapsed().as_secs_f64();
    ended
}

fn attempt(shared: &Shared<'_>, id: StageId, began: Instant, ended: &mut Ended) -> Result<(), Failure> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let timeout = stage.timeout.or(situation.pipeline.sources.timeout);
    let group = if stage.reads_snapshot() { &shared.group } else { &shared.monitor };
    let progress = StageProgress { observer: Arc::clone(shared.observer), stage: stage.name.clone() };
    // Waiting in a queue is no work.
    let is_queued = matches!(executor_of(situation, stage), Executor::Slurm(_));
    let monitor = group.with_timeout(timeout.map(|period| period.0).filter(|_| !is_queued));
    let monitor = monitor.with_progress(Arc::new(progress));
    let mut observation = situation.observe(id, &[]).map_err(|unknown| {
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
        return failure.map_or(Ok(()), Err);
    };
    let now = observation.generation.as_ref().map_or_else(Utc::now, |generation| generation.taken);
    shared.observer.event(&Event::StageStarted { stage: &stage.name, reasons: &reasons });
    ended.reasons = reasons;
    situation.store.check_record(&stage.name).map_err(|error| Failure::of(&error))?;
    if !stage.kind.makes_file {
        // What it did before is no longer the last that it did, also if it fails now.
        situation.forget(id).map_err(|error| Failure::of(&error))?;
    }
    let Made { product, folder } = make(shared, id, &mut observation, group, &monitor, timeout)?;
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
        ended.end = End::Sealed(Box::new(publication), outcome);
        return Ok(());
    }
    // The last moment to stop: what follows is quick, and half of it would be wrong.
    if group.is_stopped() {
        return Err(Failure { class: Class::Stopped, ..Failure::saying("stopped".to_owned()) });
    }
    commit(shared, stage.name.as_str(), vec![(id, publication)]).map_err(|error| Failure::of(&error))?;
    ended.end = End::Finished(outcome);
    Ok(())
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
        // No one stopped the run, so this is a fault: the other stages are not published without this one.
        (Class::Stopped, _) if !monitor.is_stopped() => Failure { class: Class::Fault, ..failed },
        _ => failed,
    })
}

/// Where a stage does its work.
fn executor_of<'a>(situation: &Situation<'a>, stage: &'a Stage) -> &'a Executor {
    situation.executor.unwrap_or(&stage.executor)
}

/// What is to be published of a product: nothing but its record if the same bytes stand there already.
fn publication(
    shared: &Shared<'_>,
    id: StageId,
    observation: Observation,
    product: Product,
    began: Instant,
    before: Option<&Record>,
) -> Result<(Publication, Outcome), Error> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    let rows = product.rows();
    let bytes = product.bytes();
    let mut files: Vec<SealedFile> = product.files.into_iter().map(|table| table.file).collect();
    // The run's lock protects them; a large group would have too many files open.
    files.iter_mut().for_each(SealedFile::close);
    let mut parts = if stage.in_parts { parts::named(std::mem::take(&mut files)) } else { Vec::new() };
    let output = if product.unchanged {
        before.and_then(|before| before.output.clone())
    } else {
        stage.out.as_deref().map(|out| {
            let path = out.strip_prefix(situation.store.out_dir()).unwrap_or(out).to_owned();
            let listed = || parts::digest(parts.iter().map(|(name, file)| (name.clone(), file.digest())));
            let digest = files.first().map_or_else(listed, SealedFile::digest);
            Output { path, bytes, rows, digest, parts: stage.in_parts.then_some(parts.len()) }
        })
    };
    let digest = |output: &Option<Output>| output.as_ref().map(|output| output.digest);
    let same = before.filter(|before| {
        output.is_some()
            && digest(&before.output) == digest(&output)
            && situation.output_state(id) == OutputState::AsRecorded
    });
    let memory = product.memory.zip(output.as_ref()).map(|(memory, output)| {
        situation.store.seal_memory(&stage.name, output.digest, digest_of_checks(stage), &memory)
    });
    let mut memory = memory.transpose()?;
    memory.iter_mut().for_each(SealedFile::close);
    let record = Record {
        format: RECORD_FORMAT,
        stage: stage.name.clone(),
        kind: stage.kind.name.to_owned(),
        run: shared.run.to_owned(),
        finished: Utc::now(),
        written_by: same.map_or_else(|| shared.run.to_owned(), |before| before.written_by.clone()),
        key: observation.key,
        output,
        generation: observation.generation.map(|generation| resting_on(generation, product.evidence)),
        seconds: began.elapsed().as_secs_f64(),
        figures: product.figures,
        checks: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let datasets = observation.datasets.map(|datasets| datasets.lines());
    let outcome = if same.is_some() { Outcome::Unchanged } else { Outcome::Done };
    if same.is_some() {
        files.clear();
        parts.clear();
    }
    Ok((Publication { files, parts, memory, record, datasets, folder: None }, outcome))
}

/// A state of the database that the rows of an export show, with what they rest on beside it.
fn resting_on(generation: Generation, evidence: Option<Evidence>) -> Generation {
    let Evidence { tree, doubt } = evidence.unwrap_or_default();
    Generation { query: tree, doubt: generation.doubt.or(doubt), ..generation }
}

/// Publishes outputs together and takes note of their records.
///
/// # Errors
/// If something cannot be written.
pub(super) fn commit(
    shared: &Shared<'_>,
    name: &str,
    publications: Vec<(StageId, Publication)>,
) -> Result<(), Error> {
    let situation = shared.situation;
    let (ids, mut publications): (Vec<StageId>, Vec<Publication>) = publications.into_iter().unzip();
    let folders: Vec<_> =
        publications.iter_mut().filter_map(|publication| publication.folder.take()).collect();
    let digests_of = |publication: &Publication| -> Vec<(String, Digest)> {
        publication.parts.iter().map(|(name, file)| (name.clone(), file.digest())).collect()
    };
    let digests: Vec<_> = publications.iter().map(digests_of).collect();
    let records = publish(situation.store, name, publications)?;
    // Before the files are looked at: it is the end of other names that they have.
    drop(folders);
    for ((id, digests), record) in ids.into_iter().zip(digests).zip(records) {
        if let (Some(path), Some(output)) = (&situation.graph.stage(id).out, &record.output) {
            let digests = digests.into_iter().map(|(name, digest)| (path.join(name), digest));
            let files = digests.chain(output.parts.is_none().then(|| (path.clone(), output.digest)));
            for (file, digest) in files {
                if let Ok(identity) = Identity::of(&file) {
                    situation.digests.remember_settled(&file, identity, digest);
                }
            }
        }
        situation.set_record(id, record);
    }
    Ok(())
}

/// The records of exports that are proven unchanged, moved on to this run's snapshot, so that all exports on disk are
/// "as of" the same one.
pub(super) fn confirmed(situation: &Situation<'_>, ids: &[StageId]) -> Vec<(StageId, Publication)> {
    let mut publications = Vec::new();
    let Some(generation) = &situation.generation else { return publications };
    for &id in ids {
        let Some(record) = situation.record(id) else { continue };
        let Some(then) = &record.generation else { continue };
        if then.snapshot != generation.snapshot {
            let generation = Some(Generation {
                watermark: then.watermark.clone(),
                watermark_query: then.watermark_query.clone(),
                doubt: Some("only its watermark says that it is unchanged".to_owned()),
                ..generation.clone()
            });
            let record = Record { generation, ..Record::clone(&record) };
            publications.push((
                id,
                Publication {
                    files: Vec::new(),
                    parts: Vec::new(),
                    memory: None,
                    record,
                    datasets: None,
                    folder: None,
                },
            ));
        }
    }
    publications
}
