//! Doing what a plan says: lock, facts, scheduler, executor, records, journal.
//!
//! Not a place for what a stage does (see `stages`) or why it runs (see `plan`).

mod attempt;
mod committing;
mod cost;
mod deliveries;
mod digests;
mod ending;
mod events;
mod executor;
mod facts;
mod failure;
mod generations;
mod history;
mod hooks;
mod journal;
mod lock;
mod metrics;
mod observation;
mod opening;
mod parts;
mod pause;
mod process_group;
mod publish;
pub(crate) mod report;
mod reports;
mod request;
mod rollback;
mod scheduler;
mod session;
mod shared;
mod store;
mod tail;
mod task;
mod trial;
pub(crate) mod words;

use std::path::PathBuf;

use crate::errors::Class;

pub(crate) use digests::other_digest;
pub use events::{Event, Observer, RunReport, RunStatus, Silent, StageReport, StageStatus, now};
pub use executor::{JobCounts, Place, WorkEnd, job_counts, rehearse, work};
pub use generations::{Generation, Generations, prune};
pub use history::History;
pub(crate) use history::fits;
pub use lock::{Holder, Lock};
pub use parts::{check_link, expendable, output_bytes};
pub use request::Request;
pub use rollback::{Refusal, Rollback, RolledBack, rollback};
pub use session::{execute, explain};
pub use store::{Found, Store};
pub use trial::{Trial, TrialError, try_stage};

/// Why a run could not be done at all. What happens to single stages is in the [`RunReport`].
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another run holds the lock.
    #[error("another run is using `{}`{}", lock.parent().and_then(|ssp| ssp.parent()).unwrap_or(lock).display(),
        holder.as_ref().map_or_else(String::new, |holder| format!(": {holder}")))]
    Locked { lock: PathBuf, holder: Option<Holder> },
    /// The lock's file could not be used.
    #[error("cannot take the lock `{}`", path.display())]
    Lock { path: PathBuf, source: std::io::Error },
    /// The run was told to stop before any stage began.
    #[error("stopped before any stage began")]
    Interrupted,
    /// The recorded exports were to be taken as they are.
    #[error("the recorded exports cannot be reused: {0}")]
    NotReusable(String),
    /// A database or repository could not be reached, or refused what a plan needs.
    #[error(transparent)]
    Source(#[from] crate::stages::Error),
    /// A record could not be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// Something is in the way of a link of an intent, and another part of that was put in place.
    #[error(
        "cannot finish the publication that a killed run had begun: move away what is in the way of the link \
        (changing `out` does not help)"
    )]
    Blocked(#[source] crate::durable::Error),
    /// What should be a folder of records is something else.
    #[error(
        "the folder of run records cannot be used; move away the file that has its name, and the next run makes the \
        folder"
    )]
    Records(#[source] crate::durable::Error),
    /// A folder for records could not be made.
    #[error("cannot make the folder `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// A record could not be put into words.
    #[error("cannot write `{name}` as JSON")]
    Json { name: String, source: serde_json::Error },
    /// Slurm refuses what was asked of it, or does not answer.
    #[error(transparent)]
    Slurm(Box<dyn std::error::Error + Send + Sync>),
    /// A record could not be written.
    #[error(transparent)]
    Write(#[from] crate::durable::Error),
}

impl Error {
    /// What the error means.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Interrupted => Class::Stopped,
            Self::NotReusable(_) => Class::Usage,
            _ => Class::Fault,
        }
    }
}
