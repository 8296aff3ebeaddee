//! The differences of outputs as text. Not a place for finding them.

use std::fmt::Write as _;

use console::measure_text_width;

use super::compared::{Compared, Output, Side};
use super::grid::{Grid, terminal_width};
use crate::lines::fit;
use crate::run::words::thousands;
use crate::tables::Cell;
use crate::tables::diff::{ColumnChange, Difference, Rows, Step};

/// Columns before what belongs to the line above.
const INDENT: usize = 4;

/// The two generations.
pub(super) fn heading(old: &Side, new: &Side) -> String {
    let name = |side: &Side| {
        side.run.as_ref().map_or_else(|| "the current outputs".to_owned(), |run| format!("generation {run}"))
    };
    format!("old  {}\nnew  {}\n\n", name(old), name(new))
}

impl Compared<'_> {
    /// What differs, in lines.
    pub(super) fn text(&self) -> String {
        let name = &self.stage.name;
        let rows = |output: &Output| thousands(output.rows);
        match (&self.old, &self.new, &self.difference) {
            (None, None, _) => format!("{name}  no output\n"),
            (None, Some(new), _) => format!("{name}  {} rows, new output\n", rows(new)),
            (Some(old), None, _) => format!("{name}  the output of {} rows was removed\n", rows(old)),
            (Some(_), Some(new), None) => format!("{name}  {} rows, no difference\n", rows(new)),
            (Some(_), Some(new), Some(found)) if found.is_empty() => {
                format!("{name}  {} rows, no difference in the rows\n", rows(new))
            }
            (Some(old), Some(new), Some(found)) => {
                let [added, removed] = [&found.added, &found.removed].map(|rows| thousands(rows.count));
                let changed =
                    found.changed.as_ref().map(|rows| format!(", {} changed", thousands(rows.count)));
                let changed = changed.unwrap_or_default();
                let counts =
                    format!("{} -> {} rows: {added} added, {removed} removed{changed}", rows(old), rows(new));
                let head = fit(&format!("{name}"), [counts], INDENT);
                format!("{head}\n{}", details(found, &self.key))
            }
        }
    }
}

fn details(found: &Difference, key: &[String]) -> String {
    let mut text = String::new();
    let mut say = |what: &str, parts: Vec<String>| {
        let _ = writeln!(text, "{}", fit(&format!("  {what}"), parts, INDENT));
    };
    let no_rows = Rows::default();
    let changed = found.changed.as_ref().unwrap_or(&no_rows);
    for (word, rows) in [("added", &found.added), ("removed", &found.removed), ("changed", changed)] {
        if !rows.first.is_empty() {
            say(&format!("{word:<7}"), vec![names(rows)]);
        }
    }
    for (file, columns) in [("old", &found.only_old), ("new", &found.only_new)] {
        if !columns.is_empty() {
            let word = if columns.len() == 1 { "column" } else { "columns" };
            let columns: Vec<String> = columns.iter().map(|name| shown(name)).collect();
            say(&format!("{word} only in the {file} file:"), vec![columns.join(", ")]);
        }
    }
    for change in &found.types {
        let note = if change.compared { "" } else { "; its values were not compared" };
        let line = format!("is {}, was {}{note}", change.new, change.old);
        say(&format!("column {}", shown(&change.column)), vec![line]);
    }
    if key.is_empty() {
        let line = "set `key` in the pipeline file, or give --key, to see changes";
        say("no key:", vec![line.to_owned()]);
    }
    if !found.columns.is_empty() {
        text += &changes(&found.columns);
    }
    text
}

fn shown(name: &str) -> String {
    Cell::Text(name.to_owned()).to_string()
}

/// The names of some rows, and how many more there are.
fn names(rows: &Rows) -> String {
    /// The width of all names together.
    const WIDTH: usize = 100;
    let mut used = 0;
    let fits = |name: &&String| {
        used += measure_text_width(name) + 2;
        used <= WIDTH
    };
    let named: Vec<&str> = rows.first.iter().take_while(fits).map(String::as_str).collect();
    let more = rows.count - named.len() as u64;
    let names =
        if rows.first.iter().any(|name| name.contains(", ")) { named.join("; ") } else { named.join(", ") };
    match (named.len(), more) {
        (_, 0) => names,
        (0, more) => format!("{} rows with long keys", thousands(more)),
        (_, more) => format!("{names} and {} more", thousands(more)),
    }
}

/// A line for each column.
fn changes(columns: &[ColumnChange]) -> String {
    let has_nulls = columns.iter().any(|change| change.from_null + change.to_null > 0);
    let mut titles = vec![("column", false), ("changed", true)];
    if has_nulls {
        titles.extend([("was NULL", true), ("now NULL", true)]);
    }
    titles.extend([("median", true), ("99 %", true), ("max", true)]);
    let mut grid = Grid::new(titles.into_iter().map(|(title, right)| (title.to_owned(), right)));
    let lines: Vec<Vec<String>> = columns.iter().map(|change| line(change, has_nulls)).collect();
    for line in &lines {
        grid.widen(line);
    }
    grid.squeeze(terminal_width().saturating_sub(2));
    let mut text = format!("  {}", grid.titles());
    for line in &lines {
        text += &format!("  {}", grid.line(line));
    }
    text
}

fn line(change: &ColumnChange, has_nulls: bool) -> Vec<String> {
    let mut line = vec![shown(&change.column), thousands(change.rows)];
    if has_nulls {
        line.extend([change.from_null, change.to_null].map(thousands));
    }
    let step = |step: Step| match step {
        Step::Whole(size) => thousands(size),
        Step::Real(size) => rounded(size),
    };
    match &change.sizes {
        Some(sizes) => line.extend([sizes.median, sizes.q99, sizes.max].map(step)),
        None => line.extend(["-", "-", "-"].map(str::to_owned)),
    }
    line
}

/// A size with three digits.
fn rounded(size: f64) -> String {
    if !size.is_finite() {
        return "Infinity".to_owned();
    }
    let short = format!("{size:.2e}");
    match short.parse::<f64>() {
        Ok(value) if value == 0.0 || (1e-4..1e6).contains(&value) => value.to_string(),
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let sizes =
            [0.0, 0.100_000_04, 123.456, 0.000_01, 12_345_678.0, f64::INFINITY, 5e-324, 1.0, 999_999.0];
        assert_eq!(
            sizes.map(rounded),
            ["0", "0.1", "123", "1.00e-5", "1.23e7", "Infinity", "4.94e-324", "1", "1.00e6"]
        );
    }

    #[test]
    fn names_are_few_and_the_rest_is_counted() {
        let rows =
            |count, first: &[&str]| Rows { count, first: first.iter().map(ToString::to_string).collect() };
        assert_eq!(names(&rows(2, &["1", "2"])), "1, 2");
        assert_eq!(names(&rows(1_002, &["1", "2"])), "1, 2 and 1,000 more");
        assert_eq!(names(&rows(2, &["1, a", "2, b"])), "1, a; 2, b");
        assert_eq!(names(&rows(3, &[&"x".repeat(200)])), "3 rows with long keys");
    }
}
