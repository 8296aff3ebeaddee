//! What only the database and the repository know: queries, columns, collections.

use crate::butler::Repository;
use crate::environment::Environment;
use crate::errors::chain;
use crate::pipeline::{Mistake, Pipeline, Stage};
use crate::regular;
use crate::run::words::{count, thousands};
use crate::schema::TableSchema;
use crate::stages::{Error, Reads, Rehearsal, repository_name};

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
            Ok(found) => mistakes.extend(columns_of(pipeline, stage, &found)),
            Err(error) => {
                let place = pipeline.place_of(&["stages", stage.name.as_str(), stage.kind.name]);
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
    Ok(mistakes)
}

/// The columns of an export against its schema and its checks.
fn columns_of(pipeline: &Pipeline, stage: &Stage, found: &arrow_schema::Schema) -> Vec<Mistake> {
    let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
    let unknown = unknown_columns(pipeline, stage, &names, "the output");
    let path = stage.schema.as_deref().filter(|path| regular::special_at(path).is_none());
    // A schema file that cannot be read has been told of.
    let declared = path.and_then(|path| Some((path, TableSchema::load(path).ok()?)));
    let Some((path, declared)) = declared else { return unknown };
    let differences: Vec<String> = declared.compare(found).iter().map(ToString::to_string).collect();
    if differences.is_empty() {
        // The checks have been compared with the same columns.
        return Vec::new();
    }
    let place = pipeline.place_of(&["stages", stage.name.as_str(), "schema"]);
    let differences = differences.join("; ");
    let message = format!("the output will not fit schema `{}`: {differences}", path.display());
    vec![Mistake::new(place, message)]
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
