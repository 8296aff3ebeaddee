//! What a run leaves in `.ssp/runs/<id>/`: `plan.json`, `run.json`, `events.jsonl`, a log per stage.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::durable;
use crate::errors;
use crate::plan::Explanation;

use super::Error;
use super::events::{Event, Observer, RunReport, now};
use super::store::Store;

/// The journal of one run.
#[derive(Debug)]
pub(super) struct Journal {
    store: Store,
    run: String,
    /// Why `runs/latest` does not lead to this run, if it does not.
    pub unlinked: Option<String>,
    events: Mutex<fs::File>,
}

impl Journal {
    /// Starts the journal of a run that begins now; its id is the time in UTC, with a number behind it if another run
    /// began in the same second.
    pub(super) fn start(store: &Store, started: DateTime<Utc>) -> Result<Self, Error> {
        let time = started.format("%Y%m%dT%H%M%SZ").to_string();
        let runs = store.path("runs");
        durable::make_folder(&runs).map_err(|source| Error::Folder { path: runs.clone(), source })?;
        let mut run = time.clone();
        let mut count = 1;
        while let Err(source) = durable::new_folder(&runs.join(&run)) {
            if source.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(Error::Folder { path: runs.join(&run), source });
            }
            count += 1;
            run = format!("{time}-{count}");
        }
        let events = durable::append(&runs.join(&run).join("events.jsonl"))?;
        // The link is for people: what stands in its place, or a file system without links, must not stop a run.
        let unlinked = durable::link(run.as_ref(), &runs.join("latest")).err().map(|error| {
            let why = errors::chain(&error).join(": ");
            format!("{why}; the run does not need this link; to get it back, remove the file or folder that has its name")
        });
        Ok(Self { store: store.clone(), run, unlinked, events: Mutex::new(events) })
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The folder of the run.
    pub(super) fn folder(&self) -> PathBuf {
        self.store.path(&format!("runs/{}", self.run))
    }

    /// Keeps the plan.
    pub(super) fn plan(&self, plan: &Explanation) -> Result<(), Error> {
        self.store.write_json(&format!("runs/{}/plan.json", self.run), plan)
    }

    /// Keeps how the run goes, or how it ended.
    pub(super) fn report(&self, report: &RunReport) -> Result<(), Error> {
        self.store.write_json(&format!("runs/{}/run.json", self.run), report)
    }

    fn log(&self, event: &Event<'_>, now: &str) {
        let (stage, lines) = match event {
            Event::StageStarted { stage, reasons } => {
                (stage.to_string(), reasons.iter().map(|reason| format!("starts: {reason}")).collect())
            }
            Event::StageWarning { stage, message } => {
                (stage.to_string(), vec![format!("warning: {message}")])
            }
            Event::StageFinished { report, .. } => {
                let mut lines =
                    report.warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>();
                lines.extend(report.errors.iter().enumerate().map(|(depth, error)| {
                    format!("{}{error}", if depth == 0 { "error: " } else { "  caused by: " })
                }));
                lines.extend(report.figures.iter().map(|(name, value)| format!("{name}: {value}")));
                let rows = report.rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
                lines.push(format!("{} after {:.3} s{rows}", report.status, report.seconds));
                (report.stage.to_string(), lines)
            }
            _ => return,
        };
        // A log that cannot be written must not fail a stage whose output was: the events say the same.
        if let Ok(mut file) = durable::append(&self.folder().join(format!("{stage}.log"))) {
            for line in lines {
                let _ = writeln!(file, "{now} {line}");
            }
        }
    }
}

impl Observer for Journal {
    fn event(&self, event: &Event<'_>) {
        let now = now();
        let line = event.line(&now);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(events, "{line}");
        drop(events);
        self.log(event, &now);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        fs::create_dir(store.path("")).unwrap();
        fs::write(store.path("runs"), b"").unwrap();
        let error = Journal::start(&store, Utc::now()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot make the folder `{}`", store.path("runs").display()));
    }
}
