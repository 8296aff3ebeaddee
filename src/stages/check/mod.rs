//! What an output must satisfy before it is published: the stage's `checks` and `schema`.
//!
//! Every check is done, and each has its result and its margin. Not a place for what follows from them (see `run`).

mod bounds;
mod lag;
mod range;
mod schema;
mod spec;
mod table;
mod values;

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

pub use bounds::Number;
pub use spec::{ChecksSpec, MatchRule, MinMatch};

use super::Product;
use crate::errors;
use crate::lookup::{Lookup, Usual};
use crate::margin::{CheckResult, Margin, Severity};
use crate::parquet;
use crate::quantity::{Share, age_said, thousands};
use crate::schema::{Declared, NamedSchema};
use spec::MaxLag;
use table::{Problem, Table};

/// An output that is to be checked.
pub struct Subject<'a> {
    /// The new output.
    pub product: &'a Product,
    /// The path that it will have, as people know it.
    pub output: &'a Path,
    /// The schema that it must fit.
    pub schema: Option<&'a NamedSchema>,
    /// Rows of the last good output.
    pub rows_before: Option<u64>,
    /// The time of the data: of the snapshot, or the start of the stage.
    pub now: DateTime<Utc>,
}

/// What a check found: the value and the margin, and what is wrong, if something is.
struct Finding {
    value: Value,
    margin: String,
    wrong: Option<String>,
    result: Option<CheckResult>,
}

impl Finding {
    fn new(value: impl Into<Value>, margin: String) -> Self {
        Self { value: value.into(), margin, wrong: None, result: None }
    }

    fn skipped(margin: &str) -> Self {
        Self { result: Some(CheckResult::Skipped), ..Self::new(Value::Null, margin.to_owned()) }
    }

    /// What is wrong where there is no value to compare.
    fn without_value(margin: &str, wrong: String) -> Self {
        Self { wrong: Some(wrong), ..Self::new(Value::Null, margin.to_owned()) }
    }

    fn wrong_if(self, is_wrong: bool, message: impl FnOnce() -> String) -> Self {
        Self { wrong: is_wrong.then(message), ..self }
    }

    /// The result of the check `check`; `what` is the subject of its messages.
    fn of(self, check: &str, subject: Option<&str>, severity: Severity, limit: Value, what: &str) -> Margin {
        let result = match (&self.wrong, severity) {
            (None, _) => CheckResult::Passed,
            (Some(_), Severity::Warn) => CheckResult::Warning,
            (Some(_), Severity::Fail) => CheckResult::Failed,
        };
        let result = self.result.unwrap_or(result);
        let failed = if result == CheckResult::Failed { " failed" } else { "" };
        Margin {
            check: check.to_owned(),
            subject: subject.map(str::to_owned),
            severity,
            result,
            value: self.value,
            limit,
            margin: self.margin,
            message: self.wrong.map(|wrong| format!("check `{check}`{failed}: {what} {wrong}")),
        }
    }
}

/// Checks an output and the lookups of its stage. The order is that of the reference.
#[must_use]
pub fn check(checks: &ChecksSpec, subject: &Subject<'_>) -> Vec<Margin> {
    let mut margins = Vec::new();
    if !subject.product.files.is_empty() {
        margins.extend(of_rows(checks, subject));
        match Table::open(subject.product, subject.output) {
            Ok(table) => margins.extend(of_columns(checks, subject, &table)),
            Err(error) => margins.push(unreadable(&error)),
        }
    }
    margins.extend(check_lookups(&subject.product.lookups, MinMatch::rule(checks.min_match)));
    margins
}

/// An output that cannot be read back fails, even if all checks are to warn.
fn unreadable(error: &parquet::Error) -> Margin {
    Margin {
        check: Margin::UNREADABLE.to_owned(),
        subject: None,
        severity: Severity::Fail,
        result: CheckResult::Failed,
        value: Value::Null,
        limit: Value::Null,
        margin: "not readable".to_owned(),
        message: Some(errors::chain(error).join(": ")),
    }
}

