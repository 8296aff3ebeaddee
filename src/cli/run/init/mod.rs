//! `ssp-run init`: a first pipeline for a database, with a schema file for each table.
//!
//! It writes all files or none, and replaces no file. Not a place for the text of the files.

mod names;
mod pipeline;
mod yaml;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::butler::{Contents, Repository};
use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::cli::signals::Signals;
use crate::cli::targets::check_folder;
use crate::durable::{PendingFile, publish_all};
use crate::environment::Environment;
use crate::errors::{Classified as _, chain};
use crate::pipeline::{StageName, nearest, plain};
use crate::postgres::sql::TableName;
use crate::postgres::{Columns, Inventory, Reader, Relation, Snapshot, Target};
use crate::regular;
use crate::run::words::count;
use crate::stages::Spec as _;
use crate::stages::export::ExportSpec;

use self::names::StageNames;
use self::pipeline::{Butler, Draft, Table};
use super::flags::InitFlags;
use super::quoted_path;
use super::tables::{advice, connect, list};

/// Most tables that are taken without being named.
const MOST_TABLES: usize = 20;
/// How git is told to leave the outputs out.
const GITIGNORE: &str = ".gitignore";
const IGNORED: &str = "# outputs and run records\n/data/\n";
/// What editors read to complete pipeline files.
const JSON_SCHEMA: &str = "schemas/pipeline.schema.json";

pub(super) fn init(flags: &InitFlags, environment: &Environment, signals: &Signals) -> Result<Exit, Failure> {
    flags.connection.refuse_password()?;
    if let Some(name) = flags.name.as_deref().filter(|name| !StageName::fits(name)) {
        let error = anyhow!("`--name {name}` cannot be a pipeline's name");
        return Err(Failure::usage(error).hint("use lower-case letters, digits, `_` and `-`, a letter first"));
    }
    let dir = flags.dir.as_path();
    check_folder(dir)?;
    let target = Target::resolve(&flags.connection.params(), environment).map_err(Failure::usage)?;
    let (snapshot, inventory) = connect(&target, signals)?;
    let relations = chosen(&flags.tables, &inventory, &target)?;
    let mut stages = StageNames::default();
    let tables = relations
        .into_iter()
        .map(|relation| described(stages.add(&relation.name), relation, &snapshot, signals))
        .collect::<Result<Vec<_>, Failure>>()?;
    let draft = Draft {
        name: flags
            .name
            .clone()
            .unwrap_or_else(|| names::of_pipeline(&flags.connection, environment, &inventory)),
        database: pipeline::database(&flags.connection, environment, &inventory).map_err(Failure::usage)?,
        about: inventory.database.clone(),
        extract: stages.add("dia_sources"),
        tables,
        butler: flags.butler.as_deref().map(|repo| butler(repo, environment)),
    };
    let files = files(dir, &draft);
    refuse_to_replace(&files)?;
    let written = write(&files).map_err(Failure::fault)?;
    say(format_args!("wrote {} in {}\n", count(written.len(), "file"), dir.display()));
    for path in &written {
        say(format_args!("  {}\n", path.strip_prefix(dir).unwrap_or(path).display()));
    }
    if !written.iter().any(|path| path.ends_with(GITIGNORE)) {
        say(format_args!(
            "`{GITIGNORE}` was there: make sure that it leaves out `/data/`, the folder of outputs\n"
        ));
    }
    let file = quoted_path(&plain(&dir.join(draft.file())));
    say(format_args!("\nnext\n  ssp-run validate --connect {file}\n  ssp-run -n {file}\n  ssp-run {file}\n"));
    Ok(Exit::Done)
}

