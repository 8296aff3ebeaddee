//! What a run tells: events while it runs, a report at its end.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::margin::Margin;
use crate::pipeline::StageName;
use crate::plan::Reason;

/// Something that happened; a line of `events.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// The run began.
    RunStarted {
        /// The run.
        run: &'a str,
        /// The pipeline file.
        pipeline: &'a str,
        /// Stages at once.
        jobs: usize,
    },
    /// A warning about the run.
    Warning {
        /// Its text.
        message: &'a str,
    },
    /// An explanation of what the run does.
    Note {
        /// Its text.
        message: &'a str,
    },
    /// The snapshot that the exports read was taken.
    Snapshot {
        /// The snapshot.
        id: &'a str,
        /// The database.
        database: &'a str,
        /// The position in the write-ahead log.
        lsn: Option<&'a str>,
    },
    /// The database was lost or could not be reached; the exports are tried again, with a new snapshot.
    Retry {
        /// The error and its causes.
        errors: &'a [String],
        /// Which retry this is, from 1.
        attempt: u32,
        /// How many there may be.
        retries: u32,
        /// How long to wait before it \[s\].
        pause_seconds: f64,
    },
    /// A stage began.
    StageStarted {
        /// The stage.
        stage: &'a StageName,
        /// Why.
        reasons: &'a [Reason],
    },
    /// A warning about a stage that is running.
    StageWarning {
        /// The stage.
        stage: &'a StageName,
        /// Its text.
        message: &'a str,
    },
    /// A stage ended.
    StageFinished {
        /// How.
        #[serde(flatten)]
        report: &'a StageReport,
        /// How many stages have ended, this one included.
        ended: usize,
        /// How many there are.
        total: usize,
    },
    /// The run ended.
    RunFinished {
        /// How.
        status: RunStatus,
        /// After how long \[s\].
        seconds: f64,
    },
}

/// The version of the form of a line, `v`: raised when a field goes or changes its meaning.
const EVENTS_FORMAT: u32 = 1;

impl Event<'_> {
    /// The line of `events.jsonl`, without its end: a JSON object.
    #[must_use]
    pub fn line(&self, time: &str) -> String {
        let mut line = serde_json::json!({"v": EVENTS_FORMAT, "time": time});
        if let (Some(line), Ok(Value::Object(fields))) = (line.as_object_mut(), serde_json::to_value(self)) {
            line.extend(fields);
        }
        line.to_string()
    }
}

/// The time of an event: UTC, in milliseconds.
#[must_use]
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Shows what happens in a run.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);

    /// A stage expects this many more rows or objects.
    fn expect(&self, _stage: &StageName, _rows: u64) {}

    /// A stage has done this many more.
    fn advance(&self, _stage: &StageName, _rows: u64, _bytes: u64) {}
}

/// An [`Observer`] that shows no events.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event<'_>) {}
}

/// How a run ended: `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// The version of this form.
    pub format: u32,
    /// The run.
    pub run: String,
    /// The pipeline file.
    pub pipeline: String,
    /// The name of the pipeline.
    #[serde(default)]
    pub name: String,
    /// How it ended.
    pub status: RunStatus,
    /// The signal that interrupted it, such as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took \[s\].
    pub seconds: f64,
    /// The most memory that the process had in use \[bytes\].
    pub peak_memory_bytes: Option<u64>,
    /// The database that the exports read, without secrets.
    #[serde(default)]
    pub database: Option<String>,
    /// The snapshot that the exports read.
    pub snapshot: Option<String>,
    /// Its position in the write-ahead log.
    pub lsn: Option<String>,
    /// The version of `ssp`.
    pub version: String,
    /// How often the exports were tried again.
    #[serde(default)]
    pub retries: u32,
    /// The generation that has the outputs of this run, if generations are kept: the run that it is named after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// The generation that was put back, if this was no run but a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<String>,
    /// Why nothing could be run: the error and its causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// The stages, in the order of the plan.
    pub stages: Vec<StageReport>,
}

impl RunReport {
    /// Of a run that begins.
    #[must_use]
    pub fn new(run: &str, pipeline: &str, started: DateTime<Utc>) -> Self {
        Self {
            format: 1,
            run: run.to_owned(),
            pipeline: pipeline.to_owned(),
            name: String::new(),
            status: RunStatus::Running,
            signal: None,
            started,
            seconds: 0.0,
            peak_memory_bytes: None,
            database: None,
            snapshot: None,
            lsn: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            retries: 0,
            generation: None,
            rolled_back_to: None,
            errors: Vec::new(),
            stages: Vec::new(),
        }
    }
}

/// How a run ended, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It is running.
    Running,
    /// It was killed (no exit record): its `run.json` still says `running`.
    Killed,
    /// All is good.
    Done,
    /// A stage failed.
    Failed,
    /// A check on an output failed, and nothing else.
    CheckFailed,
    /// It was told to stop.
    Interrupted,
    /// A database, a repository or the controller of Slurm could not be reached, and nothing else failed.
    Unreachable,
}

/// What a run reports of a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageReport {
    /// The stage.
    pub stage: StageName,
    /// Its kind.
    pub kind: String,
    /// The stages that it needs, directly.
    #[serde(default)]
    pub needs: Vec<StageName>,
    /// How it ended.
    pub status: StageStatus,
    /// Why it ran.
    pub reasons: Vec<Reason>,
    /// Rows of its output.
    pub rows: Option<u64>,
    /// Size of its output.
    pub bytes: Option<u64>,
    /// Digest of its output.
    pub digest: Option<String>,
    /// When it began, from the beginning of the run \[s\].
    pub started_after: f64,
    /// How long it took \[s\].
    pub seconds: f64,
    /// Counts and figures.
    pub figures: Map<String, Value>,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// What went wrong: the error and its causes.
    pub errors: Vec<String>,
    /// Whether what went wrong was a check on its output.
    pub check_failed: bool,
    /// Whether what it needs could not be reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// The results of the checks on its output: the new one, or the one that is up to date.
    #[serde(default)]
    pub checks: Vec<Margin>,
    /// The run that wrote the last good output, if the stage did not make a new one.
    pub kept: Option<String>,
    /// The stages whose failure blocked it.
    pub blocked_by: Vec<StageName>,
    /// Its output, relative to the output folder, if it makes one.
    pub output: Option<String>,
}

impl StageReport {
    /// With all that is not given empty.
    pub(super) fn new(stage: StageName, kind: &str, status: StageStatus) -> Self {
        Self {
            stage,
            kind: kind.to_owned(),
            needs: Vec::new(),
            status,
            reasons: Vec::new(),
            rows: None,
            bytes: None,
            digest: None,
            started_after: 0.0,
            seconds: 0.0,
            figures: Map::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            check_failed: false,
            unreachable: false,
            checks: Vec::new(),
            kept: None,
            blocked_by: Vec::new(),
            output: None,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How a stage ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStatus {
    /// Nothing had to be done.
    UpToDate,
    /// It ran and made the same bytes as before.
    Unchanged,
    /// It ran and made other bytes.
    Done,
    /// It failed.
    Failed,
    /// Something that it needs failed.
    Blocked,
    /// The run was stopped.
    Cancelled,
}

impl StageStatus {
    /// All of them, the good ones first.
    pub(super) const ALL: [Self; 6] =
        [Self::Done, Self::Unchanged, Self::UpToDate, Self::Failed, Self::Blocked, Self::Cancelled];

    /// Whether the output is up to date.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::Unchanged | Self::UpToDate)
    }
}

impl fmt::Display for StageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