/// The checks on the number of rows.
fn of_rows(checks: &ChecksSpec, subject: &Subject<'_>) -> Vec<Margin> {
    let (rows, before) = (subject.product.rows(), subject.rows_before);
    let what = format!("`{}`", subject.output.display());
    let mut margins = Vec::new();
    if let Some((min, severity)) = checks.min_rows.as_ref().map(spec::Rule::parts) {
        let margin = format!("{} of at least {}", thousands(rows), thousands(*min));
        let finding = Finding::new(rows, margin).wrong_if(rows < *min, || {
            format!(
                "has {}, expected at least {min}; if that is right, lower `min_rows`",
                counted(rows, "row")
            )
        });
        margins.push(finding.of("min_rows", None, severity, json!(min), &what));
    }
    let limits = [
        checks.max_shrink.as_ref().map(|rule| {
            let (share, severity) = rule.parts();
            ("max_shrink", "fewer", share.fraction(), String::from(*share), severity)
        }),
        checks.max_growth.as_ref().map(|rule| {
            let (growth, severity) = rule.parts();
            ("max_growth", "more", growth.fraction(), String::from(*growth), severity)
        }),
    ];
    for (check, word, most, limit, severity) in limits.into_iter().flatten() {
        let finding = match before {
            None => Finding::skipped("no earlier output"),
            Some(0) => Finding::skipped("the last good output has no rows"),
            Some(before) => {
                let change =
                    if word == "more" { rows.saturating_sub(before) } else { before.saturating_sub(rows) };
                let share = change as f64 / before as f64;
                let said = percent(share);
                Finding::new(share, format!("{said} of at most {}", spaced(&limit))).wrong_if(share > most, || {
                    format!(
                        "has {}, {said} {word} than the {before} of the last good output; if that is right, raise \
                         `{check}` for one run",
                        counted(rows, "row")
                    )
                })
            }
        };
        margins.push(finding.of(check, None, severity, json!(limit), &what));
    }
    margins
}

/// The checks on columns, and the schema.
fn of_columns(checks: &ChecksSpec, subject: &Subject<'_>, table: &Table) -> Vec<Margin> {
    let output = format!("`{}`", subject.output.display());
    let mut margins = Vec::new();
    let mut add =
        |check: &str, column: &str, severity: Severity, limit: Value, found: Result<Finding, Problem>| {
            let finding = match found {
                Ok(finding) => finding,
                Err(Problem::Unfit(message)) => Finding::without_value("not checked", message),
                Err(Problem::Read(error)) => return margins.push(unreadable(&error)),
            };
            let what = match table.field(column) {
                Some(_) => format!("column `{column}` of {output}"),
                None => output.clone(),
            };
            margins.push(finding.of(check, Some(column), severity, limit, &what));
        };
    let declared = subject.schema.map(NamedSchema::load);
    let readable = declared.as_ref().and_then(|declared| declared.as_ref().ok());
    if let Some(lag) = &checks.max_lag {
        let unit = unit(table, readable, &lag.column);
        let newest = lag::newest(table, &lag.column, unit.as_deref());
        let finding = newest.map(|newest| match newest {
            Some(newest) => age(lag, newest, subject.now),
            None => Finding::without_value("no value", "has no value, so that its age is unknown".to_owned()),
        });
        add("max_lag", &lag.column, lag.severity(), json!(lag.at_most), finding);
    }
    for (column, rule) in &checks.range {
        let (bounds, severity) = rule.parts();
        let found = range::look(table, column, bounds).map(|found| within(&found, bounds));
        add("range", column, severity, json!(bounds), found);
    }
    for (columns, severity) in checks.not_null.iter().map(spec::Rule::parts) {
        for column in columns {
            let found = values::nulls(table, column).map(|(nulls, first)| {
                let finding = Finding::new(nulls, format!("{} of 0", counted(nulls, "NULL")));
                finding.wrong_if(nulls > 0, || {
                    let first = first.unwrap_or_default();
                    let more = if nulls == 1 { "in" } else { "the first in" };
                    format!(
                        "has {}, {more} row {first}; if that is right, remove it from `not_null`",
                        counted(nulls, "NULL")
                    )
                })
            });
            add("not_null", column, severity, json!(0), found);
        }
    }
    for (columns, severity) in checks.unique.iter().map(spec::Rule::parts) {
        for column in columns {
            let found = values::repeat(table, column).map(|repeat| {
                let margin = if repeat.is_some() { "repeated values" } else { "no repeated value" };
                Finding::new(repeat.is_some(), margin.to_owned()).wrong_if(repeat.is_some(), || {
                    let (row, value) = repeat.unwrap_or_default();
                    format!(
                        "has the value of an earlier row in row {row}: `{value}`; if that is right, remove it from \
                         `unique`"
                    )
                })
            });
            add("unique", column, severity, json!(false), found);
        }
    }
    margins.extend(declared.map(|declared| schema::of_schema(&declared, table, &output)));
    margins
}

/// The unit of a column: from the output, else from the schema.
fn unit(table: &Table, declared: Option<&Declared>, column: &str) -> Option<String> {
    let own = table.field(column).and_then(|field| field.metadata().get("unit").cloned());
    own.or_else(|| declared?.column(column)?.unit.map(str::to_owned))
}

