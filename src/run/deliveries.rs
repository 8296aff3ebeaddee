//! What stages have delivered, told to the hook `on_delivered`: by a later run if this one is killed before.
//!
//! `.ssp/deliveries/<stage>.json` belongs to the stage until its record is written. A notice, `.ssp/deliveries/notices/*.json`,
//! is there until the hook was called, and stays until the stage has forgotten the delivery, so that the hook is not called again
//! for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::durable;
use crate::key::Aspect;
use crate::monitor::Monitor;
use crate::pipeline::{Pipeline, Source, Stage, StageName};
use crate::plan::{Record, StageId};
use crate::regular;
use crate::stages::{self, Announce, Delivered, Within};

use super::events::{Event, Observer};
use super::facts::{Observation, Situation};
use super::hooks;
use super::shared::Shared;
use super::store::Store;

const NOTICES: &str = "deliveries/notices";

/// A delivery that the hook is told of.
#[derive(Serialize, Deserialize)]
struct Notice {
    stage: StageName,
    told: bool,
    #[serde(flatten)]
    delivered: Delivered,
}

impl Notice {
    fn write(&self, path: &Path) -> Result<(), durable::Error> {
        durable::write(path, serde_json::to_string_pretty(self).unwrap_or_default().as_bytes())
    }
}

/// The file of a stage for what it must know after a kill.
pub(super) fn state(store: &Store, stage: &StageName) -> PathBuf {
    store.path(&format!("deliveries/{stage}.json"))
}

/// What a stage that makes no file knows of its run; `state` is its file for what it must know after a kill.
pub(super) fn within<'a>(
    shared: &'a Shared<'_>,
    id: StageId,
    observation: &Observation,
    state: &'a Path,
    announce: &'a Announce<'a>,
) -> Within<'a> {
    let situation = shared.situation;
    let stage = situation.graph.stage(id);
    Within {
        pipeline: &situation.pipeline.name,
        root: &situation.pipeline.root,
        run: shared.run,
        stage: stage.name.as_str(),
        forced: situation.forced.contains(&id),
        state,
        announce,
        environment: shared.environment,
        stages: makers(stage).map(|(role, name)| (role.to_owned(), name.to_string())).collect(),
        made: made_of(situation, stage, observation),
    }
}

/// The inputs of a stage that are outputs of others, by role, with these stages.
fn makers(stage: &Stage) -> impl Iterator<Item = (&str, &StageName)> {
    stage.inputs.iter().filter_map(|input| match &input.source {
        Source::Stage(name) => Some((input.role.as_str(), name)),
        Source::Path(_) => None,
    })
}

/// How the inputs that a stage has were made, by role.
fn made_of(
    situation: &Situation<'_>,
    stage: &Stage,
    observation: &Observation,
) -> BTreeMap<String, stages::Made> {
    let made = |(role, name): (&str, &StageName)| {
        let id = situation.graph.find(name.as_str()).filter(|_| observation.inputs.contains_key(role))?;
        let record = Record::clone(&*situation.record(id)?);
        let output = record.output?;
        let made = stages::Made {
            stage: name.to_string(),
            kind_version: record.key.value(Aspect::Code, &record.kind).map(str::to_owned),
            kind: record.kind,
            version: record.version,
            run: record.run,
            finished: record.finished,
            written_by: record.written_by,
            generation: record.generation,
            digest: output.digest,
            in_parts: output.parts.is_some(),
        };
        Some((role.to_owned(), made))
    };
    makers(stage).filter_map(made).collect()
}

/// Warnings of deliveries that were begun by stages that are not in the pipeline file any more.
pub(super) fn orphans(store: &Store, situation: &Situation<'_>) -> Vec<String> {
    let entries = fs::read_dir(store.path("deliveries")).into_iter().flatten().flatten();
    let mut warnings: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let stage = path.file_stem()?.to_str()?.to_owned();
            if path.extension()? != "json" || situation.graph.find(&stage).is_some() {
                return None;
            }
            let intent: serde_json::Value = serde_json::from_str(&regular::read_to_string(&path).ok()?).ok()?;
            Some(format!(
                "stage `{stage}` is not in the pipeline file any more, and its delivery to `{}` was not completed: remove the \
                 files there, and then `{}`",
                intent["url"].as_str().unwrap_or("?"),
                path.display()
            ))
        })
        .collect();
    warnings.sort();
    warnings
}

/// Takes note of a delivery, unless that was done.
pub(super) fn note(
    store: &Store,
    pipeline: &Pipeline,
    stage: &StageName,
    delivered: &Delivered,
) -> Result<(), durable::Error> {
    let name = Digest::of(delivered.url.as_bytes()).short();
    let path = store.path(&format!("{NOTICES}/{stage}-{name}.json"));
    if pipeline.hooks.on_delivered.is_none() || path.exists() {
        return Ok(());
    }
    Notice { stage: stage.clone(), told: false, delivered: delivered.clone() }.write(&path)
}

/// Removes what a stage keeps for the case of a kill: its record says the same now.
pub(super) fn forget(store: &Store, stage: &StageName) -> Result<(), durable::Error> {
    durable::remove(&state(store, stage))?;
    let told = notices(store).into_iter().filter(|(_, notice)| notice.told && notice.stage == *stage);
    for (path, _) in told {
        durable::remove(&path)?;
    }
    Ok(())
}

/// Calls the hook for each delivery that it was not told of: those of a stage, or of all.
pub(super) fn tell(
    store: &Store,
    pipeline: &Pipeline,
    run: &str,
    stage: Option<&StageName>,
    observer: &dyn Observer,
    monitor: &Monitor,
) {
    for (path, notice) in notices(store) {
        if notice.told || stage.is_some_and(|stage| *stage != notice.stage) {
            continue;
        }
        let Delivered { url, run: by, manifest } = &notice.delivered;
        let warning = pipeline.hooks.on_delivered.as_ref().and_then(|hook| {
            let call = hooks::Call {
                name: "on_delivered",
                hook,
                input: manifest.clone().into_bytes(),
                environment: &[("SSP_RUN", by), ("SSP_STAGE", notice.stage.as_str()), ("SSP_DELIVERY", url)],
                root: &pipeline.root,
                folder: &store.path(&format!("runs/{run}")),
                timeout: pipeline.hooks.timeout,
            };
            call.run(monitor)
        });
        // A hook that a signal has ended is called by the next run.
        let is_told = warning.is_none() || !monitor.is_stopped();
        if let Some(message) = warning {
            observer.event(&Event::Warning { message: &message });
        }
        if is_told {
            // The hook may be called twice, which its page says.
            let _ = if state(store, &notice.stage).exists() {
                Notice { told: true, ..notice }.write(&path)
            } else {
                durable::remove(&path)
            };
        }
    }
}

/// The notices that can be read, in the order of their names.
fn notices(store: &Store) -> Vec<(PathBuf, Notice)> {
    let entries = fs::read_dir(store.path(NOTICES)).into_iter().flatten().flatten();
    let read = |path: PathBuf| {
        let notice = serde_json::from_str(&regular::read_to_string(&path).ok()?).ok()?;
        Some((path, notice))
    };
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<(PathBuf, Notice)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(read)
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}
