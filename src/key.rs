//! A stage's key: a named, ordered record of all that its output depends on. Never a time.
//!
//! The same entries feed the hasher and the explanation, so that the two cannot drift apart.

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};

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
    pub name: String,
    /// Its value, or the digest of a value that is large.
    pub value: String,
}

/// The kinds of things that an output depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The version of the code of this kind of stage.
    Code,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_run_together() {
        let key = |name: &str, value: &str| {
            let mut key = Key::default();
            key.push(Aspect::Params, name, value);
            key.digest()
        };
        assert_eq!(key("a", "bc"), key("a", "bc"));
        assert_ne!(key("a", "bc"), key("ab", "c"));
    }
}
