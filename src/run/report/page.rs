//! The page as a whole: what comes first, and the classes of states. Not a place for its sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::dag::{self, Node};
use super::records::Input;
use super::text::{breakable, run_link, state};
use super::{checks, failures, outputs, reasons, tables, timeline};
use crate::pipeline::StageName;
use crate::run::events::{RunReport, RunStatus, StageStatus};
use crate::run::words::{self, period, size};

const STYLE: &str = concat!(include_str!("colors.css"), include_str!("dag.css"), include_str!("page.css"));
/// Nothing from elsewhere, and no scripts at all.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

pub(super) fn run_state(report: &RunReport) -> (&'static str, &'static str, &'static str) {
    let nothing_ran = report.stages.iter().all(|stage| stage.status == StageStatus::UpToDate);
    match report.status {
        RunStatus::Done if report.rolled_back_to.is_some() => {
            ("s-done", "Rolled back", "The outputs of an earlier run were put back.")
        }
        RunStatus::Done if nothing_ran && !report.stages.is_empty() => {
            ("s-done", "Up to date", "No stage had to run.")
        }
        RunStatus::Done => ("s-done", "Done", "Every output is up to date."),
        RunStatus::Failed => {
            ("s-failed", "Failed", "Some outputs are not up to date; the last good ones are kept.")
        }
        RunStatus::CheckFailed => {
            ("s-failed", "Check failed", "An output did not pass its checks; the last good one is kept.")
        }
        RunStatus::Interrupted => {
            ("s-blocked", "Interrupted", "The run was told to stop; the last good outputs are kept.")
        }
        RunStatus::Unreachable => (
            "s-failed",
            "Not reached",
            "A database, a repository, an object store or Slurm could not be reached; the last good outputs are kept.",
        ),
        RunStatus::Running => ("s-blocked", "Running", "The run is still running, or was killed."),
        RunStatus::Killed => {
            ("s-failed", "Killed", "The run was killed (no exit record); the last good outputs are kept.")
        }
    }
}

/// The head of a page.
pub(super) fn head(title: &Markup, style: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="referrer" content="no-referrer";
            title { (title) }
            style { (PreEscaped(style)) }
        }
    }
}

/// The report of a run as an HTML page.
pub(crate) fn page(input: &Input) -> String {
    let report = &input.report;
    let (class, word, sentence) = run_state(report);
    let warned = !input.warnings.is_empty() || report.stages.iter().any(|stage| !stage.warnings.is_empty());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&html! { (word) " · " (name(report)) " · run " (report.run) }, STYLE))
            body {
                header class=(class) {
                    p class="over" {
                        "Run " (report.run) " · " a href="../index.html" { "all runs" }
                        @if let Some(before) = &input.before { " · " (run_link("run before", before, input)) }
                    }
                    h1 { span class="status" { (word) } " " span class="pipeline" { (breakable(name(report))) } }
                    @if !report.name.is_empty() { p class="file" { code { (breakable(&report.pipeline)) } } }
                    p class="sentence" { (sentence) " " (counts(report)) }
                    (facts(input))
                }
                main {
                    (failures::section(input))
                    @if !report.stages.is_empty() {
                        section id="stages" {
                            h2 { "Stages" }
                            div class="wide" tabindex="0" role="region" aria-label="Drawing of the stages" { (drawing(report)) }
                            (timeline::table(report))
                        }
                        (outputs::section(input))
                        (checks::section(report))
                        (reasons::section(report))
                    }
                    @if warned { (warnings(input)) }
                    @for stage in &report.stages {
                        @if let Some(table) = input.tables.get(&stage.stage) { (tables::section(stage, table)) }
                    }
                    (files(input))
                }
                footer { p { "Made by ssp " (report.version) " from the records of the run. Sizes are in powers of 1,000, times in UTC." } }
            }
        }
    };
    page.into_string() + "\n"
}

fn counts(report: &RunReport) -> String {
    match report.stages.len() {
        0 => String::new(),
        1 => format!("1 stage: {}.", words::counts(&report.stages)),
        stages => format!("{stages} stages: {}.", words::counts(&report.stages)),
    }
}

/// The name of the pipeline; older records have only that of its file.
fn name(report: &RunReport) -> &str {
    if report.name.is_empty() { &report.pipeline } else { &report.name }
}

/// The records and logs of the run.
fn files(input: &Input) -> Markup {
    html! {
        @if !input.files.is_empty() {
            section id="files" {
                h2 { "Records and logs" }
                p { @for (index, name) in input.files.iter().enumerate() { @if index > 0 { " · " } a href=(name) { (name) } } }
            }
        }
    }
}

