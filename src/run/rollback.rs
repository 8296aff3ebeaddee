//! Putting the outputs and records of a generation back: all or none, and written down as a run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::durable::{self, FolderLink, WrittenDown};
use crate::errors;
use crate::monitor::Monitor;
use crate::pipeline::{Pipeline, StageName};
use crate::plan::{Graph, Output, Record};

use super::Error;
use super::digests::Digests;
use super::events::{RunReport, RunStatus, StageReport, StageStatus};
use super::generations::{Generations, outputs};
use super::history::fits;
use super::journal::Journal;
use super::lock::{Holder, Lock};
use super::parts;
use super::publish::{Item, RolledForward, restore, roll_forward, sweep};
use super::report as report_page;
use super::store::{Found, Store};

/// Why a generation cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is none of this name, or more than one.
    #[error("{0}")]
    NoGeneration(String),
    /// The generation has no output of a stage.
    #[error("generation {run} has no output of stage `{stage}`")]
    NoStage {
        /// The generation.
        run: String,
        /// The stage.
        stage: String,
    },
    /// A file of the generation is not what its record says.
    #[error("`{}` is not the file that was kept: it was changed or removed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The outputs are those that were asked for.
    #[error("the outputs are already those of generation {0}")]
    Nothing(String),
    /// It failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// What is asked of a rollback.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The generation; else the newest that differs from the outputs now.
    pub run: Option<&'a str>,
    /// The stages; all if none is named.
    pub stages: &'a [StageName],
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// What a rollback came to.
#[derive(Debug)]
pub struct RolledBack {
    /// What was put back.
    pub report: RunReport,
    /// Whether a killed command had begun this rollback.
    pub finished: bool,
    /// What killed commands left and could not be finished.
    pub warnings: Vec<String>,
}

/// Puts the outputs and records of a generation back; if no generation is named and a killed command had begun to put one
/// back, it only finishes that.
///
/// # Errors
/// All of [`Refusal`]; then no output was replaced.
pub fn rollback(pipeline: &Pipeline, graph: &Graph, asked: Rollback<'_>) -> Result<RolledBack, Refusal> {
    let store = Store::new(&pipeline.out_dir);
    let (started, clock) = (Utc::now(), Instant::now());
    store.check()?;
    let take = || Lock::take(&store.path("lock"), Duration::ZERO, &Monitor::default());
    let lock = if asked.dry_run { None } else { Some(take()?) };
    let mut rolled = RolledForward::default();
    if lock.is_some() {
        rolled = roll_forward(&store)?;
        sweep(&store, outputs(graph).iter().map(PathBuf::as_path))?;
    }
    let digests = Digests::read(&store, false);
    let generations = Generations::of(&store)?;
    let begun = rolled.rollback.filter(|_| asked.run.is_none());
    let finished = begun.is_some();
    let (chosen, whole) = if let Some(begun) = begun {
        (Chosen::put(begun.generation, begun.records), begun.whole)
    } else {
        let chosen = chosen(&store, graph, &digests, &generations, asked)?;
        let whole = chosen.records.len() == with_output(generations.records(&chosen.run)?).len();
        (chosen, whole)
    };
    for Restored { record, kept, .. } in chosen.records.iter().filter(|_| !finished) {
        let kept_output = record.output.as_ref().zip(kept.as_deref());
        let digest = kept_output.map(|(output, kept)| parts::digest_of_output(output, kept)).transpose();
        if digest.ok().flatten() != record.output.as_ref().map(|output| output.digest) {
            return Err(Refusal::Damaged { path: kept.clone().unwrap_or_default() });
        }
    }
    let file = pipeline.file.display().to_string();
    let report = RunReport {
        name: pipeline.name.clone(),
        status: RunStatus::Done,
        rolled_back_to: Some(chosen.run.clone()),
        generation: whole.then(|| chosen.run.clone()),
        stages: chosen.records.iter().map(Restored::report).collect(),
        ..RunReport::new("", &file, started)
    };
    let warnings = rolled.ignored;
    let Some(mut lock) = lock else { return Ok(RolledBack { report, finished, warnings }) };
    let journal = Journal::start(&store, started)?;
    lock.tell(&Holder::this_process(journal.run(), started))?;
    let put = || if finished { Ok(()) } else { put_back(&store, &chosen, whole) };
    let outcome = digests.through(&outputs(graph), put);
    let run = journal.run().to_owned();
    let mut report = RunReport { run, seconds: clock.elapsed().as_secs_f64(), ..report };
    if let Err(error) = &outcome {
        report.status = RunStatus::Failed;
        report.errors = errors::chain(error);
        report.stages.clear();
    }
    let recorded = digests.write(&store).and_then(|()| journal.report(&report));
    outcome.and(recorded)?;
    // A page that is missing is made again by `ssp-run report`.
    let _ = report_page::write(&store, journal.run());
    let _ = report_page::write_index(&store);
    lock.release()?;
    Ok(RolledBack { report, finished, warnings })
}

/// What is to be put back.
struct Chosen {
    run: String,
    records: Vec<Restored>,
}

impl Chosen {
    /// What was put back already.
    fn put(run: String, records: Vec<Record>) -> Self {
        let restored = |record| Restored { record, kept: None, datasets: None, differs: true };
        Self { run, records: records.into_iter().map(restored).collect() }
    }
}

/// An output that is to be put back.
struct Restored {
    record: Record,
    /// The file of the generation, if the stage makes one.
    kept: Option<PathBuf>,
    datasets: Option<Vec<String>>,
    /// Whether it differs from the current one.
    differs: bool,
}

