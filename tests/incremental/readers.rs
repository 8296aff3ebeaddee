//! Files with copied and new row groups, read by pyarrow, DuckDB and Polars.

use std::path::Path;
use std::process::Command;

use crate::place::{EXPORT, Place, TABLE};
use crate::python::python;

/// What a script prints of a file.
fn read(script: &str, file: &Path, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers").join(script);
    let output = Command::new(python()).arg(script).arg(file).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn readers_find_the_rows_of_copied_and_new_row_groups() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    place.sql(
        "UPDATE t SET v = NULL WHERE id BETWEEN 500 AND 520; DELETE FROM t WHERE id = 1000;
         INSERT INTO t SELECT n, 'n' || n, NULL, repeat('y', 150) FROM generate_series(3000, 3400) n",
    );
    let came = place.both("t");
    assert!(came.cells().is_some_and(|(read, copied)| read > 1 && copied > 5), "{came:?}");
    let file = place.path("data/t.parquet");
    // The script fails unless all three read the same values.
    let values = read("read.py", &file, &[]);
    assert!(!values.is_empty());
    for (low, high) in [(0, 5000), (490, 530), (990, 1010), (1495, 3003), (600, 600), (3300, 9999)] {
        let found = read("filtered.py", &file, &["id", &low.to_string(), &high.to_string()]);
        let shown = place.sql(&format!(
            "SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM t WHERE id BETWEEN {low} AND {high}"
        ));
        assert_eq!(found, shown.trim(), "{low} {high}");
    }
}
