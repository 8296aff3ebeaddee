//! The reasons for which stages run: a closed set, stable in JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::key::{Aspect, Entry, Key};
use crate::secrets::shown;

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
        self.serialize(f)
    }
}

/// The longest value that is shown in one line with its reason.
const LONGEST_SHOWN: usize = 24;

/// One line; what is too long for it is in the JSON form and in `ssp-run explain`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let Some(subject) = &self.subject else { return Ok(()) };
        if self.code == ReasonCode::SqlChanged {
            return Ok(());
        }
        write!(f, ": {subject}")?;
        let has_values = !matches!(self.code, ReasonCode::InputChanged | ReasonCode::DatasetsChanged)
            && (self.old.is_some() || self.new.is_some());
        let [old, new] = [&self.old, &self.new].map(|value| value.as_deref().unwrap_or("none"));
        let is_short = |text: &str| text.len() <= LONGEST_SHOWN && !text.contains('\n');
        if has_values && is_short(old) && is_short(new) {
            write!(f, " {old} -> {new}")?;
        }
        Ok(())
    }
}

/// Why an output with the key `old` must be made again to have the key `new`; empty if the keys are equal.
#[must_use]
pub(super) fn changes(new: &Key, old: &Key) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for entry in new.entries() {
        let before = old.value(entry.aspect, &entry.name);
        if before != Some(&entry.value) {
            reasons.push(change(entry, before, Some(&entry.value)));
        }
    }
    for entry in old.entries() {
        if new.value(entry.aspect, &entry.name).is_none() {
            reasons.push(change(entry, Some(&entry.value), None));
        }
    }
    if reasons.is_empty() && new != old {
        // The same entries in another order.
        reasons.push(Reason::new(ReasonCode::ParamsChanged));
    }
    reasons
}

fn code(aspect: Aspect) -> ReasonCode {
    match aspect {
        Aspect::Code => ReasonCode::CodeVersionChanged,
        Aspect::Params => ReasonCode::ParamsChanged,
        Aspect::Sql => ReasonCode::SqlChanged,
        Aspect::Schema => ReasonCode::SchemaChanged,
        Aspect::Input => ReasonCode::InputChanged,
        Aspect::Datasets => ReasonCode::DatasetsChanged,
    }
}

/// Settings that are in no key where they are not set, and what they are then; `none` would be another of their words.
const UNSET: [(&str, &str); 3] =
    [("encodings", "compact"), ("cell_pages", "4096"), ("compression", "the default")];

fn change(entry: &Entry, old: Option<&str>, new: Option<&str>) -> Reason {
    let unset = || {
        let found = UNSET.iter().find(|(name, _)| entry.aspect == Aspect::Params && entry.name == *name);
        found.map(|(_, value)| *value)
    };
    Reason {
        code: code(entry.aspect),
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
    fn equal_keys_have_no_changes() {
        let entries = [(Aspect::Sql, "sql", "SELECT 1"), (Aspect::Params, "jobs", "2")];
        assert_eq!(changes(&key(&entries), &key(&entries)), []);
    }

    #[test]
    fn each_change_is_named_with_old_and_new() {
        let old =
            key(&[(Aspect::Sql, "sql", "A"), (Aspect::Params, "gone", "1"), (Aspect::Code, "export", "1")]);
        let new =
            key(&[(Aspect::Sql, "sql", "B"), (Aspect::Code, "export", "1"), (Aspect::Input, "ids", "x")]);
        let text: Vec<String> = changes(&new, &old).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["sql_changed", "input_changed: ids", "params_changed: gone 1 -> none"]);
    }

    #[test]
    fn a_setting_that_is_not_set_is_not_called_one_of_its_other_words() {
        let set = key(&[(Aspect::Params, "encodings", "plain"), (Aspect::Params, "compression", "none")]);
        let said = |new: &Key, old: &Key| {
            changes(new, old).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
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