fn facts(input: &Input) -> Markup {
    let report = &input.report;
    let is_repeated = |name: &str| input.facts.iter().filter(|(_, (other, _))| *other == name).count() > 1;
    html! {
        dl class="facts" {
            div { dt { "Started" } dd { (report.started.format("%Y-%m-%d %H:%M:%S UTC")) } }
            div { dt { "Took" } dd { (period(report.seconds)) } }
            @if let Some(bytes) = report.peak_memory_bytes { div { dt { "Peak memory" } dd { (size(bytes)) } } }
            @if let Some(database) = &report.database { div { dt { "Database" } dd { (database) } } }
            @for (stage, (name, text)) in &input.facts {
                div { dt { (name) @if is_repeated(name) { " (" (stage) ")" } } dd { (text) } }
            }
            @if let Some(snapshot) = &report.snapshot { div { dt { "Snapshot" } dd { code { (snapshot) } } } }
            @if let Some(lsn) = &report.lsn { div { dt { "LSN" } dd { code { (lsn) } } } }
            @if report.retries > 0 { div { dt { "Tried again" } dd { (report.retries) "×" } } }
            div { dt { "Version" } dd { "ssp " (report.version) } }
        }
    }
}

fn drawing(report: &RunReport) -> Markup {
    let place = |name: &StageName| report.stages.iter().position(|stage| stage.stage == *name);
    let nodes: Vec<Node<'_>> = report
        .stages
        .iter()
        .enumerate()
        .map(|(index, stage)| Node {
            name: stage.stage.as_str(),
            kind: &stage.kind,
            state: Some(state(stage.status)),
            // Stages come after what they need; a record that says otherwise is not drawn wrong, but without that edge.
            needs: stage.needs.iter().filter_map(place).filter(|need| *need < index).collect(),
        })
        .collect();
    dag::draw(&nodes, false)
}

fn warnings(input: &Input) -> Markup {
    html! {
        section id="warnings" {
            h2 { "Warnings" }
            ul {
                @for warning in &input.warnings { li { (warning) } }
                @for stage in &input.report.stages {
                    @for warning in &stage.warnings { li { strong { (stage.stage) } ": " (warning) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::json;

    use super::super::changes::Changes;
    use super::*;

    const HOSTILE: &str = "</pre></style><script>alert(1)</script><img src=x onerror='a'>\" onclick=\"b & c";

    fn hostile() -> Input {
        let stage = json!({
            "stage": "a", "kind": HOSTILE, "needs": [], "status": "failed",
            "reasons": [{"code": "sql_changed", "subject": HOSTILE, "old": HOSTILE, "new": HOSTILE.repeat(3)}],
            "rows": null, "bytes": null, "digest": null, "started_after": 0.0, "seconds": f64::MAX,
            "figures": {"fits": 1, "fits_failed": 1, (format!("fits_failed_{HOSTILE}")): 1}, "warnings": [HOSTILE],
            "errors": [HOSTILE, HOSTILE], "check_failed": true,
            "checks": [{"check": HOSTILE, "subject": HOSTILE, "severity": "fail", "result": "failed", "value": null,
                "limit": null, "margin": HOSTILE, "message": HOSTILE}], "kept": HOSTILE, "blocked_by": [], "output": HOSTILE,
        });
        let report: RunReport = serde_json::from_value(json!({
            "format": 1, "run": HOSTILE, "pipeline": HOSTILE, "name": HOSTILE, "database": HOSTILE, "status": "check_failed",
            "started": "2026-03-02T06:15:00Z", "seconds": -1.0, "peak_memory_bytes": u64::MAX, "snapshot": HOSTILE,
            "lsn": HOSTILE, "version": HOSTILE, "stages": [stage],
        }))
        .unwrap();
        let name = report.stages[0].stage.clone();
        let counted = report.stages[0].figures.clone();
        let table = super::super::records::Table {
            figures: Err(HOSTILE.to_owned()),
            changes: Some(Changes { since: Some(HOSTILE.to_owned()), found: Err(HOSTILE.to_owned()) }),
            counted,
        };
        Input {
            facts: vec![(name.clone(), ("Collection", HOSTILE.to_owned()))],
            files: vec!["run.json".to_owned(), HOSTILE.to_owned()],
            before: Some(HOSTILE.to_owned()),
            pages: BTreeSet::from([HOSTILE.to_owned()]),
            earlier: vec![report.clone()],
            warnings: vec![HOSTILE.to_owned()],
            logs: BTreeMap::from([(name.clone(), vec![HOSTILE.to_owned()])]),
            tables: BTreeMap::from([(name, table)]),
            report,
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let text = page(&hostile());
        assert!(text.matches("&lt;script&gt;alert(1)&lt;").count() > 12, "{text}");
        for bad in ["<script", "<img", "\" onclick", "NaN", "inf%"] {
            assert!(!text.contains(bad), "{bad} in {text}");
        }
        assert_eq!(text.matches("</style>").count(), 1);
    }

    /// Other stages may be done.
    #[test]
    fn a_run_that_could_not_reach_a_database_does_not_say_that_no_stage_ran() {
        let mut input = hostile();
        input.report.status = RunStatus::Unreachable;
        let text = page(&input);
        assert!(text.contains("could not be reached") && !text.contains("no stage ran"), "{text}");
    }

    #[test]
    fn a_run_without_stages_is_a_page() {
        let mut input = hostile();
        input.report.stages.clear();
        assert!(page(&input).contains("Check failed"));
    }
}
