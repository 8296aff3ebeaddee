//! Why a stage failed.

use std::error::Error as StdError;
use std::path::Path;

use crate::errors::{self, Class};
use crate::margin::{CheckResult, Margin};
use crate::stages;

/// Why a stage failed.
pub(super) struct Failure {
    /// The error and its causes.
    pub errors: Vec<String>,
    /// Whether a check on its output failed.
    pub check: bool,
    /// What the error means.
    pub class: Class,
    /// Whether another machine may succeed: a disk was full, or a file system did not answer.
    pub is_of_the_machine: bool,
}

impl From<stages::Error> for Failure {
    fn from(error: stages::Error) -> Self {
        Self { class: error.class(), ..Self::of(&error) }
    }
}

impl Failure {
    /// Of work that was stopped.
    pub(super) fn stopped() -> Self {
        Self { class: Class::Stopped, ..Self::saying("stopped".to_owned()) }
    }

    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let is_of_the_machine = errors::is_of_the_machine(error);
        Self { is_of_the_machine, ..Self::lines(errors::chain(error)) }
    }

    pub(super) fn saying(message: String) -> Self {
        Self::lines(vec![message])
    }

    /// An error and its causes.
    pub(super) fn lines(errors: Vec<String>) -> Self {
        Self { errors, check: false, class: Class::Fault, is_of_the_machine: false }
    }

    /// Of the checks that failed, if any did.
    pub(super) fn of_checks(checks: &[Margin], output: &Path) -> Option<Self> {
        let failed = checks.iter().filter(|margin| margin.result == CheckResult::Failed);
        let messages = failed.filter_map(|margin| margin.message.as_deref());
        let mut errors: Vec<String> = messages.map(errors::shown).collect();
        if errors.len() > 1 {
            errors.insert(0, format!("{} checks on `{}` failed", errors.len(), output.display()));
        }
        // An output that cannot be read was not checked.
        let check = checks.iter().all(|margin| !margin.is_unreadable());
        (!errors.is_empty()).then(|| Self { check, ..Self::lines(errors) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::margin::Severity;

    #[test]
    fn an_output_that_cannot_be_read_is_no_failed_check() {
        for (check, is_check) in [("not_null", true), (Margin::UNREADABLE, false)] {
            let margin = Margin {
                check: check.to_owned(),
                subject: None,
                severity: Severity::Fail,
                result: CheckResult::Failed,
                value: Value::Null,
                limit: Value::Null,
                margin: String::new(),
                message: Some("too many open files".to_owned()),
            };
            assert_eq!(Failure::of_checks(&[margin], Path::new("x")).unwrap().check, is_check);
        }
    }
}
