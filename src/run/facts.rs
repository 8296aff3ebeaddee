//! The verdicts on stages and the facts that they rest on: records, outputs on disk, the state of the database.
//!
//! Not a place for what a stage would work on (see `observation`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use rayon::prelude::*;

use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::durable;
use crate::key::{Aspect, Entry, Key};
use crate::margin::Margin;
use crate::pipeline::{Executor, Input, Pipeline, Source, Stage, StageName, plain};
use crate::plan::{
    Explanation, Facts, Graph, Output, OutputState, Reason, ReasonCode, Record, Selection, StageId,
    StagePlan, Verdict, decide,
};
use crate::stages::{Datasets, Last, Prospect, Sources, check_again};

use super::Error;
use super::cost::cost;
use super::digests::{Digests, Identity};
use super::request::Request;
use super::store::{Found, Store};

/// What a stage would work on.
pub(super) struct Observation {
    /// All that its output depends on.
    pub key: Key,
    /// The paths of its inputs, by role.
    pub inputs: BTreeMap<String, PathBuf>,
    /// What the file system said of each of the inputs' files.
    pub seen: Vec<(PathBuf, Identity)>,
    /// The datasets to read.
    pub datasets: Option<Datasets>,
    /// The state of the database that it reads.
    pub generation: Option<DatabaseState>,
}

/// All that is known before and while stages run.
pub(super) struct Situation<'a> {
    pub pipeline: &'a Pipeline,
    /// Its stages in order.
    pub graph: &'a Graph,
    /// What the run is about.
    pub selection: &'a Selection,
    pub store: &'a Store,
    pub digests: &'a Digests,
    /// The database and the repository.
    pub sources: &'a Sources,
    /// The database's state in this run's snapshot.
    pub generation: Option<DatabaseState>,
    /// Stages that run in any case.
    pub forced: Vec<StageId>,
    /// Stages that a killed run had started.
    pub interrupted: Vec<StageName>,
    /// Whether a plan says of each stage whether it is incremental, for which the database is asked.
    pub in_detail: bool,
    /// Where all stages work, instead of where the pipeline file says.
    pub executor: Option<&'a Executor>,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    records: Mutex<Vec<Option<Arc<Record>>>>,
    pub(super) datasets: Mutex<BTreeMap<StageId, Datasets>>,
    pub(super) generations: Mutex<BTreeMap<StageId, DatabaseState>>,
}

impl<'a> Situation<'a> {
    /// Reads the records of all stages.
    pub(super) fn new(
        request: &'a Request<'_>,
        store: &'a Store,
        digests: &'a Digests,
        sources: &'a Sources,
    ) -> Self {
        let graph = request.graph;
        let ids: Vec<StageId> = graph.ids().collect();
        let found: Vec<Found> = ids.par_iter().map(|id| store.record(&graph.stage(*id).name)).collect();
        let mut records = Vec::with_capacity(graph.len());
        let mut warnings = Vec::new();
        for (id, found) in graph.ids().zip(found) {
            records.push(match found {
                Found::Nothing => None,
                // That of another kind says nothing of what this stage makes.
                Found::Record(record) if record.kind != graph.stage(id).kind.name => None,
                Found::Record(record) => Some(Arc::from(record)),
                Found::Unreadable(why) => {
                    let path = store.record_path(&graph.stage(id).name);
                    warnings.push(format!(
                        "the record `{}` cannot be used and is made again: {why}",
                        path.display()
                    ));
                    None
                }
            });
        }
        Self {
            pipeline: request.pipeline,
            graph,
            selection: request.selection,
            store,
            digests,
            sources,
            generation: sources.generation().cloned(),
            forced: request.forced.clone(),
            interrupted: Vec::new(),
            in_detail: false,
            executor: request.executor.as_ref(),
            warnings,
            records: Mutex::new(records),
            datasets: Mutex::default(),
            generations: Mutex::default(),
        }
    }

