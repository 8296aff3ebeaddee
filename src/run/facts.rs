//! The facts that verdicts rest on: records, outputs on disk, keys, the state of the database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::Utc;
use serde_json::Value;

use crate::digest::Digest;
use crate::pipeline::spec::{ExportSpec, Refresh};
use crate::pipeline::{Kind, Pipeline, Source, Stage, StageName, plain};
use crate::plan::{
    Aspect, Database, Explanation, Facts, Generation, Graph, Key, OutputState, Reason, ReasonCode, Record,
    Selection, StageId, StagePlan, Verdict, decide,
};
use crate::stages::{self, Datasets, Sources};

use super::Error;
use super::digests::{Digests, Identity};
use super::store::{Found, Store};

/// All that is known before and while stages run.
pub struct Situation<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its stages in order.
    pub graph: &'a Graph,
    /// What the run is about.
    pub selection: &'a Selection,
    /// The records.
    pub store: &'a Store,
    /// Known digests.
    pub digests: &'a Digests,
    /// The database and the repository.
    pub sources: &'a Sources,
    /// The database's state in this run's snapshot.
    pub generation: Option<Generation>,
    /// Stages that run in any case.
    pub forced: Vec<StageId>,
    /// Stages that a killed run had started.
    pub interrupted: Vec<StageName>,
    /// What people should know.
    pub warnings: Vec<String>,
    records: Mutex<Vec<Option<Record>>>,
    datasets: Mutex<BTreeMap<StageId, Datasets>>,
}

/// What a stage would work on.
pub struct Observation {
    /// All that its output depends on.
    pub key: Key,
    /// The paths of its inputs, by role.
    pub inputs: BTreeMap<&'static str, PathBuf>,
    /// What the file system said of each of the inputs' files.
    pub seen: Vec<(PathBuf, Identity)>,
    /// For extracts: the datasets to read.
    pub datasets: Option<Datasets>,
    /// For exports: the state of the database.
    pub generation: Option<Generation>,
}

