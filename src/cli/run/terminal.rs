//! What a run prints on the terminal, or into cron's mail.

use std::collections::HashMap;
use std::io::{IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Local;
use console::{Style, style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::lines::fit;
use crate::pipeline::StageName;
use crate::plan::Reason;
use crate::run::words::{counts, period, size, state, thousands};
use crate::run::{Event, Observer, RunReport, RunStatus, StageReport, StageStatus, now};
use crate::stages::{Reads, kind};

use super::flags::{LogFormat, OutputFlags};

/// The columns of the time of day and a space, below which the rest of a long line is set.
const INDENT: usize = 9;

pub(super) struct Terminal {
    quiet: bool,
    verbose: bool,
    format: LogFormat,
    width: usize,
    bars: MultiProgress,
    running: Mutex<HashMap<StageName, ProgressBar>>,
    /// The errors of the last retry: the same ones are printed once.
    told: Mutex<Vec<String>>,
}

impl Terminal {
    /// For a run; stage names are set in `width` columns.
    #[must_use]
    pub(super) fn new(flags: &OutputFlags, width: usize) -> Self {
        console::set_colors_enabled(flags.color.holds(console::colors_enabled_stderr()));
        let bars = flags.progress.holds(std::io::stderr().is_terminal());
        let shown = bars && !flags.quiet && flags.log_format == LogFormat::Text;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            quiet: flags.quiet,
            verbose: flags.verbose,
            format: flags.log_format,
            width,
            bars: MultiProgress::with_draw_target(target),
            running: Mutex::default(),
            told: Mutex::default(),
        }
    }

    fn say(&self, line: &str) {
        if self.bars.is_hidden() {
            // A closed standard error must not end a run.
            let _ = writeln!(std::io::stderr(), "{line}");
        } else {
            let _ = self.bars.println(line);
        }
    }

    fn text(&self, event: &Event<'_>) {
        let now = Local::now().format("%H:%M:%S");
        match event {
            Event::RunStarted { run, pipeline, jobs } => {
                self.say(&fit(
                    &format!("{now} run {run}"),
                    [(*pipeline).to_owned(), format!("-j {jobs}")],
                    INDENT,
                ));
            }
            Event::Warning { message } => self.say(&format!("{now} {} {message}", style("warning").yellow())),
            Event::Note { message } => self.say(&fit(&format!("{now} note"), [*message], INDENT)),
            Event::Snapshot { id, database, lsn } => {
                let at = lsn.map(|lsn| format!("at {lsn}"));
                let parts = [format!("of {database}")].into_iter().chain(at);
                self.say(&fit(&format!("{now} snapshot {id}"), parts, INDENT));
            }
            Event::Retry { errors, attempt, retries, pause_seconds } => {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if *told != **errors {
                    self.say(&format!("{now} {} {}", style("warning").yellow(), errors.join(": ")));
                    *told = errors.to_vec();
                }
                self.say(&format!(
                    "{now} retry      {attempt} of {retries} in {}: with new connections and a new snapshot",
                    period(*pause_seconds)
                ));
            }
            Event::StageStarted { stage, reasons } => {
                if self.verbose {
                    let head = format!("{now} start      {stage:<width$}", width = self.width);
                    self.say(&fit(&head, said(reasons), INDENT));
                }
                self.start(stage);
            }
            Event::StageWarning { stage, message } => {
                self.say(&format!("{now} {} {stage}: {message}", style("warning").yellow()));
            }
            Event::StageFinished { report, ended, total } => {
                self.end(&report.stage);
                self.say(&self.line(&format!("{now} [{ended}/{total}]"), report));
                if self.verbose && !report.figures.is_empty() {
                    let found = report.figures.iter().map(|(name, value)| format!("{name} {value}"));
                    self.say(&fit("         found", found, 16));
                }
                self.warnings(report);
            }
            Event::RunFinished { .. } => {}
        }
    }

    fn warnings(&self, report: &StageReport) {
        // Below the line of the stage, where there is one.
        let indent = if self.quiet { 0 } else { INDENT };
        for warning in &report.warnings {
            self.say(&format!("{:indent$}{} {}: {warning}", "", style("warning").yellow(), report.stage));
        }
    }

    fn line(&self, lead: &str, report: &StageReport) -> String {
        let word = color(report.status).apply_to(format!("{:<10}", state(report.status)));
        let head = format!("{lead} {word} {:<width$}", report.stage, width = self.width);
        let mut parts = Vec::new();
        if matches!(report.status, StageStatus::Done | StageStatus::Unchanged) {
            let seconds = period(report.seconds);
            if let (Some(rows), Some(bytes)) = (report.rows, report.bytes) {
                let noun = kind(&report.kind).map_or("rows", |kind| kind.rows);
                let rows = format!("{} {noun}", thousands(rows));
                parts.push(format!("{rows:>14} {:>6} {seconds:>6}", size(bytes)));
            } else {
                parts.extend(report.figures.iter().map(|(name, value)| match value {
                    Value::String(text) => format!("{name} {text}"),
                    value => format!("{name} {value}"),
                }));
                parts.push(seconds);
            }
            parts.extend(kind(&report.kind).and_then(|kind| (kind.reused)(&report.figures)));
            parts.extend(said(&report.reasons));
        }
        fit(&head, parts, lead.len() + 12).trim_end().to_owned()
    }

    fn start(&self, stage: &StageName) {
        if self.bars.is_hidden() {
            return;
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        let width = self.width;
        if let Ok(style) = ProgressStyle::with_template(&format!("  {{spinner}} {{prefix:<{width}}} {{msg}}"))
        {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_string());
        bar.enable_steady_tick(Duration::from_millis(120));
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(stage.clone(), bar);
    }

    fn end(&self, stage: &StageName) {
        if let Some(bar) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(stage) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

impl Observer for Terminal {
    fn event(&self, event: &Event<'_>) {
        match self.format {
            LogFormat::Json => self.say(&event.line(&now())),
            LogFormat::Text if self.quiet => match event {
                Event::StageFinished { report, .. } => self.warnings(report),
                Event::Warning { .. } => self.text(event),
                _ => {}
            },
            LogFormat::Text => self.text(event),
        }
    }

    fn expect(&self, stage: &StageName, rows: u64) {
        if let Some(bar) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(stage) {
            bar.set_length(rows);
        }
    }

    fn advance(&self, stage: &StageName, rows: u64, _bytes: u64) {
        if let Some(bar) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(stage) {
            bar.inc(rows);
            let of = bar.length().filter(|total| *total > 0);
            let of = of.map_or_else(String::new, |total| format!(" of about {}", thousands(total)));
            bar.set_message(format!("{}{of} rows, {:.0}/s", thousands(bar.position()), bar.per_sec()));
        }
    }
}

/// The end of a run: its counts, and each failure with its cause, the output that was kept, the log and the next command.
#[must_use]
pub(super) fn ending(report: &RunReport, records: &str, out_dir: &str, again: &str, quiet: bool) -> String {
    let mut text = String::new();
    let verb = match &report.signal {
        Some(signal) => format!("interrupted by {signal}"),
        None => "finished".to_owned(),
    };
    if !quiet || report.status != RunStatus::Done {
        let all = report.stages.iter().all(|stage| stage.status == StageStatus::UpToDate);
        let all = (all && !report.stages.is_empty()).then(|| "everything is up to date".to_owned());
        let head = format!("{verb} after {}: {}", period(report.seconds), counts(&report.stages));
        let parts = all.into_iter().chain([format!("records {records}")]);
        text += &(fit(&head, parts, 2) + "\n");
    }
    for stage in report.stages.iter().filter(|stage| stage.status == StageStatus::Failed) {
        text += &format!("\n{} {} ({})\n", style("FAILED").red().bold(), stage.stage, stage.kind);
        for (depth, error) in stage.errors.iter().enumerate() {
            let mut lines = error.lines();
            let lead = if depth == 0 { "cause" } else { "" };
            text += &format!("  {lead:<7} {}\n", lines.next().unwrap_or_default());
            lines.for_each(|line| text += &format!("  {:<7} {line}\n", ""));
        }
        if let (Some(run), Some(output)) = (&stage.kept, &stage.output) {
            text += &format!("  kept    {out_dir}/{output} of run {run}\n");
        }
        text += &format!("  log     {records}/{}.log\n", stage.stage);
    }
    let blocked: Vec<&StageReport> =
        report.stages.iter().filter(|stage| stage.status == StageStatus::Blocked).collect();
    // What reads the snapshot is published together, so one that failed blocks others that do not need it.
    let (group, others): (Vec<&StageReport>, Vec<&StageReport>) =
        blocked.into_iter().partition(|stage| reads_snapshot(&stage.kind));
    for (why, blocked) in [("published together with", group), ("need", others)] {
        if blocked.is_empty() {
            continue;
        }
        let names: Vec<&str> = blocked.iter().map(|stage| stage.stage.as_str()).collect();
        let mut causes: Vec<&str> =
            blocked.iter().flat_map(|stage| &stage.blocked_by).map(StageName::as_str).collect();
        causes.sort_unstable();
        causes.dedup();
        let kept = blocked.iter().any(|stage| stage.kept.is_some());
        let head = format!("{} {}", style("BLOCKED").yellow(), names.join(", "));
        let parts = [format!("{why} {}", causes.join(", "))].into_iter();
        let parts = parts.chain(kept.then(|| "last good outputs kept".to_owned()));
        text += &(fit(&head, parts, 8) + "\n");
    }
    match report.status {
        RunStatus::Failed | RunStatus::CheckFailed => {
            text += &format!("next    fix the cause, then: {again}\n");
        }
        RunStatus::Interrupted => text += &format!("next    {again}\n"),
        RunStatus::Done | RunStatus::Running | RunStatus::Killed | RunStatus::Unreachable => {}
    }
    text
}

fn reads_snapshot(name: &str) -> bool {
    kind(name).is_some_and(|kind| kind.reads == Reads::Snapshot)
}

fn color(status: StageStatus) -> Style {
    match status {
        StageStatus::UpToDate => Style::new().dim(),
        StageStatus::Unchanged => Style::new().cyan(),
        StageStatus::Done => Style::new().green(),
        StageStatus::Failed => Style::new().red().bold(),
        StageStatus::Blocked | StageStatus::Cancelled => Style::new().yellow(),
    }
}

fn said(reasons: &[Reason]) -> Option<String> {
    let said: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    (!said.is_empty()).then(|| said.join(", "))
}
