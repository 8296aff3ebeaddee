//! `ssp-run status`, `history`, `log` and `gc`: what the records say, without running or connecting to anything.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use chrono::Utc;
use serde_json::json;

use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::durable;
use crate::monitor::Monitor;
use crate::pipeline::{Pipeline, did_you_mean, plain};
use crate::plan::Graph;
use crate::regular;
use crate::run::words::{count, counts, period, size, thousands};
use crate::run::{Found, History, Lock, RunReport, RunStatus, Store};

use super::refused;

/// Each stage's last good output, the last run, and a run that goes on.
pub(super) fn status(pipeline: &Pipeline, graph: &Graph, as_json: bool) -> Result<String, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let last = find_noted(&history, "latest").map(|run| (run, history.report(run)));
    let running = Lock::holder(&store.path("lock"));
    let mut stages = Vec::new();
    for id in graph.ids() {
        let stage = graph.stage(id);
        stages.push((stage, store.record(&stage.name)));
    }
    if as_json {
        let stages: Vec<_> = stages
            .iter()
            .map(|(stage, found)| {
                let record = if let Found::Record(record) = found { Some(record) } else { None };
                json!({"stage": stage.name, "kind": stage.kind.name, "record": record})
            })
            .collect();
        let last = last.and_then(|(_, report)| report);
        let status = json!({"format": 1, "running": running, "last_run": last, "stages": stages});
        return serde_json::to_string_pretty(&status)
            .map(|text| text + "\n")
            .map_err(|error| Failure::new(Exit::Failed, error));
    }
    let mut text = String::new();
    if let Some(holder) = running {
        let _ = writeln!(text, "running  {holder}");
    }
    let _ = match last {
        None => writeln!(text, "no runs yet in `{}`", plain(&pipeline.out_dir).display()),
        Some((run, None)) => writeln!(text, "last run {run}: its report cannot be read"),
        Some((run, Some(report))) => writeln!(text, "last run {run}: {}", ended(&report)),
    };
    let width = stages.iter().map(|(stage, _)| stage.name.as_str().len()).max().unwrap_or(0);
    let kinds = stages.iter().map(|(stage, _)| stage.kind.name.len()).max().unwrap_or(0);
    for (stage, found) in &stages {
        let line =
            format!("  {:<width$}  {:<kinds$}  {}", stage.name, stage.kind.name, standing(pipeline, found));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    Ok(text)
}

fn standing(pipeline: &Pipeline, found: &Found) -> String {
    let record = match found {
        Found::Record(record) => record,
        Found::Nothing => return "never run".to_owned(),
        Found::Unreadable(why) => {
            return format!("its record cannot be read, so the stage runs again: {why}");
        }
    };
    let age = Utc::now().signed_duration_since(record.finished).to_std().unwrap_or_default();
    let age = period(age.as_secs_f64());
    let Some(output) = &record.output else { return format!("good {age} ago, of run {}", record.written_by) };
    let gone = match fs::metadata(pipeline.out_dir.join(&output.path)) {
        Ok(metadata) if metadata.len() == output.bytes => "",
        Ok(_) => "   but the size of the file has changed",
        Err(_) => "   but the file is missing",
    };
    format!(
        "{:>13} rows  {:>8}   good {} ago, of run {}{gone}",
        thousands(output.rows),
        size(output.bytes),
        age,
        record.written_by,
    )
}

/// How a run ended, in a few words.
fn ended(report: &RunReport) -> String {
    match report.status {
        RunStatus::Running => return "running".to_owned(),
        RunStatus::Killed => return "killed (no exit record)".to_owned(),
        _ => {}
    }
    let mut words = vec![report.status.to_string().replace('_', " ")];
    words.extend(Some(counts(&report.stages)).filter(|counts| !counts.is_empty()));
    if let Some(error) = report.errors.first() {
        words.push(error.lines().next().unwrap_or_default().to_owned());
    }
    format!("{} after {}", words.join(", "), period(report.seconds))
}

