//! Whether a stage runs.

use serde::Serialize;

use super::database_state::QUERY;
use super::reason::{Reason, ReasonCode, changes};
use super::record::Record;
use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::key::Key;
use crate::pipeline::StageName;

/// What is to be done with a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its output is there, and a run would make the same one.
    UpToDate,
    /// It runs.
    Run {
        /// Why.
        reasons: Vec<Reason>,
    },
    /// It runs if the output of one of these stages changes.
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

/// The state of the file that a record describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// It has the recorded content.
    AsRecorded,
    /// It is missing.
    Missing,
    /// It has other content.
    Modified {
        /// Its content.
        digest: Digest,
    },
}

/// All that the verdict on a stage depends on.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The record of its last good output.
    pub record: Option<&'a Record>,
    /// The output on disk, if there is a record.
    pub output: OutputState,
    /// Its key now.
    pub key: &'a Key,
    /// The state of the database that it would read; `None` if it reads none, or if the recorded state is good enough.
    pub generation: Option<&'a DatabaseState>,
    /// Why it runs even if that state is proven to be the recorded one.
    pub must_refresh: Option<&'a str>,
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
                    let old = record.output.as_ref().map_or_else(String::new, |output| output.digest.short());
                    let new = digest.short();
                    reasons.push(Reason::changed(ReasonCode::OutputModified, "digest", old, new));
                }
            }
            reasons.extend(changes(facts.key, &record.key));
            if let Some(why) = facts.must_refresh {
                reasons
                    .push(Reason { subject: Some(why.to_owned()), ..Reason::new(ReasonCode::DataChanged) });
            } else if let Some(generation) = facts.generation {
                let changed = match &record.generation {
                    Some(then) => generation.change_since(then),
                    None => Some(Reason::new(ReasonCode::DataChanged)),
                };
                // That a query whose text was changed is another query is no news.
                let said = |reason: &Reason| reason.subject.as_deref() == Some(QUERY) && !reasons.is_empty();
                reasons.extend(changed.filter(|reason| !said(reason)));
            }
        }
    }
    if reasons.is_empty() { Verdict::UpToDate } else { Verdict::Run { reasons } }
}
