//! A stage's key: a named, ordered record of all that its output depends on. Never a time.
//!
//! The same entries feed the hasher and the explanation, so that the two cannot drift apart.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::secrets::shown;

use super::reason::{Reason, ReasonCode};

/// What an output depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key {
    entries: Vec<Entry>,
}

/// One thing that an output depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What kind of thing.
    pub aspect: Aspect,
    /// Its name.
    pub name: String,
    /// Its value, or the digest of a value that is large.
    pub value: String,
}

/// The kinds of things that an output depends on, and so the reasons for which it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The version of the code of this kind of stage.
    Code,
    /// A parameter.
    Params,
    /// The text of a query.
    Sql,
    /// The content of a schema file.
    Schema,
    /// The content of an input.
    Input,
    /// The datasets of a repository that are read.
    Datasets,
}

impl Aspect {
    fn reason(self) -> ReasonCode {
        match self {
            Self::Code => ReasonCode::CodeVersionChanged,
            Self::Params => ReasonCode::ParamsChanged,
            Self::Sql => ReasonCode::SqlChanged,
            Self::Schema => ReasonCode::SchemaChanged,
            Self::Input => ReasonCode::InputChanged,
            Self::Datasets => ReasonCode::DatasetsChanged,
        }
    }
}

impl Key {
    /// Adds what the output depends on.
    pub fn push(&mut self, aspect: Aspect, name: impl Into<String>, value: impl Into<String>) {
        self.entries.push(Entry { aspect, name: name.into(), value: value.into() });
    }

    /// The entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The value of an entry.
    #[must_use]
    pub fn value(&self, aspect: Aspect, name: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.aspect == aspect && entry.name == name);
        entry.map(|entry| entry.value.as_str())
    }

    /// The digest of all entries: two keys with one digest are one key.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for entry in &self.entries {
            // Lengths first, so that no two lists of texts run together into one.
            let aspect = format!("{:?}", entry.aspect);
            for text in [&aspect, &entry.name, &entry.value] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.finish()
    }

    /// Why an output with the key `old` must be made again to have this one: nothing if they are one key.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for entry in &self.entries {
            let before = old.value(entry.aspect, &entry.name);
            if before != Some(&entry.value) {
                reasons.push(change(entry, before, Some(&entry.value)));
            }
        }
        for entry in &old.entries {
            if self.value(entry.aspect, &entry.name).is_none() {
                reasons.push(change(entry, Some(&entry.value), None));
            }
        }
        if reasons.is_empty() && self != old {
            // The same entries in another order.
            reasons.push(Reason::new(ReasonCode::ParamsChanged));
        }
        reasons
    }
}

/// Settings that are in no key where they are not set, and what they are then; `none` would be another of their words.
const UNSET: [(&str, &str); 2] = [("encodings", "compact"), ("compression", "the default")];

fn change(entry: &Entry, old: Option<&str>, new: Option<&str>) -> Reason {
    let unset = || {
        let found = UNSET.iter().find(|(name, _)| entry.aspect == Aspect::Params && entry.name == *name);
        found.map(|(_, value)| *value)
    };
    Reason {
        code: entry.aspect.reason(),
        subject: Some(entry.name.clone()),
        // An earlier version recorded passwords that were in a query.
        old: old.or_else(unset).map(shown),
        new: new.or_else(unset).map(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(entries: &[(Aspect, &str, &str)]) -> Key {
        let mut key = Key::default();
        for (aspect, name, value) in entries {
            key.push(*aspect, *name, *value);
        }
        key
    }

    #[test]
    fn equal_keys_have_one_digest_and_no_changes() {
        let entries = [(Aspect::Sql, "sql", "SELECT 1"), (Aspect::Params, "jobs", "2")];
        assert_eq!(key(&entries).digest(), key(&entries).digest());
        assert_eq!(key(&entries).changes_since(&key(&entries)), []);
    }

    #[test]
    fn texts_do_not_run_together() {
        let one = key(&[(Aspect::Params, "a", "bc")]);
        let other = key(&[(Aspect::Params, "ab", "c")]);
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn each_change_is_named_with_old_and_new() {
        let old =
            key(&[(Aspect::Sql, "sql", "A"), (Aspect::Params, "gone", "1"), (Aspect::Code, "export", "1")]);
        let new =
            key(&[(Aspect::Sql, "sql", "B"), (Aspect::Code, "export", "1"), (Aspect::Input, "ids", "x")]);
        let text: Vec<String> = new.changes_since(&old).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["sql_changed", "input_changed: ids", "params_changed: gone 1 -> none"]);
    }

    #[test]
    fn a_setting_that_is_not_set_is_not_called_one_of_its_other_words() {
        let set = key(&[(Aspect::Params, "encodings", "plain"), (Aspect::Params, "compression", "none")]);
        let said = |new: &Key, old: &Key| {
            new.changes_since(old).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            said(&Key::default(), &set),
            "params_changed: encodings plain -> compact; params_changed: compression none -> the default"
        );
        assert_eq!(
            said(&set, &Key::default()),
            "params_changed: encodings compact -> plain; params_changed: compression the default -> none"
        );
    }
}
