//! Whether a stage runs, and for which reasons: a closed set, stable in JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::pipeline::StageName;

use super::generation::{Generation, QUERY};
use super::key::Key;
use super::record::Record;

/// Why a stage runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which of the reasons.
    pub code: ReasonCode,
    /// Of what: an input, a parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// The reasons for which a stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// There is no record of it.
    NeverRun,
    /// `--force` or `--force-stage`.
    Forced,
    /// The output is not there.
    OutputMissing,
    /// The output is not the one that was recorded.
    OutputModified,
    /// An earlier run started it and was killed.
    Interrupted,
    /// The content of an input is another.
    InputChanged,
    /// The datasets of the repository are others.
    DatasetsChanged,
    /// The database was written to, or may have been.
    DataChanged,
    /// The text of the query is another.
    SqlChanged,
    /// A parameter is another.
    ParamsChanged,
    /// The schema file is another.
    SchemaChanged,
    /// The code of this kind of stage is a newer version.
    CodeVersionChanged,
    /// The recorded exports are older than `max_age`.
    GenerationExpired,
}

impl Reason {
    /// A reason without details.
    #[must_use]
    pub fn new(code: ReasonCode) -> Self {
        Self { code, subject: None, old: None, new: None }
    }

    /// A reason with what was and what is.
    pub fn changed(
        code: ReasonCode,
        subject: impl Into<String>,
        old: impl Into<String>,
        new: impl Into<String>,
    ) -> Self {
        Self { code, subject: Some(subject.into()), old: Some(old.into()), new: Some(new.into()) }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverRun => "never_run",
            Self::Forced => "forced",
            Self::OutputMissing => "output_missing",
            Self::OutputModified => "output_modified",
            Self::Interrupted => "interrupted",
            Self::InputChanged => "input_changed",
            Self::DatasetsChanged => "datasets_changed",
            Self::DataChanged => "data_changed",
            Self::SqlChanged => "sql_changed",
            Self::ParamsChanged => "params_changed",
            Self::SchemaChanged => "schema_changed",
            Self::CodeVersionChanged => "code_version_changed",
            Self::GenerationExpired => "generation_expired",
        })
    }
}

/// The longest value that is shown in one line with its reason.
const LONGEST_SHOWN: usize = 24;

/// One line; what is too long for it is in the JSON form and in `ssp-run explain`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let short = |value: &Option<String>| {
            value.clone().filter(|text| text.len() <= LONGEST_SHOWN && !text.contains('\n'))
        };
        match self.code {
            ReasonCode::SqlChanged => Ok(()),
            ReasonCode::InputChanged | ReasonCode::DatasetsChanged => match &self.subject {
                Some(subject) => write!(f, ": {subject}"),
                None => Ok(()),
            },
            _ => {
                let Some(subject) = &self.subject else { return Ok(()) };
                write!(f, ": {subject}")?;
                let none = Some("none".to_owned());
                let old = if self.old.is_none() { none.clone() } else { short(&self.old) };
                let new = if self.new.is_none() { none } else { short(&self.new) };
                match (old, new) {
                    (Some(old), Some(new)) if self.old.is_some() || self.new.is_some() => {
                        write!(f, " {old} -> {new}")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What is to be done with a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its output is there and is what it would make.
    UpToDate,
    /// It runs.
    Run {
        /// Why.
        reasons: Vec<Reason>,
    },
    /// It runs if one of these makes other bytes than before.
    Maybe {
        /// The stages that it waits for.
        after: Vec<StageName>,
    },
    /// It cannot run as things stand.
    Broken {
        /// Why not.
        message: String,
    },
}

impl Verdict {
    /// Whether it is certain that nothing is to be done.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        matches!(self, Self::UpToDate)
    }
}

/// What is known of the file that a record describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// It is the one.
    AsRecorded,
    /// It is not there.
    Missing,
    /// It is another.
    Modified {
        /// Its content.
        digest: Digest,
    },
}

/// What an export knows of the database.
#[derive(Clone, Copy, Debug)]
pub enum Database<'a> {
    /// The state in this run's snapshot, and whether the export runs whatever that is (`refresh: always`).
    Seen {
        /// The state.
        generation: &'a Generation,
        /// `refresh: always`.
        always: bool,
    },
    /// The recorded state is good enough: nobody looks at the database.
    Trusted,
}

/// All that the verdict on a stage depends on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The record of its last good output.
    pub record: Option<&'a Record>,
    /// What stands on disk, if there is a record.
    pub output: OutputState,
    /// Its key now.
    pub key: &'a Key,
    /// For exports: the database.
    pub database: Option<Database<'a>>,
    /// Whether it is to run in any case.
    pub forced: bool,
    /// Whether an earlier run started it and was killed.
    pub interrupted: bool,
}

/// Decides on a stage whose inputs are final.
#[must_use]
pub fn decide(facts: &Facts<'_>) -> Verdict {
    let mut reasons = Vec::new();
    if facts.forced {
        reasons.push(Reason::new(ReasonCode::Forced));
    }
    match facts.record {
        None if facts.interrupted => reasons.push(Reason::new(ReasonCode::Interrupted)),
        None => reasons.push(Reason::new(ReasonCode::NeverRun)),
        Some(record) => {
            match facts.output {
                OutputState::AsRecorded => {}
                OutputState::Missing => reasons.push(Reason::new(ReasonCode::OutputMissing)),
                OutputState::Modified { digest } => {
                    let (old, new) = (record.output.digest.short(), digest.short());
                    reasons.push(Reason::changed(ReasonCode::OutputModified, "digest", old, new));
                }
            }
            reasons.extend(facts.key.changes_since(&record.key));
            if let Some(Database::Seen { generation, always }) = facts.database {
                let changed = data_changed(record, generation, always);
                // That a query whose text was changed is another query is no news.
                let said = |reason: &Reason| reason.subject.as_deref() == Some(QUERY) && !reasons.is_empty();
                reasons.extend(changed.filter(|reason| !said(reason)));
            }
        }
    }
    if reasons.is_empty() { Verdict::UpToDate } else { Verdict::Run { reasons } }
}

fn data_changed(record: &Record, now: &Generation, always: bool) -> Option<Reason> {
    if always {
        return Some(Reason {
            subject: Some("refresh: always".to_owned()),
            ..Reason::new(ReasonCode::DataChanged)
        });
    }
    match &record.generation {
        Some(then) => now.change_since(then),
        None => Some(Reason::new(ReasonCode::DataChanged)),
    }
}
