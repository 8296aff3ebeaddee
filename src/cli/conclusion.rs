//! The end of a program that makes one table: checks, warnings, the file in its place, a summary.

use anyhow::anyhow;

use super::failure::{Exit, Failure};
use super::messages::say;
use crate::durable::publish_all;
use crate::margin::CheckResult;
use crate::quantity::Share;
use crate::stages::{MatchRule, Product, Severity, check_lookups};

/// Checks how the inputs fit together, prints the warnings, publishes the files and, unless `silent`, prints the summary.
///
/// A share that is asked for must be found; below the usual one there is a warning.
pub(crate) fn conclude(
    product: Product,
    min_match: Option<Share>,
    silent: bool,
    summary: impl FnOnce(&Product) -> String,
) -> Result<Exit, Failure> {
    let severity = if min_match.is_some() { Severity::Fail } else { Severity::Warn };
    let margins = check_lookups(&product.lookups, MatchRule { at_least: min_match, severity });
    let (failed, passed): (Vec<_>, Vec<_>) =
        margins.into_iter().partition(|margin| margin.result == CheckResult::Failed);
    let failed: Vec<String> = failed.into_iter().filter_map(|margin| margin.message).collect();
    if !failed.is_empty() {
        return Err(Failure::new(Exit::CheckFailed, anyhow!(failed.join("\n"))));
    }
    let doubts: Vec<String> = passed.into_iter().filter_map(|margin| margin.message).collect();
    for warning in product.warnings.iter().chain(&doubts) {
        say(format_args!("warning: {warning}\n"));
    }
    let summary = (!silent).then(|| summary(&product));
    let files = product.files.into_iter().map(|table| table.file).collect();
    publish_all(files).map_err(Failure::fault)?;
    if let Some(summary) = summary {
        say(format_args!("{summary}\n"));
    }
    Ok(Exit::Done)
}
