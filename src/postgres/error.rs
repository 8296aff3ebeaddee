//! What can go wrong between us and the database.

use std::io;

use super::connect::{AttemptError, ConnectError, LoginError, Target, TargetError};
use super::copy::CopyError;
use super::server_error::ServerError;
use super::sql::SqlError;
use super::types::Wanted;
use crate::errors::{Class, Classified};
use crate::spelling::did_you_mean;

/// SQLSTATE of a statement that took too long to get a lock, or at all.
const OUT_OF_TIME: [&str; 2] = ["55P03", "57014"];

/// Why something that needs the database failed.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not clear what to connect to.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No server could be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A session could be opened, but was not served: a pooler had no connection for it.
    #[error("cannot begin a session on {target}")]
    Start { target: String, source: Box<Error> },
    /// The server refused what it was asked.
    #[error("the server cannot {doing}")]
    Server {
        doing: String,
        #[source]
        cause: Box<Refusal>,
    },
    /// A statement was out of time while it waited for a lock.
    #[error(
        "the server cannot {doing}: it waited too long for {wait}; wait until that session is done or end it \
         (pg_terminate_backend), or raise `timeout`"
    )]
    Locked {
        doing: String,
        wait: String,
        #[source]
        cause: Box<Refusal>,
    },
    #[error("the connection to the server was lost while {doing}")]
    Lost { doing: String, source: io::Error },
    /// The server sent what it should not.
    #[error("protocol error while {doing}: {problem}")]
    Protocol { doing: String, problem: String },
    /// The rows were not what a COPY sends.
    #[error("the server sent damaged rows (after {row} whole ones)")]
    Copy { row: u64, source: CopyError },
    /// A text that is no query.
    #[error("the query cannot be exported")]
    Sql(#[from] SqlError),
    #[error("the query has parameters (such as $1), but an export has no values for them")]
    Parameters,
    #[error("the query returns no columns")]
    NoColumns,
    #[error("the query returns two columns named `{column}` (give one another name with AS)")]
    DuplicateColumn { column: String },
    #[error(
        "`types` names column `{column}`, which the query does not return{}",
        instead(column, "it returns", found)
    )]
    UnknownColumn { column: String, found: Vec<String> },
    #[error(
        "column `{column}` of type {from} cannot be made {wanted} without changing values (cast it in the SQL)"
    )]
    Conversion { column: String, from: String, wanted: Wanted },
    /// A value that has no form in its column.
    #[error("column `{column}`, row {row}: the value cannot be exported: {problem}")]
    Value { column: String, row: u64, problem: String },
    /// A NULL where the table says NOT NULL.
    #[error("column `{column}` is NOT NULL in its table, but the query returned NULL")]
    UnexpectedNull { column: String },
    #[error("there is no table {table} in the search path (names are case-sensitive)")]
    NoTable { table: String },
    #[error("table {table} has no column `{column}`{}", instead(column, "it has", found))]
    NoSuchColumn {
        table: String,
        column: String,
        found: Vec<String>,
        /// The key of the pipeline file that names the column.
        key: &'static str,
    },
    #[error("the watermark returns more than {most} rows")]
    LongWatermark { most: usize },
    /// The snapshot is gone: the connection that holds it has ended.
    #[error("the snapshot is lost: the connection that held it was closed")]
    SnapshotGone(#[source] Box<Error>),
    /// It was stopped, perhaps while it waited for a lock.
    #[error("stopped{}", .0.as_ref().map(|wait| format!(" while it waited for {wait}")).unwrap_or_default())]
    Stopped(Option<String>),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Columns that are named where no column has almost the same name.
const MOST_NAMED: usize = 12;

/// The column that was meant, or the first columns that there are.
fn instead(column: &str, there: &str, found: &[String]) -> String {
    let near = did_you_mean(column, found.iter().map(String::as_str));
    if !near.is_empty() {
        return near;
    }
    let first: Vec<&str> = found.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match found.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!(" ({there}: {}{more})", first.join(", "))
}

/// An error report of the server and the query that it is about.
#[derive(Debug)]
pub struct Refusal {
    pub error: ServerError,
    /// The query, if the user wrote it.
    pub query: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.query {
            Some(query) => f.write_str(&self.error.with_query(query)),
            None => self.error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl Error {
    pub(super) fn server(doing: &str, error: ServerError, query: Option<&str>) -> Self {
        let cause = Box::new(Refusal { error, query: query.map(str::to_owned) });
        Self::Server { doing: doing.to_owned(), cause }
    }

    /// The same error; if it is that a statement was out of time while it waited for a lock, with the lock.
    pub(super) fn waited_for(self, wait: Option<String>) -> Self {
        match (self, wait) {
            (Self::Server { doing, cause }, Some(wait))
                if OUT_OF_TIME.contains(&cause.error.code.as_str()) =>
            {
                Self::Locked { doing, wait, cause }
            }
            (error, _) => error,
        }
    }

    /// The same error; if it may pass, as one of a server that cannot be reached for now.
    pub(super) fn at_start(self, target: &Target) -> Self {
        if self.is_transient() {
            Self::Start { target: target.describe(), source: Box::new(self) }
        } else {
            self
        }
    }

    pub(crate) fn protocol(doing: &str, problem: &str) -> Self {
        Self::Protocol { doing: doing.to_owned(), problem: problem.to_owned() }
    }

    /// The same error, as that of work that was stopped: what is cancelled can fail in any way.
    pub(super) fn stopped(self) -> Self {
        match self {
            Self::Locked { wait, .. } => Self::Stopped(Some(wait)),
            Self::Stopped(wait) => Self::Stopped(wait),
            _ => Self::Stopped(None),
        }
    }

    /// The server's SQLSTATE code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { cause, .. } | Self::Locked { cause, .. } => Some(&cause.error.code),
            Self::Start { source, .. } => source.code(),
            Self::Connect(ConnectError { attempts }) => match &attempts.last()?.error {
                AttemptError::Login { cause: LoginError::Refused(error), .. } => Some(&error.code),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Stopped(_) => Class::Stopped,
            Self::Target(_) => Class::Unreachable { for_now: false },
            Self::Connect(error) => Class::Unreachable { for_now: error.is_transient() },
            Self::Start { .. } => Class::Unreachable { for_now: true },
            Self::Lost { .. } | Self::SnapshotGone(_) => Class::Transient,
            Self::Server { cause, .. } | Self::Locked { cause, .. } if cause.error.is_transient() => {
                Class::Transient
            }
            _ => Class::Fault,
        }
    }

    fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoSuchColumn { key, .. } => Some(key),
            Self::UnknownColumn { .. } => Some("types"),
            _ => None,
        }
    }
}
