//! A server that goes back in time: the same transaction id writes another row at the same place, which no comparison of row
//! versions can see.

use std::path::Path;
use std::process::Command;

use ssp::throwaway::{Throwaway, ThrowawayOptions};

use crate::place::{EXPORT, Place, TABLE};

/// Writes a row, and returns the transaction that did, and where.
fn write(place: &Place, text: &str) -> String {
    place.sql(&format!("UPDATE t SET v = '{text}' WHERE id = 100; SELECT xmin, ctid FROM t WHERE id = 100"))
}

/// A copy of the data of a server that is stopped.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_commit_that_was_not_on_disk_and_is_lost() {
    // The log writer sleeps, so that what is committed asynchronously stays in memory.
    let place = Place::with_settings(TABLE, &[EXPORT], &["wal_writer_delay=10s"]);
    place.sql("SET synchronous_commit = on; CREATE TABLE flushed (); SELECT txid_current(); CHECKPOINT");
    place.both("t");
    // A transaction id of its own that is on disk, so that the next one is the one that is lost.
    place.sql("SET synchronous_commit = on; INSERT INTO flushed DEFAULT VALUES; CHECKPOINT");
    let first = write(&place, "lost");
    place.run("data", &["-q"]);
    assert_eq!(place.came("data", "t").status, "done");
    let mut victim = place.session();
    victim.sql("SET application_name = 'victim'; BEGIN");
    let pid = place.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'");
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    drop(victim);
    place.wait();
    assert_eq!(place.sql("SELECT v FROM t WHERE id = 100").trim(), "v100");
    let second = write(&place, "other");
    assert_eq!(first, second, "the transaction id did not come again, so the test shows nothing");
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
}

#[test]
fn a_cold_copy_that_is_put_back() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    place.stop();
    let (data, aside) = (place.path("server/data"), place.path("server/aside"));
    copy(&data, &aside);
    place.start();
    let first = write(&place, "one");
    place.both("t");
    place.stop();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&aside, &data);
    place.start();
    let second = write(&place, "other");
    assert_eq!(first, second);
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
    assert!(came.why().starts_with("server start changed"), "{came:?}");
}

/// A database that is made again from an older copy with its own object id goes back in time while the server runs on.
#[test]
fn a_database_that_is_made_again_from_a_copy() {
    let place = Place::with("CREATE DATABASE one OID = 777001", &[EXPORT]);
    place.in_database("one");
    place.sql(TABLE);
    place.sql("VACUUM t");
    place.in_database("postgres");
    place.sql("CREATE DATABASE copy TEMPLATE one");
    place.in_database("one");
    place.sql("UPDATE t SET v = 'new'; VACUUM t");
    place.both("t");
    place.in_database("postgres");
    place.sql("DROP DATABASE one; CREATE DATABASE one TEMPLATE copy OID = 777001");
    place.in_database("one");
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
    assert!(came.why().starts_with("transaction of the database changed"), "{came:?}");
}

/// The transaction ids of the next epoch begin again, and one writes at the place where its namesake wrote.
#[test]
fn the_same_transaction_id_one_epoch_later() {
    let place = Place::with(TABLE, &[EXPORT]);
    // The only place that is free.
    place.sql("DELETE FROM t WHERE id = 100; VACUUM FREEZE t");
    place.sql("INSERT INTO t SELECT 100, 'one', m, pad FROM t WHERE id = 99");
    let first = place.sql("SELECT xmin, ctid FROM t WHERE id = 100");
    place.both("t");
    let next: u64 = place.sql("SELECT txid_snapshot_xmax(txid_current_snapshot())").trim().parse().unwrap();
    // The row goes away and its place is free again.
    place.sql("DELETE FROM t WHERE id = 100; VACUUM t; VACUUM FREEZE; CHECKPOINT");
    place.stop();
    let data = place.path("server/data");
    let reset =
        place.owned("pg_resetwal").args(["-f", "-e", "1", "-x", &(next - 1).to_string()]).arg(&data).output();
    let reset = reset.unwrap();
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    place.start();
    place.sql("INSERT INTO t SELECT 100, 'other', m, pad FROM t WHERE id = 99");
    let second = place.sql("SELECT xmin, ctid FROM t WHERE id = 100");
    assert_eq!(first, second);
    assert!(place.sql("SELECT txid_current()").trim().parse::<u64>().unwrap() > 1 << 32);
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
    // From here on all is as usual.
    write(&place, "more");
    assert!(place.both("t").cells().unwrap().1 > 0);
}

const REPLICATED: [&str; 3] = ["wal_level=replica", "max_wal_senders=4", "hot_standby=on"];

/// A primary and a standby of it.
fn pair() -> (Place, Throwaway) {
    let place = Place::with_settings(TABLE, &[EXPORT], &REPLICATED);
    place.sql("CHECKPOINT");
    place.stop();
    std::fs::create_dir(place.path("standby")).unwrap();
    copy(&place.path("server/data"), &place.path("standby/data"));
    place.start();
    let (host, port) = place.address();
    let settings = REPLICATED.map(str::to_owned).into();
    let conninfo = format!("primary_conninfo = 'host={host} port={port} user=ssp'\n");
    let files = vec![
        ("standby.signal".to_owned(), Vec::new()),
        ("postgresql.auto.conf".to_owned(), conninfo.into_bytes()),
    ];
    let options = ThrowawayOptions { keep: true, settings, files, ..ThrowawayOptions::default() };
    let standby = Throwaway::start_with(&place.path("standby"), &options).unwrap();
    (place, standby)
}

#[test]
fn a_failover_that_loses_a_transaction() {
    let (place, standby) = pair();
    place.both("t");
    write(&place, "replicated");
    let primary = place.switch(standby);
    place.wait_for("SELECT v = 'replicated' FROM t WHERE id = 100");
    // What the primary does from now on does not reach the standby.
    place.sql("ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf()");
    place.wait_for("SELECT count(*) = 0 FROM pg_stat_wal_receiver");
    let standby = place.switch(primary);
    let first = write(&place, "lost");
    place.both("t");
    drop(place.switch(standby));
    place.sql("SELECT pg_promote()");
    place.wait_for("SELECT NOT pg_is_in_recovery()");
    let second = write(&place, "other");
    assert_eq!(first, second, "the transaction id did not come again, so the test shows nothing");
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
}

#[test]
fn a_standby_that_is_promoted_keeps_what_it_showed() {
    let (place, standby) = pair();
    let primary = place.switch(standby);
    let came = place.both("t");
    assert_eq!(came.cells().unwrap().1, 0);
    let standby = place.switch(primary);
    write(&place, "replicated");
    drop(place.switch(standby));
    place.wait_for("SELECT v = 'replicated' FROM t WHERE id = 100");
    let came = place.both("t");
    assert!(came.cells().unwrap().1 > 0, "{came:?}");
    // The checkpoint of the promotion may run for long.
    place.sql("SELECT pg_promote()");
    place.wait_for("SELECT NOT pg_is_in_recovery()");
    write(&place, "promoted");
    let came = place.both("t");
    assert!(came.cells().unwrap().1 > 0, "{came:?}");
}
