//! `ssp-run status`: each stage in the last run and its last good output, without connecting to anything.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::cli::failure::{Exit, Failure};
use crate::lines::fit;
use crate::pipeline::{Pipeline, Stage, StageName, plain};
use crate::plan::Graph;
use crate::run::words::{count, period, size, state, thousands};
use crate::run::{
    Found, Generations, History, Lock, RunReport, RunStatus, StageReport, StageStatus, Store, job_counts,
    output_bytes,
};

use super::records::{ended, find_noted};
use super::{json as pretty, print, refused};

/// A stage, what the last run did with it, and its last good output.
struct Standing<'a> {
    stage: &'a Stage,
    last: Option<&'a StageReport>,
    found: &'a Found,
    /// Why the next run would make the output again, as far as the records tell.
    stale: Option<String>,
}

/// Prints the state of all stages; the exit code is 1 if the last run failed.
pub(super) fn status(pipeline: &Pipeline, graph: &Graph, as_json: bool) -> Result<Exit, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let last = find_noted(&history, "latest").map(|run| (run, history.report(run)));
    let running = Lock::holder(&store.path("lock"));
    let report = last.as_ref().and_then(|(_, report)| report.as_ref());
    let records: Vec<Found> = graph.ids().map(|id| store.record(&graph.stage(id).name)).collect();
    let stages = standings(graph, &records, report);
    let jobs = job_counts(&store);
    let orphans = store.orphans(graph).unwrap_or_default();
    let generations = Generations::of(&store).map_err(refused)?;
    // A run in progress says nothing yet: the one before it counts.
    let is_over = |report: &RunReport| report.status != RunStatus::Running;
    let failed = history.reports().find(is_over).is_some_and(|report| report.status != RunStatus::Done);
    if as_json {
        let status = json!({
            "format": 1, "running": running, "last_run": report, "failed": failed,
            "stages": stages.iter().map(Standing::json).collect::<Vec<_>>(),
            "orphans": orphans.iter().map(|record| &record.stage).collect::<Vec<_>>(),
            "generations": generations.runs, "current": generations.current(),
            "jobs": jobs.iter().cloned().collect::<BTreeMap<_, _>>(),
        });
        print(&pretty(&status)?);
    } else {
        let mut text = String::new();
        if let Some(holder) = running {
            let _ = writeln!(text, "running  {holder}");
        }
        for (stage, counts) in &jobs {
            let _ = writeln!(text, "{}", fit(&format!("jobs     {stage}"), [counts.to_string()], 9));
        }
        let _ = match &last {
            None => writeln!(text, "no runs yet in `{}`", plain(&pipeline.out_dir).display()),
            Some((run, None)) => writeln!(text, "last run {run}: its report cannot be read"),
            Some((run, Some(report))) => writeln!(text, "last run {run}: {}", ended(report)),
        };
        text += &in_words(pipeline, &stages);
        text += &of_the_database(&records);
        for orphan in &orphans {
            let what = orphan.output.as_ref().map(|output| format!(" of {}", output.path.display()));
            let head = format!("orphan   {}", orphan.stage);
            let parts = [
                format!("no stage of the pipeline file makes this output{}", what.unwrap_or_default()),
                "to remove it: ssp-run gc --orphans".to_owned(),
            ];
            let _ = writeln!(text, "{}", fit(&head, parts, 9));
        }
        if let Some(current) = generations.current() {
            let number = count(generations.runs.len(), "generation");
            let _ = writeln!(text, "kept     {number}, current: {current}");
        }
        print(&text);
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn standings<'a>(graph: &'a Graph, records: &'a [Found], report: Option<&'a RunReport>) -> Vec<Standing<'a>> {
    let mut made = HashMap::new();
    let mut stale: Vec<&StageName> = Vec::new();
    let mut stages = Vec::with_capacity(graph.len());
    for (id, found) in graph.ids().zip(records) {
        let stage = graph.stage(id);
        let last = report.and_then(|report| report.stages.iter().find(|last| last.stage == stage.name));
        let why = match found {
            Found::Record(record) => {
                made.extend(record.output.as_ref().map(|output| (stage.name.as_str(), output.digest)));
                let outdated = record.outdated_input(stage, |name| made.get(name).copied());
                let behind = graph.upstream(id).iter().map(|id| &graph.stage(*id).name);
                let behind = behind.clone().find(|name| stale.contains(name));
                outdated
                    .map(|input| format!("stale: made from an earlier {input}"))
                    .or_else(|| behind.map(|input| format!("stale: {input} is stale")))
            }
            _ => None,
        };
        stale.extend(why.is_some().then_some(&stage.name));
        stages.push(Standing { stage, last, found, stale: why });
    }
    stages
}