/// Values further in the future than this cannot be the newest data.
const FUTURE: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// The age of the newest value of a column.
fn age(lag: &MaxLag, newest: DateTime<Utc>, now: DateTime<Utc>) -> Finding {
    let age = now.signed_duration_since(newest);
    let said = age_said(age.abs().to_std().unwrap_or_default());
    let most = age_said(lag.at_most.0);
    let newest = newest.to_rfc3339_opts(SecondsFormat::Secs, true);
    let margin = if age < chrono::TimeDelta::zero() {
        format!("{said} in the future, of at most {most}")
    } else {
        format!("{said} of at most {most}")
    };
    let old = age.to_std().is_ok_and(|age| age > lag.at_most.0);
    let finding = Finding::new(newest.clone(), margin);
    if -age > FUTURE {
        return finding.wrong_if(true, || {
            format!("has the newest value {newest}, {said} in the future, so that its age is unknown; correct that value")
        });
    }
    finding.wrong_if(old, || {
        format!(
            "has the newest value {newest}, {said} ago, expected at most {most}; find out why the source has no newer data, \
             or, if that is right, raise `max_lag`"
        )
    })
}

/// The results of an earlier run for an output that is up to date: only the age of its newest value is another now.
#[must_use]
pub fn check_again(
    checks: &ChecksSpec,
    earlier: &[Margin],
    output: &Path,
    now: DateTime<Utc>,
) -> Vec<Margin> {
    let mut margins = earlier.to_vec();
    for margin in margins.iter_mut().filter(|margin| margin.check == "max_lag") {
        let newest = margin.value.as_str().and_then(|newest| newest.parse::<DateTime<Utc>>().ok());
        let lag = checks.max_lag.as_ref().filter(|lag| margin.subject.as_ref() == Some(&lag.column));
        if let (Some(lag), Some(newest)) = (lag, newest) {
            let what = format!("column `{}` of `{}`", lag.column, output.display());
            *margin = age(lag, newest, now).of(
                "max_lag",
                Some(&lag.column),
                lag.severity(),
                json!(lag.at_most),
                &what,
            );
        }
    }
    margins
}

/// The results of the checks on an output that is unchanged though what was looked up may be other things: `again` is what
/// [`check_again`] says.
#[must_use]
pub fn check_unchanged(checks: &ChecksSpec, mut again: Vec<Margin>, product: &Product) -> Vec<Margin> {
    again.retain(|margin| margin.check != "min_match");
    again.extend(check_lookups(&product.lookups, MinMatch::rule(checks.min_match)));
    again
}

fn within(found: &range::Found, bounds: &bounds::Bounds) -> Finding {
    let ends = match &found.ends {
        None => "no numbers".to_owned(),
        Some((least, most)) => format!("{least} to {most}"),
    };
    let values = counted(found.outside, "value");
    let margin = match found.outside {
        0 => format!("{ends} of {bounds}"),
        _ => format!("{values} outside, {ends} of {bounds}"),
    };
    Finding::new(found.outside, margin).wrong_if(found.outside > 0, || {
        let (row, value) = found.first.clone().unwrap_or_default();
        let first = if found.outside == 1 { "" } else { "the first is " };
        format!("has {values} outside the range {bounds}: {first}{value} in row {row}; if that is right, change `range`")
    })
}

/// Checks how inputs fit together. Where there was none to look up, that is a warning and no failure: that is for `min_rows`.
#[must_use]
pub fn check_lookups(lookups: &[Lookup], rule: MatchRule) -> Vec<Margin> {
    let at_least = rule.at_least.unwrap_or(Share::HALF);
    let limit = String::from(at_least);
    let of = |lookup: &Lookup| {
        let Lookup { found, of, sought, usual, .. } = lookup;
        let share =
            if *of == 0 { String::new() } else { format!(" ({})", percent(*found as f64 / *of as f64)) };
        let least = if *usual == Usual::Some { "1".to_owned() } else { spaced(&limit) };
        let margin = format!("{} of {}{share}, of at least {least}", thousands(*found), thousands(*of));
        let finding = Finding::new(*found, margin);
        let mut margin = finding.of("min_match", Some(sought), rule.severity, json!(limit), "");
        if rule.severity == Severity::Fail && lookup.is_below(at_least.fraction()) {
            margin.result = CheckResult::Failed;
            margin.message = Some(format!("check `min_match` failed: {lookup}; expected at least {limit}"));
        } else if lookup.is_doubtful(at_least.fraction()) {
            margin.result = CheckResult::Warning;
            margin.message = Some(lookup.to_string());
        }
        margin
    };
    lookups.iter().map(of).collect()
}

/// `12.3 %`; a share above zero is never `0.0 %`.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 { "<0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// `10 %` of `10%`.
fn spaced(percentage: &str) -> String {
    percentage.replace('%', " %")
}

/// `1 row`, `2,000 rows`.
fn counted(number: u64, word: &str) -> String {
    format!("{} {word}{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
