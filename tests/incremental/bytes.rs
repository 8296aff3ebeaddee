//! What is copied and what is read, on one server that stays as it is.

use std::fs;

use crate::place::{EXPORT, Place, TABLE, put};

#[test]
fn only_cells_that_changed_are_read() {
    let place = Place::with(TABLE, &[EXPORT]);
    let pages: u64 = place.sql("SELECT pg_relation_size('t') / 8192").trim().parse().unwrap();
    let cells = pages.div_ceil(2);
    assert!(cells > 15);
    assert_eq!(place.both("t").cells(), Some((cells, 0)));
    // Another table changes: the file stays.
    place.sql("CREATE TABLE other (n int); INSERT INTO other VALUES (1)");
    let came = place.both("t");
    assert_eq!((came.status.as_str(), came.cells()), ("unchanged", Some((0, cells))));
    // One row is written again in a cell without room, and so moves to the last one.
    place.sql("UPDATE t SET v = 'changed' WHERE id = 100");
    assert_eq!(place.both("t").cells(), Some((2, cells - 2)));
    place.sql("DELETE FROM t WHERE id = 700");
    assert_eq!(place.both("t").cells(), Some((1, cells - 1)));
    place.sql("INSERT INTO t SELECT n, 'new', 0, repeat('y', 150) FROM generate_series(2000, 2500) n");
    let came = place.both("t");
    let read = came.cells().unwrap().0;
    assert!((6..12).contains(&read), "{came:?}");
    // Nothing but the visibility of rows is written.
    place.sql("VACUUM FREEZE t; SELECT txid_current()");
    assert_eq!(place.both("t").cells().unwrap().0, 0);
    place.sql("BEGIN; SELECT * FROM t FOR UPDATE; COMMIT; SELECT txid_current()");
    assert_eq!(place.both("t").cells().unwrap().0, 0);
}

/// A pipeline's memory of its output, and the output, after something has happened to them.
#[test]
fn what_is_damaged_or_replaced_is_not_copied() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    let (output, memory) = (place.path("data/t.parquet"), place.path("data/.ssp/stages/t.memory"));
    let first = (fs::read(&output).unwrap(), fs::read(&memory).unwrap());
    let change = || place.sql("UPDATE t SET v = v || 'x' WHERE id = 300");
    change();
    assert!(place.both("t").cells().unwrap().1 > 0);
    let damages: [(&str, &dyn Fn()); 9] = [
        ("a byte of the output", &|| {
            let mut bytes = fs::read(&output).unwrap();
            bytes[1000] ^= 1;
            put(&output, &bytes);
        }),
        ("an earlier output", &|| put(&output, &first.0)),
        ("no output", &|| fs::remove_file(&output).unwrap()),
        ("an earlier memory", &|| put(&memory, &first.1)),
        ("both of them", &|| {
            put(&output, &first.0);
            put(&memory, &first.1);
        }),
        ("no memory", &|| fs::remove_file(&memory).unwrap()),
        ("an empty memory", &|| put(&memory, b"")),
        ("half a memory", &|| {
            let bytes = fs::read(&memory).unwrap();
            put(&memory, &bytes[..bytes.len() / 2]);
        }),
        ("a memory of other cells", &|| {
            let text = fs::read_to_string(&memory).unwrap();
            let other = text.replacen("\"groups\":1", "\"groups\":0", 1);
            assert_ne!(text, other);
            put(&memory, other.as_bytes());
        }),
    ];
    for (what, damage) in damages {
        damage();
        change();
        let came = place.both("t");
        assert_eq!(came.cells().unwrap().1, 0, "{what}: {came:?}");
        change();
        assert!(place.both("t").cells().unwrap().1 > 0, "{what}");
    }
}