impl Restored {
    fn report(&self) -> StageReport {
        let Self { record, differs, .. } = self;
        let status = if *differs { StageStatus::Done } else { StageStatus::Unchanged };
        let output = record.output.as_ref();
        StageReport {
            rows: output.map(|output| output.rows),
            bytes: output.map(|output| output.bytes),
            digest: output.map(|output| output.digest.to_string()),
            checks: record.checks.clone(),
            output: output.map(|output| output.path.display().to_string()),
            ..StageReport::new(record.stage.clone(), &record.kind, status)
        }
    }
}

/// The generation that is meant, and of it what was asked for.
fn chosen(
    store: &Store,
    graph: &Graph,
    digests: &Digests,
    generations: &Generations,
    Rollback { run, stages, .. }: Rollback<'_>,
) -> Result<Chosen, Refusal> {
    let of = |run: &str| -> Result<Chosen, Refusal> {
        let folder = generations.folder(run);
        let kept = generations.kept(run);
        let records = with_output(generations.records(run)?);
        if let Some(stage) = stages.iter().find(|stage| records.iter().all(|record| record.stage != **stage))
        {
            return Err(Refusal::NoStage { run: run.to_owned(), stage: stage.to_string() });
        }
        let group = |record: &Record| record.generation.is_some();
        let asked = |record: &Record| stages.is_empty() || stages.contains(&record.stage);
        // Outputs of one snapshot are put back together, as they were published.
        let with_group = records.iter().any(|record| asked(record) && group(record));
        let records = records.into_iter().filter(|record| asked(record) || with_group && group(record));
        let records = records.map(|record| Restored {
            kept: record.output.as_ref().map(|output| folder.join(&output.path)),
            datasets: kept.datasets(&record.stage),
            differs: differs(store, graph, digests, &record),
            record,
        });
        Ok(Chosen { run: run.to_owned(), records: records.collect() })
    };
    let newest: Vec<&str> = generations.runs.iter().take(5).map(String::as_str).collect();
    let newest = match newest.as_slice() {
        [] => "no generation is kept; add `keep: 7` to the pipeline file to keep them".to_owned(),
        newest => format!("the newest are {}", newest.join(", ")),
    };
    if let Some(name) = run {
        let some = generations.runs.iter().any(|run| fits(run, name));
        let what = if some { "more than one generation begins with" } else { "there is no generation" };
        let why = || Refusal::NoGeneration(format!("{what} `{name}`; {newest}"));
        let chosen = of(generations.find(name).ok_or_else(why)?)?;
        let differs = chosen.records.iter().any(|restored| restored.differs);
        return if differs { Ok(chosen) } else { Err(Refusal::Nothing(chosen.run)) };
    }
    for run in &generations.runs {
        let chosen = of(run)?;
        if chosen.records.iter().any(|restored| restored.differs) {
            return Ok(chosen);
        }
    }
    Err(Refusal::NoGeneration(match generations.runs.first() {
        Some(_) => format!("every generation that is kept has the outputs of now; {newest}"),
        None => newest,
    }))
}

/// The records of stages that make a file. What another stage did, such as a delivery, cannot be put back: its record stays, so
/// that the next run sees that it was done with other inputs.
fn with_output(mut records: Vec<Record>) -> Vec<Record> {
    records.retain(|record| record.output.is_some());
    records
}

/// Whether the current output or record of a stage differs from this record.
fn differs(store: &Store, graph: &Graph, digests: &Digests, record: &Record) -> bool {
    let Found::Record(now) = store.record(&record.stage) else { return true };
    let stands = record.output.as_ref().is_none_or(|output| {
        let path = graph.find(record.stage.as_str()).and_then(|id| graph.stage(id).out.clone());
        let path = path.unwrap_or_else(|| store.out_dir().join(&output.path));
        digests.of_output(output, &path).is_ok_and(|(found, _)| found == output.digest)
    });
    !stands || now.output != record.output || now.key != record.key
}

/// Puts files and records in place, and switches `current` if all of the generation was asked for.
fn put_back(store: &Store, chosen: &Chosen, whole: bool) -> Result<(), Error> {
    let mut items: Vec<Item> = Vec::with_capacity(chosen.records.len());
    for Restored { record, kept, datasets, .. } in &chosen.records {
        let put = match (kept, &record.output) {
            (Some(kept), Some(output)) => put_down(store, kept, output),
            _ => Ok((Vec::new(), None)),
        };
        let (files, link) = put.inspect_err(|_| {
            // What a discard leaves, the next run sweeps.
            for item in &items {
                drop(item.discard(store));
            }
        })?;
        items.push(Item::new(files, link, record.clone(), datasets.clone()));
    }
    restore(store, items, &chosen.run, whole)
}

/// What is to be put in the place of an output, unless that is what is there.
fn put_down(
    store: &Store,
    kept: &Path,
    output: &Output,
) -> Result<(Vec<WrittenDown>, Option<FolderLink>), Error> {
    let place = store.out_dir().join(&output.path);
    // A rename between two names of one file does nothing.
    if parts::are_same_files(output, kept, &place) {
        return Ok((Vec::new(), None));
    }
    if output.parts.is_none() {
        return Ok((vec![durable::put_down(kept, &place)?], None));
    }
    let files = parts::list(kept).map_err(|source| Error::Read { path: kept.to_owned(), source })?;
    Ok((Vec::new(), Some(parts::put_down(store.out_dir(), &output.path, output.digest, &files)?)))
}