impl Standing<'_> {
    fn json(&self) -> Value {
        let record = if let Found::Record(record) = self.found { Some(record) } else { None };
        json!({
            "stage": self.stage.name, "kind": self.stage.kind.name, "last_run": self.last, "record": record,
            "stale": self.stale,
        })
    }
}

fn in_words(pipeline: &Pipeline, stages: &[Standing<'_>]) -> String {
    let mut text = String::new();
    let width = stages.iter().map(|standing| standing.stage.name.as_str().len()).max().unwrap_or(0);
    for Standing { stage, last, found, stale } in stages {
        let word = last.map_or("", |last| state(last.status));
        let head = format!("  {word:<10} {:<width$}", stage.name);
        let mut parts = good(pipeline, found);
        parts.extend(stale.clone());
        let _ = writeln!(text, "{}", fit(&head, parts, 13).trim_end());
        match last {
            Some(last) if last.status == StageStatus::Failed => {
                for (depth, error) in last.errors.iter().take(6).enumerate() {
                    let head = if depth == 0 { "             cause" } else { "                  " };
                    let _ = writeln!(text, "{}", fit(head, error.lines().next(), 20));
                }
            }
            Some(last) if last.status == StageStatus::Blocked && !last.blocked_by.is_empty() => {
                let names: Vec<&str> = last.blocked_by.iter().map(StageName::as_str).collect();
                let _ = writeln!(text, "{}", fit("             by", [names.join(", ")], 17));
            }
            _ => {}
        }
    }
    text
}

/// The last good output, in parts of a line.
fn good(pipeline: &Pipeline, found: &Found) -> Vec<String> {
    let record = match found {
        Found::Record(record) => record,
        Found::Nothing => return vec!["never run".to_owned()],
        Found::Unreadable(why) => {
            return vec![format!("its record cannot be read, so the stage runs again: {why}")];
        }
    };
    let mut parts = Vec::new();
    if let Some(output) = &record.output {
        parts.push(format!("{:>9} rows {:>7}", thousands(output.rows), size(output.bytes)));
    }
    parts.push(format!("good {} ago", age(record.finished)));
    if let Some(output) = &record.output {
        match output_bytes(output, &pipeline.out_dir.join(&output.path)) {
            Ok(bytes) if bytes == output.bytes => {}
            Ok(_) | Err(_) if output.parts.is_some() => {
                parts.push("but a part has changed or is missing".to_owned());
            }
            Ok(_) => parts.push("but the size of the file has changed".to_owned()),
            Err(_) => parts.push("but the file is missing".to_owned()),
        }
    }
    parts
}

/// How old the state of the database is that the exports show.
fn of_the_database(records: &[Found]) -> String {
    let taken = records.iter().filter_map(|found| match found {
        Found::Record(record) => Some(record.generation.as_ref()?.taken),
        _ => None,
    });
    taken.min().map_or_else(String::new, |taken| {
        format!("data     of the database at {} UTC, {} ago\n", taken.format("%Y-%m-%d %H:%M"), age(taken))
    })
}

fn age(time: DateTime<Utc>) -> String {
    period(Utc::now().signed_duration_since(time).to_std().unwrap_or_default().as_secs_f64())
}
