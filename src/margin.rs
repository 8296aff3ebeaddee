//! The result of a check on an output, and its margin: the value beside its limit. Not a place for the checks themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happens if an output does not pass a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The run prints a warning.
    #[default]
    Warn,
    /// The stage fails, and `ssp-run` keeps the last good output.
    Fail,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// The output has what the check asks for.
    Passed,
    /// It had no values to compare, such as an earlier output.
    Skipped,
    /// The output does not have it, and the severity is `warn`.
    Warning,
    /// The output does not have it.
    Failed,
}

impl CheckResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Skipped, Self::Warning, Self::Failed];

    /// As a word: `passed`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// The result of one check on the output of a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Margin {
    /// The key of the check in the pipeline file.
    pub check: String,
    /// What it looked at, if it is not the output as a whole: a column, or the values that were looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What happens if the output does not pass.
    pub severity: Severity,
    /// The result.
    pub result: CheckResult,
    /// What was found.
    pub value: Value,
    /// What the pipeline file allows.
    pub limit: Value,
    /// Both for people: `8,070,113 of at least 1`.
    pub margin: String,
    /// What is wrong and what to do, if the check did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Margin {
    /// The name that stands for a check where the output could not be read back.
    pub const UNREADABLE: &str = "output";

    /// Whether the output could not be read back, so that it was not checked.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.check == Self::UNREADABLE
    }
}
