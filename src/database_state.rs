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
pub struct DatabaseState {
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

/// The oldest transaction that was running at a snapshot and the first that had not begun, counted from the first transaction of
/// the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    pub(crate) oldest: u64,
    pub(crate) next: u64,
}

impl Horizon {
    /// Of a state of the database; `None` if its snapshot is not in the usual form.
    #[must_use]
    pub(crate) fn of(generation: &DatabaseState) -> Option<Self> {
        let mut parts = generation.snapshot.split(':');
        let mut number = || parts.next()?.parse().ok();
        Some(Self { oldest: number()?, next: number()? })
    }

    /// Whether ages tell the transactions since an earlier snapshot, whose oldest one is given, from those before: ages are 32
    /// bits, and come again.
    #[must_use]
    pub(crate) fn reaches(&self, oldest_then: u64) -> bool {
        const MARGIN: u64 = 1_000_000;
        self.next.checked_sub(oldest_then).is_some_and(|distance| distance < (1 << 31) - MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_reach_no_further_than_they_are_told_apart() {
        let horizon = |snapshot: &str| {
            Horizon::of(&DatabaseState { snapshot: snapshot.to_owned(), ..DatabaseState::default() })
        };
        assert_eq!(horizon("10:20:10,11"), Some(Horizon { oldest: 10, next: 20 }));
        for text in ["", "10", "a:b:", "10:"] {
            assert_eq!(horizon(text), None, "{text}");
        }
        let now = Horizon { oldest: 1 << 33, next: 1 << 33 };
        for (then, reached) in [
            (1 << 33, true),
            ((1 << 33) + 1, false),
            ((1 << 33) - (1 << 31) + 1_000_000, false),
            ((1 << 33) - (1 << 31) + 1_000_001, true),
            (0, false),
        ] {
            assert_eq!(now.reaches(then), reached, "{then}");
        }
    }
}