/// Why the facts of a stage could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// An input cannot be read.
    #[error("cannot read input `{role}`: `{}`", plain(path).display())]
    Input {
        /// Its key in the pipeline file.
        role: String,
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A stage that is not part of the run has no good output.
    #[error("input `{role}` is the output of stage `{stage}`, which is not there; run without `--only`")]
    NoOutput {
        /// Its key in the pipeline file.
        role: String,
        /// The stage.
        stage: StageName,
    },
    /// The repository or the database refused.
    #[error(transparent)]
    Source(#[from] stages::Error),
}

impl<'a> Situation<'a> {
    /// Reads the records of all stages.
    ///
    /// # Errors
    /// If a record is there but cannot be read.
    pub fn new(
        pipeline: &'a Pipeline,
        graph: &'a Graph,
        selection: &'a Selection,
        store: &'a Store,
        digests: &'a Digests,
        sources: &'a Sources,
    ) -> Result<Self, Error> {
        let mut records = Vec::with_capacity(graph.len());
        let mut warnings = Vec::new();
        for id in graph.ids() {
            let name = &graph.stage(id).name;
            records.push(match store.record(name)? {
                Found::Nothing => None,
                Found::Record(record) => Some(*record),
                Found::Unreadable(why) => {
                    let path = store.record_path(name);
                    warnings.push(format!(
                        "the record `{}` is of no use and is made again: {why}",
                        path.display()
                    ));
                    None
                }
            });
        }
        let generation = sources.database().map(|state| Generation {
            server: state.server.clone(),
            snapshot: state.snapshot.clone(),
            lsn: state.lsn.clone(),
            taken: Utc::now(),
            watermark: None,
        });
        Ok(Self {
            pipeline,
            graph,
            selection,
            store,
            digests,
            sources,
            generation,
            forced: Vec::new(),
            interrupted: Vec::new(),
            warnings,
            records: Mutex::new(records),
            datasets: Mutex::default(),
        })
    }

    /// The record of a stage.
    pub fn record(&self, id: StageId) -> Option<Record> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)[id.index()].clone()
    }

    /// Takes note of a new record.
    pub fn set_record(&self, id: StageId, record: Record) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)[id.index()] = Some(record);
    }

    /// What stands where a stage's output should be.
    pub fn output_state(&self, id: StageId) -> OutputState {
        let Some(record) = self.record(id) else { return OutputState::Missing };
        let path = &self.graph.stage(id).out;
        if self.store.out_dir().join(&record.output.path) != *path {
            return OutputState::Missing;
        }
        match self.digests.of_file(path) {
            Err(_) => OutputState::Missing,
            Ok((digest, _)) if digest == record.output.digest => OutputState::AsRecorded,
            Ok((digest, _)) => OutputState::Modified { digest },
        }
    }

    /// What a stage would work on, if the outputs of `pending` stages, which are not final yet, stay as they were when
    /// it last ran.
    ///
    /// # Errors
    /// If an input cannot be read, or the repository or the database refuses.
    pub fn observe(&self, id: StageId, pending: &[StageId]) -> Result<Observation, Unknown> {
        let stage = self.graph.stage(id);
        let mut key = parameters(self.pipeline, stage);
        if let Some(path) = &stage.schema {
            let failed = |source| Unknown::Input { role: "schema".to_owned(), path: path.clone(), source };
            let digest = Digest::of_file(path).map_err(failed)?;
            key.push(Aspect::Schema, "schema", digest.to_string());
        }
        let mut observation =
            Observation { key, inputs: BTreeMap::new(), seen: Vec::new(), datasets: None, generation: None };
        for input in &stage.inputs {
            let (path, digest, seen) = match &input.source {
                Source::Path(path) => {
                    let failed =
                        |source| Unknown::Input { role: input.role.to_owned(), path: path.clone(), source };
                    let (digest, seen) = self.digests.of_input(path).map_err(failed)?;
                    (path.clone(), Some(digest.to_string()), seen)
                }
                Source::Stage(name) => self.stage_input(id, input.role, name, pending)?,
            };
            if let Some(digest) = digest {
                observation.key.push(Aspect::Input, named(input.role, &input.source), digest);
            }
            observation.inputs.insert(input.role, path);
            observation.seen.extend(seen);
        }
        match &stage.kind {
            Kind::Extract(_) => {
                let datasets = self.datasets_of(id, stage)?;
                let lines = datasets.lines();
                let digest = Digest::of(lines.join("\n").as_bytes());
                observation.key.push(
                    Aspect::Datasets,
                    "datasets",
                    format!("{} datasets, {digest}", lines.len()),
                );
                observation.datasets = Some(datasets);
            }
            Kind::Export(export) => observation.generation = self.generation_of(export)?,
            Kind::BuildSsObject(_) => {}
        }
        Ok(observation)
    }

    #[expect(clippy::type_complexity, reason = "path, digest and files of one input, taken apart at once")]
    fn stage_input(
        &self,
        id: StageId,
        role: &str,
        name: &StageName,
        pending: &[StageId],
    ) -> Result<(PathBuf, Option<String>, Vec<(PathBuf, Identity)>), Unknown> {
        let missing = || Unknown::NoOutput { role: role.to_owned(), stage: name.clone() };
        let upstream = self.graph.find(name.as_str()).ok_or_else(missing)?;
        let path = self.graph.stage(upstream).out.clone();
        if pending.contains(&upstream) {
            let source = Source::Stage(name.clone());
            let own = self.record(id);
            let before =
                own.and_then(|own| own.key.value(Aspect::Input, &named(role, &source)).map(str::to_owned));
            return Ok((path, before, Vec::new()));
        }
        let record = self.record(upstream).ok_or_else(missing)?;
        if self.output_state(upstream) != OutputState::AsRecorded {
            return Err(missing());
        }
        let identity = Identity::of(&path).map_err(|_| missing())?;
        Ok((path.clone(), Some(record.output.digest.to_string()), vec![(path, identity)]))
    }

    /// The datasets that an extract reads: asked for once, so that the plan and the stage see the same.
    fn datasets_of(&self, id: StageId, stage: &Stage) -> Result<Datasets, Unknown> {
        if let Some(known) = self.datasets.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(known.clone());
        }
        let Kind::Extract(extract) = &stage.kind else { return Ok(Datasets::default()) };
        let datasets = self.sources.datasets(extract)?;
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).insert(id, datasets.clone());
        Ok(datasets)
    }

    fn generation_of(&self, export: &ExportSpec) -> Result<Option<Generation>, Unknown> {
        let Some(generation) = &self.generation else { return Ok(None) };
        let watermark = export.watermark.as_deref().map(|sql| self.sources.watermark(sql)).transpose()?;
        Ok(Some(Generation { watermark, ..generation.clone() }))
    }

    /// The verdict on a stage, given what it would work on.
    pub fn verdict(&self, id: StageId, observation: &Observation) -> Verdict {
        let stage = self.graph.stage(id);
        let record = self.record(id);
        let database = match &stage.kind {
            Kind::Export(export) => Some(match &observation.generation {
                Some(generation) => {
                    Database::Seen { generation, always: export.refresh == Some(Refresh::Always) }
                }
                None => Database::Trusted,
            }),
            _ => None,
        };
        let mut verdict = decide(&Facts {
            record: record.as_ref(),
            output: self.output_state(id),
            key: &observation.key,
            database,
            forced: self.forced.contains(&id),
            interrupted: self.interrupted.contains(&stage.name),
        });
        if let Verdict::Run { reasons } = &mut verdict {
            self.count_datasets(stage, observation, reasons);
            self.name_expiry(record.as_ref(), reasons);
        }
        verdict
    }

    /// With `max_age`, what runs because nothing proves the database unchanged runs because its recorded state is too old.
    fn name_expiry(&self, record: Option<&Record>, reasons: &mut [Reason]) {
        let max_age = self.pipeline.database.as_ref().and_then(|database| database.max_age);
        let taken = record.and_then(|record| record.generation.as_ref()).map(|generation| generation.taken);
        let changed = reasons.iter_mut().find(|reason| {
            reason.code == ReasonCode::DataChanged && reason.subject.as_deref() == Some("snapshot")
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
            let old: std::collections::BTreeSet<&str> = old.iter().map(String::as_str).collect();
            let lines = new.lines();
            let new: std::collections::BTreeSet<&str> = lines.iter().map(String::as_str).collect();
            reason.subject =
                Some(format!("+{} -{}", new.difference(&old).count(), old.difference(&new).count()));
        }
    }

    /// The plan: the verdict on each selected stage before anything runs.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let mut pending: Vec<StageId> = Vec::new();
        let mut stages = Vec::new();
        for id in self.graph.ids().filter(|id| self.selection.has(*id)) {
            let stage = self.graph.stage(id);
            let after: Vec<StageId> =
                self.graph.upstream(id).iter().copied().filter(|need| pending.contains(need)).collect();
            let verdict = match self.observe(id, &after) {
                Err(unknown) => Verdict::Broken { message: crate::errors::chain(&unknown).join(": ") },
                Ok(observation) => match self.verdict(id, &observation) {
                    Verdict::UpToDate if !after.is_empty() => Verdict::Maybe {
                        after: after.iter().map(|id| self.graph.stage(*id).name.clone()).collect(),
                    },
                    verdict => verdict,
                },
            };
            if !verdict.is_up_to_date() {
                pending.push(id);
            }
            let since = self.record(id).map(|record| record.finished.format("%Y-%m-%d").to_string());
            stages.push(StagePlan { stage: stage.name.clone(), kind: stage.kind.name(), verdict, since });
        }
        let exports = stages.iter().filter(|stage| stage.kind == "export").count();
        let snapshot = self.sources.describe(exports);
        Explanation { format: 1, pipeline: self.pipeline.file.display().to_string(), stages, snapshot }
    }
}

