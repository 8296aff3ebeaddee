//! Values that Parquet cannot hold, or not whole: errors that name the place, or warnings.

use ssp::monitor::Monitor;
use ssp::stages::Spec as _;
use ssp::stages::export;
use ssp::stages::export::{ColumnType, ExportSpec};

use crate::support::parquet::lines;
use crate::support::postgres::{Server, sql};

#[test]
fn what_parquet_cannot_hold_is_an_error_that_names_the_place() {
    let server = Server::with("");
    let rows = |expression: &str| {
        format!(
            "SELECT n, CASE WHEN n = 20001 THEN {expression} END AS v FROM generate_series(1, 30000) AS n"
        )
    };
    for (expression, expected) in [
        (
            "date 'infinity'",
            "it is infinite, which Parquet cannot hold (cast the column to text in the query, or with `types` in a pipeline file; `infinity: null` there makes it NULL)",
        ),
        (
            "timestamp '-infinity'",
            "it is infinite, which Parquet cannot hold (cast the column to text in the query, or with `types` in a pipeline file; `infinity: null` there makes it NULL)",
        ),
        (
            "timestamptz 'infinity'",
            "it is infinite, which Parquet cannot hold (cast the column to text in the query, or with `types` in a pipeline file; `infinity: null` there makes it NULL)",
        ),
        (
            "timestamp '294276-12-31 23:59:59'",
            "it is beyond the range of 64-bit microseconds (cast the column to text in the query, or with `types` in a pipeline file)",
        ),
        (
            "time '24:00'",
            "it is 24:00:00, which Parquet cannot hold (cast the column to text in the query, or with `types` in a pipeline file)",
        ),
        (
            "numeric '1e309'",
            "it is too large for a double (cast the column to text in the query, or with `types` in a pipeline file)",
        ),
        (
            "ARRAY[[1, 2], [3, 4]]",
            "it has more than one dimension (cast the column to text in the query, or with `types` in a pipeline file)",
        ),
        (
            "ARRAY[date '2025-01-01', 'infinity']",
            "its element 2: it is infinite, which Parquet cannot hold (cast the column to text in the query, or with `types` in a pipeline file; `infinity: null` there makes it NULL)",
        ),
    ] {
        let expected = format!("column `v`, row 20001: the value cannot be exported: {expected}");
        assert_eq!(server.export_error(&sql(&rows(expression))), expected);
    }
}

/// Once for each column, however many rows, batches and elements; with one connection and with several.
#[test]
fn first_indices_that_are_lost_are_told_once() {
    let server = Server::with(
        "CREATE TABLE t AS SELECT n, CASE WHEN n >= 20001 THEN '[0:2]={1,NULL,3}'::int[] ELSE '{7}' END AS a,
                CASE n WHEN 5 THEN '[-1:-1]={x}'::text[] WHEN 6 THEN '{}' END AS b, '[1:2]={1,2}'::int[] AS c,
                '[0:0]={1}'::int[] AS text
         FROM generate_series(1, 60000) AS n; ANALYZE t",
    );
    let spec =
        ExportSpec { types: [("text".to_owned(), ColumnType("text".to_owned()))].into(), ..sql("TABLE t") };
    let export = spec.checked().unwrap();
    let lost = |column: &str, row: u64| {
        format!(
            "column `{column}`, row {row} and maybe more: the array's first index is not 1, which a Parquet list cannot store: only the elements are kept (cast the column to text in the query, or with `types` in a pipeline file)"
        )
    };
    let snapshot = server.snapshot();
    for readers in [1, 2] {
        let out = server.path("b.parquet");
        let product = export::run(&export, &snapshot, readers, &out, &Monitor::default()).unwrap();
        assert_eq!(product.warnings, [lost("b", 5), lost("a", 20001)]);
        product.files.into_iter().for_each(|table| table.file.publish().unwrap());
        let lines = lines(&out);
        assert_eq!(lines[4], "5 | [7] | [x] | [1, 2] | [0:0]={1}");
        assert_eq!(lines[59999], "60000 | [1, NULL, 3] | NULL | [1, 2] | [0:0]={1}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = crate::cli::fast_export(folder.path());
    command.args([
        "--dsn",
        &server.throwaway.uri(),
        "--sql",
        "SELECT a, b FROM t",
        "--out",
        "b.parquet",
        "--silent",
    ]);
    let told = String::from_utf8(command.output().unwrap().stderr).unwrap();
    let warnings = [("b", 5), ("a", 20001)]
        .map(|(column, row)| format!("warning: `b.parquet`: {}\n", lost(column, row)));
    assert_eq!(told, warnings.concat());
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    let server = Server::with(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
         \\connect latin
         CREATE TABLE t (n int, name text); INSERT INTO t VALUES (1, 'ok'), (2, E'\\xc3'), (3, E'\\xa9');",
    );
    let mut params = server.throwaway.params();
    params.dbname = Some("latin".to_owned());
    let target = ssp::postgres::Target::resolve(&params, &ssp::environment::Environment::default()).unwrap();
    let snapshot = ssp::postgres::Snapshot::open(&target, &ssp::postgres::SessionOptions::default()).unwrap();
    let error = server.export_in(&snapshot, "l.parquet", &sql("SELECT * FROM t"), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column `name`, row 2: the value cannot be exported: it is not UTF-8 (is the database's encoding SQL_ASCII? \
         then cast the column to bytea)"
    );
}
