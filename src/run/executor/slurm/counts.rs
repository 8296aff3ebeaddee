//! How the jobs of a task stand, for `ssp-run status`: a small file in the folder of the task.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{durable, regular};

use super::job::State;
use super::slice::Slice;

const COUNTS: &str = "jobs.json";
/// Jobs that are named.
const NAMED: usize = 8;

/// How the jobs of a stage stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct JobCounts {
    done: usize,
    working: usize,
    waiting: usize,
    /// The jobs at work, each with its node.
    jobs: Vec<[String; 2]>,
    /// Why a job waits, as Slurm says it.
    reason: Option<String>,
}

impl JobCounts {
    /// Writes how the slices stand, if that is news.
    pub(super) fn write(&mut self, folder: &Path, slices: &[Slice]) {
        let open = || slices.iter().filter(|slice| slice.is_open());
        let jobs = || open().filter_map(|slice| slice.job.as_ref());
        let working = || jobs().filter(|job| job.state == State::Running);
        let pending = jobs().find(|job| job.state == State::Pending);
        let now = Self {
            done: slices.len() - open().count(),
            working: working().count(),
            waiting: open().count() - working().count(),
            jobs: working().take(NAMED).map(|job| [job.id(), job.node.clone()]).collect(),
            reason: pending.map(|job| job.reason.clone()).filter(|reason| reason != "None"),
        };
        if now != *self {
            *self = now;
            // It is only for people.
            let text = serde_json::to_vec(self).unwrap_or_default();
            let _ = durable::write(&folder.join(COUNTS), &text);
        }
    }

    /// Of the task of a folder.
    pub(in crate::run::executor) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&regular::read(&folder.join(COUNTS)).ok()?).ok()
    }
}

impl std::fmt::Display for JobCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slurm: {} done, {} at work, {} waiting", self.done, self.working, self.waiting)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        if let Some(([first, node], more)) = self.jobs.split_first() {
            write!(f, "; job {first} on {node}")?;
            more.iter().try_for_each(|[job, node]| write!(f, ", {job} on {node}"))?;
        }
        Ok(())
    }
}
