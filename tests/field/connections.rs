//! Few connections, and locks that other sessions hold.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ssp::environment::Environment;
use ssp::monitor::{Monitor, Progress};
use ssp::postgres::{SessionOptions, Snapshot, Target};
use ssp::stages::Spec as _;
use ssp::stages::export;
use ssp::throwaway::ThrowawayOptions;

use crate::place::Place;
use crate::support::parquet::lines;
use crate::support::postgres::sql;

const TABLE: &str = "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10);
                     CREATE ROLE few LOGIN; GRANT SELECT ON t TO few;";
/// The first two are still read when the third begins.
const EXPORTS: &str = "
  a: {export: {sql: SELECT id FROM t WHERE pg_sleep(0.03)::text IS NOT NULL, watermark: SELECT max(id) FROM t}, out: a.parquet}
  b: {export: {sql: SELECT id + 1 AS b FROM t WHERE pg_sleep(0.03)::text IS NOT NULL}, out: b.parquet}
  c: {export: {table: t}, out: c.parquet}
";
const SHORT: &str = "another one could not be opened";

/// Waits until the sessions of programs that have ended are gone: the server counts them for a moment longer.
fn wait_until_alone(place: &Place) {
    while place.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ssp'") != "0" {
        thread::sleep(Duration::from_millis(20));
    }
    // A session leaves this view before the server stops counting it.
    thread::sleep(Duration::from_millis(200));
}

/// Runs three exports, four at once, and looks at what they wrote.
fn exports(place: &Place, database: &str) -> String {
    wait_until_alone(place);
    place.pipeline_on(database, EXPORTS);
    let said = place.ssp_run(&["-j", "4", "--force"]).expect(0);
    for (name, first) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let rows = lines(&place.path(format!("out/{name}.parquet")));
        assert_eq!((rows.len(), rows[0].as_str()), (10, first), "{name}: {}", said.text);
    }
    said.text
}

#[test]
fn as_many_connections_read_as_the_role_may_have() {
    let place = Place::with(TABLE);
    for (limit, enough) in [(1, 0), (2, 1), (3, 2)] {
        place.sql(&format!("ALTER ROLE few CONNECTION LIMIT {limit}"));
        let said = exports(&place, "{user: few, retries: 0}");
        assert_eq!(said.matches(SHORT).count(), 1, "{said}");
        assert!(said.contains(r#"too many connections for role "few" (SQLSTATE 53300)"#), "{said}");
        assert!(said.contains(&format!("write `connections: {enough}` under `database`")), "{said}");
        // What is advised is enough, and not told again.
        let said = exports(&place, &format!("{{user: few, retries: 0, connections: {enough}}}"));
        assert!(!said.contains("warning"), "{said}");
    }
    let events = std::fs::read_to_string(place.path("out/.ssp/runs/latest/events.jsonl")).unwrap();
    assert!(!events.contains(SHORT), "{events}");
}

#[test]
fn a_limit_of_the_database_or_the_server_is_no_other() {
    let place = Place::with_settings(&["max_connections=6", "superuser_reserved_connections=4"], TABLE);
    let said = exports(&place, "{user: few, retries: 0}");
    assert!(said.contains("remaining connection slots are reserved"), "{said}");
    assert_eq!(said.matches(SHORT).count(), 1, "{said}");
    let place = Place::with(TABLE);
    place.sql("ALTER DATABASE postgres CONNECTION LIMIT 1");
    let said = exports(&place, "{user: few, retries: 0}");
    assert!(said.contains("one connection reads all exports: the one that holds the snapshot"), "{said}");
    assert!(said.contains(r#"too many connections for database "postgres""#), "{said}");
    let events = std::fs::read_to_string(place.path("out/.ssp/runs/latest/events.jsonl")).unwrap();
    assert_eq!(events.matches(SHORT).count(), 1, "{events}");
}

/// A failed query must not cost the only connection its snapshot, here or in the middle of a run.
#[test]
fn the_only_connection_outlives_what_fails() {
    let place = Place::with(TABLE);
    place.sql("ALTER ROLE few CONNECTION LIMIT 1");
    place.pipeline_on(
        "{user: few, retries: 0}",
        "  a: {export: {sql: SELECT none FROM t}, out: a.parquet}
  b: {export: {sql: SELECT id FROM t}, out: b.parquet}
  c: {export: {sql: SELECT 1 / (id - 5) AS c FROM t}, out: c.parquet}
",
    );
    place
        .ssp_run(&["validate", "--connect"])
        .expect(2)
        .says("column \"none\" does not exist")
        .says("b: 1 column\n")
        .says("c: 1 column\n")
        .says(SHORT);
    place.ssp_run(&["-j", "4"]).expect(1).does_not_say("current transaction is aborted");
    wait_until_alone(&place);
    // Those of the same snapshot come along, and fail again.
    place
        .ssp_run(&["--stage", "b"])
        .expect(1)
        .says("2 failed, 1 blocked")
        .does_not_say("current transaction is aborted");
}

#[test]
fn a_role_without_any_connection_is_tried_again_and_then_unreachable() {
    let place = Place::with(TABLE);
    place.sql("ALTER ROLE few CONNECTION LIMIT 0");
    place.pipeline_on("{user: few, retries: 1}", EXPORTS);
    let said = place.ssp_run(&[]).expect(4);
    said.says("too many connections for role \"few\"").says("retry      1 of 1 in 1.0s");
    // Given a connection in time, it is done.
    place.pipeline_on("{user: few, retries: 3}", EXPORTS);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            place.sql("ALTER ROLE few CONNECTION LIMIT 2");
        });
        place.ssp_run(&["-j", "4"]).expect(0).says("retry      1 of 3");
    });
}