    /// The record of a stage.
    pub(super) fn record(&self, id: StageId) -> Option<Arc<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)[id.index()].clone()
    }

    /// Removes the record of a stage.
    pub(super) fn forget(&self, id: StageId) -> Result<(), Error> {
        durable::remove(&self.store.record_path(&self.graph.stage(id).name))?;
        self.records.lock().unwrap_or_else(PoisonError::into_inner)[id.index()] = None;
        Ok(())
    }

    /// Takes note of a new record.
    pub(super) fn set_record(&self, id: StageId, record: Record) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)[id.index()] = Some(Arc::new(record));
    }

    /// The state of the files of a stage's output.
    pub(super) fn output_state(&self, id: StageId) -> OutputState {
        let Some(record) = self.record(id) else { return OutputState::Missing };
        let stage = self.graph.stage(id);
        let (output, path) = match (&record.output, &stage.out) {
            (Some(output), Some(path))
                if self.store.out_dir().join(&output.path) == *path
                    && output.parts.is_some() == stage.in_parts =>
            {
                (output, path)
            }
            (None, None) => return OutputState::AsRecorded,
            _ => return OutputState::Missing,
        };
        match self.digests.of_output(output, path) {
            Err(_) => OutputState::Missing,
            Ok((digest, _)) if digest == output.digest => OutputState::AsRecorded,
            Ok((digest, _)) => OutputState::Modified { digest },
        }
    }

    /// The last good output of a stage, if a run with this key may use parts of it.
    pub(super) fn last(&self, id: StageId, key: &Key) -> Option<(Last, Identity)> {
        let (output, path) = self.reusable(id, key)?;
        let stage = self.graph.stage(id);
        let memory = self.store.memory(&stage.name, output.digest, digest_of_checks(stage))?;
        // The file may be replaced at any time: it is the one that has the digest.
        let identity =
            Identity::of(&path).ok().filter(|_| self.output_state(id) == OutputState::AsRecorded)?;
        Some((Last { path, rows: output.rows, memory }, identity))
    }

    /// The last output of a stage and its path, if its record says that a run with this key may use parts of it: what was made
    /// by other code or with other settings, or is forced, may not be.
    fn reusable(&self, id: StageId, key: &Key) -> Option<(Output, PathBuf)> {
        let stage = self.graph.stage(id);
        let record = self.record(id).filter(|record| {
            let settings = |key: &Key| -> Vec<Entry> {
                let changing = |entry: &&Entry| matches!(entry.aspect, Aspect::Input | Aspect::Datasets);
                key.entries().iter().filter(|entry| !changing(entry)).cloned().collect()
            };
            !self.forced.contains(&id)
                && stage.work.compares().is_some()
                && record.version == env!("CARGO_PKG_VERSION")
                && settings(&record.key) == settings(key)
        })?;
        record.output.clone().zip(stage.out.clone())
    }

    /// The results of the checks on the output of a stage that is up to date.
    pub(super) fn checks_again(&self, id: StageId) -> Vec<Margin> {
        let Some(record) = self.record(id) else { return Vec::new() };
        let stage = self.graph.stage(id);
        let taken = self.generation.as_ref().filter(|_| stage.reads_snapshot()).map(|then| then.taken);
        check_again(&stage.checks, &record.checks, &output_of(stage), taken.unwrap_or_else(Utc::now))
    }

    /// The verdict on a stage, given what it would work on.
    pub(super) fn verdict(&self, id: StageId, observation: &Observation) -> Verdict {
        let stage = self.graph.stage(id);
        let record = self.record(id);
        // The database is not looked at where its recorded state is good enough.
        let is_looked_at = observation.generation.is_some() || !stage.reads_snapshot();
        let mut verdict = decide(&Facts {
            record: record.as_deref(),
            output: self.output_state(id),
            key: &observation.key,
            generation: observation.generation.as_ref(),
            must_refresh: stage.work.must_refresh().filter(|_| is_looked_at),
            forced: self.forced.contains(&id),
            interrupted: self.interrupted.contains(&stage.name),
        });
        if let Verdict::Run { reasons } = &mut verdict {
            self.count_datasets(stage, observation, reasons);
            self.name_expiry(record.as_deref(), reasons);
        }
        verdict
    }

    /// With `max_age`, what runs because nothing proves the database unchanged runs because its recorded state is too old.
    fn name_expiry(&self, record: Option<&Record>, reasons: &mut [Reason]) {
        let max_age = self.pipeline.sources.database.as_ref().and_then(|database| database.max_age);
        let taken = record.and_then(|record| record.generation.as_ref()).map(|generation| generation.taken);
        let changed = reasons.iter_mut().find(|reason| {
            reason.code == ReasonCode::DataChanged
                && matches!(reason.subject.as_deref(), Some("snapshot" | "server start"))
        });
        if let (Some(max_age), Some(taken), Some(reason)) = (max_age, taken, changed) {
            let age = Utc::now().signed_duration_since(taken);
            if age.to_std().is_ok_and(|age| age > max_age.0) {
                let age = format!("{}h{:02}m", age.num_hours(), age.num_minutes() % 60);
                *reason =
                    Reason::changed(ReasonCode::GenerationExpired, "age", age, format!("at most {max_age}"));
            }
        }
    }

    /// `datasets_changed: +1 -0`.
    fn count_datasets(&self, stage: &Stage, observation: &Observation, reasons: &mut [Reason]) {
        let changed = reasons.iter_mut().find(|reason| reason.code == ReasonCode::DatasetsChanged);
        if let (Some(reason), Some(old), Some(new)) =
            (changed, self.store.datasets(&stage.name), &observation.datasets)
        {
            let old: BTreeSet<&str> = old.iter().map(String::as_str).collect();
            let lines = new.lines();
            let new: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
            reason.subject =
                Some(format!("+{} -{}", new.difference(&old).count(), old.difference(&new).count()));
        }
    }

    /// The plan: the verdict on each selected stage before anything runs.
    pub(super) fn explain(&self) -> Explanation {
        let ids: Vec<StageId> = self.graph.ids().filter(|id| self.selection.has(*id)).collect();
        let mut pending: Vec<StageId> = Vec::new();
        let mut stages = Vec::with_capacity(ids.len());
        // Stages that do not need each other are looked at at once.
        for level in self.graph.levels(&ids) {
            let plans: Vec<StagePlan> = level.par_iter().map(|id| self.plan_of(*id, &pending)).collect();
            let unsure = level.iter().zip(&plans).filter(|(_, plan)| !plan.verdict.is_up_to_date());
            pending.extend(unsure.map(|(id, _)| *id));
            stages.extend(plans);
        }
        let exports = ids.iter().filter(|id| self.graph.stage(**id).reads_snapshot()).count();
        let snapshot = self.sources.describe(exports);
        let pipeline = self.pipeline.file.display().to_string();
        Explanation { format: 1, pipeline, stages, snapshot, brought: self.selection.brought(self.graph) }
    }

    /// What is to be done with a stage, if the `pending` ones are not certain to stay as they are.
    fn plan_of(&self, id: StageId, pending: &[StageId]) -> StagePlan {
        let stage = self.graph.stage(id);
        let after: Vec<StageId> =
            self.graph.upstream(id).iter().copied().filter(|need| pending.contains(need)).collect();
        let observed = self.observe(id, &after, &[]);
        let verdict = match &observed {
            Err(unknown) => Verdict::Broken { message: crate::errors::chain(unknown).join(": ") },
            Ok(observation) => match self.verdict(id, observation) {
                Verdict::UpToDate if !after.is_empty() => Verdict::Maybe {
                    after: after.iter().map(|id| self.graph.stage(*id).name.clone()).collect(),
                },
                verdict => verdict,
            },
        };
        let since = self.record(id).map(|record| record.finished.format("%Y-%m-%d").to_string());
        let observed = observed.ok();
        let incremental =
            self.incremental(id, observed.as_ref().map(|observation| &observation.key), &verdict);
        let elsewhere = observed.as_ref().and_then(|observation| {
            let seconds = self.record(id).map(|record| record.seconds);
            let bytes = observation.seen.iter().map(|(_, identity)| identity.size()).sum();
            cost(self.executor.unwrap_or(&stage.executor), stage, bytes, seconds)
        });
        let outlook = observed.as_ref().filter(|_| !verdict.is_up_to_date()).map(|observation| {
            let is_pending = |input: &&Input| {
                let Source::Stage(name) = &input.source else { return false };
                self.graph.find(name.as_str()).is_some_and(|maker| after.contains(&maker))
            };
            let pending = stage.inputs.iter().filter(is_pending).map(|input| input.role.as_str()).collect();
            let root = &self.pipeline.root;
            stage.work.outlook(&Prospect { root, inputs: &observation.inputs, pending })
        });
        StagePlan {
            stage: stage.name.clone(),
            kind: stage.kind.name,
            verdict,
            since,
            incremental,
            elsewhere,
            outlook: outlook.unwrap_or_default(),
        }
    }

    /// What is copied of the last output of a stage when it runs, or, where that is asked for, why nothing is.
    fn incremental(&self, id: StageId, key: Option<&Key>, verdict: &Verdict) -> Option<String> {
        let (work, key) = (&self.graph.stage(id).work, key?);
        let compares = work.compares();
        if self.in_detail {
            match work.not_incremental(self.sources) {
                Ok(None) => {}
                Ok(Some(why)) => return Some(format!("not incremental: {why}")),
                Err(error) => return Some(format!("not known whether it is incremental: {error}")),
            }
        } else if !matches!(verdict, Verdict::Run { .. }) {
            return None;
        }
        let reusable = self.reusable(id, key).filter(|(output, _)| {
            let stage = self.graph.stage(id);
            self.store.remembers(&stage.name, output.digest, digest_of_checks(stage))
                && self.output_state(id) == OutputState::AsRecorded
        });
        match reusable {
            Some(_) => compares.map(|what| format!("incremental: {what}")),
            None if self.in_detail && compares.is_some() => {
                Some("incremental after the next run, which reads all".to_owned())
            }
            None => None,
        }
    }
}

/// The digest of the checks of a stage: an output is used again only if it has passed the same ones.
pub(super) fn digest_of_checks(stage: &Stage) -> Digest {
    Digest::of(format!("{:?}", stage.checks).as_bytes())
}

/// The path of a stage's output, as people know it.
pub(super) fn output_of(stage: &Stage) -> PathBuf {
    plain(stage.out.as_deref().unwrap_or(Path::new("")))
}
