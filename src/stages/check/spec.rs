//! The part of the pipeline file on checks: each check alone, or with a severity. Not a place for what the checks do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, Wrong};
use crate::margin::Severity;
use crate::quantity::{Growth, Period, Share};

/// Checks of the new output. If a check fails, `ssp-run` keeps the last good output. With `severity: warn`, the run prints
/// a warning instead.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecksSpec {
    /// Minimum number of rows in the new output.
    pub min_rows: Option<Rule<u64, MinRows>>,
    /// Maximum loss of rows in the new output, compared with the last good output. For example, with `10%`, a new
    /// output with 89 rows fails if the last good output has 100 rows.
    pub max_shrink: Option<Rule<Share, MaxShrink>>,
    /// Maximum gain of rows in the new output, compared with the last good output. It can be more than 100%.
    pub max_growth: Option<Rule<Growth, MaxGrowth>>,
    /// Maximum age of the newest value of a column, such as `{column: obstime, at_most: 36h}`.
    pub max_lag: Option<MaxLag>,
    /// The range of the numbers in each column, such as `{h: [-5, 40], g12: [null, 1]}`. Both limits are inside the range,
    /// and `null` is no limit. The check ignores NULL. NaN is outside the range. Put a limit with more than 15 digits in
    /// quotes.
    #[serde(default)]
    pub range: BTreeMap<String, Rule<Bounds, Range>>,
    /// Minimum share of matches. The check shows whether the inputs of a stage fit together. For `extract`, the check
    /// computes the shares of datasets that the stage can read, and of ids that the datasets contain. For
    /// `build-sssource`, the check computes the shares of observations with a matching detection, of designations that
    /// the stage knows, and of objects with an orbit. For `build-ssobject`, the check computes the shares of
    /// SSSource rows with an object, and of SSSource rows whose detection is in DiaSource. For `build-ssobject`, the
    /// check also computes the shares of objects with an orbit, of complete orbits, and of detections in the six bands.
    /// A share below the minimum causes a warning. With `severity: fail`, the share causes a failure of the stage. If
    /// there is no match at all, the warning appears even if the minimum is `0%`. Default: `50%`.
    pub min_match: Option<MinMatch>,
    /// Columns that must not contain NULL.
    pub not_null: Option<Rule<Vec<String>, NotNull>>,
    /// Columns that must not contain the same value twice. NULL can occur several times in these columns.
    pub unique: Option<Rule<Vec<String>, Unique>>,
}

/// A check: its limit alone, or with a severity.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Rule<Limit, Long> {
    /// The limit alone.
    Short(Limit),
    /// The limit with a severity.
    Long(Long),
}

/// The long form of a check.
pub trait Form<Limit> {
    fn parts(&self) -> (&Limit, Option<Severity>);
}

impl<Limit, Long: Form<Limit>> Rule<Limit, Long> {
    /// The limit and the severity.
    #[must_use]
    pub fn parts(&self) -> (&Limit, Severity) {
        let (limit, severity) = match self {
            Self::Short(limit) => (limit, None),
            Self::Long(long) => long.parts(),
        };
        (limit, severity.unwrap_or(Severity::Fail))
    }
}

/// The long form of a check whose limit has the key `$key`.
macro_rules! form {
    ($(#[$about:meta])* $name:ident, $(#[$what:meta])* $key:ident: $limit:ty) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(#[$what])*
            pub $key: $limit,
            /// The effect if the output does not pass the check. Default: `fail`.
            pub severity: Option<Severity>,
        }

        impl Form<$limit> for $name {
            fn parts(&self) -> (&$limit, Option<Severity>) {
                (&self.$key, self.severity)
            }
        }
    };
}

form!(
    /// The minimum number of rows with a severity.
    MinRows,
    /// The minimum number of rows.
    at_least: u64
);
form!(
    /// The maximum loss of rows with a severity.
    MaxShrink,
    /// The maximum loss.
    at_most: Share
);
form!(
    /// The maximum gain of rows with a severity.
    MaxGrowth,
    /// The maximum gain.
    at_most: Growth
);
form!(
    /// The range of a column with a severity.
    Range,
    /// The smallest and the largest value.
    between: Bounds
);
form!(
    /// The columns without NULL with a severity.
    NotNull,
    /// The columns.
    columns: Vec<String>
);
form!(
    /// The columns without repeated values with a severity.
    Unique,
    /// The columns.
    columns: Vec<String>
);

/// The maximum age of the newest value of a column. For exports, the age is the age at the time of the snapshot. For other
/// stages, it is the age at the start of the stage. Each run does this check again for an output that is up to date.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("format" = "max-lag"))]
pub struct MaxLag {
    /// The column: a timestamp, a date, or a `float64` column with the unit `d`, whose values are Modified Julian Dates. All
    /// times are UTC; the check ignores the difference to TAI, about 37 s. A date starts at 00:00.
    pub column: String,
    /// The maximum age.
    pub at_most: Period,
    /// The effect if the output does not pass the check. Default: `fail`.
    pub severity: Option<Severity>,
}

impl MaxLag {
    pub(super) fn severity(&self) -> Severity {
        self.severity.unwrap_or(Severity::Fail)
    }
}

/// The minimum share of matches: alone, or with a severity.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MinMatch {
    /// The share alone: less is a warning.
    AtLeast(Share),
    /// With what happens.
    Rule(MatchRule),
}

impl MinMatch {
    /// The rule that a setting stands for.
    #[must_use]
    pub fn rule(setting: Option<Self>) -> MatchRule {
        match setting {
            None => MatchRule::default(),
            Some(Self::AtLeast(share)) => MatchRule { at_least: Some(share), ..MatchRule::default() },
            Some(Self::Rule(rule)) => rule,
        }
    }
}

/// The minimum share of matches, and the effect of a share below this minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchRule {
    /// The minimum share. Default: `50%`.
    pub at_least: Option<Share>,
    /// The effect of a share below the minimum. Default: `warn`.
    #[serde(default)]
    pub severity: Severity,
}

impl ChecksSpec {
    /// The columns that the checks need, each with the key of its check.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lag = self.max_lag.iter().map(|lag| ("max_lag", &lag.column));
        let range = self.range.keys().map(|column| ("range", column));
        let not_null =
            self.not_null.iter().flat_map(|rule| rule.parts().0).map(|column| ("not_null", column));
        let unique = self.unique.iter().flat_map(|rule| rule.parts().0).map(|column| ("unique", column));
        lag.chain(range).chain(not_null).chain(unique).map(|(key, column)| (key, column.as_str()))
    }

    /// What is wrong with the limits, with the keys that lead to each mistake.
    pub fn mistakes(&self) -> impl Iterator<Item = (Vec<&str>, String)> {
        self.range.iter().flat_map(|(column, rule)| {
            let wrong = rule.parts().0.wrong();
            wrong.into_iter().map(move |wrong| {
                let message = match wrong {
                    Wrong::Order(low, high) => {
                        format!("the range of `{column}` has its limits the wrong way round: write [{high}, {low}]")
                    }
                    Wrong::NoLimit => format!("the range of `{column}` has no limit: write at least one number"),
                    Wrong::Rounded(number) => format!(
                        "`{column}`: the number {number} may be rounded: put the number in quotes"
                    ),
                };
                (vec!["range", column.as_str()], message)
            })
        })
    }
}