#[test]
fn fast_export_makes_do_too() {
    let place = Place::with(TABLE);
    // Pages for five pieces, which three further connections would read.
    place.sql("CREATE TABLE large (n int, text text); ALTER TABLE large ALTER text SET STORAGE PLAIN");
    place.sql(
        "INSERT INTO large SELECT n, repeat('x', 7000) FROM generate_series(1, 2700) AS n; ANALYZE large",
    );
    place.sql("GRANT SELECT ON large TO few");
    let sql = |name: &str, sql: &str| format!("- {{sql: '{sql}', out: {name}}}\n");
    let config = [sql("a", "SELECT id FROM t"), sql("b", "SELECT n, text FROM large"), sql("c", "TABLE t")];
    place.put("exports.yaml", config.concat());
    let arguments = ["--user", "few", "--config", "exports.yaml", "-j", "4", "--silent", "--keep-temp"];
    for (limit, warnings) in [(1, 1), (2, 1), (-1, 0)] {
        place.sql(&format!("ALTER ROLE few CONNECTION LIMIT {limit}"));
        wait_until_alone(&place);
        let said = place.run("fast-export", &arguments).expect(0);
        assert_eq!(said.text.matches(SHORT).count(), warnings, "{}", said.text);
        assert_eq!(lines(&place.path("b")).len(), 2700);
        assert_eq!(std::fs::read_to_string(place.path("c.csv")).unwrap().lines().count(), 11);
    }
    place.sql("ALTER ROLE few CONNECTION LIMIT 2");
    wait_until_alone(&place);
    let alone = ["--user", "few", "--sql", "SELECT n, text FROM large", "--out", "d", "-j", "4"];
    let said = place.run("fast-export", &alone).expect(0);
    said.says("2 connections are open: one holds the snapshot, 1 reads (up to").says("2,700 rows");
}

/// What a pooler does with the sessions that it cannot pass on to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Further {
    Wait,
    Close,
    /// They come to another server, which does not know the snapshot.
    Elsewhere(u16),
}

/// A pooler that passes on this many sessions.
fn pooler(port: u16, most: usize, further: Further) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut waiting = Vec::new();
        for (index, client) in listener.incoming().enumerate() {
            let Ok(client) = client else { return };
            let port = match further {
                _ if index < most => port,
                Further::Elsewhere(port) => port,
                Further::Close => continue,
                Further::Wait => {
                    waiting.push(client);
                    continue;
                }
            };
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    own
}

