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
        Self { errors: errors::chain(error), check: false, class: Class::Fault }
    }

    pub(super) fn saying(message: String) -> Self {
        Self { errors: vec![message], check: false, class: Class::Fault }
    }

    /// Of the checks that failed, if any did.
    pub(super) fn of_checks(checks: &[Margin], output: &Path) -> Option<Self> {
        let failed = checks.iter().filter(|margin| margin.result == CheckResult::Failed);
        let messages = failed.filter_map(|margin| margin.message.as_deref());
        let mut errors: Vec<String> = messages.map(errors::shown).collect();
        if errors.len() > 1 {
            errors.insert(0, format!("{} checks on `{}` failed", errors.len(), output.display()));
        }
        (!errors.is_empty()).then_some(Self { errors, check: true, class: Class::Fault })
    }
}
