//! The margin of each check, failing ones marked. Not a place for what a failure means (see `failures`).

use maud::{Markup, html};

use crate::margin::{CheckResult, Margin};
use crate::run::events::{RunReport, StageReport, StageStatus};

use super::text::breakable;

/// The table of checks, or nothing if there were none.
pub(super) fn section(report: &RunReport) -> Markup {
    let checked: Vec<&StageReport> = report.stages.iter().filter(|stage| !stage.checks.is_empty()).collect();
    let is_earlier = checked.iter().any(|stage| stage.status == StageStatus::UpToDate);
    html! {
        @if !checked.is_empty() {
            section id="margins" {
                h2 { "Checks" }
                table class="checks" {
                    caption {
                        "What each check found, and its limit"
                        @if is_earlier {
                            "; for an output that is up to date, the results of the run that made it, with the age of \
                            max_lag in this run"
                        }
                    }
                    thead { tr {
                        th scope="col" { "Stage" } th scope="col" { "Check" } th scope="col" { "Margin" } th scope="col" { "Result" }
                    } }
                    @for stage in checked {
                        tbody {
                            @for (index, margin) in stage.checks.iter().enumerate() {
                                tr class=(class(margin.result)) {
                                    @if index == 0 {
                                        th scope="rowgroup" rowspan=(stage.checks.len()) { (breakable(stage.stage.as_str())) }
                                    }
                                    (cells(margin))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cells(margin: &Margin) -> Markup {
    html! {
        td {
            code { (breakable(&margin.check)) }
            @if let Some(subject) = &margin.subject { span class="subject" { (breakable(subject)) } }
        }
        td { (margin.margin) }
        td { span class="word" { (margin.result.word()) } }
    }
}

fn class(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Passed => "s-done",
        CheckResult::Skipped => "s-idle",
        CheckResult::Warning => "s-blocked",
        CheckResult::Failed => "s-failed",
    }
}
