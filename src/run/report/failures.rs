//! What failed, why, what is kept and what to do: first on the page. Not a place for why stages ran.

use maud::{Markup, html};

use super::records::Input;
use super::text::run_link;
use crate::margin::{CheckResult, Margin};
use crate::pipeline::StageName;
use crate::run::events::{RunReport, RunStatus, StageReport, StageStatus};
use crate::run::history::time_of;
use crate::run::words::period;

/// The failures, or nothing if there are none.
pub(super) fn section(input: &Input) -> Markup {
    let report = &input.report;
    let with = |status| report.stages.iter().filter(move |stage| stage.status == status);
    let failed: Vec<&StageReport> = with(StageStatus::Failed).collect();
    let by_check: Vec<_> = failed.iter().filter(|stage| stage.check_failed).collect();
    let is_failed = |margin: &&Margin| margin.result == CheckResult::Failed;
    // Older records have no margins.
    let checks: usize =
        by_check.iter().map(|stage| stage.checks.iter().filter(is_failed).count().max(1)).sum();
    let (blocked, cancelled): (Vec<_>, Vec<_>) =
        (with(StageStatus::Blocked).collect(), with(StageStatus::Cancelled).collect());
    html! {
        @if report.status != RunStatus::Done {
            section id="failures" {
                h2 {
                    @if failed.is_empty() { "What was not done" } @else { "What failed" }
                }
                @if checks > 0 {
                    p id="checks" {
                        @if checks == 1 { "One check" } @else { (checks) " checks" }
                        " failed; "
                        @if by_check.len() == 1 { "the output was" } @else { "the outputs were" } " not published."
                    }
                }
                @if !report.errors.is_empty() {
                    article class="failure s-failed" {
                        h3 { "The run as a whole" }
                        ol class="chain" aria-label="Cause" { @for error in &report.errors { li { (error) } } }
                    }
                }
                @for stage in &failed { (failure(stage, input)) }
                @if !blocked.is_empty() {
                    p class="s-blocked" {
                        strong class="word" { "Blocked" } " " (names(&blocked)) ", because of " (causes(&blocked)) ". " (kept(&blocked))
                    }
                }
                @if !cancelled.is_empty() {
                    p class="s-blocked" { strong class="word" { "Cancelled" } " " (names(&cancelled)) ". " (kept(&cancelled)) }
                }
                (next(report, by_check.len() == failed.len() && checks > 0))
            }
        }
    }
}

fn failure(stage: &StageReport, input: &Input) -> Markup {
    let (log, run) = (input.logs.get(&stage.stage), &input.report.run);
    html! {
        article class="failure s-failed" {
            h3 { (stage.stage) " " small { (stage.kind) " · " @if stage.check_failed { "check failed" } @else { "failed" } " after " (period(stage.seconds)) } }
            ol class="chain" aria-label="Cause" {
                @for error in &stage.errors { li { (error) } }
                @if stage.errors.is_empty() { li { "The record names no cause; see the log." } }
            }
            p {
                @match (&stage.kept, &stage.output) {
                    (Some(kept), Some(output)) => { strong { "Kept" } " " code { (output) } " of run " (run_of(kept, input)) "." }
                    (Some(kept), None) => { strong { "Kept" } " the result of run " (run_of(kept, input)) "." }
                    (None, _) => { strong { "Kept" } " no output: the stage has no earlier one." }
                }
            }
            @if let Some(lines) = log && !lines.is_empty() {
                h4 { "End of " a href={ (stage.stage) ".log" } { code { ".ssp/runs/" (run) "/" (stage.stage) ".log" } } }
                pre tabindex="0" { @for line in lines { (line) "\n" } }
            }
        }
    }
}

/// A run with its time.
fn run_of(run: &str, input: &Input) -> Markup {
    let time = time_of(run).map(|time| time.format(" (%Y-%m-%d %H:%M UTC)").to_string());
    html! { (run_link(run, run, input)) (time.unwrap_or_default()) }
}

fn next(report: &RunReport, only_checks: bool) -> Markup {
    html! {
        p class="next" {
            strong { "Next" } " "
            @match report.status {
                RunStatus::CheckFailed | RunStatus::Failed if only_checks => {
                    "Look at the data that failed the check. Fix the source, or, if the data are right, change the \
                    check in the pipeline file. Then run "
                }
                RunStatus::Failed | RunStatus::CheckFailed => { "Fix the cause, then run " }
                RunStatus::Unreachable => { "Check that the server is up and that you can reach it from this \
                    machine, then run " }
                RunStatus::Running => { "Check whether the run is still running. If not, run " }
                _ => { "To finish, run " }
            }
            code { "ssp-run " (report.pipeline) }
            ". Only stages that are not up to date run again."
        }
    }
}

fn names(stages: &[&StageReport]) -> Markup {
    html! { @for (index, stage) in stages.iter().enumerate() { @if index > 0 { ", " } code { (stage.stage) } } }
}

fn causes(blocked: &[&StageReport]) -> String {
    let mut causes: Vec<&str> =
        blocked.iter().flat_map(|stage| &stage.blocked_by).map(StageName::as_str).collect();
    causes.sort_unstable();
    causes.dedup();
    if causes.is_empty() { "a stage that they need".to_owned() } else { causes.join(", ") }
}

fn kept(stages: &[&StageReport]) -> &'static str {
    match stages.iter().filter(|stage| stage.kept.is_some()).count() {
        0 => "They have no earlier outputs.",
        n if n == stages.len() => "Their last good outputs are kept.",
        _ => "Earlier outputs are kept, where they exist.",
    }
}
