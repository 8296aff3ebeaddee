//! The reasons for which stages run: a closed set, stable in JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

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
        f.write_str(match self {
            Self::NeverRun => "never_run",
            Self::Forced => "forced",
            Self::OutputMissing => "output_missing",
            Self::OutputModified => "output_modified",
            Self::Interrupted => "interrupted",
            Self::InputChanged => "input_changed",
            Self::DatasetsChanged => "datasets_changed",
            Self::DataChanged => "data_changed",
            Self::SqlChanged => "sql_changed",
            Self::ParamsChanged => "params_changed",
            Self::SchemaChanged => "schema_changed",
            Self::CodeVersionChanged => "code_version_changed",
            Self::GenerationExpired => "generation_expired",
        })
    }
}

/// The longest value that is shown in one line with its reason.
const LONGEST_SHOWN: usize = 24;

/// One line; what is too long for it is in the JSON form and in `ssp-run explain`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let short = |value: &Option<String>| {
            value.clone().filter(|text| text.len() <= LONGEST_SHOWN && !text.contains('\n'))
        };
        match self.code {
            ReasonCode::SqlChanged => Ok(()),
            ReasonCode::InputChanged | ReasonCode::DatasetsChanged => match &self.subject {
                Some(subject) => write!(f, ": {subject}"),
                None => Ok(()),
            },
            _ => {
                let Some(subject) = &self.subject else { return Ok(()) };
                write!(f, ": {subject}")?;
                let none = Some("none".to_owned());
                let old = if self.old.is_none() { none.clone() } else { short(&self.old) };
                let new = if self.new.is_none() { none } else { short(&self.new) };
                match (old, new) {
                    (Some(old), Some(new)) if self.old.is_some() || self.new.is_some() => {
                        write!(f, " {old} -> {new}")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}