fn named(role: &str, source: &Source) -> String {
    match source {
        Source::Stage(name) => name.to_string(),
        Source::Path(_) => role.to_owned(),
    }
}

/// Settings that are an input, whose content is in the key, or a rule on when to run.
const NOT_PARAMETERS: [&str; 6] =
    ["watermark", "refresh", "filter.ids", "sssource", "dia_sources", "mpc_orbits"];

/// The part of a stage's key that the pipeline file and the code determine: every setting that is not an input, a
/// destination or a rule on when to run.
fn parameters(pipeline: &Pipeline, stage: &Stage) -> Key {
    let spec = match &stage.kind {
        Kind::Export(export) => {
            let mut export = export.clone();
            export.row_group_size = export.row_group_size.or(pipeline.defaults.row_group_size);
            export.compression = export.compression.or(pipeline.defaults.compression);
            serde_json::to_value(export)
        }
        Kind::Extract(extract) => {
            let mut extract = extract.clone();
            extract.compression = extract.compression.or(pipeline.defaults.compression);
            serde_json::to_value(extract)
        }
        Kind::BuildSsObject(build) => {
            let mut build = build.clone();
            build.compression = build.compression.or(pipeline.defaults.compression);
            serde_json::to_value(build)
        }
    };
    let mut key = Key::default();
    key.push(Aspect::Code, stage.kind.name(), stages::version(&stage.kind).to_string());
    let mut add = |name: &str, value: &Value| {
        if !value.is_null() && !NOT_PARAMETERS.contains(&name) {
            let aspect = if name == "sql" { Aspect::Sql } else { Aspect::Params };
            key.push(aspect, name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    };
    for (name, value) in spec.iter().filter_map(Value::as_object).flatten() {
        match value {
            // One level deeper, so that the reason names the setting that changed.
            Value::Object(fields) => {
                fields.iter().for_each(|(field, value)| add(&format!("{name}.{field}"), value));
            }
            value => add(name, value),
        }
    }
    key
}

/// Whether a path names something below a folder that changes identity while it is read.
pub fn changed_since(seen: &[(PathBuf, Identity)]) -> Option<&Path> {
    let changed = |(path, identity): &&(PathBuf, Identity)| Identity::of(path).ok() != Some(*identity);
    seen.iter().find(changed).map(|(path, _)| path.as_path())
}
