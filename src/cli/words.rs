//! Words of the pipeline file, on the command line.

use std::convert::Infallible;

use serde::de::DeserializeOwned;

use crate::pipeline::spec::{MatchRule, Severity};
use crate::pipeline::values::Share;

/// A word of the pipeline file; what is wrong with another is said as for the file.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// An item of a list with commas, without the blanks around it.
#[expect(clippy::unnecessary_wraps, reason = "how the library wants it")]
pub fn trimmed(text: &str) -> Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

/// What `--min-match` stands for: a share that is asked for must be there, a usual one is only warned of.
pub fn match_rule(min_match: Option<Share>) -> MatchRule {
    let severity = if min_match.is_some() { Severity::Fail } else { Severity::Warn };
    MatchRule { at_least: min_match, severity }
}
