//! What only the database and the repository know: queries, columns, collections.

use arrow_schema::Schema;

use crate::butler::Repository;
use crate::environment::Environment;
use crate::errors::chain;
use crate::pipeline::{Executor, Input, Mistake, Pipeline, Source, Stage, did_you_mean};
use crate::regular;
use crate::run::words::{count, thousands};
use crate::run::{Store, rehearse};
use crate::schema::type_name;
use crate::stages::{Error, NamedColumn, Reads, Rehearsal, repository_name};

use super::super::print;
use super::places::unknown_columns;
use super::{Looked, ends_all};

/// Connects, and compares what the sources have with the file.
///
/// # Errors
/// If a source cannot be reached, or is lost.
pub(super) fn mistakes(
    pipeline: &Pipeline,
    environment: &Environment,
    looked: &mut Looked,
) -> Result<Vec<Mistake>, Error> {
    let mut mistakes = Vec::new();
    let exports: Vec<&Stage> = pipeline.stages.iter().filter(|stage| stage.reads_snapshot()).collect();
    let works = exports.iter().map(|stage| (stage.name.as_str(), stage.work.as_ref()));
    let Rehearsal { lines, columns } = Rehearsal::of(&pipeline.sources, environment, works)?;
    for line in lines {
        print(&format!("{line}\n"));
    }
    for (stage, columns) in exports.into_iter().zip(columns) {
        match columns {
            Ok(found) => {
                mistakes.extend(columns_of(pipeline, stage, &found));
                mistakes.extend(named_columns(pipeline, stage, &found));
            }
            Err(error) => {
                let path = ["stages", stage.name.as_str(), stage.kind.name, error.key().unwrap_or_default()];
                let place = pipeline.place_of(&path);
                mistakes.push(Mistake::new(place, chain(&error).join("\n").replace('\n', "\n  ")));
            }
        }
    }
    if pipeline.sources.database.is_some() {
        looked.at.push("the database".to_owned());
    }
    if let Some(butler) = &pipeline.sources.butler {
        let name = repository_name(&pipeline.sources, &butler.repo);
        let repository = match Repository::open(&name, environment).map_err(Error::from) {
            Ok(repository) => repository,
            Err(error) if ends_all(error.class()) => return Err(error),
            Err(error) => {
                let place = pipeline.place_of(&["butler", "repo"]);
                mistakes.push(Mistake::new(place, chain(&error).join(": ")));
                return Ok(mistakes);
            }
        };
        mistakes.extend(datasets(pipeline, &repository)?);
        looked.at.push("the repository".to_owned());
    }
    mistakes.extend(jobs(pipeline, looked));
    Ok(mistakes)
}

/// Asks Slurm whether it would take the jobs of the stages.
fn jobs(pipeline: &Pipeline, looked: &mut Looked) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let store = Store::new(&pipeline.out_dir);
    for stage in &pipeline.stages {
        let Executor::Slurm(spec) = &stage.executor else { continue };
        if !looked.at.iter().any(|what| what == SLURM) {
            looked.at.push(SLURM.to_owned());
        }
        if let Err(error) =
            rehearse(spec, spec.slices_of(stage.work.as_ref()), &pipeline.name, stage.name.as_str(), &store)
        {
            let own = pipeline.place_of(&["stages", stage.name.as_str(), "executor"]);
            let of_stage = pipeline.place_of(&["stages", stage.name.as_str()]);
            let place = if own == of_stage { pipeline.place_of(&["executor"]) } else { own };
            let message =
                format!("Slurm does not take the jobs of `{}`: {}", stage.name, chain(&error).join(": "));
            mistakes.push(Mistake::new(place, message));
        }
    }
    mistakes
}

const SLURM: &str = "Slurm";

/// The columns of an export against its schema and its checks.
fn columns_of(pipeline: &Pipeline, stage: &Stage, found: &Schema) -> Vec<Mistake> {
    let ranges = ranges_of_no_numbers(pipeline, stage, found);
    let schema = stage.schema.as_ref().filter(|schema| regular::special_at(schema.path()).is_none());
    // A schema that cannot be read has been told of.
    let Some(declared) = schema.and_then(|schema| schema.load().ok()) else {
        let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
        let unknown = unknown_columns(pipeline, stage, &names, "the output");
        return unknown.into_iter().chain(ranges).collect();
    };
    let differences = declared.compare(found);
    if differences.is_empty() {
        // The checks have been compared with the same names.
        return ranges;
    }
    let place = pipeline.place_of(&["stages", stage.name.as_str(), "schema"]);
    let message = format!("the output will not fit {}", declared.difference(&differences));
    vec![Mistake::new(place, message)]
}

/// Ranges of columns whose values are no numbers.
fn ranges_of_no_numbers(pipeline: &Pipeline, stage: &Stage, found: &Schema) -> Vec<Mistake> {
    let fields = stage.checks.range.keys().filter_map(|column| found.field_with_name(column).ok());
    let wrong = fields.filter(|field| !field.data_type().is_numeric());
    let mistakes = wrong.map(|field| {
        let (column, kind) = (field.name(), type_name(field.data_type()));
        let place = pipeline.place_of(&["stages", stage.name.as_str(), "checks", "range", column]);
        Mistake::new(
            place,
            format!("check `range`: column `{column}` is {kind}, but only numbers have a range"),
        )
    });
    mistakes.collect()
}

/// Columns of an export that other stages name and that it will not have.
fn named_columns(pipeline: &Pipeline, export: &Stage, found: &Schema) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for stage in &pipeline.stages {
        for NamedColumn { role, key, column } in stage.work.named_columns() {
            let is_of_export =
                |input: &Input| input.role == role && input.source == Source::Stage(export.name.clone());
            if !stage.inputs.iter().any(is_of_export) || found.field_with_name(column).is_ok() {
                continue;
            }
            let path: Vec<&str> =
                ["stages", stage.name.as_str(), stage.kind.name].into_iter().chain(key.split('.')).collect();
            let hint = did_you_mean(column, found.fields().iter().map(|field| field.name().as_str()));
            let message = format!(
                "`{key}` names column `{column}`, which is not in the output of `{}`{hint}",
                export.name
            );
            mistakes.push(Mistake::new(pipeline.place_of(&path), message));
        }
    }
    mistakes
}

/// Collections and dataset types that the repository does not have.
fn datasets(pipeline: &Pipeline, repository: &Repository) -> Result<Vec<Mistake>, Error> {
    let mut mistakes = Vec::new();
    for stage in pipeline.stages.iter().filter(|stage| stage.kind.reads == Reads::Repository) {
        let name = stage.name.as_str();
        let mut mistake = |message: String| {
            mistakes.push(Mistake::new(pipeline.place_of(&["stages", name, stage.kind.name]), message));
        };
        match stage.work.datasets(repository) {
            Ok(found) if found.list().is_empty() => mistake(format!("{name}: no dataset is selected")),
            Ok(found) => {
                let number = found.list().len();
                let number = count(number, "dataset").replace(&number.to_string(), &thousands(number as u64));
                print(&format!("{name}: {number}\n"));
            }
            Err(error) if ends_all(error.class()) => return Err(error),
            Err(error) => mistake(format!("{name}: {}", chain(&error).join(": "))),
        }
    }
    Ok(mistakes)
}
