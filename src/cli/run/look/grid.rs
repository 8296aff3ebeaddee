//! Texts in aligned columns, and cut to a width. Not a place for what they say.

use std::borrow::Cow;

use console::{Term, measure_text_width, truncate_str};

use crate::lines::COLUMNS;

/// Columns between two columns.
const GAP: usize = 2;

/// The columns of the terminal; of a usual one where standard output is none.
pub(super) fn terminal_width() -> usize {
    Term::stdout().size_checked().map_or(COLUMNS, |(_, columns)| usize::from(columns))
}

/// A text in at most `width` columns; `…` stands for the rest.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    truncate_str(text, width, "…")
}

/// A text filled up to `width` columns.
fn pad(text: &str, width: usize, right: bool) -> String {
    let gap = " ".repeat(width.saturating_sub(measure_text_width(text)));
    if right { gap + text } else { text.to_owned() + &gap }
}

/// The columns of a grid.
pub(super) struct Grid {
    columns: Vec<Column>,
}

struct Column {
    title: String,
    /// Numbers.
    right: bool,
    width: usize,
}

impl Grid {
    /// With a title and an alignment for each column.
    pub(super) fn new(columns: impl IntoIterator<Item = (String, bool)>) -> Self {
        let column = |(title, right): (String, bool)| {
            let width = measure_text_width(&title);
            Column { title, right, width }
        };
        Self { columns: columns.into_iter().map(column).collect() }
    }

    /// Makes room for the texts of a line.
    pub(super) fn widen(&mut self, line: &[String]) {
        for (column, text) in self.columns.iter_mut().zip(line) {
            column.width = column.width.max(measure_text_width(text));
        }
    }

    /// How many columns fit into a width; always the first.
    pub(super) fn fitting(&self, width: usize) -> usize {
        let mut used = 0;
        let fits = |column: &&Column| {
            used += column.width + GAP;
            used <= width + GAP
        };
        self.columns.iter().take_while(fits).count().max(1).min(self.columns.len())
    }

    /// Leaves out the columns from a number on.
    pub(super) fn truncate(&mut self, columns: usize) {
        self.columns.truncate(columns);
    }

    /// Makes the first column narrower where the grid is wider than `width`.
    pub(super) fn squeeze(&mut self, width: usize) {
        let whole: usize = self.columns.iter().map(|column| column.width + GAP).sum();
        let excess = whole.saturating_sub(width + GAP);
        if let Some(first) = self.columns.first_mut() {
            first.width = first.width.saturating_sub(excess).max(8);
        }
    }

    /// The line of titles.
    pub(super) fn titles(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.clone()).collect();
        self.line(&titles)
    }

    /// A line without blanks at its end.
    pub(super) fn line(&self, texts: &[String]) -> String {
        let cells = self.columns.iter().zip(texts);
        let cells = cells.map(|(column, text)| pad(&cut(text, column.width), column.width, column.right));
        let line = cells.collect::<Vec<_>>().join(&" ".repeat(GAP));
        line.trim_end_matches(' ').to_owned() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
        texts.map(str::to_owned).into()
    }

    #[test]
    fn columns_are_aligned_and_counted() {
        let mut grid =
            Grid::new([("name".to_owned(), false), ("n".to_owned(), true), ("x".to_owned(), true)]);
        let lines = [texts(["星ü", "-1", "2"]), texts(["a", "100", ""])];
        for line in &lines {
            grid.widen(line);
        }
        assert_eq!(grid.titles(), "name    n  x\n");
        assert_eq!(grid.line(&lines[0]), "星ü    -1  2\n");
        assert_eq!(grid.line(&lines[1]), "a     100\n");
        assert_eq!([0, 8, 9, 11, 12, 80].map(|width| grid.fitting(width)), [1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn the_first_column_gives_way() {
        let mut grid = Grid::new([("a".repeat(20), false), ("n".to_owned(), true)]);
        grid.squeeze(15);
        assert_eq!(grid.titles(), format!("{}…  n\n", "a".repeat(11)));
    }
}
