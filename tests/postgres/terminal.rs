//! The progress bars of `fast-export`, on a terminal.

use std::path::Path;

use crate::support::postgres::Server;
use crate::support::terminal;

/// Batches of rows come a tenth of a second apart, so that each is drawn.
const TABLE: &str = "CREATE TABLE t AS SELECT n FROM generate_series(1, 100000) AS n; ANALYZE t;";
const SLOWLY: &str = "SELECT n, CASE WHEN n % 16000 = 0 THEN pg_sleep(0.1) END AS nothing FROM t";

fn drawn(folder: &Path, server: &Server, arguments: &[&str]) -> Vec<String> {
    let uri = server.throwaway.uri();
    terminal::drawn(folder, "fast-export", &[&["--dsn", &uri], arguments].concat())
}

/// Rows, rows in all and speed of the lines about an output, such as
/// `a.parquet [===>    ] 16,384/100,000 rows  2 MB/s  0s, 1s left`.
fn shown(lines: &[String], out: &str) -> Vec<(u64, u64, f64)> {
    let number = |text: &str| text.replace(',', "").parse().ok();
    let read = |line: &String| {
        // Of outputs at once, the bars fill the width, one behind the other.
        let (_, rest) = line.split_once(&format!("{out} ["))?.1.split_once("] ")?;
        let (rest, _) = rest.split_once(" left")?;
        let (rows, rest) = rest.split_once('/')?;
        let (all, rest) = rest.split_once(" rows  ")?;
        let (speed, rest) = rest.split_once(" MB/s  ")?;
        assert!(rest.contains("s, "), "{line}");
        Some((number(rows)?, number(all)?, speed.parse().ok()?))
    };
    lines.iter().filter_map(read).collect()
}

#[test]
fn a_terminal_shows_rows_speed_and_an_estimate_of_the_whole() {
    let server = Server::with(TABLE);
    let folder = tempfile::tempdir().unwrap();
    let lines = drawn(folder.path(), &server, &["--sql", SLOWLY, "--out", "a.parquet"]);
    let shown = shown(&lines, "a.parquet");
    assert!(shown.len() > 2, "{lines:?}");
    assert!(shown.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{shown:?}");
    assert!(shown.iter().all(|(rows, all, _)| *all == 100_000 && rows <= all), "{shown:?}");
    assert!(shown.iter().any(|(rows, _, speed)| *rows > 16_000 && *speed >= 0.0), "{shown:?}");
    // Nothing of it is left when it is done.
    let last = lines.iter().rev().find(|line| !line.is_empty()).unwrap();
    assert!(last.starts_with("a.parquet: 100,000 rows, "), "{lines:?}");
}

#[test]
fn outputs_at_once_have_a_bar_each_and_a_small_estimate_grows() {
    let server = Server::with(TABLE);
    // The planner knows no better than a thousand rows of a function.
    server.run(
        "CREATE FUNCTION many() RETURNS SETOF int LANGUAGE plpgsql AS
                'BEGIN RETURN QUERY SELECT n FROM t; END'",
    );
    let folder = tempfile::tempdir().unwrap();
    let slowly = SLOWLY.replace("FROM t", "FROM many() AS n");
    let list = format!("- {{sql: \"{SLOWLY}\", out: a.parquet}}\n- {{sql: \"{slowly}\", out: b.parquet}}\n");
    std::fs::write(folder.path().join("list.yaml"), list).unwrap();
    let lines = drawn(folder.path(), &server, &["--config", "list.yaml", "--jobs", "2"]);
    let (a, b) = (shown(&lines, "a.parquet"), shown(&lines, "b.parquet"));
    assert!(a.len() > 2 && b.len() > 2, "{lines:?}");
    assert!(b.iter().any(|(rows, all, _)| *rows > 16_000 && rows == all), "{b:?}");
    let said: Vec<&String> = lines.iter().filter(|line| line.contains(".parquet: ")).collect();
    assert!(said[0].starts_with("a.parquet: 100,000 rows") && said[1].starts_with("b.parquet: 100,000 rows"));
}

#[test]
fn silence_is_kept_on_a_terminal_too() {
    let server = Server::with(TABLE);
    let folder = tempfile::tempdir().unwrap();
    let lines = drawn(folder.path(), &server, &["--sql", SLOWLY, "--out", "a.parquet", "--silent"]);
    assert!(lines.iter().all(String::is_empty), "{lines:?}");
    assert!(folder.path().join("a.parquet").exists());
}
