//! `ssp-run explain`: why a stage runs, with old and new values, and for an input the runs that made it.

use std::fmt::Write as _;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure};
use crate::cli::signals::Signals;
use crate::environment::Environment;
use crate::lines::fit;
use crate::pipeline::StageName;
use crate::plan::{Choice, Reason, ReasonCode, StagePlan, Verdict, select};
use crate::run::{History, Request, Store, explain};

use super::flags::PipelineFlags;
use super::stages::{stage_of, stages};
use super::{json, load, print, refused, stopped_or_refused};

/// Prints why a stage would run, or that it would not.
pub(super) fn explain_stage(
    name: &str,
    flags: &PipelineFlags,
    as_json: bool,
    environment: &Environment,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let (pipeline, graph) = load(flags, environment)?;
    if name.starts_with('+') || name.ends_with('+') {
        let error = anyhow!("`explain` takes the name of one stage, without `+`: `{name}`");
        return Err(Failure::usage(error).hint(stages(&graph)));
    }
    stage_of(&graph, name)?;
    let stages = [name.to_owned()];
    let selection =
        select(&graph, &Choice { stages: &stages, ..Choice::default() }).map_err(Failure::usage)?;
    signals.defer();
    let request = Request {
        monitor: signals.monitor().clone(),
        ..Request::new(&pipeline, &graph, &selection, environment)
    };
    let plan = explain(&request, true).map_err(|error| stopped_or_refused(error, signals))?;
    let Some(stage) = plan.stages.iter().find(|stage| stage.stage.as_str() == name) else {
        return Ok(Exit::Done);
    };
    let history = History::of(&Store::new(&pipeline.out_dir)).map_err(refused)?;
    let text = if as_json { json(&with_makers(stage, &history)?)? } else { in_words(stage, &history) };
    Ok(print(&text))
}

/// The runs that first made what an input was and what it is, as far as they are known.
fn makers(reason: &Reason, history: &History) -> [Option<String>; 2] {
    let stage = reason.subject.as_deref().filter(|_| reason.code == ReasonCode::InputChanged);
    [&reason.old, &reason.new].map(|digest| history.made(stage?, digest.as_deref()?))
}

/// The stage's part of the plan with `old_made_by` and `new_made_by` at the reasons where they are known.
fn with_makers(plan: &StagePlan, history: &History) -> Result<serde_json::Value, Failure> {
    let mut json = serde_json::to_value(plan).map_err(Failure::fault)?;
    if let (Verdict::Run { reasons }, Some(told)) = (&plan.verdict, json["reasons"].as_array_mut()) {
        for (reason, told) in reasons.iter().zip(told) {
            for (key, run) in ["old_made_by", "new_made_by"].iter().zip(makers(reason, history)) {
                if let Some(run) = run {
                    told[key] = run.into();
                }
            }
        }
    }
    Ok(json)
}

fn in_words(plan: &StagePlan, history: &History) -> String {
    let incremental = plan.incremental.as_ref().map_or_else(String::new, |text| fit("", [text], 2) + "\n");
    verdict_in_words(plan, history) + &incremental
}

fn verdict_in_words(plan: &StagePlan, history: &History) -> String {
    let name = &plan.stage;
    let reasons = match &plan.verdict {
        Verdict::UpToDate => {
            let since = plan.since.as_ref().map_or_else(String::new, |since| format!(" since {since}"));
            return format!("{name} is up to date{since}\n");
        }
        Verdict::Maybe { after } => {
            let names: Vec<&str> = after.iter().map(StageName::as_str).collect();
            let line = format!("{name} runs if the output of {} changes", names.join(" or "));
            return fit("", [line], 2).trim_start().to_owned() + "\n";
        }
        Verdict::Broken { message } => return format!("{name} cannot run: {message}\n"),
        Verdict::Run { reasons } => reasons,
    };
    let mut text = format!("{name} runs:\n");
    for reason in reasons {
        let subject = reason.subject.as_ref().map_or_else(String::new, |subject| format!(": {subject}"));
        let _ = writeln!(text, "  {}{subject}", reason.code);
        let values = [("old", &reason.old), ("new", &reason.new)];
        for ((word, value), run) in values.into_iter().zip(makers(reason, history)) {
            if let Some(value) = value {
                let run = run.map(|run| format!("made by run {run}"));
                let head = format!("    {word}");
                let line = if value.contains('\n') {
                    format!("{head}  {}", value.replace('\n', "\n         "))
                } else {
                    fit(&head, [value.clone()].into_iter().chain(run), 9)
                };
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}
