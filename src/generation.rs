//! A state of a database: what a snapshot shows, and what the rows of a query depend on.
//!
//! Not a place for comparing two states: see `plan`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A state of a database.
///
/// Two states give a query the same rows if all fields but `lsn`, `taken` and those of the watermark are equal and
/// neither has a doubt. `docs/explanation/keys-and-early-cutoff.md` says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The text of `pg_current_snapshot()`.
    pub snapshot: String,
    /// The position in the write-ahead log.
    pub lsn: Option<String>,
    /// When the snapshot was taken.
    pub taken: DateTime<Utc>,
    /// Server, database, role and session settings, by name. A server that hides its identity has no `server`.
    #[serde(default)]
    pub place: BTreeMap<String, String>,
    /// When the server was started: a server that goes back in time starts again.
    #[serde(default)]
    pub started: Option<String>,
    /// The digest of the connection settings, which are known without connecting.
    #[serde(default)]
    pub connection: Option<String>,
    /// The digest of the query as the server understands it.
    #[serde(default)]
    pub query: Option<String>,
    /// Why equality with this state proves nothing.
    #[serde(default)]
    pub doubt: Option<String>,
    /// The rows of the stage's watermark query in that snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// The digest of that query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_query: Option<String>,
}