/// Earlier runs, newest first.
pub(super) fn history(pipeline: &Pipeline, number: usize, as_json: bool) -> Result<String, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let mut text = String::new();
    for run in history.runs.iter().take(number) {
        let _ = match (history.report(run), as_json) {
            (Some(report), true) => {
                let line =
                    serde_json::to_string(&report).map_err(|error| Failure::new(Exit::Failed, error))?;
                writeln!(text, "{line}")
            }
            (Some(report), false) => writeln!(text, "{run:<20}  {}", ended(&report)),
            (None, true) => Ok(()),
            (None, false) => writeln!(text, "{run:<20}  no readable report"),
        };
    }
    Ok(text)
}

/// The logs of a run, or of one of its stages. A first argument that names a stage is one.
pub(super) fn log(
    pipeline: &Pipeline,
    graph: &Graph,
    run: Option<String>,
    stage: Option<String>,
) -> Result<String, Failure> {
    let (run, stage) = match (run, stage) {
        (Some(name), None) if graph.find(&name).is_some() => ("latest".to_owned(), Some(name)),
        (run, stage) => (run.unwrap_or_else(|| "latest".to_owned()), stage),
    };
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let id = find(&history, &run)?;
    let folder = history.folder(id);
    let mut logs: Vec<_> = fs::read_dir(&folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot read `{}`", folder.display()))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let name = |path: &std::path::PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    if let Some(stage) = &stage {
        let names: Vec<String> = logs.iter().filter_map(name).collect();
        logs.retain(|path| name(path).as_ref() == Some(stage));
        if logs.is_empty() {
            let hint = did_you_mean(stage, names.iter().map(String::as_str));
            let error = anyhow!("run {id} has no log of `{stage}`{hint}");
            return Err(Failure::new(Exit::Usage, error).hint("a stage that was up to date has no log"));
        }
    }
    let mut text = format!("run {id}\n");
    for path in &logs {
        let lines = regular::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        let _ = writeln!(text, "\n{}", name(path).unwrap_or_default());
        lines.lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    Ok(text)
}

/// The run that is meant. Where the link `latest` does not lead to the run of the latest name, a note says so: a clock was set
/// back, or the link could not be changed.
fn find_noted<'a>(history: &'a History, run: &str) -> Option<&'a str> {
    let found = history.find(run)?;
    if let Some(newest) = history.runs.first().filter(|newest| run == "latest" && *newest != found) {
        say(format_args!(
            "note: the link `latest` points to run {found}, but run {newest} has a later name\n"
        ));
    }
    Some(found)
}

/// The run that is meant.
pub(super) fn find<'a>(history: &'a History, run: &str) -> Result<&'a str, Failure> {
    find_noted(history, run).ok_or_else(|| {
        let newest: Vec<&str> = history.runs.iter().take(5).map(String::as_str).collect();
        let some = history.runs.iter().any(|known| known.starts_with(run));
        let why = if some {
            format!("more than one run begins with `{run}`")
        } else {
            format!("there is no run `{run}`")
        };
        let failure = Failure::new(Exit::Usage, anyhow!(why));
        match newest.as_slice() {
            [] => failure.hint("no runs yet"),
            newest => failure.hint(format!("the newest runs are {}", newest.join(", "))),
        }
    })
}

/// Removes the records of old runs.
pub(super) fn gc(pipeline: &Pipeline, graph: &Graph, keep: usize, dry_run: bool) -> Result<String, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let lock = if dry_run {
        None
    } else {
        Some(Lock::take(&store.path("lock"), Duration::ZERO, &Monitor::default()).map_err(refused)?)
    };
    let history = History::of(&store).map_err(refused)?;
    let mut standing = BTreeSet::new();
    for id in graph.ids() {
        if let Found::Record(record) = store.record(&graph.stage(id).name) {
            standing.extend([record.run, record.written_by]);
        }
    }
    let expendable = history.expendable(keep, &standing);
    for run in expendable.iter().filter(|_| !dry_run) {
        durable::remove_folder(&history.folder(run)).map_err(|error| Failure::new(Exit::Failed, error))?;
    }
    if let Some(lock) = lock {
        lock.release().map_err(refused)?;
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text: String = expendable.iter().flat_map(|run| [verb, " ", run, "\n"]).collect();
    let (gone, kept) = (count(expendable.len(), "run"), history.runs.len() - expendable.len());
    let _ = writeln!(text, "{verb} the records of {gone}, {kept} kept");
    Ok(text)
}
