//! The files of a pipeline on disk, before anything runs: each output a file of its own that no stage reads as it is, each
//! input a file that can be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::cli::targets::{self, clashes, place, resolved};
use crate::durable::{self, FileId, is_same_file};
use crate::errors;
use crate::pipeline::{Mistake, Mistakes, Pipeline, Source, Stage};
use crate::plan::{Graph, Selection, StageId};
use crate::regular;
use crate::run::{Store, check_link};
use crate::stages::input_files;

/// Refuses outputs of the selected stages that cannot be written, or would replace what must stay, and inputs that are not
/// files; all of them at once. Then also `own`, a file that the command writes beside them, with what it is for.
pub(super) fn check(
    pipeline: &Pipeline,
    graph: &Graph,
    selection: &Selection,
    own: Option<(&str, &Path)>,
) -> Result<(), Failure> {
    let mistakes = mistakes(pipeline, graph, selection);
    if !mistakes.is_empty() {
        return Err(Failure::usage(Mistakes::new(&pipeline.file, "", mistakes)));
    }
    let Some((what, file)) = own else { return Ok(()) };
    targets::check(file)?;
    match Taken::of(pipeline, graph).wrong(file, None).said.into_iter().next() {
        None => Ok(()),
        Some(wrong) => {
            let error = anyhow::anyhow!("{what} cannot be written: {wrong}");
            Err(Failure::usage(error).hint(format!("name another file for {what}")))
        }
    }
}

/// What is wrong with the outputs and inputs of the selected stages.
pub(super) fn mistakes(pipeline: &Pipeline, graph: &Graph, selection: &Selection) -> Vec<Mistake> {
    let taken = Taken::of(pipeline, graph);
    let mut mistakes = Vec::new();
    for id in graph.ids() {
        let stage = graph.stage(id);
        let Wrong { said, other } =
            stage.out.as_deref().map(|out| taken.wrong(out, Some(id))).unwrap_or_default();
        if selection.has(id) || other.is_some_and(|other| selection.has(other)) {
            mistakes.extend(said.into_iter().map(|wrong| {
                let message = format!("the output of stage `{}` cannot be written: {wrong}", stage.name);
                Mistake::new(stage.place, message)
            }));
        }
        if selection.has(id) {
            mistakes.extend(unreadable(stage).map(|message| Mistake::new(stage.place, message)));
        }
    }
    mistakes
}

/// What a pipeline reads and writes.
struct Taken<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    /// The folder of the records.
    records: PathBuf,
    /// Where outputs go, each with the first stage that makes it.
    makers: BTreeMap<PathBuf, StageId>,
    /// What the stages read from elsewhere, in their order: by the file, and by the folder that it is in.
    reads: BTreeMap<FileId, Vec<Read<'a>>>,
}

/// A file that a stage takes from elsewhere, not from another stage.
#[derive(Clone, Copy)]
struct Read<'a> {
    stage: StageId,
    /// Its key in the pipeline file; none for a file of the schema.
    role: Option<&'a str>,
    /// Whether the file itself is named, and not a folder or a pattern.
    is_named: bool,
}

/// Why a file must not be written.
#[derive(Default)]
struct Wrong {
    said: Vec<String>,
    /// The stage whose output it is already.
    other: Option<StageId>,
}

impl<'a> Taken<'a> {
    fn of(pipeline: &'a Pipeline, graph: &'a Graph) -> Self {
        let records = resolved(&Store::new(&pipeline.out_dir).path(""));
        let mut makers = BTreeMap::new();
        for id in graph.ids() {
            if let Some(Ok(place)) = output_place(pipeline, graph.stage(id)) {
                makers.entry(place).or_insert(id);
            }
        }
        // By identity: a file that does not exist cannot be replaced.
        let mut reads: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut add = |file: Option<FileId>, read| {
            if let Some(file) = file {
                reads.entry(file).or_default().push(read);
            }
        };
        for stage in graph.ids() {
            if let Some(schema) = &graph.stage(stage).schema {
                // That a schema cannot be read is said where it is used.
                let resources = schema.resources().unwrap_or_default();
                for file in [schema.path()].into_iter().chain(resources.iter().map(PathBuf::as_path)) {
                    add(FileId::of(file), Read { stage, role: None, is_named: true });
                }
            }
            for input in &graph.stage(stage).inputs {
                let Source::Path(path) = &input.source else { continue };
                for file in input_files(path).unwrap_or_default() {
                    let read = Read { stage, role: Some(&input.role), is_named: file == *path };
                    add(FileId::of(&file), read);
                    add(file.parent().and_then(FileId::of), read);
                }
            }
        }
        Self { pipeline, graph, records, makers, reads }
    }

