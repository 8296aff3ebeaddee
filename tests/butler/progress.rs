//! The progress bar, on a terminal.

use crate::fixture::{CHAIN, CLEAN, Fixture};
use crate::terminal;

fn drawn(fixture: &Fixture, args: &[&str]) -> Vec<String> {
    terminal::drawn(fixture.folder.path(), "extract-catalog", args)
}

#[test]
fn a_terminal_shows_datasets_rows_and_speed() {
    let fixture = Fixture::sqlite();
    let lines = drawn(&fixture, &["out.parquet", "repo", CLEAN, "-j", "1"]);
    let first = lines.iter().position(|line| line.contains("0/9 datasets  checking their files"));
    let shown = |line: &String| {
        // Such as `[===>    ] 2/9 datasets  130/592 rows, 14 MB/s  0s, 0s left`.
        let (_, rest) = line.split_once("] ")?;
        let (datasets, rest) = rest.split_once("/9 datasets  ")?;
        let (rows, rest) = rest.split_once("/592 rows, ")?;
        let (speed, _) = rest.split_once(" MB/s  ")?;
        Some((datasets.parse().ok()?, rows.parse().ok()?, speed.parse().ok()?))
    };
    let shown: Vec<(u64, u64, u64)> = lines.iter().filter_map(shown).collect();
    assert!(first.is_some() && shown.len() > 2, "{lines:?}");
    assert!(shown.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{shown:?}");
    assert!(shown.iter().any(|(datasets, rows, _)| *datasets > 1 && *rows > 100), "{shown:?}");
    // Nothing of it is left when it is done.
    let last = lines.iter().rev().find(|line| !line.is_empty()).unwrap();
    assert!(last.starts_with("`out.parquet`: 592 rows of 592 read, from 8 of 9 datasets"), "{lines:?}");
}

#[test]
fn silence_is_kept_on_a_terminal_too() {
    let fixture = Fixture::sqlite();
    let lines = drawn(&fixture, &["out.parquet", "repo", CLEAN, "--silent"]);
    assert!(lines.iter().all(String::is_empty), "{lines:?}");
    let lines = drawn(&fixture, &["out.parquet", "repo", CHAIN, "--silent", "--on-missing", "skip"]);
    let (warnings, others): (Vec<&String>, Vec<&String>) =
        lines.iter().filter(|line| !line.is_empty()).partition(|line| line.starts_with("warning: {"));
    assert!(!warnings.is_empty() && others.is_empty(), "{lines:?}");
}
