//! `types:` and `infinity:`: what people ask for instead of the usual types.

use arrow::array::Array;
use arrow::datatypes::{DataType, TimeUnit};
use ssp::parquet::read::TableReader;
use ssp::postgres::types::Infinity;
use ssp::stages::export::{ColumnType, ExportSpec};

use crate::support::parquet::{lines, rows};
use crate::support::postgres::{Server, sql};

const US: TimeUnit = TimeUnit::Microsecond;

#[test]
fn infinity_may_become_null() {
    let server = Server::with(
        "CREATE TABLE t (d date NOT NULL, t timestamp); INSERT INTO t VALUES ('infinity', '-infinity'), ('2025-01-01', '2025-01-01')",
    );
    let spec = ExportSpec { infinity: Some(Infinity::Null), ..sql("SELECT * FROM t") };
    let (file, _) = server.export("i.parquet", &spec).unwrap();
    assert_eq!(lines(&file), ["NULL | NULL", "2025-01-01 | 2025-01-01T00:00:00"]);
}

#[test]
fn overrides_change_the_type_and_never_the_value() {
    let server = Server::with("");
    let typed = |query: &str, wanted: &str| ExportSpec {
        types: [("v".to_owned(), ColumnType(wanted.to_owned()))].into(),
        ..sql(query)
    };
    for (value, wanted, arrow, shown) in [
        ("1234567.125::numeric", "decimal(13, 6)", DataType::Decimal128(13, 6), "1234567.125000"),
        (
            "-0.5::numeric",
            "decimal(38,38)",
            DataType::Decimal128(38, 38),
            "-0.50000000000000000000000000000000000000",
        ),
        ("9007199254740993::int8", "decimal(20)", DataType::Decimal128(20, 0), "9007199254740993"),
        ("4294967295::oid", "decimal(10)", DataType::Decimal128(10, 0), "4294967295"),
        ("'00012'", "int64", DataType::Int64, "12"),
        ("7::int2", "int32", DataType::Int32, "7"),
        ("7::int4", "int64", DataType::Int64, "7"),
        ("4294967295::oid", "int64", DataType::Int64, "4294967295"),
        ("1.5::float4", "float64", DataType::Float64, "1.5"),
        ("'0.1'::text", "float64", DataType::Float64, "0.1"),
        (
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
            "text",
            DataType::Utf8,
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ),
        ("1.50::numeric", "text", DataType::Utf8, "1.50"),
        ("timestamp 'infinity'", "text", DataType::Utf8, "infinity"),
        ("ARRAY[[1, 2], [3, 4]]", "text", DataType::Utf8, "{{1,2},{3,4}}"),
        ("'2025-01-01'::text", "date", DataType::Date32, "2025-01-01"),
        (
            "'2025-01-01 01:00+01'::text",
            "timestamp_utc",
            DataType::Timestamp(US, Some("UTC".into())),
            "2025-01-01T00:00:00",
        ),
        ("'yes'::varchar", "bool", DataType::Boolean, "true"),
    ] {
        let (file, _) = server.export("o.parquet", &typed(&format!("SELECT {value} AS v"), wanted)).unwrap();
        assert_eq!(lines(&file), [shown], "{value} {wanted}");
        assert_eq!(TableReader::open(&file).unwrap().schema().field(0).data_type(), &arrow);
    }
    for (value, wanted, expected) in [
        (
            "1.5::float8",
            "float32",
            "column `v` of type double precision cannot be made float32 without changing values (cast it in the SQL)",
        ),
        (
            "1.5::numeric",
            "int64",
            "column `v` of type numeric cannot be made int64 without changing values (cast it in the SQL)",
        ),
        (
            "1.5::numeric",
            "decimal(3, 0)",
            "column `v`, row 1: the value cannot be exported: it does not fit decimal(3, 0): it has more digits after the point",
        ),
        (
            "1000::numeric",
            "decimal(3, 0)",
            "column `v`, row 1: the value cannot be exported: it does not fit decimal(3, 0): it is too large",
        ),
        (
            "'NaN'::numeric",
            "decimal(3, 0)",
            "column `v`, row 1: the value cannot be exported: it does not fit decimal(3, 0): it is NaN",
        ),
        (
            "'x'",
            "int64",
            "the server cannot run the query\ninvalid input syntax for type bigint: \"x\" (SQLSTATE 22P02)",
        ),
        (
            "1",
            "integer",
            "`types`, column `v`: `integer` is not a type: use decimal(p, s) with 1 <= p <= 38 and 0 <= s <= p, or one of text, string, bool, int16, int32, int64, float32, float64, uuid, date, timestamp, timestamp_utc, time",
        ),
    ] {
        assert_eq!(server.export_error(&typed(&format!("SELECT {value} AS v"), wanted)), expected);
    }
    let unknown = ExportSpec {
        types: [("w".to_owned(), ColumnType("text".to_owned()))].into(),
        ..sql("SELECT 1 AS v, 2 AS x")
    };
    assert_eq!(
        server.export_error(&unknown),
        "`types` names column `w`, which the query does not return (did you mean `v`?)"
    );
}

#[test]
fn a_uuid_may_be_16_bytes() {
    let server = Server::with("");
    let query = "SELECT v FROM (VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid), (NULL)) AS t (v)";
    let spec = ExportSpec { types: [("v".to_owned(), ColumnType("uuid".to_owned()))].into(), ..sql(query) };
    let (file, _) = server.export("u.parquet", &spec).unwrap();
    assert_eq!(lines(&file), ["a0eebc999c0b4ef8bb6d6bb9bd380a11", "NULL"]);
    let batch = &rows(&file)[0];
    assert_eq!(batch.column(0).data_type(), &DataType::FixedSizeBinary(16));
    assert_eq!(batch.column(0).null_count(), 1);
}
