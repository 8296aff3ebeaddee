//! What a stage would work on: its key, its inputs and what the file system says of them, the datasets, the database's state.
//!
//! Not a place for what follows from that (see `facts`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde_json::Value;

use crate::digest::Digest;
use crate::pipeline::spec::{Encodings, ExportSpec};
use crate::pipeline::{Kind, Pipeline, QUERIES, Source, Stage, StageName, plain};
use crate::plan::{Aspect, Generation, Key, OutputState, StageId};
use crate::stages::{self, Datasets};

use super::digests::Identity;
use super::facts::Situation;

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

impl Situation<'_> {
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
            Kind::Export(export) => observation.generation = self.generation_of(id, export)?,
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

    /// The state of the database as an export sees it: asked for once, so that the plan and the stage see the same.
    fn generation_of(&self, id: StageId, export: &ExportSpec) -> Result<Option<Generation>, Unknown> {
        let Some(generation) = &self.generation else { return Ok(None) };
        if let Some(known) = self.generations.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(known.clone()));
        }
        let watermark = export.watermark.as_deref().map(|sql| self.sources.watermark(sql)).transpose()?;
        let watermark = watermark.map(|rows| without_secrets(self.pipeline, &rows));
        // The text without values of the environment: it is recorded.
        let text = export.watermark.as_deref().map(|sql| self.pipeline.secrets.named(sql));
        let watermark_query = text.map(|text| Digest::of(text.as_bytes()).short());
        let mut generation = Generation { watermark, watermark_query, ..generation.clone() };
        let then = self.record(id).and_then(|record| record.generation.clone());
        // The server writes the tree into its log, so it is asked only where everything else is the same.
        if let Some(then) = then.filter(|then| generation.is_same_but_query(then)) {
            let evidence = self.sources.evidence(export, &self.pipeline.defaults, then.query.as_deref());
            (generation.query, generation.doubt) = (evidence.tree, evidence.doubt);
        }
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).insert(id, generation.clone());
        Ok(Some(generation))
    }
}

/// What a watermark returned, fit to be recorded: a value of the environment in it is named, with a trace by which another
/// value is noticed.
fn without_secrets(pipeline: &Pipeline, rows: &str) -> String {
    let masked = pipeline.secrets.masked(rows);
    pipeline
        .secrets
        .traces(rows)
        .fold(masked, |text, (variable, trace)| format!("{text} ({variable} {trace})"))
}

fn named(role: &str, source: &Source) -> String {
    match source {
        Source::Stage(name) => name.to_string(),
        Source::Path(_) => role.to_owned(),
    }
}

/// Settings that are an input, whose content is in the key, a rule on when to run, or none that the output depends on.
const NOT_PARAMETERS: [&str; 7] =
    ["watermark", "refresh", "filter.ids", "sssource", "dia_sources", "mpc_orbits", "memory"];

/// The part of a stage's key that the pipeline file and the code determine: every setting that is not an input, a
/// destination or a rule on when to run.
fn parameters(pipeline: &Pipeline, stage: &Stage) -> Key {
    let defaults = &pipeline.defaults;
    // What is compact is as it was before there was a choice.
    let encodings = |own: Option<Encodings>| {
        own.or(defaults.encodings).filter(|encodings| *encodings == Encodings::Plain)
    };
    let spec = match &stage.kind {
        Kind::Export(export) => {
            let mut export = export.clone();
            export.row_group_size = export.row_group_size.or(defaults.row_group_size);
            export.compression = export.compression.or(defaults.compression);
            export.encodings = encodings(export.encodings);
            serde_json::to_value(export)
        }
        Kind::Extract(extract) => {
            let mut extract = extract.clone();
            extract.compression = extract.compression.or(defaults.compression);
            // Its files are plain in any case.
            extract.encodings = None;
            serde_json::to_value(extract)
        }
        Kind::BuildSsObject(build) => {
            let mut build = build.clone();
            build.compression = build.compression.or(defaults.compression);
            build.encodings = encodings(build.encodings);
            serde_json::to_value(build)
        }
    };
    let mut key = Key::default();
    key.push(Aspect::Code, stage.kind.name(), stages::version(&stage.kind).to_string());
    let mut add = |name: &str, value: &Value| {
        if !value.is_null() && !NOT_PARAMETERS.contains(&name) {
            let aspect = if name == "sql" { Aspect::Sql } else { Aspect::Params };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !QUERIES.contains(&name) {
                return key.push(aspect, name, text);
            }
            // Records and reports show the key, so it has no values of the environment.
            key.push(aspect, name, pipeline.secrets.named(&text));
            for (variable, trace) in pipeline.secrets.traces(&text) {
                key.push(Aspect::Params, format!("environment variable {variable}"), trace);
            }
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

/// The first of the files that is not, or no longer, what it was when it was seen.
pub fn changed_since(seen: &[(PathBuf, Identity)]) -> Option<&Path> {
    let changed = |(path, identity): &&(PathBuf, Identity)| Identity::of(path).ok() != Some(*identity);
    seen.iter().find(changed).map(|(path, _)| path.as_path())
}

#[cfg(test)]
mod tests;
