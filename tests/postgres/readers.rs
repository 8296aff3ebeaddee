//! The files as others read them: pyarrow, DuckDB and Polars.

use std::path::Path;
use std::process::Command;

use ssp::stages::export::{ColumnType, ExportSpec};

use crate::support::postgres::{Server, sql};
use crate::support::python::python;

/// What the readers print for a file, which must be the same for all three.
pub fn read_by_others(file: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/read.py");
    let output = Command::new(python()).arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const QUERY: &str = "SELECT * FROM (VALUES
    (1, 9007199254740993, true, 'été \"q\"', 0.1, float8 'NaN', float4 '1.5', numeric '12345.678901', date '2025-02-28',
     timestamp '1969-12-31 23:59:59.999999', timestamptz '2025-06-01 12:00:00+02', time '23:59:59.999999', '\\x00ff'::bytea,
     ARRAY['a', NULL, ''], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{\"k\": 1}'::jsonb),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, -9223372036854775808, false, '', -359.1234567, float8 '-Infinity', float4 '-0', numeric '-0.000001', date '0001-01-01',
     timestamp '9999-12-31 23:59:59', timestamptz '1900-01-01 00:00:00+00', time '00:00', ''::bytea,
     ARRAY[]::text[], '00000000-0000-0000-0000-000000000000'::uuid, 'null'::jsonb))
    AS t (n, big, flag, text, number, double, single, exact, day, moment, zoned, clock, bytes, list, uuid, json)";

fn spec(query: &str) -> ExportSpec {
    let wanted = [("exact", "decimal(20, 6)"), ("uuid", "uuid")];
    ExportSpec {
        types: wanted.map(|(column, wanted)| (column.to_owned(), ColumnType(wanted.to_owned()))).into(),
        ..sql(query)
    }
}

#[test]
fn pyarrow_duckdb_and_polars_read_the_same() {
    let server = Server::with("");
    let (file, _) = server.export("readers.parquet", &spec(QUERY)).unwrap();
    insta::assert_snapshot!(read_by_others(&file));
}

/// Each row of the type table: a type and a value of it.
const TYPES: &[(&str, &str)] = &[
    ("bool", "t"),
    ("int2", "-32768"),
    ("int4", "2147483647"),
    ("int8", "9007199254740993"),
    ("oid", "4294967295"),
    ("xid", "4294967295"),
    ("cid", "7"),
    ("float4", "1.5"),
    ("float8", "-Infinity"),
    ("numeric", "0.1"),
    ("numeric(12, 6)", "359.123456"),
    ("text", ""),
    ("varchar", "été 🌠"),
    ("varchar(8)", "abc"),
    ("char(3)", "a"),
    ("name", "pg_class"),
    ("\"char\"", "x"),
    ("json", "{\"b\": 1,  \"a\":[]}"),
    ("jsonb", "{\"b\": 1,  \"a\":[]}"),
    ("xml", "<a>1</a>"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("bytea", "\\x00ff"),
    ("date", "0001-01-01"),
    ("timestamp", "1969-12-31 23:59:59.999999"),
    ("timestamptz", "2025-06-01 12:00:00+02"),
    ("time", "23:59:59.999999"),
    ("interval", "1 year 2 days 03:04:05.6"),
    ("timetz", "12:00:00+02"),
    ("inet", "10.0.0.1/24"),
    ("money", "-1234.5"),
    ("bit(3)", "101"),
    ("point", "(1.5,2)"),
    ("int4range", "[1,5)"),
    ("tsvector", "'a':1 'b':2"),
    ("colour", "red"),
    ("pair", "(1,\"a b\")"),
];

/// A value, NULL, an array with both, an empty array: of every type.
#[test]
fn the_readers_read_every_row_of_the_type_table() {
    let server = Server::with("CREATE TYPE colour AS ENUM ('red'); CREATE TYPE pair AS (a int, b text);");
    let row = |value: &dyn Fn(&str, &str) -> String, array: &dyn Fn(&str, &str) -> String| {
        let columns = TYPES.iter().map(|&(name, text)| {
            let (text, plain) = (text.replace('\'', "''"), name.replace('"', ""));
            format!("{} AS \"{plain}\", {} AS \"{plain}[]\"", value(name, &text), array(name, &text))
        });
        format!("SELECT {}", columns.collect::<Vec<_>>().join(", "))
    };
    let null = |name: &str, _: &str| format!("NULL::{name}");
    let value = |name: &str, text: &str| format!("'{text}'::{name}");
    let query = [
        row(&value, &|name, text| format!("ARRAY['{text}', NULL]::{name}[]")),
        row(&null, &|name, _| format!("NULL::{name}[]")),
        row(&value, &|name, _| format!("ARRAY[]::{name}[]")),
    ];
    let (file, _) = server.export("types.parquet", &sql(&query.join(" UNION ALL "))).unwrap();
    insta::assert_snapshot!(read_by_others(&file));
}

#[test]
fn a_file_without_rows_has_its_columns() {
    let server = Server::with("");
    let (file, _) =
        server.export("empty.parquet", &spec(&format!("SELECT * FROM ({QUERY}) AS q WHERE false"))).unwrap();
    insta::assert_snapshot!(read_by_others(&file));
}

#[test]
fn every_compression_and_many_row_groups_are_read() {
    use ssp::parquet::write::Compression;
    let server = Server::with("");
    // Enough rows for several pages, row groups and dictionaries that are given up.
    let query = "SELECT n, md5(n::text) AS unique, n % 5 AS few, CASE WHEN n % 3 = 0 THEN 'x' || n % 7 END AS some, n / 7.0 AS number,
                        timestamptz '2025-01-01' + n * interval '1 s' AS t FROM generate_series(1, 70000) AS n";
    let mut found = Vec::new();
    for compression in [
        Compression::Zstd,
        Compression::Snappy,
        Compression::Gzip,
        Compression::Lz4,
        Compression::Brotli,
        Compression::None,
    ] {
        let spec = ExportSpec { compression: Some(compression), row_group_size: Some(30_000), ..sql(query) };
        let (file, _) = server.export("many.parquet", &spec).unwrap();
        found.push(read_by_others(&file));
    }
    assert!(found.iter().all(|text| *text == found[0]));
    insta::assert_snapshot!(found[0]);
}
