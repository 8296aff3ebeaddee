//! What a pipeline file names on this machine: inputs, schema files, programs, the repository, the output folder.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::butler::Repository;
use crate::cli::targets::resolved;
use crate::durable;
use crate::environment::Environment;
use crate::errors::chain;
use crate::pipeline::spec::HookCommand;
use crate::pipeline::{Mistake, Pipeline, Source, Stage, did_you_mean};
use crate::regular;
use crate::stages::{input_files, repository_name};

use super::Looked;

/// What is not there or cannot be used. It changes nothing on disk.
pub(super) fn mistakes(pipeline: &Pipeline, environment: &Environment, looked: &mut Looked) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let stages = &pipeline.stages;
    looked.at(stages.len(), "stage");
    let queries = stages.iter().filter(|stage| stage.reads_snapshot()).count();
    let watermarks = stages.iter().filter(|stage| stage.work.watermark().is_some()).count();
    looked.at(queries + watermarks, "query");
    looked.at(stages.iter().filter(|stage| stage.schema.is_some()).count(), "schema file");
    mistakes.extend(stages.iter().filter_map(|stage| schema(pipeline, stage)));
    mistakes.extend(stages.iter().flat_map(|stage| inputs(pipeline, stage, looked)));
    mistakes.extend(hooks(pipeline, environment, looked));
    if let Some(butler) = &pipeline.sources.butler {
        let place = pipeline.place_of(&["butler", "repo"]);
        let found = Repository::is_there(&repository_name(&pipeline.sources, &butler.repo), environment);
        if !matches!(found, Ok(false)) {
            looked.at.push("the configuration of the repository".to_owned());
        }
        mistakes.extend(found.err().map(|error| Mistake::new(place, chain(&error).join(": "))));
    }
    if let Err(error) = durable::check_writable(&pipeline.out_dir) {
        let message = format!("`out_dir` cannot be written: {}", chain(&error).join(": "));
        mistakes.push(Mistake::new(pipeline.place_of(&["out_dir"]), message));
    }
    looked.at.push("out_dir".to_owned());
    mistakes.extend(stages.iter().filter_map(|stage| other_file_system(pipeline, stage)));
    mistakes
}

/// Refuses an output that cannot be kept as a hard link below the output folder.
fn other_file_system(pipeline: &Pipeline, stage: &Stage) -> Option<Mistake> {
    // The parts of a folder are always below `out_dir`.
    let out = stage.out.as_deref().filter(|_| pipeline.keep.is_some() && !stage.in_parts)?;
    (!same_file_system(&pipeline.out_dir, out)).then(|| {
        let place = pipeline.place_of(&["stages", stage.name.as_str(), "out"]);
        let message = format!(
            "`{}` is on another file system than `out_dir`, so `keep` cannot keep it: move it, or remove `keep`",
            out.display()
        );
        Mistake::new(place, message)
    })
}

/// Whether an output, which need not be there, would be on the file system of the output folder.
fn same_file_system(out_dir: &Path, output: &Path) -> bool {
    let device = |path: &Path| {
        resolved(path).ancestors().find_map(|there| fs::metadata(there).ok()).map(|there| there.dev())
    };
    // An output that is a link is written where the link leads.
    let output = durable::target(output).unwrap_or_else(|_| output.to_owned());
    device(out_dir) == device(output.parent().unwrap_or(&output))
}

fn schema(pipeline: &Pipeline, stage: &Stage) -> Option<Mistake> {
    // That it is no file at all is said with the outputs.
    let schema = stage.schema.as_ref().filter(|schema| regular::special_at(schema.path()).is_none())?;
    let declared = match schema.load() {
        Ok(declared) => declared,
        Err(error) => {
            let place = pipeline.place_of(&["stages", stage.name.as_str(), "schema"]);
            return Some(Mistake::new(place, chain(&error).join(": ")));
        }
    };
    // A column that the checks name and the schema does not: the output cannot satisfy both.
    let names: Vec<&str> = declared.columns().iter().map(|column| column.name).collect();
    unknown_columns(pipeline, stage, &names, &schema.to_string()).into_iter().next()
}

/// Columns that the checks of a stage name and that are not among `known`.
pub(super) fn unknown_columns(pipeline: &Pipeline, stage: &Stage, known: &[&str], of: &str) -> Vec<Mistake> {
    let unknown = stage.checks.columns().filter(|(_, column)| !known.contains(column));
    let mistakes = unknown.map(|(check, column)| {
        let place = pipeline.place_of(&["stages", stage.name.as_str(), "checks", check]);
        let hint = did_you_mean(column, known.iter().copied());
        Mistake::new(place, format!("check `{check}` names column `{column}`, which is not in {of}{hint}"))
    });
    mistakes.collect()
}

/// Files from elsewhere that are not there. What is below the output folder may be made by a run.
fn inputs(pipeline: &Pipeline, stage: &Stage, looked: &mut Looked) -> Vec<Mistake> {
    let out_dir = resolved(&pipeline.out_dir);
    let mut mistakes = Vec::new();
    for input in &stage.inputs {
        let Source::Path(path) = &input.source else { continue };
        let special = regular::special_at(path).is_some_and(|what| what != "a folder");
        match input_files(path) {
            _ if special => {}
            Ok(_) => looked.at.push(format!("input `{}`", path.display())),
            Err(_) if resolved(path).starts_with(&out_dir) => {
                looked.not_at.push(format!("input `{}` (below out_dir, not there yet)", path.display()));
            }
            Err(error) => {
                let (role, path) = (&input.role, path.display());
                mistakes.push(Mistake::new(input.place, format!("`{role}`: cannot read `{path}`: {error}")));
            }
        }
    }
    mistakes
}

/// Programs of hooks that are not there. What a shell would run is not known.
fn hooks(pipeline: &Pipeline, environment: &Environment, looked: &mut Looked) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (name, hook) in pipeline.hooks.all() {
        match hook {
            None => {}
            Some(HookCommand::Shell(_)) => looked.not_at.push(format!("hook `{name}` (text for a shell)")),
            Some(HookCommand::Program(words)) => {
                looked.at.push(format!("hook `{name}`"));
                let program = words.first().map_or("", String::as_str);
                if !program.is_empty() && !is_program(program, &pipeline.root, environment) {
                    let place = pipeline.place_of(&["hooks", name]);
                    let whence = if program.contains('/') { "" } else { " in PATH" };
                    let message =
                        format!("`{name}`: there is no program `{program}`{whence} that can be run");
                    mistakes.push(Mistake::new(place, message));
                }
            }
        }
    }
    mistakes
}

/// Whether a hook's program is found as it will be: by its path, relative to the root, or in the folders of `PATH`.
fn is_program(program: &str, root: &Path, environment: &Environment) -> bool {
    let can_run = |path: PathBuf| {
        fs::metadata(path).is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return can_run(root.join(program));
    }
    let path = environment.raw("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|folder| can_run(root.join(folder).join(program)))
}
