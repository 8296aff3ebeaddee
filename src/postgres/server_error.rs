//! What the server says when it refuses something.

use std::fmt;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

/// An error report of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR` or `FATAL`.
    pub severity: String,
    /// The SQLSTATE code.
    pub code: String,
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the query, in characters from 1.
    pub position: Option<usize>,
}

impl ServerError {
    /// Reads a report; a damaged field is left out.
    pub(super) fn read(mut fields: ErrorFields<'_>) -> Self {
        let mut report = Self::default();
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                // The severity that is never translated comes after the translated one.
                b'S' | b'V' => report.severity = value,
                b'C' => report.code = value,
                b'M' => report.message = value,
                b'D' => report.detail = Some(value),
                b'H' => report.hint = Some(value),
                b'P' => report.position = value.parse().ok(),
                _ => {}
            }
        }
        report
    }

    /// Whether trying again may help: the server went away or is short of something, or a conflict ended the query.
    pub fn is_transient(&self) -> bool {
        const CODES: [&str; 9] =
            ["57P01", "57P02", "57P03", "57P05", "40001", "40P01", "53300", "55P03", "72000"];
        self.code.starts_with("08") || CODES.contains(&self.code.as_str())
    }

    /// Whether the server ends the session after this report.
    pub fn ends_session(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// The report, and under it the line of the query that it is about, with a mark.
    pub fn with_query(&self, query: &str) -> String {
        match self.position.and_then(|position| pointed(query, position)) {
            Some(pointed) => format!("{self}\n{pointed}"),
            None => self.to_string(),
        }
    }
}

/// The line of the query that holds the character, and a `^` under it.
fn pointed(query: &str, position: usize) -> Option<String> {
    let before: String = query.chars().take(position.checked_sub(1)?).collect();
    let number = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count();
    let line = query.lines().nth(number - 1)?;
    let label = format!("line {number}: ");
    Some(format!("{label}{line}\n{}^", " ".repeat(label.len() + column)))
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        for (label, text) in [("detail", &self.detail), ("server's hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, "\n{label}: {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_under_the_character() {
        let error = ServerError {
            message: "syntax error".into(),
            code: "42601".into(),
            position: Some(12),
            ..Default::default()
        };
        let text = error.with_query("SELECT é,\n  x y\nFROM t");
        assert_eq!(text, "syntax error (SQLSTATE 42601)\nline 2:   x y\n         ^");
        assert_eq!(pointed("SELECT", 0), None);
        assert_eq!(pointed("SELECT", 99), Some("line 1: SELECT\n              ^".to_owned()));
    }
}
