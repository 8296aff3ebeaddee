//! The forms of numbers in a file, as others read them.

use std::fs::File;

use parquet::basic::Encoding;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::readers::read_by_others;
use crate::support::postgres::{Server, sql};

/// Numbers of each width that repeat too seldom for a dictionary, with NULLs and the ends of their ranges.
const QUERY: &str = "SELECT
    (n * 7919 % 65536 - 32768)::int2 AS small,
    CASE n % 1000 WHEN 1 THEN -2147483648 WHEN 2 THEN 2147483647 WHEN 3 THEN NULL ELSE n * 3 END::int4 AS int,
    CASE n % 1000 WHEN 1 THEN -9223372036854775808 WHEN 2 THEN 9223372036854775807 WHEN 3 THEN NULL
                  ELSE 100000000000000000 + n * 17 END::int8 AS id,
    CASE n % 7 WHEN 0 THEN NULL ELSE sin(n)::float4 END AS single,
    CASE n % 1000 WHEN 1 THEN '-Infinity' WHEN 2 THEN 1.7976931348623157e308 WHEN 3 THEN 5e-324 WHEN 4 THEN NULL
                  ELSE 60000 + sin(n) END::float8 AS mjd,
    date '2025-01-01' + n AS day,
    timestamptz '2025-01-01 00:00:00+00' + n * interval '30.000001 s' AS t,
    CASE n % 5 WHEN 0 THEN NULL ELSE ARRAY[cos(n), NULL, sin(n) * 7] END AS pair
    FROM generate_series(1, 6000) AS n";

#[test]
fn numbers_are_read_in_whatever_form_is_smallest() {
    let server = Server::with("");
    let (path, _) = server.export("numbers.parquet", &sql(QUERY)).unwrap();
    let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let columns = file.metadata().row_group(0).columns();
    let form = |name: &str| {
        let column = columns.iter().find(|column| column.column_path().parts()[0] == name).unwrap();
        let forms = [Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT];
        column.encodings().find(|encoding| forms.contains(encoding))
    };
    for name in ["int", "id", "day", "t"] {
        assert_eq!(form(name), Some(Encoding::DELTA_BINARY_PACKED), "{name}");
    }
    for name in ["single", "mjd", "pair"] {
        assert_eq!(form(name), Some(Encoding::BYTE_STREAM_SPLIT), "{name}");
    }
    // The snapshot was made of a file in which all of them were plain.
    insta::assert_snapshot!(read_by_others(&path));
}