#[test]
fn a_reader_that_is_not_served_does_not_hold_up_the_others() {
    let options = ThrowawayOptions { tcp: true, ..ThrowawayOptions::default() };
    let place = Place::with_server(&options, TABLE);
    let server = place.server.as_ref().unwrap().throwaway.port();
    let other = Place::with_server(&options, TABLE);
    let elsewhere = Further::Elsewhere(other.server.as_ref().unwrap().throwaway.port());
    for (most, further, why) in [
        (1, Further::Wait, "the server did not answer in time"),
        (2, Further::Wait, "the server did not answer in time"),
        (1, Further::Close, ""),
        (1, elsewhere, "snapshot"),
        (3, elsewhere, "snapshot"),
    ] {
        let port = pooler(server, most, further);
        let dsn = format!("host=127.0.0.1 port={port} sslmode=disable connect_timeout=2");
        let begin = Instant::now();
        let said = exports(&place, &format!("{{dsn: {dsn}, retries: 0}}"));
        assert!(begin.elapsed() < Duration::from_secs(8), "{said}");
        assert_eq!(said.matches(SHORT).count(), 1, "{most}: {said}");
        let warning = said.lines().find(|line| line.contains(SHORT)).unwrap();
        assert!(warning.contains(why), "{most}: {said}");
    }
}

/// A session that holds a lock until it is dropped.
struct Locked(Child);

impl Locked {
    fn table(place: &Place, table: &str) -> Self {
        Self::with(place, &format!("LOCK TABLE {table}"))
    }

    fn with(place: &Place, sql: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(&place.environment).env("PGAPPNAME", "maintenance");
        psql.args(["-X", "-q"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        let stdin = psql.stdin.as_mut().unwrap();
        writeln!(stdin, "BEGIN; {sql};\n\\echo locked").unwrap();
        let mut said = [0; 6];
        psql.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        Self(psql)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lock_that_lasts_is_told_and_waited_for() {
    let place = Place::with(TABLE);
    place.pipeline(
        "  b: {export: {sql: SELECT id FROM t}, out: b.parquet}
  c: {export: {table: t}, out: c.parquet}
",
    );
    let lock = Locked::table(&place, "t");
    let said = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(14));
            drop(lock);
        });
        place.ssp_run(&["-j", "2"]).expect(0)
    });
    let process = "waiting for a lock on `t`, blocked by process ";
    let said = said
        .says(process)
        .says("(user `ssp`, application `maintenance`, idle in transaction, since ")
        .says("no answer for 10 s");
    assert_eq!(said.text.matches(process).count(), 2, "once for each stage: {}", said.text);
    for stage in ["b", "c"] {
        let log = std::fs::read_to_string(place.path(format!("out/.ssp/runs/latest/{stage}.log"))).unwrap();
        assert!(log.contains(process), "{log}");
    }
    let events = std::fs::read_to_string(place.path("out/.ssp/runs/latest/events.jsonl")).unwrap();
    assert_eq!(events.matches(r#""event":"stage_warning""#).count(), 2, "{events}");
}

#[test]
fn a_stage_that_is_out_of_time_says_for_which_lock_it_waited() {
    let place = Place::with(TABLE);
    let _lock = Locked::table(&place, "t");
    place.pipeline("  b: {export: {sql: SELECT id FROM t}, out: b.parquet, timeout: 2s}\n");
    let said = place.ssp_run(&[]).expect(1);
    said.says("stage `b` took longer than its timeout, 2s")
        .says("stopped while it waited for a lock on `t`, blocked by process")
        .says("application `maintenance`");
    // A column is looked up before the table is locked, by the name of the table.
    place.pipeline("  c: {export: {table: t}, out: c.parquet, timeout: 1s}\n");
    place.ssp_run(&[]).expect(1).says("stopped while it waited for a lock on `t`");
}

/// At planning there is no stage yet; the limit is that of all stages.
#[test]
fn a_watermark_does_not_wait_for_ever() {
    let place = Place::with(TABLE);
    place.sql("CREATE TABLE \"Other\" (id int); GRANT SELECT ON \"Other\" TO few");
    let _lock = Locked::table(&place, "\"Other\"");
    let stages =
        "  a: {export: {sql: SELECT id FROM t, watermark: SELECT max(id) FROM \"Other\"}, out: a.parquet}\n";
    for user in ["ssp", "few"] {
        place.put(
            "pipeline.yaml",
            format!(
                "version: 1\nname: field\nout_dir: out\ndefaults: {{timeout: 1s}}\n\
                 database: {{user: {user}, retries: 0}}\nstages:\n{stages}"
            ),
        );
        let said = place.ssp_run(&[]).expect(1);
        let said = said
            .says("it waited too long for a lock on `\"Other\"`, blocked by process ")
            .says("canceling statement due to ")
            .says("(user `ssp`, application `maintenance`");
        if user == "few" {
            said.says("a role with pg_read_all_stats sees more");
        }
    }
}

/// Keeps what a stage is warned of.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// Exports a query, with waits told after 300 ms; what was told, and the error.
fn told(
    place: &Place,
    user: &str,
    connections: usize,
    query: &str,
    release: &(dyn Fn() + Sync),
) -> (Vec<String>, String) {
    let throwaway = &place.server.as_ref().unwrap().throwaway;
    let params = ssp::postgres::ConnectParams { user: Some(user.to_owned()), ..throwaway.params() };
    let target = Target::resolve(&params, &Environment::default()).unwrap();
    let options = SessionOptions {
        connections,
        patience: Duration::from_millis(300),
        lock_timeout: Some(Duration::from_secs(2)),
        ..SessionOptions::default()
    };
    let snapshot = Snapshot::open(&target, &options).unwrap();
    let export = sql(query).checked().unwrap();
    let told = Arc::new(Told::default());
    let monitor = Monitor::default().with_progress(told.clone());
    let ended = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::SeqCst) && told.0.lock().unwrap().is_empty() {
                thread::sleep(Duration::from_millis(5));
            }
            release();
        });
        let result = export::run(&export, &snapshot, 1, &place.path("x.parquet"), &monitor);
        ended.store(true, Ordering::SeqCst);
        result
    });
    let error = result.err().map(|error| ssp::errors::chain(&error).join(": ")).unwrap_or_default();
    let told = told.0.lock().unwrap().clone();
    (told, error)
}