    /// Why a file must not be written by a stage, or by none, as the metrics are.
    fn wrong(&self, path: &Path, maker: Option<StageId>) -> Wrong {
        let shown = path.display();
        let mut wrong = Wrong::default();
        let of_stage = maker.and_then(|maker| output_place(self.pipeline, self.graph.stage(maker)));
        let place = match of_stage.unwrap_or_else(|| place(path)) {
            Ok(place) => place,
            Err(error) => {
                wrong.said.push(match error {
                    durable::Error::Look { source, .. } => format!("`{shown}`: {source}"),
                    error => errors::chain(&error).join(": "),
                });
                return wrong;
            }
        };
        if maker.is_some() && place.to_str().is_none() {
            wrong.said.push(format!("the path of `{shown}` is not UTF-8, but run records are UTF-8 text"));
        }
        if place.starts_with(&self.records) {
            wrong.said.push(format!("`{shown}` is inside the folder of run records"));
        }
        if let Some(reader) = self.read_as(path, maker) {
            wrong.said.push(format!("`{shown}` is a file that the run reads: {reader}"));
        }
        if let Some(other) = self.makers.get(&place).filter(|other| maker != Some(**other)) {
            let name = &self.graph.stage(*other).name;
            wrong.said.push(format!("`{shown}` is the output of stage `{name}`"));
            wrong.other = Some(*other);
        }
        // Of two stages, the second says it.
        let earlier = |id: StageId| maker.is_none_or(|maker| id < maker);
        if let Some((_, other)) = clashes(&self.makers, &place).find(|(_, id)| earlier(**id)) {
            let name = &self.graph.stage(*other).name;
            wrong.said.push(format!("one of `{shown}` and the output of stage `{name}` is inside the other"));
            wrong.other = wrong.other.or(Some(*other));
        }
        wrong
    }

    /// What reads a file: the pipeline itself, or a stage that takes it for a file from elsewhere. A folder or a pattern that
    /// another stage reads may hold outputs: `needs` puts them in order. The metrics are of no stage, and no input.
    fn read_as(&self, output: &Path, maker: Option<StageId>) -> Option<String> {
        if is_same_file(&self.pipeline.file, output) {
            return Some("it is the pipeline file".to_owned());
        }
        if let Some(butler) = &self.pipeline.sources.butler {
            let repository = self.pipeline.root.join(&butler.repo);
            let files = [repository.clone(), repository.join("butler.yaml"), repository.join("gen3.sqlite3")];
            if files.iter().any(|file| is_same_file(file, output)) {
                return Some("it is a file of the repository".to_owned());
            }
        }
        let counts = |read: &&Read| read.is_named || maker.is_none_or(|maker| maker == read.stage);
        // An output of parts is a link to the folder of its parts.
        let Read { stage, role, .. } = self.reads.get(&FileId::of(output)?)?.iter().find(counts)?;
        let name = &self.graph.stage(*stage).name;
        Some(match role {
            None => format!("it is the schema of stage `{name}`"),
            Some(role) => format!("it is `{role}` of stage `{name}`"),
        })
    }
}

/// The [`place`] of the output of a stage. An output of parts is a link, which is not followed.
fn output_place(pipeline: &Pipeline, stage: &Stage) -> Option<Result<PathBuf, durable::Error>> {
    let out = stage.out.as_deref()?;
    if !stage.in_parts {
        return Some(place(out));
    }
    let failed = |source| durable::Error::Look { path: out.to_owned(), source };
    let link = || {
        check_link(&pipeline.out_dir, out)?;
        let absolute = std::path::absolute(out).map_err(failed)?;
        let beside = absolute.parent().map(resolved).unwrap_or_default();
        Ok(beside.join(out.file_name().unwrap_or_default()))
    };
    Some(link())
}

/// What a stage reads and is there, but cannot be read: a FIFO, a device.
fn unreadable(stage: &Stage) -> impl Iterator<Item = String> {
    let input = |(role, path): (&str, &Path), folders: bool| {
        let what = regular::special_at(path).filter(|what| !folders || *what != "a folder")?;
        let (name, path) = (&stage.name, path.display());
        Some(format!("stage `{name}` cannot read `{role}`: `{path}` is {what}, not a file to read"))
    };
    let schema = stage.schema.as_ref().and_then(|schema| input(("schema", schema.path()), false));
    let inputs = stage.inputs.iter().filter_map(move |found| match &found.source {
        Source::Path(path) => input((&found.role, path), true),
        Source::Stage(_) => None,
    });
    schema.into_iter().chain(inputs)
}
