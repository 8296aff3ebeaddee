//! One state of the database for many connections.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ssp::database_state::DatabaseState;
use ssp::environment::Environment;
use ssp::errors::Classified as _;
use ssp::monitor::Monitor;
use ssp::postgres::{ConnectParams, SessionOptions, Snapshot, Target};
use ssp::stages::Spec as _;
use ssp::stages::export;

use crate::support::parquet::lines;
use crate::support::postgres::{Server, sql};

/// How often the exports run beside the writer.
const ROUNDS: usize = 50;

const FOUR_TABLES: &str =
    "CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE TABLE c (n int); CREATE TABLE d (n int);
    INSERT INTO a VALUES (0); INSERT INTO b VALUES (0); INSERT INTO c VALUES (0); INSERT INTO d VALUES (0);";

/// Changes the four tables in one transaction, again and again, until it is killed.
struct Writer(Child);

impl Writer {
    fn start(server: &Server) -> Self {
        let sql = "DO $$ BEGIN FOR i IN 1 .. 10000000 LOOP
            UPDATE a SET n = i; UPDATE b SET n = i; UPDATE c SET n = i; UPDATE d SET n = i;
            COMMIT; PERFORM pg_sleep(0.005); END LOOP; END $$";
        Self(
            Command::new("psql")
                .args(["-X", "-q", "-c", sql, &server.throwaway.uri()])
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The values that two exports of each table see, all at once. Other transactions end while they read.
fn seen(server: &Server, snapshot: &Snapshot) -> BTreeSet<String> {
    let exports: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .flat_map(|table| {
            [format!("SELECT n FROM {table}, generate_series(1, 30000)"), format!("SELECT n FROM {table}")]
        })
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = exports
            .iter()
            .enumerate()
            .map(|(index, query)| {
                scope.spawn(move || {
                    let out = server.path(&format!("{index}.parquet"));
                    let export = sql(query).checked().unwrap();
                    let mut product = export::run(&export, snapshot, 1, &out, &Monitor::default()).unwrap();
                    product.files.remove(0).file.publish().unwrap();
                    lines(&out).into_iter().collect::<BTreeSet<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn eight_exports_over_four_connections_never_see_a_mixed_state() {
    let server = Server::with(FOUR_TABLES);
    let _writer = Writer::start(&server);
    let mut states = BTreeSet::new();
    for _ in 0..ROUNDS {
        let snapshot = server.snapshot();
        assert!(snapshot.is_exported());
        assert_eq!(snapshot.most_readers(), 4);
        let seen = seen(&server, &snapshot);
        assert_eq!(seen.len(), 1, "a mixed state: {seen:?}");
        states.extend(seen);
    }
    assert!(states.len() > 1, "the writer did not write");
}

/// What a query returns, as text.
fn ask(snapshot: &Snapshot, query: &str) -> String {
    snapshot.watermark(query, &Monitor::default()).unwrap()
}

fn as_role(server: &Server, role: &str) -> Target {
    let params = ConnectParams { user: Some(role.to_owned()), ..server.throwaway.params() };
    Target::resolve(&params, &Environment::default()).unwrap()
}

#[test]
fn a_server_that_exports_no_snapshot_is_read_by_the_holder_alone() {
    let server = Server::with(FOUR_TABLES);
    server.run("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC;");
    let _writer = Writer::start(&server);
    for _ in 0..5 {
        let snapshot = Snapshot::open(&as_role(&server, "reader"), &SessionOptions::default()).unwrap();
        assert_eq!((snapshot.is_exported(), snapshot.most_readers()), (false, 1));
        // A failure on the only connection must not cost the others their snapshot.
        let before = ask(&snapshot, "SELECT n FROM a");
        assert!(snapshot.watermark("SELECT 1 / 0", &Monitor::default()).is_err());
        assert!(snapshot.watermark("SELECT none", &Monitor::default()).is_err());
        let seen = seen(&server, &snapshot);
        assert_eq!(seen.len(), 1, "a mixed state: {seen:?}");
        assert_eq!(before, format!("[[\"n\"],[\"{}\"]]", seen.first().unwrap()));
        let connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'";
        assert_eq!(ask(&snapshot, connections), r#"[["count"],["1"]]"#);
    }
}

/// The holder has no limit, but where it is the only reader.
#[test]
fn whoever_reads_has_a_limit_on_its_statements() {
    let server = Server::with(
        "CREATE ROLE reader LOGIN; REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC;",
    );
    let options =
        SessionOptions { statement_timeout: Some(Duration::from_millis(300)), ..SessionOptions::default() };
    for (role, exported) in [("ssp", true), ("reader", false)] {
        let snapshot = Snapshot::open(&as_role(&server, role), &options).unwrap();
        assert_eq!(snapshot.is_exported(), exported);
        let error = snapshot.watermark("SELECT pg_sleep(60)", &Monitor::default()).unwrap_err();
        assert_eq!(error.code(), Some("57014"), "{role}: {error}");
        let limit = ask(&snapshot, "SELECT current_setting('statement_timeout') AS n");
        assert_eq!(limit, r#"[["n"],["300ms"]]"#, "{role}");
    }
}

#[test]
fn the_state_changes_exactly_when_somebody_writes() {
    let server = Server::with(FOUR_TABLES);
    let first = server.snapshot().generation().clone();
    let second = server.snapshot().generation().clone();
    assert_eq!(first, DatabaseState { taken: first.taken, ..second });
    assert!(first.doubt.is_none() && first.started.is_some(), "{first:?}");
    server.run("UPDATE a SET n = 1");
    let third = server.snapshot().generation().clone();
    assert_ne!(first.snapshot, third.snapshot);
    assert_ne!(first.lsn, third.lsn);
    assert_eq!((&first.place, &first.started), (&third.place, &third.started));
    // What makes the same query return other rows is part of the place.
    server.run("CREATE ROLE reader LOGIN; ALTER ROLE reader SET search_path = other; CREATE DATABASE twin;");
    let reader = Snapshot::open(&as_role(&server, "reader"), &SessionOptions::default()).unwrap();
    let place = &reader.generation().place;
    assert_eq!((place["role"].as_str(), place["setting search_path"].as_str()), ("reader", "other"));
    server.run("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let reader = Snapshot::open(&as_role(&server, "reader"), &SessionOptions::default()).unwrap();
    let doubt = reader.generation().doubt.clone().unwrap();
    assert!(doubt.contains("does not report its identity"), "{doubt}");
    assert!(reader.generation().lsn.is_some());
}

#[test]
fn watermarks_are_canonical_text() {
    let server =
        Server::with("CREATE TABLE t (n int, s text); INSERT INTO t VALUES (1, 'a \"b\"'), (2, NULL)");
    let snapshot = server.snapshot();
    let first = ask(&snapshot, "SELECT * FROM t ORDER BY n; -- all");
    assert_eq!(first, r#"[["n","s"],["1","a \"b\""],["2",null]]"#);
    server.run("INSERT INTO t VALUES (3, 'new')");
    assert_eq!(ask(&snapshot, "TABLE t ORDER BY n"), first);
    assert_eq!(ask(&server.snapshot(), "SELECT max(n), count(*) FROM t"), r#"[["max","count"],["3","3"]]"#);
    let error = snapshot.watermark("SELECT generate_series(1, 10001)", &Monitor::default()).unwrap_err();
    assert_eq!(error.to_string(), "the watermark returns more than 10000 rows");
    assert!(snapshot.watermark("DELETE FROM t", &Monitor::default()).is_err());
}

#[test]
fn connections_are_limited_and_used_again() {
    let server = Server::with("");
    let snapshot =
        Snapshot::open(&server.target(), &SessionOptions { connections: 2, ..SessionOptions::default() })
            .unwrap();
    let (first, second) = (
        snapshot.reader(&Monitor::default()).unwrap(),
        snapshot.further_reader(&Monitor::default()).unwrap(),
    );
    assert!(second.is_some());
    assert!(snapshot.further_reader(&Monitor::default()).unwrap().is_none());
    let stopped = Monitor::default();
    stopped.stop("a test");
    assert!(matches!(snapshot.reader(&stopped), Err(ssp::postgres::Error::Stopped(None))));
    drop((first, second));
    let pid = "SELECT pg_backend_pid()";
    assert_eq!(ask(&snapshot, pid), ask(&snapshot, pid));
}

#[test]
fn nothing_can_be_written_through_a_snapshot() {
    let server = Server::with(
        "CREATE TABLE t (n int); CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING n'",
    );
    let error = server.snapshot().watermark("SELECT w()", &Monitor::default()).unwrap_err();
    assert_eq!(error.code(), Some("25006"));
}

/// A writer changes all tables meanwhile: all readers see one state.
#[test]
fn a_role_with_few_connections_reads_one_state() {
    let server = Server::with(FOUR_TABLES);
    let _writer = Writer::start(&server);
    for (limit, readers) in [(1, 0), (2, 1), (3, 2)] {
        let role = format!("reader{limit}");
        server.run(&format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}; GRANT SELECT ON a, b, c, d TO {role}"
        ));
        let snapshot = Snapshot::open(&as_role(&server, &role), &SessionOptions::default()).unwrap();
        assert_eq!(snapshot.shortage(), None, "none was needed yet");
        let seen = seen(&server, &snapshot);
        assert_eq!(seen.len(), 1, "a mixed state: {seen:?}");
        let shortage = snapshot.shortage().unwrap();
        assert_eq!((shortage.readers, shortage.most), (readers, 4), "{shortage}");
        assert_eq!(snapshot.shortage(), None, "it is told once");
        // A failure costs no connection, so none has to be opened.
        for _ in 0..3 {
            assert!(snapshot.watermark("SELECT 1 / 0", &Monitor::default()).is_err());
        }
        assert_eq!(ask(&snapshot, "SELECT n FROM a"), format!("[[\"n\"],[\"{}\"]]", seen.first().unwrap()));
        assert_eq!(snapshot.shortage(), None);
    }
}

/// A reader's session ends while it is idle, and the role may not have another one any more.
#[test]
fn a_reader_that_is_lost_is_replaced_by_another_or_by_the_holder() {
    let server = Server::with("CREATE ROLE reader LOGIN");
    let snapshot = Snapshot::open(&as_role(&server, "reader"), &SessionOptions::default()).unwrap();
    let process = || {
        let rows = ask(&snapshot, "SELECT pg_backend_pid()");
        rows.chars().filter(char::is_ascii_digit).collect::<String>()
    };
    let first = process();
    server.run(&format!("SELECT pg_terminate_backend({first}, 10000)"));
    let second = process();
    assert_ne!(first, second);
    assert_eq!(snapshot.shortage(), None);
    server
        .run(&format!("ALTER ROLE reader CONNECTION LIMIT 1; SELECT pg_terminate_backend({second}, 10000)"));
    assert_ne!(process(), second);
    assert_eq!(snapshot.shortage().unwrap().readers, 0);
    // The holder was the last one.
    server.run(&format!("SELECT pg_terminate_backend({}, 10000)", process()));
    let error = snapshot.watermark("SELECT 1", &Monitor::default()).unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// With no connection but the holder's there is none to be refused, and none to be told of.
#[test]
fn the_holder_reads_alone_where_that_is_asked_for() {
    let server = Server::with(FOUR_TABLES);
    let options = SessionOptions { connections: 0, ..SessionOptions::default() };
    let snapshot = Snapshot::open(&server.target(), &options).unwrap();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ssp'";
    assert_eq!(ask(&snapshot, count), r#"[["count"],["1"]]"#);
    assert_eq!((snapshot.most_readers(), snapshot.shortage()), (1, None));
    let first = snapshot.reader(&Monitor::default()).unwrap();
    assert!(snapshot.further_reader(&Monitor::default()).unwrap().is_none());
    drop(first);
    assert_eq!(seen(&server, &snapshot).len(), 1);
}
