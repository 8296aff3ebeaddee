//! An error and its causes as lines of text. Not a place for errors themselves.

use std::error::Error;

/// The error and its causes, outermost first, without those that say what the one before them already said.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !lines.last().is_some_and(|said| said.ends_with(&text)) {
            lines.push(text);
        }
        next = error.source();
    }
    lines
}
