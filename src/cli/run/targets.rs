//! The outputs of a pipeline on disk, before anything runs: each a file of its own that no stage reads as it is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use crate::cli::failure::{Exit, Failure};
use crate::cli::targets::{self, place};
use crate::durable::is_same_file;
use crate::errors;
use crate::pipeline::{Mistake, Mistakes, Pipeline, Source, Stage};
use crate::plan::{Graph, Selection, StageId};
use crate::run::Store;
use crate::stages::input_files;

/// Refuses outputs of the selected stages that cannot be written, or would replace what must stay; all of them at once.
/// So with the file for metrics.
pub fn check(
    pipeline: &Pipeline,
    graph: &Graph,
    selection: &Selection,
    metrics: Option<&Path>,
) -> Result<(), Failure> {
    let mut mistakes = Vec::new();
    let mut makers: BTreeMap<PathBuf, StageId> = BTreeMap::new();
    let records = place(&Store::new(&pipeline.out_dir).path("lock")).ok();
    for id in graph.ids() {
        let stage = graph.stage(id);
        let shown = stage.out.display();
        let mut wrong = Vec::new();
        let mut other = None;
        match place(&stage.out) {
            Err(error) => wrong.push(errors::chain(&error).join(": ")),
            Ok(place) => {
                if place.to_str().is_none() {
                    wrong.push(format!("the path of `{shown}` is not UTF-8, as records must be"));
                }
                if records.as_deref().and_then(Path::parent).is_some_and(|folder| place.starts_with(folder)) {
                    wrong.push(format!("`{shown}` leads into the records of runs"));
                }
                if let Some(reader) = read_as(&place, stage, graph, pipeline) {
                    wrong.push(format!("`{shown}` leads to a file that is read: {reader}"));
                }
                match makers.entry(place) {
                    Entry::Vacant(free) => drop(free.insert(id)),
                    Entry::Occupied(taken) => {
                        other = Some(*taken.get());
                        let name = &graph.stage(*taken.get()).name;
                        wrong.push(format!("`{shown}` leads to the output of stage `{name}`"));
                    }
                }
            }
        }
        if selection.has(id) || other.is_some_and(|other| selection.has(other)) {
            mistakes.extend(wrong.into_iter().map(|wrong| {
                let message = format!("the output of stage `{}` cannot be written: {wrong}", stage.name);
                Mistake::new(stage.place, message)
            }));
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::new(Exit::Usage, Mistakes::new(&pipeline.file, "", mistakes)));
    }
    let Some(metrics) = metrics else { return Ok(()) };
    targets::check(metrics)?;
    match place(metrics).ok().and_then(|place| makers.get(&place).copied()) {
        None => Ok(()),
        Some(id) => {
            let (shown, name) = (metrics.display(), &graph.stage(id).name);
            let error = anyhow::anyhow!("`{shown}` is the output of stage `{name}`");
            Err(Failure::new(Exit::Usage, error).hint("name another file for the metrics"))
        }
    }
}

/// What reads a file that is an output: the pipeline itself, or a stage that takes it for a file from elsewhere. A folder
/// or a pattern that another stage reads may hold outputs: `needs` puts them in order.
fn read_as(output: &Path, maker: &Stage, graph: &Graph, pipeline: &Pipeline) -> Option<String> {
    if is_same_file(&pipeline.file, output) {
        return Some("it is the pipeline file".to_owned());
    }
    graph.ids().map(|id| graph.stage(id)).find_map(|stage| {
        if stage.schema.as_ref().is_some_and(|schema| is_same_file(schema, output)) {
            return Some(format!("it is the schema of stage `{}`", stage.name));
        }
        let input = stage.inputs.iter().find(|input| {
            let Source::Path(path) = &input.source else { return false };
            let files = input_files(path).unwrap_or_default();
            let counts = stage.name == maker.name || files == [path.clone()];
            counts && files.iter().any(|file| is_same_file(file, output))
        })?;
        Some(format!("it is `{}` of stage `{}`", input.role, stage.name))
    })
}
