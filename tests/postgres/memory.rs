//! Memory is bounded by the row group, not by the table.

use std::process::{Command, Stdio};
use std::time::Duration;

use ssp::parquet::read::TableReader;

use crate::support::postgres::Server;

/// The most that an export may need, for any number of rows.
const MOST_MB: u64 = 256;
/// How much more a table of three times the rows may need: what the allocator keeps, and the footer.
const GROWTH_MB: u64 = 40;

/// The peak of the command's resident memory [MB], from the kernel's own high-water mark.
fn peak_mb(server: &Server, query: &str, rows: u64) -> u64 {
    let out = server.path("memory.parquet");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("fast-export"))
        .args(["--dsn", &server.throwaway.uri(), "--sql", query, "--silent", "--jobs", "2", "--out"])
        .arg(&out)
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mark = text
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next());
        peak = mark.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success() && peak > 0, "{status}, {peak} kB");
    let table = TableReader::open(&out).unwrap();
    assert_eq!(table.rows(), rows);
    peak / 1000
}

fn bounded(table: &str, rows: u64) {
    let server =
        Server::with(&format!("CREATE TABLE t AS {}", table.replace("ROWS", &(3 * rows).to_string())));
    // The condition keeps the plan of both the same: a scan of the table, in pieces.
    let small = peak_mb(&server, &format!("SELECT * FROM t WHERE n <= {rows}"), rows);
    let large = peak_mb(&server, &format!("SELECT * FROM t WHERE n <= {}", 3 * rows), 3 * rows);
    println!("{rows} rows: {small} MB, {} rows: {large} MB", 3 * rows);
    assert!(large <= MOST_MB, "{large} MB");
    assert!(large <= small + GROWTH_MB, "{small} MB became {large} MB");
}

#[test]
fn memory_for_narrow_rows_does_not_grow_with_the_table() {
    bounded(
        "SELECT n, n::int8 * 7919 AS object, (n % 189)::int2 AS detector, sin(n) * 180 AS ra, cos(n) * 90 AS dec, 60000 + n * 1e-5 AS mjd,
                (1000 * exp(sin(n * 0.37)))::float4 AS flux, (10 * exp(cos(n * 0.11)))::float4 AS flux_err, substr('ugrizy', n % 6 + 1, 1) AS band,
                timestamptz '2025-01-01' + n * interval '30 ms' AS t, n % 2 = 0 AS flag FROM generate_series(1, ROWS) AS n",
        800_000,
    );
}

#[test]
fn memory_for_wide_rows_does_not_grow_with_the_table() {
    let texts: Vec<String> = (0..30)
        .map(|column| format!("encode(sha512((n + {column})::text::bytea), 'hex') AS t{column}"))
        .collect();
    let numbers: Vec<String> =
        (0..25).map(|column| format!("(n / 128.0 + {column})::numeric AS x{column}")).collect();
    let nulls: Vec<String> = (0..30).map(|column| format!("NULL::text AS z{column}")).collect();
    let columns = [texts, numbers, nulls].concat().join(", ");
    // Some row groups: the memory that the first ones take is that of all later ones.
    bounded(&format!("SELECT n, {columns} FROM generate_series(1, ROWS) AS n"), 40_000);
}

#[test]
fn memory_for_long_values_is_that_of_a_few_of_them() {
    let server = Server::with("");
    let query = |rows: u32| {
        format!("SELECT n, md5(n::text) || repeat('x', 4000000) AS long FROM generate_series(1, {rows}) AS n")
    };
    // Enough values to fill every buffer: with 40 the peak is still a matter of chance.
    let (small, large) = (peak_mb(&server, &query(120), 120), peak_mb(&server, &query(360), 360));
    assert!(large <= MOST_MB && large <= small + GROWTH_MB, "{small} MB, {large} MB");
}
