//! What is copied and what is read, on one server that stays as it is.

use crate::place::{EXPORT, Place, TABLE};

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
