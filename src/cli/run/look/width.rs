//! How wide the terminal is, and texts cut to a width.

use std::borrow::Cow;

use console::{Term, measure_text_width, truncate_str};

/// Columns, where standard output is not a terminal.
const USUAL: usize = 80;

/// The columns of the terminal.
pub(super) fn of_terminal() -> usize {
    Term::stdout().size_checked().map_or(USUAL, |(_, columns)| usize::from(columns))
}

/// A text in at most `width` columns; `…` stands for the rest.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    truncate_str(text, width, "…")
}

/// A text filled up to `width` columns.
pub(super) fn pad(text: &str, width: usize, right: bool) -> String {
    let gap = " ".repeat(width.saturating_sub(measure_text_width(text)));
    if right { gap + text } else { text.to_owned() + &gap }
}
