//! Each row of the type table, through a real server, to a file and back.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, TimeUnit};
use ssp::parquet::read::TableReader;

use crate::support::parquet::{lines, rows};
use crate::support::postgres::{Server, sql};

const US: TimeUnit = TimeUnit::Microsecond;

fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// A type, values as SQL literals, what they become, and how those are shown.
struct Case {
    postgres: &'static str,
    values: &'static [&'static str],
    arrow: DataType,
    shown: &'static [&'static str],
}

fn case(
    postgres: &'static str,
    values: &'static [&'static str],
    arrow: DataType,
    shown: &'static [&'static str],
) -> Case {
    Case { postgres, values, arrow, shown }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    use DataType as A;
    vec![
        case("boolean", &["t", "f"], A::Boolean, &["true", "false"]),
        case("smallint", &["-32768", "0", "32767"], A::Int16, &["-32768", "0", "32767"]),
        case("integer", &["-2147483648", "2147483647"], A::Int32, &["-2147483648", "2147483647"]),
        case(
            "bigint",
            &["-9223372036854775808", "9007199254740993", "9223372036854775807"],
            A::Int64,
            &["-9223372036854775808", "9007199254740993", "9223372036854775807"],
        ),
        case("oid", &["0", "4294967295"], A::UInt32, &["0", "4294967295"]),
        case("xid", &["3", "4294967295"], A::UInt32, &["3", "4294967295"]),
        case("cid", &["0", "7"], A::UInt32, &["0", "7"]),
        case(
            "real",
            &["1.5", "NaN", "Infinity", "-Infinity", "1.17549435e-38", "3.4028235e38", "1e-45"],
            A::Float32,
            &["1.5", "NaN", "inf", "-inf", "1.1754944e-38", "3.4028235e38", "1e-45"],
        ),
        case(
            "double precision",
            &["0.1", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308"],
            A::Float64,
            &["0.1", "NaN", "inf", "-inf", "5e-324", "1.7976931348623157e308"],
        ),
        case(
            "numeric",
            &["0.1", "-359.1234567", "NaN", "Infinity", "-Infinity", "9007199254740993", "1e-400", "0"],
            A::Float64,
            &["0.1", "-359.1234567", "NaN", "inf", "-inf", "9007199254740992.0", "0.0", "0.0"],
        ),
        case("numeric(7,2)", &["12345.67"], A::Float64, &["12345.67"]),
        case(
            "text",
            &["", "a", "été 🌠", "line\none", " spaces ", "NULL", "\\N"],
            A::Utf8,
            &["", "a", "été 🌠", "line\none", " spaces ", "NULL", "\\N"],
        ),
        case("character varying(5)", &["", "abcde"], A::Utf8, &["", "abcde"]),
        case("character(3)", &["", "a", "abc"], A::Utf8, &["   ", "a  ", "abc"]),
        case("name", &["", "pg_class"], A::Utf8, &["", "pg_class"]),
        case("\"char\"", &["", "x"], A::Utf8, &["", "x"]),
        case("json", &["{\"b\": 1,  \"a\":[]}", "null"], A::Utf8, &["{\"b\": 1,  \"a\":[]}", "null"]),
        case("jsonb", &["{\"b\": 1,  \"a\":[]}", "\"x\""], A::Utf8, &["{\"a\": [], \"b\": 1}", "\"x\""]),
        case("xml", &["<a>1</a>"], A::Utf8, &["<a>1</a>"]),
        case(
            "uuid",
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
            A::Utf8,
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
        ),
        case("bytea", &["", "\\x00ff", "\\x5c"], A::Binary, &["", "00ff", "5c"]),
        case(
            "date",
            &["1970-01-01", "2000-01-01", "0001-01-01", "2024-02-29"],
            A::Date32,
            &["1970-01-01", "2000-01-01", "0001-01-01", "2024-02-29"],
        ),
        case(
            "timestamp without time zone",
            &["1969-12-31 23:59:59.999999", "2000-01-01 00:00:00", "0001-01-01 00:00:00.000001"],
            A::Timestamp(US, None),
            &["1969-12-31T23:59:59.999999", "2000-01-01T00:00:00", "0001-01-01T00:00:00.000001"],
        ),
        case(
            "timestamp with time zone",
            &["2025-06-01 12:00:00+02", "1960-01-01 00:00:00-05"],
            A::Timestamp(US, Some("UTC".into())),
            &["2025-06-01T10:00:00", "1960-01-01T05:00:00"],
        ),
        case(
            "time without time zone",
            &["00:00:00", "23:59:59.999999"],
            A::Time64(US),
            &["00:00:00", "23:59:59.999999"],
        ),
        case(
            "integer[]",
            &["{}", "{1,NULL,-3}", "{2147483647}"],
            list(A::Int32),
            &["[]", "[1, NULL, -3]", "[2147483647]"],
        ),
        case(
            "text[]",
            &["{}", "{\"\",NULL,\"NULL\",\"a,\\\"b\\\"\"}"],
            list(A::Utf8),
            &["[]", "[, NULL, NULL, a,\"b\"]"],
        ),
        case("numeric[]", &["{1.5,NaN,NULL}"], list(A::Float64), &["[1.5, NaN, NULL]"]),
        case("boolean[]", &["{t,f}"], list(A::Boolean), &["[true, false]"]),
        case("jsonb[]", &["{\"{\\\"a\\\":1}\"}"], list(A::Utf8), &["[{\"a\": 1}]"]),
        case(
            "uuid[]",
            &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"],
            list(A::Utf8),
            &["[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"],
        ),
        case("bytea[]", &["{\"\\\\x01\"}"], list(A::Binary), &["[01]"]),
        case("date[]", &["{2025-01-01}"], list(A::Date32), &["[2025-01-01]"]),
        case(
            "timestamp without time zone[]",
            &["{\"2025-01-01 01:02:03\"}"],
            list(A::Timestamp(US, None)),
            &["[2025-01-01T01:02:03]"],
        ),
        case("character varying(3)[]", &["{abc}"], list(A::Utf8), &["[abc]"]),
        case("smallint[]", &["{-32768,NULL,32767}"], list(A::Int16), &["[-32768, NULL, 32767]"]),
        case("bigint[]", &["{9007199254740993,NULL}"], list(A::Int64), &["[9007199254740993, NULL]"]),
        case("oid[]", &["{4294967295,0}"], list(A::UInt32), &["[4294967295, 0]"]),
        case("xid[]", &["{3,NULL}"], list(A::UInt32), &["[3, NULL]"]),
        case("cid[]", &["{7}"], list(A::UInt32), &["[7]"]),
        case("real[]", &["{1.5,NaN,-Infinity,NULL}"], list(A::Float32), &["[1.5, NaN, -inf, NULL]"]),
        case("double precision[]", &["{0.1,NaN,NULL}"], list(A::Float64), &["[0.1, NaN, NULL]"]),
        case("numeric(7,2)[]", &["{12345.67}"], list(A::Float64), &["[12345.67]"]),
        case("character(3)[]", &["{a,NULL}"], list(A::Utf8), &["[a  , NULL]"]),
        case("name[]", &["{pg_class,\"\"}"], list(A::Utf8), &["[pg_class, ]"]),
        case("\"char\"[]", &["{}", "{x,NULL,\"\"}"], list(A::Utf8), &["[]", "[x, NULL, ]"]),
        case(
            "json[]",
            &["{\"{\\\"b\\\": 1,  \\\"a\\\":[]}\",null}"],
            list(A::Utf8),
            &["[{\"b\": 1,  \"a\":[]}, NULL]"],
        ),
        case(
            "xml[]",
            &["{<a>1</a>,\"<b c=\\\"d,e\\\"/>\",NULL}"],
            list(A::Utf8),
            &["[<a>1</a>, <b c=\"d,e\"/>, NULL]"],
        ),
        case(
            "timestamp with time zone[]",
            &["{\"2025-06-01 12:00:00+02\",NULL}"],
            list(A::Timestamp(US, Some("UTC".into()))),
            &["[2025-06-01T10:00:00, NULL]"],
        ),
        case(
            "time without time zone[]",
            &["{00:00:00,23:59:59.999999}"],
            list(A::Time64(US)),
            &["[00:00:00, 23:59:59.999999]"],
        ),
        case("money", &["-1234.5", "0"], A::Utf8, &["-$1,234.50", "$0.00"]),
        case("money[]", &["{1,NULL}"], A::Utf8, &["{$1.00,NULL}"]),
        case("jsonpath", &["$.a"], A::Utf8, &["$.\"a\""]),
        case(
            "interval",
            &["1 year 2 days 03:04:05.6", "-1 day"],
            A::Utf8,
            &["1 year 2 days 03:04:05.6", "-1 days"],
        ),
        case("time with time zone", &["12:00:00+02"], A::Utf8, &["12:00:00+02"]),
        case("inet", &["10.0.0.1/24", "::1"], A::Utf8, &["10.0.0.1/24", "::1/128"]),
        case("point", &["(1.5,2)"], A::Utf8, &["(1.5,2)"]),
        case("int4range", &["[1,5)", "empty"], A::Utf8, &["[1,5)", "empty"]),
        case("tsrange", &["[2025-01-01 00:00:00,)"], A::Utf8, &["[\"2025-01-01 00:00:00\",)"]),
        case("interval[]", &["{1 day}"], A::Utf8, &["{\"1 day\"}"]),
        case("int2vector", &["1 2"], A::Utf8, &["1 2"]),
        case("colour", &["red", "blue"], A::Utf8, &["red", "blue"]),
        case("colour[]", &["{red,NULL}"], A::Utf8, &["{red,NULL}"]),
        case("pair", &["(1,\"a b\")"], A::Utf8, &["(1,\"a b\")"]),
        case("bit(3)", &["101"], A::Utf8, &["101"]),
        case("tsvector", &["'a':1 'b':2"], A::Utf8, &["'a':1 'b':2"]),
    ]
}

const TYPES: &str = "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN magnitude AS real CHECK (VALUE > 0); CREATE DOMAIN bright AS magnitude;
    CREATE DOMAIN brightest AS bright; CREATE DOMAIN ids AS int[]; CREATE DOMAIN designation AS text;";

#[test]
fn every_type_makes_the_round_trip_with_nulls() {
    let server = Server::with(TYPES);
    let snapshot = server.snapshot();
    for case in cases() {
        let values: Vec<String> = case
            .values
            .iter()
            .map(|value| format!("('{}'::{})", value.replace('\'', "''"), case.postgres))
            .collect();
        let (name, values) = (case.postgres, values.join(", "));
        let query = format!("SELECT v::{name} AS v FROM (VALUES (NULL), {values}, (NULL)) AS t (v)");
        let (file, count) = server
            .export_in(&snapshot, "v.parquet", &sql(&query), 1)
            .unwrap_or_else(|e| panic!("{}: {e}", case.postgres));
        let expected: Vec<&str> = ["NULL"].iter().chain(case.shown).chain(&["NULL"]).copied().collect();
        assert_eq!(lines(&file), expected, "{}", case.postgres);
        let reader = TableReader::open(&file).unwrap();
        let field = reader.schema().field(0);
        assert_eq!(field.data_type(), &case.arrow, "{}", case.postgres);
        assert!(field.is_nullable());
        assert_eq!(field.metadata().get("postgres_type").map(String::as_str), Some(case.postgres));
        assert_eq!(count, expected.len() as u64);
    }
}

#[test]
fn floats_are_kept_bit_for_bit() {
    let server = Server::with("");
    let (file, _) = server
        .export(
            "f.parquet",
            &sql("SELECT * FROM (VALUES (float8 '-0', float4 '-0'), ('1e23', '1e-40'), ('8.41e21', '16777217')) AS t (d, f)"),
        )
        .unwrap();
    let batch = &rows(&file)[0];
    let doubles: Vec<u64> =
        batch.column(0).as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
    let floats: Vec<u32> =
        batch.column(1).as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(doubles, [(-0.0_f64).to_bits(), 1e23_f64.to_bits(), 8.41e21_f64.to_bits()]);
    assert_eq!(floats, [(-0.0_f32).to_bits(), 1e-40_f32.to_bits(), 16_777_216_f32.to_bits()]);
}

#[test]
fn domains_are_what_they_are_made_of() {
    let server = Server::with(TYPES);
    let query = "SELECT 1.5::magnitude AS m, 2::bright AS b, 'x'::designation AS d, ARRAY['y']::designation[] AS a, ARRAY[1.5]::magnitude[] AS n,
                 ARRAY[2.5, NULL]::bright[] AS deep, ARRAY[3]::brightest[] AS deeper, ARRAY[1, 2]::ids AS ids,
                 ARRAY[ARRAY[1, 2]::ids]::ids[] AS nested";
    let (file, _) = server.export("d.parquet", &sql(query)).unwrap();
    assert_eq!(lines(&file), ["1.5 | 2.0 | x | [y] | [1.5] | [2.5, NULL] | [3.0] | [1, 2] | {\"{1,2}\"}"]);
    let schema = TableReader::open(&file).unwrap().schema().clone();
    let list_of = |index: usize, element| assert_eq!(schema.field(index).data_type(), &list(element));
    list_of(3, DataType::Utf8);
    for index in 4..7 {
        list_of(index, DataType::Float32);
    }
    list_of(7, DataType::Int32);
    assert_eq!(schema.field(8).data_type(), &DataType::Utf8, "arrays of arrays are text");
}

#[test]
fn long_values_pass() {
    let server = Server::with("");
    let query = "SELECT n, repeat(chr(64 + n), 10000000) AS t, decode(repeat('ab', 5000000), 'hex') AS b
                 FROM generate_series(1, 4) AS n";
    let (file, _) = server.export("long.parquet", &sql(query)).unwrap();
    let mut found = 0;
    for batch in rows(&file) {
        for row in 0..batch.num_rows() {
            let (text, bytes) = (
                batch.column(1).as_string::<i32>().value(row),
                batch.column(2).as_binary::<i32>().value(row),
            );
            found += 1;
            assert_eq!(text.len(), 10_000_000);
            assert!(text.bytes().all(|byte| byte == 64 + found));
            assert!(bytes.len() == 5_000_000 && bytes.iter().all(|&byte| byte == 0xab));
        }
    }
    assert_eq!(found, 4);
}

#[test]
fn not_null_and_comments_are_carried_over() {
    let server = Server::with(
        "CREATE TABLE t (id int PRIMARY KEY, ra float8 NOT NULL, mag real);
         COMMENT ON COLUMN t.ra IS 'Right ascension, deg'; INSERT INTO t VALUES (1, 2, NULL);
         CREATE VIEW v AS SELECT * FROM t;",
    );
    for (query, expected) in [
        ("SELECT * FROM t", [false, false, true]),
        ("SELECT id, ra AS alpha, mag FROM t WHERE ra > 0 ORDER BY id", [false, false, true]),
        ("SELECT t.* FROM t JOIN t u USING (id)", [false, false, true]),
        ("SELECT u.* FROM t LEFT JOIN t u ON false", [true, true, true]),
        ("SELECT * FROM v", [true, true, true]),
        ("SELECT id + 1 AS a, ra * 2 AS b, mag FROM t", [true, true, true]),
        ("SELECT id, ra, mag FROM t GROUP BY GROUPING SETS ((id, ra, mag), ())", [true, true, true]),
        (
            "SELECT * FROM (SELECT id, ra, mag FROM t UNION ALL SELECT NULL, NULL, NULL) AS u",
            [true, true, true],
        ),
    ] {
        let (file, _) = server.export("n.parquet", &sql(query)).unwrap();
        let schema = TableReader::open(&file).unwrap().schema().clone();
        let nullable: Vec<bool> = schema.fields().iter().map(|field| field.is_nullable()).collect();
        assert_eq!(nullable, expected, "{query}");
    }
    let (file, _) = server.export("c.parquet", &sql("SELECT id, ra AS alpha FROM t")).unwrap();
    let schema = TableReader::open(&file).unwrap().schema().clone();
    assert_eq!(
        schema.field(1).metadata().get("description").map(String::as_str),
        Some("Right ascension, deg")
    );
    assert_eq!(schema.field(0).metadata().get("description"), None);
}
