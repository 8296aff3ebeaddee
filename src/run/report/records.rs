//! What a report is made from: what this run and the ones before it left. Not a place for how it looks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Error;
use super::changes::Changes;
use crate::pipeline::StageName;
use crate::plan::Record;
use crate::regular;
use crate::run::events::{RunReport, StageReport, StageStatus};
use crate::run::history::History;
use crate::run::store::{Found, Store};
use crate::run::tail::tail;
use crate::stages::figures::TableFigures;
use crate::stages::{Fact, ReadFigures, kind};

/// The form of `run.json` that is read here.
const RUN_FORMAT: u64 = 1;
/// Runs that a sparkline covers, this one included.
const RUNS_SHOWN: usize = 10;
/// Runs that an error names.
const RUNS_NAMED: usize = 5;
/// Lines of a failed stage's log that are shown.
const LOG_LINES: usize = 20;
/// Warnings that are shown; of more only the number, so that a page stays a page.
const WARNINGS: usize = 200;

/// What a report is made from.
#[derive(Debug)]
pub(crate) struct Input {
    /// How the run ended.
    pub report: RunReport,
    /// How the runs before it ended, oldest first; those that cannot be read are left out.
    pub earlier: Vec<RunReport>,
    /// What the run warned of, besides its stages.
    pub warnings: Vec<String>,
    /// The last lines of the logs of the stages that failed.
    pub logs: BTreeMap<StageName, Vec<String>>,
    /// The tables that the run made or found up to date.
    pub tables: BTreeMap<StageName, Table>,
    /// What is known of the outputs as a whole, each with its stage.
    pub facts: Vec<(StageName, Fact)>,
    /// The records and logs in the folder of the run, by name.
    pub files: Vec<String>,
    /// The run before.
    pub before: Option<String>,
    /// The runs among those that the page names which have a page.
    pub pages: BTreeSet<String>,
}

/// What is known of a table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The table in numbers, or why there are none.
    pub figures: Result<TableFigures, String>,
    /// How it differs from the table of the generation before.
    pub changes: Option<Changes>,
    /// What the stage counted when it made the table.
    pub counted: Map<String, Value>,
}

impl Input {
    /// Reads what a run and the ones before it left.
    ///
    /// # Errors
    /// [`Error::History`]; [`Error::NoRun`], [`Error::Read`], [`Error::Form`] of the run itself.
    pub(crate) fn gather(store: &Store, run: &str) -> Result<Self, Error> {
        let mut runs = History::of(store)?.runs;
        runs.reverse();
        let Some(place) = runs.iter().position(|known| known == run) else {
            let newest = runs.into_iter().rev().take(RUNS_NAMED).collect();
            return Err(Error::NoRun { run: run.to_owned(), folder: store.path("runs"), newest });
        };
        let folder = store.path("runs").join(run);
        let report = read_report(&folder.join("run.json"))?;
        let mut earlier: Vec<RunReport> = runs[..place]
            .iter()
            .rev()
            .filter_map(|run| read_report(&store.path("runs").join(run).join("run.json")).ok())
            .take(RUNS_SHOWN - 1)
            .collect();
        earlier.reverse();
        let failed = report.stages.iter().filter(|stage| stage.status == StageStatus::Failed);
        let log = |stage: &StageReport| tail(&folder.join(format!("{}.log", stage.stage)), LOG_LINES);
        let logs = failed.map(|stage| (stage.stage.clone(), log(stage))).collect();
        let shown = report.stages.iter().filter_map(|stage| Some((stage, kind(&stage.kind)?.figures?)));
        let tables =
            shown.map(|(stage, read)| (stage.stage.clone(), table(store, run, stage, read))).collect();
        let before = place.checked_sub(1).map(|before| runs[before].clone());
        let named = report.stages.iter().filter_map(|stage| stage.kept.clone()).chain(before.clone());
        let pages = named.filter(|run| super::path(store, run).exists()).collect();
        let facts = report.stages.iter().flat_map(|stage| {
            let facts = kind(&stage.kind).map(|kind| (kind.facts)(&counted(store, stage)));
            facts.into_iter().flatten().map(|fact| (stage.stage.clone(), fact))
        });
        Ok(Self {
            warnings: warnings(&folder.join("events.jsonl")),
            facts: facts.collect(),
            files: files(&folder),
            before,
            pages,
            earlier,
            logs,
            tables,
            report,
        })
    }
}

fn read_report(path: &Path) -> Result<RunReport, Error> {
    let text = regular::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let form = |why: String| Error::Form { path: path.to_owned(), why };
    let json: Value = serde_json::from_slice(&text).map_err(|error| form(error.to_string()))?;
    match json.get("format").and_then(Value::as_u64) {
        Some(RUN_FORMAT) => serde_json::from_value(json).map_err(|error| form(error.to_string())),
        Some(other) => Err(form(format!("its format is {other}, this version reads {RUN_FORMAT}"))),
        None => Err(form("it has no format".to_owned())),
    }
}