#[test]
fn the_session_that_blocks_a_reader_is_named() {
    let place = Place::with_settings(&["max_prepared_transactions=2"], TABLE);
    place.sql(
        "CREATE FUNCTION late() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END'",
    );
    let locked = Mutex::new(None);
    let release = || drop(locked.lock().unwrap().take());
    // By a reader with the holder to ask; by the holder itself, which asks on one more connection; in a function.
    for (connections, query) in [(4, "SELECT id FROM t"), (0, "SELECT id FROM t"), (4, "SELECT late() AS n")]
    {
        *locked.lock().unwrap() = Some(Locked::table(&place, "t"));
        let (told, error) = told(&place, "ssp", connections, query, &release);
        assert_eq!((told.len(), error.as_str()), (1, ""), "{told:?}");
        assert!(
            told[0].contains("a lock on `t`, blocked by process ") && told[0].contains("`maintenance`"),
            "{told:?}"
        );
    }
    // A session that waits itself, for one that only reads.
    let reading = Locked::with(&place, "SELECT * FROM t LIMIT 0");
    let mut alter = Command::new("psql");
    alter.env_clear().envs(&place.environment).env("PGAPPNAME", "alter");
    let mut alter = alter.args(["-X", "-q", "-c", "ALTER TABLE t ADD more int"]).spawn().unwrap();
    while place.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "1" {
        thread::sleep(Duration::from_millis(20));
    }
    *locked.lock().unwrap() = Some(reading);
    let (told_then, error) = told(&place, "ssp", 4, "SELECT id FROM t", &release);
    assert!(
        error.is_empty() && told_then[0].contains("application `alter`, active"),
        "{told_then:?} {error}"
    );
    alter.wait().unwrap();
    // No session at all.
    place.sql("BEGIN; LOCK TABLE t; PREPARE TRANSACTION 'kept'");
    let commit = || drop(place.sql("COMMIT PREPARED 'kept'"));
    let (told_then, error) = told(&place, "ssp", 4, "SELECT id FROM t", &commit);
    assert!(
        error.is_empty() && told_then[0].contains("blocked by a prepared transaction"),
        "{told_then:?} {error}"
    );
}

/// A role with one connection cannot ask who blocks it: the wait is bounded all the same.
#[test]
fn a_lone_session_waits_no_longer_than_it_may() {
    let place = Place::with(TABLE);
    place.sql("ALTER ROLE few CONNECTION LIMIT 1");
    let _lock = Locked::table(&place, "t");
    let (told, error) = told(&place, "few", 4, "SELECT id FROM t", &|| ());
    assert_eq!(told, Vec::<String>::new());
    assert!(error.contains("canceling statement due to lock timeout (SQLSTATE 55P03)"), "{error}");
}