#[test]
fn an_index_finds_the_cells_of_few_rows() {
    let sql = "CREATE TABLE t (id int, k int, pad text);
        INSERT INTO t SELECT n, CASE WHEN n > 3950 THEN 1 WHEN n % 40 = 0 THEN 2 ELSE 0 END, repeat('x', 150)
        FROM generate_series(1, 4000) n; CREATE INDEX ON t (k); VACUUM ANALYZE t";
    let stage = |k: u32| {
        format!(
            "t: {{export: {{sql: \"SELECT id, k FROM t WHERE k = {k}\", cell_pages: 1}}, out: t.parquet}}"
        )
    };
    let place = Place::with(sql, &[&stage(1)]);
    place.both("t");
    place.sql("UPDATE t SET pad = 'short' WHERE id = 5");
    assert_eq!(place.both("t").cells().unwrap().0, 0);
    place.sql("UPDATE t SET pad = 'short' WHERE id = 3990");
    let came = place.both("t");
    assert!((1..4).contains(&came.cells().unwrap().0), "{came:?}");
    place.sql("DELETE FROM t WHERE k = 1");
    place.both("t");
    // Rows in nearly every page are read by the index.
    place.pipeline(&[&stage(2)]);
    let came = place.both("t");
    assert!(came.cells().is_none() && came.why().starts_with("an index finds its rows"), "{came:?}");
}

#[test]
fn a_writer_that_is_open_costs_time_and_no_rows() {
    let place = Place::with(TABLE, &[EXPORT]);
    let mut writer = place.session();
    writer.sql("BEGIN; UPDATE t SET v = 'open' WHERE id = 1");
    place.both("t");
    place.sql("UPDATE t SET v = 'closed' WHERE id = 1000");
    place.both("t");
    // What was committed beside the open writer is read again, as long as it is open.
    place.sql("SELECT txid_current()");
    assert!(place.both("t").cells().unwrap().0 > 0);
    writer.end("COMMIT");
    let came = place.both("t");
    assert!(came.cells().unwrap().0 > 0, "{came:?}");
    place.sql("SELECT txid_current()");
    assert_eq!(place.both("t").cells().unwrap().0, 0);
}

/// A warning about a lost value is given in each run, with the row that the value has now.
#[test]
fn warnings_of_copied_cells_are_given_again() {
    let sql = "CREATE TABLE t (id int, a int[], pad text);
        INSERT INTO t SELECT n, CASE WHEN n IN (700, 900) THEN '[0:1]={1,2}'::int[] ELSE '{1}' END, repeat('x', 150)
        FROM generate_series(1, 1500) n";
    let place = Place::with(sql, &[EXPORT]);
    assert!(place.both("t").warnings.iter().any(|warning| warning.contains("row 700")));
    place.sql("DELETE FROM t WHERE id < 4");
    let came = place.both("t");
    assert!(
        came.cells().unwrap().1 > 0 && came.warnings.iter().any(|warning| warning.contains("row 697")),
        "{came:?}"
    );
    place.sql("UPDATE t SET a = '{3}' WHERE id = 700");
    let came = place.both("t");
    assert!(came.warnings.iter().any(|warning| warning.contains("row 896")), "{came:?}");
    place.sql("SELECT txid_current()");
    assert_eq!(place.both("t").status, "unchanged");
}

#[test]
fn long_values_and_empty_tables() {
    let sql = "CREATE TABLE t (id int, long text); ALTER TABLE t ALTER long SET STORAGE EXTERNAL;
        INSERT INTO t SELECT n, repeat(chr(65 + n % 26), 20000) FROM generate_series(1, 600) n";
    let place =
        Place::with(sql, &["t: {export: {table: t, cell_pages: 1, row_group_size: 50}, out: t.parquet}"]);
    place.both("t");
    place.sql("UPDATE t SET long = repeat('z', 30000) WHERE id = 30");
    assert!(place.both("t").cells().unwrap().1 > 0);
    place.sql("DELETE FROM t");
    assert_eq!(place.both("t").status, "done");
    place.sql("VACUUM t; SELECT txid_current()");
    assert_eq!(place.both("t").status, "unchanged");
    place.sql("INSERT INTO t VALUES (1, 'a')");
    place.both("t");
    place.sql("TRUNCATE t");
    place.both("t");
}
