//! `ssp-run generations` and `rollback`: the complete nights that are kept, and one of them put back.

use std::fmt::Write as _;

use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::pipeline::{Pipeline, StageName, plain};
use crate::plan::Graph;
use crate::run::words::{count, size, thousands};
use crate::run::{Generations, Refusal, Rollback, RolledBack, RunReport, StageStatus, Store, rollback};

use super::stages::stage_of;
use super::{json, print, refused};

/// Prints the generations, newest first, each with the bytes that no other file shares.
pub(super) fn generations(pipeline: &Pipeline, as_json: bool) -> Result<Exit, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let kept = Generations::of(&store).map_err(refused)?;
    let described: Vec<_> =
        kept.runs.iter().map(|run| kept.describe(run)).collect::<Result<_, _>>().map_err(refused)?;
    if as_json {
        return Ok(print(&json(&described)?));
    }
    let mut text = String::new();
    for generation in &described {
        let _ = writeln!(
            text,
            "{} {:<20}  {:>9}  {:>7}  removing it frees {:>7}",
            if generation.current { '*' } else { ' ' },
            generation.run,
            count(generation.outputs, "file"),
            size(generation.bytes),
            size(generation.own_bytes),
        );
        for path in &generation.damaged {
            let _ = writeln!(
                text,
                "    damaged: {path} is missing or has been changed; roll back to another one"
            );
        }
    }
    if described.is_empty() {
        text += "no generation is kept; add `keep: 7` to the pipeline file to keep seven\n";
    } else {
        let folder = plain(&kept.folder("current"));
        let _ = writeln!(text, "* = current: read its files through {}", folder.display());
    }
    Ok(print(&text))
}

/// Puts a generation back. A first argument that names a stage is one.
pub(super) fn put_back(
    pipeline: &Pipeline,
    graph: &Graph,
    mut names: Vec<String>,
    dry_run: bool,
    as_json: bool,
) -> Result<Exit, Failure> {
    let run = names.first().is_some_and(|name| graph.find(name).is_none()).then(|| names.remove(0));
    let find = |name: &String| stage_of(graph, name).map(|id| graph.stage(id).name.clone());
    let stages: Vec<StageName> = names.iter().map(find).collect::<Result<_, _>>()?;
    let asked = Rollback { run: run.as_deref(), stages: &stages, dry_run };
    let rolled_back = rollback(pipeline, graph, asked).map_err(|refusal| match refusal {
        Refusal::Failed(error) => refused(error),
        refusal @ Refusal::Damaged { .. } => Failure::fault(refusal)
            .hint("no output was replaced; name another generation: ssp-run generations marks damaged ones"),
        refusal => Failure::usage(refusal),
    })?;
    let RolledBack { report, finished, warnings } = rolled_back;
    for warning in warnings {
        say(format_args!("warning: {warning}\n"));
    }
    if as_json {
        return Ok(print(&json(&report)?));
    }
    if finished {
        let generation = report.rolled_back_to.as_deref().unwrap_or_default();
        say(format_args!("finished the rollback to {generation} that a killed command had begun\n"));
        return Ok(Exit::Done);
    }
    say(in_words(pipeline, &report, dry_run));
    Ok(Exit::Done)
}

fn in_words(pipeline: &Pipeline, report: &RunReport, dry_run: bool) -> String {
    let verb = if dry_run { "would roll back" } else { "rolled back" };
    let mut text = format!("{verb} to generation {}\n", report.rolled_back_to.as_deref().unwrap_or_default());
    let width = report.stages.iter().map(|stage| stage.stage.as_str().len()).max().unwrap_or(0);
    for stage in &report.stages {
        let word = if stage.status == StageStatus::Done { "put back" } else { "unchanged" };
        let _ = writeln!(
            text,
            "  {word:<9}  {:<width$}  {:>13} rows  {:>7}",
            stage.stage,
            stage.rows.map_or_else(String::new, thousands),
            stage.bytes.map_or_else(String::new, size),
        );
    }
    if dry_run {
        return text + "Dry run: no file was replaced.\n";
    }
    let records = plain(&pipeline.out_dir).join(".ssp/runs").join(&report.run);
    let _ = writeln!(text, "records {}", records.display());
    text + "The next run makes new outputs again. To keep these, pause the cron job first.\n"
}
