//! The end of a run as an `OpenMetrics` text file, for the textfile collector of `node_exporter`.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::events::{RunReport, RunStatus, StageStatus};

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stage {
    pipeline: String,
    stage: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pipeline {
    pipeline: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageState {
    pipeline: String,
    stage: String,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RunState {
    pipeline: String,
    status: &'static str,
}

const RUN_STATES: [RunStatus; 5] = [
    RunStatus::Done,
    RunStatus::Failed,
    RunStatus::CheckFailed,
    RunStatus::Interrupted,
    RunStatus::Unreachable,
];
const STAGE_STATES: [StageStatus; 6] = [
    StageStatus::UpToDate,
    StageStatus::Unchanged,
    StageStatus::Done,
    StageStatus::Failed,
    StageStatus::Blocked,
    StageStatus::Cancelled,
];

/// The text for a run of the pipeline `name` that has ended; `succeeded` is when the last good run ended, in seconds since
/// 1970.
///
/// # Errors
/// Never in practice: text is written to memory.
pub fn text(name: &str, report: &RunReport, succeeded: Option<f64>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("ssp");
    let pipeline = Pipeline { pipeline: name.to_owned() };
    let mut run = |metric: &str, help: &str, unit: Option<Unit>, value: Option<f64>| {
        let Some(value) = value else { return };
        let family = Family::<Pipeline, Number>::default();
        family.get_or_create(&pipeline).set(value);
        match unit {
            Some(unit) => registry.register_with_unit(metric, help, unit, family),
            None => registry.register(metric, help, family),
        }
    };
    let ended = report.started.timestamp_millis() as f64 / 1000.0 + report.seconds;
    let peak = report.peak_memory_bytes.map(|bytes| bytes as f64);
    run("run_end_timestamp", "When the last run ended", Some(Unit::Seconds), Some(ended));
    run("run_success_timestamp", "When the last good run ended", Some(Unit::Seconds), succeeded);
    run("run_duration", "How long the last run took", Some(Unit::Seconds), Some(report.seconds));
    run("run_peak_memory", "The most memory that the last run had in use", Some(Unit::Bytes), peak);
    run("run_retries", "How often the exports were tried again", None, Some(f64::from(report.retries)));
    let states = Family::<RunState, Number>::default();
    for state in RUN_STATES {
        let label = RunState { pipeline: name.to_owned(), status: state.name() };
        states.get_or_create(&label).set(f64::from(u8::from(state == report.status)));
    }
    registry.register("run_status", "1 for how the last run ended", states);
    let [rows, bytes, seconds] = std::array::from_fn(|_| Family::<Stage, Number>::default());
    let states = Family::<StageState, Number>::default();
    for stage in &report.stages {
        let label = Stage { pipeline: name.to_owned(), stage: stage.stage.to_string() };
        if let Some(count) = stage.rows {
            rows.get_or_create(&label).set(count as f64);
        }
        if let Some(count) = stage.bytes {
            bytes.get_or_create(&label).set(count as f64);
        }
        seconds.get_or_create(&label).set(stage.seconds);
        for state in STAGE_STATES {
            let Stage { pipeline, stage: name } = label.clone();
            let label = StageState { pipeline, stage: name, status: state.name() };
            states.get_or_create(&label).set(f64::from(u8::from(state == stage.status)));
        }
    }
    registry.register("stage_rows", "Rows of the stage's output", rows);
    registry.register_with_unit("stage_output", "Size of the stage's output", Unit::Bytes, bytes);
    registry.register_with_unit(
        "stage_duration",
        "How long the stage took in the last run",
        Unit::Seconds,
        seconds,
    );
    registry.register("stage_status", "1 for how the stage ended in the last run", states);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    // The library keeps labels in a hash map; the same run is to be the same text.
    Ok(sorted(&text))
}

/// The samples below each heading in order.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut start = 0;
    for line in text.lines() {
        if line.starts_with('#') {
            lines[start..].sort_unstable();
            lines.push(line);
            start = lines.len();
        } else {
            lines.push(line);
        }
    }
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