/// The tables to export: those that are named, or all of the search path.
fn chosen<'a>(
    named: &[String],
    inventory: &'a Inventory,
    target: &Target,
) -> Result<Vec<&'a Relation>, Failure> {
    if named.is_empty() {
        let found: Vec<&Relation> = inventory.relations.iter().filter(|table| table.on_search_path).collect();
        if found.len() > MOST_TABLES || found.is_empty() {
            say(list(&target.describe(), inventory));
            say(advice(inventory));
            let database = &inventory.database;
            let error = match found.len() {
                0 => anyhow!("database `{database}` has no tables in its search path"),
                many => anyhow!(
                    "database `{database}` has {many} tables and views in its search path; without --table, \
                     `init` takes at most {MOST_TABLES}"
                ),
            };
            return Err(
                Failure::usage(error).hint("name the tables that you want: --table NAME --table SCHEMA.NAME")
            );
        }
        return Ok(found);
    }
    let mut chosen: Vec<&Relation> = Vec::new();
    for name in named {
        let table = name.parse::<TableName>().map_err(Failure::usage)?;
        let wanted = table.to_string();
        let all = || inventory.relations.iter().chain(&inventory.partitions);
        let Some(found) = all().find(|relation| relation.is_named(&wanted)) else {
            let known: Vec<String> = all().map(Relation::reference).collect();
            let known = nearest(name, known.iter().map(String::as_str));
            let hint = known
                .map_or("`ssp-run tables` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
            let error = anyhow!(
                "role `{}` can read no table `{name}` in database `{}`",
                inventory.role,
                inventory.database
            );
            return Err(Failure::usage(error).hint(hint));
        };
        if !chosen.iter().any(|earlier| std::ptr::eq(*earlier, found)) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// A table with its columns as an export makes them.
fn described<'a>(
    stage: String,
    relation: &'a Relation,
    snapshot: &Snapshot,
    signals: &Signals,
) -> Result<Table<'a>, Failure> {
    let spec = ExportSpec {
        table: Some(relation.reference()),
        columns: relation.readable_columns.clone(),
        ..ExportSpec::default()
    };
    let about = |error: anyhow::Error| error.context(format!("table `{}`", relation.reference()));
    let export = spec.checked().map_err(|error| Failure::usage(about(error.into())))?;
    let columns =
        snapshot.reader(signals.monitor()).and_then(|mut reader: Reader<'_>| export.prepare(&mut reader));
    let (_, columns): (_, Columns) =
        columns.map_err(|error| Failure::new(error.class().into(), about(error.into())))?;
    // A view may be slow, and whether a table has rows is only advice.
    let first = format!("SELECT 1 FROM {} LIMIT 1", relation.quoted());
    let is_empty = snapshot.watermark(&first, signals.monitor()).is_ok_and(|rows| !rows.contains("[\"1\"]"));
    Ok(Table { stage, relation, columns, is_empty })
}

/// What the repository has; nothing if it cannot be opened, which is told.
fn butler(repo: &str, environment: &Environment) -> Butler {
    // Relative to the folder we are in, where the file will not be.
    let path = Path::new(repo);
    let name = match std::path::absolute(path) {
        Ok(absolute) if path.exists() => absolute.display().to_string(),
        _ => repo.to_owned(),
    };
    let contents = Repository::open(&name, environment).and_then(|repository| repository.contents());
    let contents = contents.unwrap_or_else(|error| {
        let why = chain(&error).join(": ");
        say(format_args!("warning: {why}\nwarning: the stage that reads the repository is commented out\n"));
        Contents::default()
    });
    Butler { repo: name, contents }
}

/// Each file with its text.
fn files(dir: &Path, draft: &Draft<'_>) -> Vec<(PathBuf, String)> {
    let mut files = vec![(dir.join(draft.file()), draft.text())];
    for table in &draft.tables {
        files.extend(table.schema(&draft.about).map(|text| (dir.join(table.schema_file()), text)));
    }
    files.push((dir.join(JSON_SCHEMA), format!("{:#}\n", crate::pipeline::json_schema())));
    files.push((dir.join(GITIGNORE), IGNORED.to_owned()));
    files
}

/// Refuses to write if one of the files is there.
fn refuse_to_replace(files: &[(PathBuf, String)]) -> Result<(), Failure> {
    let taken: Vec<String> = files
        .iter()
        .filter(|(path, text)| std::fs::symlink_metadata(path).is_ok() && !may_stay(path, text))
        .map(|(path, _)| format!("`{}`", plain(path).display()))
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    let error = anyhow!("these files exist, so no file was written: {}", taken.join(", "));
    Err(Failure::usage(error).hint("choose another folder, or move these files away"))
}

/// Whether a file that is there serves as it is: a `.gitignore`, or the same JSON Schema.
fn may_stay(path: &Path, text: &str) -> bool {
    path.ends_with(GITIGNORE)
        || path.ends_with(JSON_SCHEMA) && regular::read_to_string(path).is_ok_and(|there| there == text)
}

/// Writes all files or none, and returns those that were not there.
fn write(files: &[(PathBuf, String)]) -> anyhow::Result<Vec<PathBuf>> {
    let mut sealed = Vec::new();
    let mut written = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| std::fs::symlink_metadata(path).is_err()) {
        let mut file = PendingFile::create(path)?;
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", path.display()))?;
        sealed.push(file.seal()?);
        written.push(path.clone());
    }
    publish_all(sealed)?;
    Ok(written)
}
