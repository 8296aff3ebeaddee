//! What a stage would work on: its key, its inputs and what the file system says of them, the datasets, the database's state.
//!
//! Not a place for what follows from that (see `facts`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::key::Aspect;
use crate::pipeline::{Input, Pipeline, Source, Stage, StageName, plain};
use crate::plan::{OutputState, StageId};
use crate::stages::{self, Datasets, Reads, Work};

use super::digests::Identity;
use super::facts::{Observation, Situation};
use super::parts;

/// Why the facts of a stage could not be gathered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unknown {
    #[error("cannot read input `{role}`: `{}`", plain(path).display())]
    Input {
        /// Its key in the pipeline file.
        role: String,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("input `{role}` is the output of stage `{stage}`, which has no output yet; run this stage too")]
    NoOutput {
        /// Its key in the pipeline file.
        role: String,
        stage: StageName,
    },
    /// The schema, or one that it takes columns from, cannot be read.
    #[error(transparent)]
    Schema(#[from] crate::schema::Error),
    /// The repository or the database refused.
    #[error(transparent)]
    Source(#[from] stages::Error),
}

impl Situation<'_> {
    /// What a stage would work on, if the outputs of `pending` stages, which are not final yet, stay as they were when
    /// it last ran, and without those of `failed` stages.
    ///
    /// # Errors
    /// If an input cannot be read, or the repository or the database refuses.
    pub(super) fn observe(
        &self,
        id: StageId,
        pending: &[StageId],
        failed: &[StageId],
    ) -> Result<Observation, Unknown> {
        let stage = self.graph.stage(id);
        let mut key = stage.parameters.clone();
        if let Some(schema) = &stage.schema {
            let digest = |path: &Path| {
                let failed =
                    |source| Unknown::Input { role: "schema".to_owned(), path: path.to_owned(), source };
                Digest::of_file(path).map_err(failed)
            };
            key.push(Aspect::Schema, "schema", digest(schema.path())?.to_string());
            let resources = schema.resources()?;
            if !resources.is_empty() {
                let digests = resources.iter().map(|path| Ok(digest(path)?.to_string()));
                let digests: Vec<String> = digests.collect::<Result<_, Unknown>>()?;
                key.push(
                    Aspect::Schema,
                    "resources of the schema",
                    Digest::of(digests.join("\n").as_bytes()).to_string(),
                );
            }
            schema.settings().for_each(|(name, value)| key.push(Aspect::Schema, name, value));
        }
        if let Some((name, value)) = stage.work.surroundings(self.sources) {
            key.push(Aspect::Params, name, value);
        }
        let mut observation =
            Observation { key, inputs: BTreeMap::new(), seen: Vec::new(), datasets: None, generation: None };
        for input in &stage.inputs {
            let (path, digest, seen) = match &input.source {
                Source::Path(path) => {
                    let failed =
                        |source| Unknown::Input { role: input.role.clone(), path: path.clone(), source };
                    let (digest, seen) = self.digests.of_input(path).map_err(failed)?;
                    (path.clone(), Some(digest.to_string()), seen)
                }
                Source::Stage(name) => {
                    if self.graph.find(name.as_str()).is_some_and(|maker| failed.contains(&maker)) {
                        continue;
                    }
                    match self.stage_input(id, input, name, pending) {
                        Err(Unknown::NoOutput { .. }) if stage.work.tolerates_missing() => continue,
                        found => found?,
                    }
                }
            };
            if let Some(digest) = digest {
                observation.key.push(Aspect::Input, &input.entry, digest);
            }
            observation.inputs.insert(input.role.clone(), path);
            observation.seen.extend(seen);
        }
        match stage.kind.reads {
            Reads::Repository => {
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
            Reads::Snapshot => observation.generation = self.generation_of(id, stage.work.as_ref())?,
            Reads::Inputs => {}
        }
        Ok(observation)
    }

    #[expect(clippy::type_complexity, reason = "path, digest and files of one input, taken apart at once")]
    fn stage_input(
        &self,
        id: StageId,
        input: &Input,
        name: &StageName,
        pending: &[StageId],
    ) -> Result<(PathBuf, Option<String>, Vec<(PathBuf, Identity)>), Unknown> {
        let missing = || Unknown::NoOutput { role: input.role.clone(), stage: name.clone() };
        let upstream = self.graph.find(name.as_str()).ok_or_else(missing)?;
        let path = self.graph.stage(upstream).out.clone().ok_or_else(missing)?;
        if pending.contains(&upstream) {
            let own = self.record(id);
            let before = own.and_then(|own| own.key.value(Aspect::Input, &input.entry).map(str::to_owned));
            return Ok((path, before, Vec::new()));
        }
        let output = self.record(upstream).and_then(|record| record.output.clone()).ok_or_else(missing)?;
        if self.output_state(upstream) != OutputState::AsRecorded {
            return Err(missing());
        }
        let files = parts::files(&output, &path).map_err(|_| missing())?.into_iter();
        let seen = files.map(|file| Identity::of(&file).map(|identity| (file, identity)));
        let seen = seen.collect::<std::io::Result<_>>().map_err(|_| missing())?;
        Ok((path, Some(output.digest.to_string()), seen))
    }

    /// The datasets that a stage reads: asked for once, so that the plan and the stage see the same.
    fn datasets_of(&self, id: StageId, stage: &Stage) -> Result<Datasets, Unknown> {
        if let Some(known) = self.datasets.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(known.clone());
        }
        let datasets = stage.work.datasets(self.sources.repository().map_err(stages::Error::from)?)?;
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).insert(id, datasets.clone());
        Ok(datasets)
    }

    /// The state of the database as a stage sees it: asked for once, so that the plan and the stage see the same.
    fn generation_of(&self, id: StageId, work: &dyn Work) -> Result<Option<DatabaseState>, Unknown> {
        let Some(generation) = &self.generation else { return Ok(None) };
        if let Some(known) = self.generations.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(known.clone()));
        }
        let watermark = work.watermark().map(|sql| self.sources.watermark(sql)).transpose()?;
        let watermark = watermark.map(|rows| without_secrets(self.pipeline, &rows));
        // The text without values of the environment: it is recorded.
        let text = work.watermark().map(|sql| self.pipeline.secrets.named(sql));
        let watermark_query = text.map(|text| Digest::of(text.as_bytes()).short());
        let mut generation = DatabaseState { watermark, watermark_query, ..generation.clone() };
        let then = self.record(id).and_then(|record| record.generation.clone());
        // The server writes the tree into its log, so it is asked only where everything else is the same.
        if let Some(then) = then.filter(|then| generation.is_same_but_query(then)) {
            let evidence = work.evidence_in(self.sources, then.query.as_deref());
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

/// The first of the files that is not, or no longer, what it was when it was seen.
pub(super) fn changed_since(seen: &[(PathBuf, Identity)]) -> Option<&Path> {
    let changed = |(path, identity): &&(PathBuf, Identity)| Identity::of(path).ok() != Some(*identity);
    seen.iter().find(changed).map(|(path, _)| path.as_path())
}
