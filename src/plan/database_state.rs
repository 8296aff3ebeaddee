//! Whether a state of a database is proven to give a query the rows of an earlier one.

use std::collections::BTreeSet;

use crate::database_state::DatabaseState;

use super::reason::{Reason, ReasonCode};

/// The fact on the place that a server may not tell.
const SERVER: &str = "server";
/// The subject of the reason that the server understands the query in another way.
pub(super) const QUERY: &str = "query";

impl DatabaseState {
    /// Why this state is not proven to give the rows of an earlier one; `None` if it is.
    pub(super) fn change_since(&self, then: &Self) -> Option<Reason> {
        if let (Some(old), Some(new)) = (&then.watermark, &self.watermark) {
            // The watermark of another database proves nothing. A server that does not tell which it is has an address.
            let silent = [then, self].iter().any(|generation| !generation.place.contains_key(SERVER));
            let address =
                || change("connection settings", then.connection.as_ref(), self.connection.as_ref());
            return self
                .move_since(then, |name| !(silent && name == SERVER))
                .or_else(|| address().filter(|_| silent))
                .or_else(|| change("watermark", Some(old), Some(new)))
                .or_else(|| {
                    let (old, new) = (&then.watermark_query, &self.watermark_query);
                    change("watermark query", old.as_ref(), new.as_ref())
                });
        }
        self.change_but_query(then).or_else(|| change(QUERY, then.query.as_ref(), self.query.as_ref()))
    }

    /// Whether the answer of a query is the same if the server understands the query as it did then.
    #[must_use]
    pub fn is_same_but_query(&self, then: &Self) -> bool {
        self.change_but_query(then).is_none()
    }

    fn change_but_query(&self, then: &Self) -> Option<Reason> {
        let doubt = || self.doubt.as_ref().or(then.doubt.as_ref());
        let not_proven = |doubt: &String| Reason {
            subject: Some(format!("not proven unchanged: {doubt}")),
            ..Reason::new(ReasonCode::DataChanged)
        };
        self.move_since(then, |_| true)
            .or_else(|| change("server start", then.started.as_ref(), self.started.as_ref()))
            .or_else(|| change("snapshot", Some(&then.snapshot), Some(&self.snapshot)))
            .or_else(|| change("connection settings", then.connection.as_ref(), self.connection.as_ref()))
            .or_else(|| doubt().map(not_proven))
            .or_else(|| match (then.position(), self.position()) {
                (Some(old), Some(new)) if old <= new => None,
                _ => Some(changed("log position", then.lsn.as_ref(), self.lsn.as_ref())),
            })
    }

    /// The first of the named facts on the place that differs.
    fn move_since(&self, then: &Self, compared: impl Fn(&str) -> bool) -> Option<Reason> {
        let names: BTreeSet<&String> = then.place.keys().chain(self.place.keys()).collect();
        let mut compared = names.into_iter().filter(|name| compared(name));
        compared.find_map(|name| change(name, then.place.get(name), self.place.get(name)))
    }

    /// The position in the log as a number.
    fn position(&self) -> Option<u64> {
        let (high, low) = self.lsn.as_deref()?.split_once('/')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(number(high)? << 32 | number(low)?)
    }
}

fn change(subject: &str, old: Option<&String>, new: Option<&String>) -> Option<Reason> {
    (old != new).then(|| changed(subject, old, new))
}

fn changed(subject: &str, old: Option<&String>, new: Option<&String>) -> Reason {
    let subject = Some(subject.to_owned());
    Reason { code: ReasonCode::DataChanged, subject, old: old.cloned(), new: new.cloned() }
}