/// What a stage counted when it made the output that it has now.
fn counted(store: &Store, stage: &StageReport) -> Map<String, Value> {
    if !stage.figures.is_empty() {
        return stage.figures.clone();
    }
    match (store.record(&stage.stage), &stage.digest) {
        (Found::Record(record), Some(digest)) if has_digest(&record, digest) => record.figures,
        _ => Map::new(),
    }
}

/// The records and logs in the folder of a run, in the order of their names.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_record = |name: &String| {
        let extension = Path::new(name).extension();
        !name.starts_with('.')
            && extension.is_some_and(|known| ["json", "jsonl", "log"].iter().any(|one| known == *one))
    };
    let mut files: Vec<String> = names.filter(is_record).collect();
    files.sort();
    files
}

/// The warnings among the events; lines that are none are passed over.
fn warnings(path: &Path) -> Vec<String> {
    let Ok(file) = regular::open(path) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let warnings = events.filter(|event| event["event"] == "warning");
    let mut messages = warnings.filter_map(|event| event["message"].as_str().map(str::to_owned));
    let mut shown: Vec<String> = messages.by_ref().take(WARNINGS).collect();
    let more = messages.count();
    if more > 0 {
        shown.push(format!("{more} more are in events.jsonl."));
    }
    shown
}

fn table(store: &Store, run: &str, stage: &StageReport, read: ReadFigures) -> Table {
    let counted = counted(store, stage);
    match current(store, stage) {
        Err(why) => Table { figures: Err(why), changes: None, counted },
        Ok(path) => Table {
            figures: read(&path).map_err(|error| {
                format!("The table cannot be read: {}", crate::errors::chain(&error).join(": "))
            }),
            changes: Changes::of(store, run, stage),
            counted,
        },
    }
}

/// The file of the table of a stage, or why it is not the one that the run made or found.
fn current(store: &Store, stage: &StageReport) -> Result<PathBuf, String> {
    let digest = stage.digest.as_ref().ok_or("The stage made no table in this run.")?;
    match store.record(&stage.stage) {
        Found::Record(record) if has_digest(&record, digest) => {}
        Found::Record(_) => return Err("A later run replaced the table of this run.".to_owned()),
        _ => return Err("The record of the table was removed, or cannot be read.".to_owned()),
    }
    let output = stage.output.as_deref().unwrap_or_default();
    let path = store.out_dir().join(output);
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("The table {output} was removed.")),
        _ => Ok(path),
    }
}

fn has_digest(record: &Record, digest: &str) -> bool {
    record.output.as_ref().is_some_and(|output| output.digest.to_string() == digest)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    #[test]
    fn runs_that_cannot_be_read_are_an_error_that_names_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        fs::create_dir(store.path("")).unwrap();
        fs::write(store.path("runs"), b"").unwrap();
        let error = Input::gather(&store, "20260302T061500Z").unwrap_err();
        let said = crate::errors::chain(&error).join(": ");
        let expected = format!("`{}` is a file, not a folder", store.path("runs").display());
        assert!(said.ends_with(&expected), "{said}");
    }

    #[test]
    fn warnings_that_are_too_many_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events.jsonl");
        let line = |k| format!("{{\"event\":\"warning\",\"message\":\"w{k}\"}}\n{{\"event\":\"x\"}}");
        let lines = |count: usize| (0..count).map(line).collect::<Vec<_>>().join("\n");
        fs::write(&events, lines(WARNINGS)).unwrap();
        assert_eq!(warnings(&events).last().unwrap(), "w199");
        fs::write(&events, lines(WARNINGS + 3)).unwrap();
        assert_eq!(warnings(&events)[WARNINGS - 1..], ["w199", "3 more are in events.jsonl."]);
    }

    #[test]
    fn a_table_without_its_record_is_not_one_of_a_later_run() {
        let folder = tempfile::tempdir().unwrap();
        let stage: StageReport = serde_json::from_value(serde_json::json!({
            "stage": "ssobject", "kind": "build-ssobject", "status": "done", "reasons": [], "rows": 1, "bytes": 1,
            "digest": "d", "started_after": 0.0, "seconds": 1.0, "figures": {}, "warnings": [], "errors": [],
            "check_failed": false, "kept": null, "blocked_by": [], "output": "ssobject.parquet",
        }))
        .unwrap();
        let read: ReadFigures = |_| unreachable!("there is no record");
        let found = table(&Store::new(folder.path()), "run", &stage, read);
        assert_eq!(found.figures.unwrap_err(), "The record of the table was removed, or cannot be read.");
    }
}
