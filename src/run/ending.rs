//! What is done when a run has ended, good or bad: its report, its metrics, the hook.

use std::path::Path;

use crate::durable;
use crate::errors;

use super::Error;
use super::events::{Event, Observer, RunReport, RunStatus};
use super::history::History;
use super::hooks;
use super::journal::Journal;
use super::metrics;
use super::report as report_page;
use super::request::Request;
use super::store::Store;

/// Writes down how a run ended.
///
/// # Errors
/// If `run.json` cannot be written.
pub(super) fn end(
    request: &Request<'_>,
    store: &Store,
    journal: &Journal,
    observer: &dyn Observer,
    report: &RunReport,
) -> Result<(), Error> {
    observer.event(&Event::RunFinished { status: report.status, seconds: report.seconds });
    journal.report(report)?;
    let warn = |what: &str, error: &(dyn std::error::Error + 'static)| {
        let message = format!("{what}: {}", errors::chain(error).join(": "));
        observer.event(&Event::Warning { message: &message });
    };
    if let Err(error) = report_page::write(store, journal.run()) {
        warn("no report page", &error);
    }
    if let Err(error) = report_page::write_index(store) {
        warn("no page of all runs", &error);
    }
    if let Some(path) = request.metrics_file
        && let Err(error) = write_metrics(path, request, store, report)
    {
        warn("the metrics could not be written", &error);
    }
    Ok(())
}

/// Runs the hook for how a run ended. The lock is free by then, so that a hook may start another run.
pub(super) fn call_hook(
    request: &Request<'_>,
    journal: &Journal,
    observer: &dyn Observer,
    report: &RunReport,
) {
    let pipeline = request.pipeline;
    if let Some(message) =
        hooks::call(&pipeline.hooks, report, &pipeline.root, &journal.folder(), &request.monitor)
    {
        observer.event(&Event::Warning { message: &message });
    }
}

fn write_metrics(path: &Path, request: &Request<'_>, store: &Store, report: &RunReport) -> Result<(), Error> {
    let good = |report: &RunReport| report.status == RunStatus::Done;
    let ended = |report: RunReport| report.started.timestamp_millis() as f64 / 1000.0 + report.seconds;
    let succeeded = History::of(store)?.reports().find(good).map(ended);
    let text = metrics::text(&request.pipeline.name, report, succeeded);
    Ok(durable::write(path, text.as_bytes())?)
}
