//! Mistakes in a pipeline file, all of them, each with its line.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::{Place, line_of};
use crate::dsn::may_hold_password;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub message: String,
    /// Whether the line holds a secret and is not to be shown.
    pub secret: bool,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), secret: false }
    }

    /// A password in the file.
    pub(super) fn password(place: Place) -> Self {
        let message = "a password does not belong in this file: use ~/.pgpass, a service file or PGPASSWORD";
        Self { secret: true, ..Self::new(place, message) }
    }

    /// A password of the environment that is put into a connection string of the file.
    pub(super) fn password_in_part(place: Place) -> Self {
        let message = "a password cannot be in a part of a connection string: put the whole string in an \
            environment variable (`dsn: ${env:NAME}`), or use ~/.pgpass, a service file or PGPASSWORD";
        Self { secret: true, ..Self::new(place, message) }
    }

    /// A password in a query.
    pub(super) fn password_in_query(place: Place) -> Self {
        let message = "a password does not belong in a query: store it on the server (CREATE SERVER and CREATE USER \
            MAPPING) and use that server, or write `${env:NAME}`, whose value is not recorded";
        Self { secret: true, ..Self::new(place, message) }
    }
}

/// All mistakes of a file, in the order of their lines.
#[derive(Debug)]
pub struct Mistakes {
    file: PathBuf,
    text: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    /// The mistakes of a file with this text.
    #[must_use]
    pub fn new(file: &Path, text: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self { file: file.to_owned(), text: text.to_owned(), list: mistakes }
    }

    /// Each mistake.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let count = self.list.len();
        write!(f, "`{file}` has {count} mistake{}; nothing was run", if count == 1 { "" } else { "s" })?;
        for mistake in &self.list {
            let Place { line, column } = mistake.place;
            let secret = self.list.iter().any(|other| other.secret && other.place.line == line);
            let text = line_of(&self.text, mistake.place);
            match text.filter(|text| !secret && !may_hold_password(text)) {
                None if line > 0 => write!(f, "\n\n{file}:{line}:{column}: {}", mistake.message)?,
                None => write!(f, "\n\n{file}: {}", mistake.message)?,
                Some(text) => {
                    let gutter = line.to_string();
                    let blank = " ".repeat(gutter.len());
                    let before: String =
                        text.chars().take(usize::try_from(column.saturating_sub(1)).unwrap_or(0)).collect();
                    let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                    write!(f, "\n\n{file}:{line}:{column}: {}", mistake.message)?;
                    write!(f, "\n  {gutter} | {text}\n  {blank} | {indent}^")?;
                }
            }
        }
        Ok(())
    }
}
