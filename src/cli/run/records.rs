//! `ssp-run history`, `log`, `report` and `gc`: what the records say, without running or connecting to anything.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::durable;
use crate::errors;
use crate::monitor::Monitor;
use crate::pipeline::{Pipeline, did_you_mean, plain};
use crate::plan::Graph;
use crate::regular;
use crate::run::words::{count, counts, period};
use crate::run::{
    Found, Generations, History, Lock, RunReport, RunStatus, Store, expendable, fits, prune, report,
};

use super::stages::stage_of;
use super::{print, refused};

/// How a run ended, in a few words.
pub(super) fn ended(report: &RunReport) -> String {
    match report.status {
        RunStatus::Running => return "running".to_owned(),
        RunStatus::Killed => return "killed (no exit record)".to_owned(),
        _ => {}
    }
    if let Some(generation) = report.rolled_back_to.as_ref().filter(|_| report.status == RunStatus::Done) {
        return format!("rolled back to generation {generation}, {}", count(report.stages.len(), "stage"));
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
    if history.runs.is_empty() {
        say(format_args!("no runs yet in `{}`\n", plain(&pipeline.out_dir).display()));
    }
    for run in history.runs.iter().take(number) {
        let _ = match (history.report(run), as_json) {
            (Some(report), true) => {
                let line = serde_json::to_string(&report).map_err(Failure::fault)?;
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
        // A run begins with the year.
        (Some(name), None) if name != "latest" && !name.starts_with(|c: char| c.is_ascii_digit()) => {
            let hint = did_you_mean(&name, graph.ids().map(|id| graph.stage(id).name.as_str()));
            let error = anyhow!("`{name}` is neither a stage nor the beginning of the id of a run{hint}");
            return Err(Failure::usage(error).hint("ssp-run history prints the ids of the runs"));
        }
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
        .map_err(Failure::fault)?;
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    let name = |path: &std::path::PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    if let Some(stage) = &stage {
        logs.retain(|path| name(path).as_ref() == Some(stage));
        if logs.is_empty() {
            // The log of an earlier stage can be there, but a stage of the file need not have one.
            stage_of(graph, stage)?;
            let error = anyhow!("run {id} has no log of `{stage}`");
            return Err(Failure::usage(error).hint("a stage that was up to date has no log"));
        }
    }
    let mut text = format!("run {id}\n");
    if stage.is_none() {
        let errors = history.report(id).map(|report| report.errors).unwrap_or_default();
        errors.iter().flat_map(|error| error.lines()).for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    for path in &logs {
        let bytes = regular::read(path)
            .with_context(|| format!("cannot read `{}`", path.display()))
            .map_err(Failure::fault)?;
        let _ = writeln!(text, "\n{}", name(path).unwrap_or_default());
        // A hook can write anything.
        String::from_utf8_lossy(&bytes).lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    Ok(text)
}

/// The run that is meant. Where the link `latest` does not lead to the run of the latest name, a note says so: a clock was set
/// back, or the link could not be changed.
pub(super) fn find_noted<'a>(history: &'a History, run: &str) -> Option<&'a str> {
    let found = history.find(run)?;
    if let Some(newest) = history.runs.first().filter(|newest| run == "latest" && *newest != found) {
        say(format_args!(
            "note: the link `latest` points to run {found}, but run {newest} has a later name\n"
        ));
    }
    Some(found)
}

/// Prints the path of a run's report page, written again if it is missing, and opens the page if that is asked for.
pub(super) fn report(pipeline: &Pipeline, run: &str, open: bool) -> Result<Exit, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let run = find(&history, run)?;
    let mut path = report::path(&store, run);
    if !path.exists() {
        path = report::write(&store, run).map_err(Failure::fault)?;
    }
    print(&format!("{}\n", plain(&path).display()));
    if open {
        open::that_detached(&path).map_err(|_| {
            Failure::fault(anyhow!("no browser can be started on this machine"))
                .hint("copy the printed file to a machine with a browser, and open it there")
        })?;
    }
    Ok(Exit::Done)
}

/// The run that is meant.
fn find<'a>(history: &'a History, run: &str) -> Result<&'a str, Failure> {
    find_noted(history, run).ok_or_else(|| {
        if history.runs.is_empty() {
            return Failure::usage(anyhow!("no runs yet"));
        }
        let newest: Vec<&str> = history.runs.iter().take(5).map(String::as_str).collect();
        let some = history.runs.iter().any(|known| fits(known, run));
        let why = if some {
            format!("more than one run begins with `{run}`")
        } else {
            format!("there is no run `{run}`")
        };
        Failure::usage(anyhow!(why)).hint(format!("the newest runs are {}", newest.join(", ")))
    })
}

/// The flags of `gc`.
pub(super) struct Garbage {
    /// How many runs to keep.
    pub keep: usize,
    /// How many generations to keep; `None`: `keep` of the pipeline file.
    pub generations: Option<usize>,
    /// Whether to remove outputs of stages that are not in the pipeline file.
    pub orphans: bool,
    /// Whether to print only what would be removed.
    pub dry_run: bool,
}

/// Removes the records of old runs, old generations, and outputs that no stage makes.
pub(super) fn gc(pipeline: &Pipeline, graph: &Graph, garbage: &Garbage) -> Result<String, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let dry_run = garbage.dry_run;
    let lock = if dry_run {
        None
    } else {
        Some(Lock::take(&store.path("lock"), Duration::ZERO, &Monitor::default()).map_err(refused)?)
    };
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    let orphans = if garbage.orphans { store.orphans(graph).map_err(refused)? } else { Vec::new() };
    for orphan in orphans {
        let is_removed = if dry_run {
            store.is_removable(graph, &orphan)
        } else {
            store.remove_orphan(graph, &orphan).map_err(refused)?
        };
        let left = if dry_run { ", its file is left" } else { ", its file was left" };
        let what = match &orphan.output {
            None => String::new(),
            Some(output) if is_removed => format!(", with `{}`", output.path.display()),
            Some(_) => left.to_owned(),
        };
        let _ = writeln!(text, "{verb} the record of `{}`{what}", orphan.stage);
    }
    let mut generations = Generations::of(&store).map_err(refused)?;
    if let Some(keep) = garbage.generations.or(pipeline.keep.map(|keep| keep as usize)) {
        let old = if dry_run {
            generations.expendable(keep)
        } else {
            prune(&store, graph, keep).map_err(refused)?
        };
        for run in &old {
            let _ = writeln!(text, "{verb} generation {run}");
        }
        generations.runs.retain(|run| !old.contains(run));
    }
    for folder in expendable(store.out_dir(), &store.recorded()) {
        if let Some(error) = (!dry_run).then(|| durable::remove_folder(&folder).err()).flatten() {
            let why = errors::chain(&error).join(": ");
            say(format_args!("warning: old parts are kept: {why}\n"));
            continue;
        }
        let _ = writeln!(text, "{verb} the old parts `{}`", plain(&folder).display());
    }
    let history = History::of(&store).map_err(refused)?;
    let mut standing: BTreeSet<String> = generations.runs.iter().cloned().collect();
    for id in graph.ids() {
        if let Found::Record(record) = store.record(&graph.stage(id).name) {
            standing.extend([record.run, record.written_by]);
        }
    }
    let expendable = history.expendable(garbage.keep, &standing);
    for run in expendable.iter().filter(|_| !dry_run) {
        durable::remove_folder(&history.folder(run)).map_err(Failure::fault)?;
    }
    if let Some(lock) = lock {
        report::write_index(&store).map_err(Failure::fault)?;
        lock.release().map_err(refused)?;
    }
    text.extend(expendable.iter().flat_map(|run| [verb, " ", run, "\n"]));
    let (gone, kept) = (count(expendable.len(), "run"), history.runs.len() - expendable.len());
    let _ = writeln!(text, "{verb} the records of {gone}, {kept} kept");
    Ok(text)
}
