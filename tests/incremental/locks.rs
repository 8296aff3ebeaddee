//! The tables that are read keep their form until the exports are published, and no two sessions wait for each other.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use ssp::monitor::Monitor;
use ssp::postgres::{SessionOptions, Snapshot};
use ssp::stages::Spec as _;
use ssp::stages::export::{self, ExportSpec};

use crate::place::{EXPORT, Place, TABLE};

/// What a statement that changes the table does to a snapshot that was taken before: it waits, all rows are read, and no reader
/// waits behind it.
fn meanwhile(statement: &str) {
    let place = Place::with(TABLE, &[EXPORT]);
    let rows = place.sql("SELECT count(*) FROM t");
    let options = SessionOptions { tables: vec!["t".to_owned()], ..SessionOptions::default() };
    let snapshot = Snapshot::open(&place.target(), &options).unwrap();
    let mut other = place.session();
    other.send(statement);
    place.wait_for("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
    let spec = ExportSpec { table: Some("t".to_owned()), ..ExportSpec::default() };
    let out = place.path("out.parquet");
    let mut product = export::run(&spec.checked().unwrap(), &snapshot, 2, &out, &Monitor::default()).unwrap();
    assert_eq!(product.figures["connections"], 1);
    let shortage = snapshot.shortage().unwrap();
    assert!(shortage.locked_out && shortage.readers == 0, "{shortage}");
    product.files.remove(0).file.publish().unwrap();
    assert_eq!(crate::parquet::lines(&out).len().to_string(), rows.trim());
    drop(snapshot);
    other.end("SELECT 1");
    place.both("t");
}

#[test]
fn a_change_of_form_waits_and_is_not_waited_for() {
    meanwhile("ALTER TABLE t ADD COLUMN more int DEFAULT 7");
}

#[test]
fn a_truncation_behind_the_snapshot_waits() {
    meanwhile("TRUNCATE t");
}

#[test]
fn a_transaction_that_is_open_for_long_is_named_once() {
    let place = Place::with_settings(TABLE, &[EXPORT], &["max_prepared_transactions=2"]);
    let told = |long_open: Duration| {
        let options = SessionOptions { long_open, ..SessionOptions::default() };
        let snapshot = Snapshot::open(&place.target(), &options).unwrap();
        let mut reader = snapshot.reader(&Monitor::default()).unwrap();
        let first = snapshot.long_open(&mut reader).unwrap();
        assert_eq!(snapshot.long_open(&mut reader).unwrap(), None);
        first
    };
    assert_eq!(told(Duration::ZERO), None);
    let mut writer = place.session();
    writer.sql("BEGIN; SELECT txid_current()");
    // Nothing was committed since.
    assert_eq!(told(Duration::ZERO), None);
    place.sql("SELECT txid_current()");
    assert!(told(Duration::ZERO).unwrap().starts_with("a transaction of process"));
    assert_eq!(told(Duration::from_mins(1)), None);
    writer.end("COMMIT");
    place.sql("BEGIN; INSERT INTO t VALUES (0); PREPARE TRANSACTION 'forgotten'; SELECT txid_current()");
    assert!(told(Duration::ZERO).unwrap().contains("prepared transaction forgotten has been open since"));
}

/// `REINDEX` waits for a lock of the index and not of the table: no reader of the run waits behind it for another one.
#[test]
fn exports_and_reindex_do_not_wait_for_each_other() {
    let sql = "CREATE TABLE t (id int, k int, pad text);
        INSERT INTO t SELECT n, CASE WHEN n % 20 = 0 THEN 2 ELSE 0 END, repeat('x', 1000) FROM generate_series(1, 60000) n;
        DELETE FROM t WHERE k = 2 AND id < 40000; CREATE INDEX t_k ON t (k); VACUUM ANALYZE t";
    let stage =
        "t: {export: {sql: \"SELECT id, k, pad FROM t WHERE k = 2\", cell_pages: 16}, out: t.parquet}";
    let place = Place::with(sql, &[stage]);
    let mut other = place.session();
    other.send("DO $$ BEGIN FOR i IN 1 .. 60 LOOP REINDEX INDEX t_k; COMMIT; END LOOP; END $$");
    for _ in 0..6 {
        place.run("data", &["-q", "--full"]);
    }
    other.end("SELECT 1");
    // All indexes may have been made again before the last of these exports, which would then be up to date.
    place.sql("UPDATE t SET pad = 'y' WHERE id = 60000");
    let came = place.both("t");
    assert!(came.cells().is_some(), "{came:?}");
}

/// The locks are released when the exports are published, not at the end of the run.
#[test]
fn no_lock_is_left_when_the_exports_are_published() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    for change in ["SELECT 1", "DELETE FROM t WHERE id = 3"] {
        place.sql(change);
        let snapshot = Snapshot::open(
            &place.target(),
            &SessionOptions { tables: vec!["t".to_owned()], ..SessionOptions::default() },
        )
        .unwrap();
        drop(snapshot.reader(&Monitor::default()).unwrap());
        let locks =
            "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND pid <> pg_backend_pid()";
        assert_eq!(place.sql(locks).trim(), "2");
        snapshot.end();
        place.wait_for(&format!("SELECT ({locks}) = 0"));
        drop(snapshot);
        place.both("t");
    }
}

/// Another session changes the table when the run begins: it is read when that is done, and no cells are remembered.
#[test]
fn a_table_that_is_being_changed_is_waited_for_as_before() {
    let place = Place::with(TABLE, &[EXPORT]);
    let mut other = place.session();
    other.sql("BEGIN; ALTER TABLE t ADD COLUMN more int");
    let run = place.command("data", &["-q"]).stderr(Stdio::piped()).spawn().unwrap();
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
        WHERE query LIKE '%LOCK TABLE ONLY%' AND pid <> pg_backend_pid()";
    place.wait_for(waiting);
    sleep(Duration::from_secs(2));
    other.end("COMMIT");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let came = place.came("data", "t");
    assert!(came.why().contains("the table is not locked"), "{came:?}");
    assert!(!place.path("data/.ssp/stages/t.memory").exists());
    assert_eq!(place.both("t").cells().unwrap().1, 0);
}
