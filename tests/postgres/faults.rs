//! What goes wrong in the middle: a clear error, the last good output untouched, nothing left behind, here or there.

use std::fs;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ssp::environment::Environment;
use ssp::errors::Classified as _;
use ssp::monitor::{Monitor, Progress};
use ssp::postgres::{SessionOptions, Snapshot, Target};
use ssp::stages::Spec as _;
use ssp::stages::export::{self, Error};
use ssp::throwaway::ThrowawayOptions;

use crate::cli::names;
use crate::support::postgres::{Server, sql};
use crate::support::wait::eventually;

/// Rows that take a while: about a second, a row every 2 ms.
const SLOW: &str = "SELECT n, pg_sleep(0.002)::text AS s FROM generate_series(1, 30000) AS n";
const TERMINATE_ACTIVE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until this number of queries run on the server, this one not counted.
fn until_queries(server: &Server, number: usize) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let running = || server.snapshot().watermark(sql, &Monitor::default()).unwrap();
    eventually(&format!("{number} queries run"), || running() == format!(r#"[["count"],["{number}"]]"#));
}

/// A session that holds a lock on the table `t`.
fn lock_t(server: &Server) -> Child {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-c", "BEGIN; LOCK TABLE t; SELECT pg_sleep(100)", &server.throwaway.uri()]);
    let lock = psql.stdout(Stdio::null()).spawn().unwrap();
    until_queries(server, 1);
    lock
}

/// Asserts that the snapshot is good for others.
fn still_reads(snapshot: &Snapshot) {
    assert_eq!(snapshot.watermark("SELECT 1 AS a", &Monitor::default()).unwrap(), r#"[["a"],["1"]]"#);
}

fn nothing_runs(server: &Server) {
    until_queries(server, 0);
}

/// Exports with the stage, over a last good output, which must stay; the error.
fn failing(server: &Server, snapshot: &Snapshot, query: &str, monitor: &Monitor) -> Error {
    let out = server.path("out/a.parquet");
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    fs::write(&out, "last good").unwrap();
    let export = sql(query).checked().unwrap();
    let error = export::run(&export, snapshot, 2, &out, monitor).unwrap_err();
    assert_eq!(names(out.parent().unwrap()), ["a.parquet"], "no temporary file may be left");
    assert_eq!(fs::read(&out).unwrap(), b"last good");
    error
}

fn chain(error: &Error) -> String {
    ssp::errors::chain(error).join(": ")
}

/// Does something once the first rows have come.
struct OnceRowsCome<F> {
    rows: AtomicU64,
    act: F,
}

/// A monitor of an export that does something, perhaps with it, once the first rows have come.
fn once_rows_come(act: impl Fn(&Monitor) + Send + Sync + 'static) -> Monitor {
    let monitor = Monitor::default();
    let own = monitor.clone();
    monitor.with_progress(Arc::new(OnceRowsCome { rows: AtomicU64::new(0), act: move || act(&own) }))
}

impl<F: Fn() + Send + Sync> Progress for OnceRowsCome<F> {
    fn advance(&self, rows: u64, _bytes: u64) {
        if self.rows.fetch_add(rows, Ordering::SeqCst) == 0 {
            (self.act)();
        }
    }
}

/// Many rows, so that they come while others are on their way; in the FROM clause the server would make all of them first.
const LONG: &str = "SELECT generate_series(1, 100000000) AS n, repeat('x', 200) AS s";

#[test]
fn a_stopped_export_leaves_no_query() {
    let server = Server::with("");
    let snapshot = server.snapshot();
    let error = failing(&server, &snapshot, LONG, &once_rows_come(|monitor| monitor.stop("a test")));
    assert!(error.is_stopped(), "{error:?}");
    nothing_runs(&server);
    still_reads(&snapshot);
}

#[test]
fn an_export_that_waits_can_be_stopped() {
    let server = Server::with("CREATE TABLE t (a int)");
    let snapshot = server.snapshot();
    let begin = Instant::now();
    for query in ["SELECT pg_sleep(100)::text AS a", "SELECT a FROM t"] {
        let mut lock = lock_t(&server);
        let error = failing(
            &server,
            &snapshot,
            query,
            &Monitor::default().with_timeout(Some(Duration::from_millis(500))),
        );
        assert!(error.is_stopped(), "{error:?}");
        lock.kill().unwrap();
        lock.wait().unwrap();
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND pid <> pg_backend_pid()");
        nothing_runs(&server);
    }
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn an_export_is_stopped_from_another_thread_and_later_queries_are_not_sent() {
    let server = Server::with("");
    let (snapshot, monitor) = (server.snapshot(), Monitor::default());
    let error = std::thread::scope(|scope| {
        let other = scope.spawn(|| failing(&server, &snapshot, SLOW, &monitor));
        until_queries(&server, 1);
        monitor.stop("a test");
        other.join().unwrap()
    });
    assert!(error.is_stopped(), "{error:?}");
    nothing_runs(&server);
    let stopped = snapshot.watermark("SELECT 1", &monitor).unwrap_err();
    assert!(matches!(stopped, ssp::postgres::Error::Stopped(None)), "{stopped}");
}

/// A request to cancel that arrives between two queries, or before the server has read one, is ignored: it is repeated.
#[test]
fn a_stop_at_any_moment_cancels_what_comes_next() {
    let server = Server::with("");
    let snapshot = server.snapshot();
    let begin = Instant::now();
    for delay in 0..120 {
        let monitor = Monitor::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(delay * 50));
                monitor.stop("a test");
            });
            let error = snapshot.watermark("SELECT pg_sleep(60)::text", &monitor).unwrap_err();
            assert!(matches!(error, ssp::postgres::Error::Stopped(_)), "{delay}: {error}");
        });
    }
    assert!(begin.elapsed() < PATIENCE * 2, "{:?}", begin.elapsed());
    nothing_runs(&server);
}

#[test]
fn a_terminated_backend_is_a_transient_error() {
    let server = Arc::new(Server::with(""));
    let (snapshot, other) = (server.snapshot(), Arc::clone(&server));
    // It waits for the client to take rows, and mostly cannot say why it ends.
    let error = failing(&server, &snapshot, LONG, &once_rows_come(move |_| other.run(TERMINATE_ACTIVE)));
    assert!(error.is_transient() && !error.is_unreachable(), "{error:?}");
    let said = chain(&error);
    assert!(
        said.starts_with("the connection to the server was lost while reading rows")
            || said.contains("57P01"),
        "{error:?}"
    );
    // It works, and says so.
    let error = std::thread::scope(|scope| {
        let other = scope.spawn(|| failing(&server, &snapshot, SLOW, &Monitor::default()));
        until_queries(&server, 1);
        server.run(TERMINATE_ACTIVE);
        other.join().unwrap()
    });
    assert!(error.is_transient() && !error.is_unreachable(), "{error:?}");
    assert_eq!(
        chain(&error),
        "the server cannot run the query: terminating connection due to administrator command (SQLSTATE 57P01)"
    );
    // A new connection of the same snapshot takes its place.
    still_reads(&snapshot);
}

#[test]
fn a_server_that_dies_is_a_transient_error() {
    let server = Server::with("");
    let snapshot = server.snapshot();
    let pid = fs::read_to_string(server.throwaway.folder().join("data/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    let act =
        move |_: &Monitor| assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
    let error = failing(&server, &snapshot, LONG, &once_rows_come(act));
    assert!(error.is_transient(), "{error:?}");
    assert!(!error.is_unreachable());
    let error = snapshot.watermark("SELECT 1", &Monitor::default()).unwrap_err();
    assert!(error.is_unreachable() && error.is_transient(), "{error}");
}

#[test]
fn a_holder_that_is_gone_is_told_as_such() {
    let server = Server::with("");
    let snapshot = server.snapshot();
    // With a time, it waits until the backend has ended.
    server.run(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'idle in transaction'",
    );
    let error = snapshot.watermark("SELECT 1", &Monitor::default()).unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.to_string(), "the snapshot is lost: the connection that held it was closed");
}

/// Passes connections on, and cuts each one after this number of bytes from the server, or when the client sends this text.
fn proxy(server_port: u16, cut_after: u64, cut_at: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { return };
            let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = up_from.read(&mut bytes) {
                    let sent = &bytes[..count];
                    let has = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
                    if cut_at.is_some_and(has) || up_to.write_all(sent).is_err() {
                        break;
                    }
                }
                let _ = up_to.shutdown(std::net::Shutdown::Both);
            });
            std::thread::spawn(move || {
                let mut client = client;
                let _ = std::io::copy(&mut server.try_clone().unwrap().take(cut_after), &mut client);
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_a_message_is_a_transient_error() {
    let server = Server::start(&ThrowawayOptions { tcp: true, ..ThrowawayOptions::default() });
    // In the first rows, within a row, between rows, far into the rows.
    for cut_after in [8_000_u64, 8_345, 50_001, 5_000_000] {
        let mut params = server.throwaway.params();
        params.host = Some("127.0.0.1".to_owned());
        params.port = Some(proxy(server.throwaway.port(), cut_after, None).to_string());
        params.sslmode = Some(ssp::postgres::SslMode::Disable);
        let target = Target::resolve(&params, &Environment::default()).unwrap();
        let snapshot = Snapshot::open(&target, &SessionOptions::default()).unwrap();
        let error = failing(&server, &snapshot, LONG, &Monitor::default());
        assert!(error.is_transient() && !error.is_unreachable(), "{cut_after}: {error:?}");
        assert!(
            error.to_string().starts_with("the connection to the server was lost while"),
            "{cut_after}: {error}"
        );
    }
    nothing_runs(&server);
}

#[test]
fn the_error_of_a_lost_connection_names_the_question() {
    let server = Server::start(&ThrowawayOptions { tcp: true, ..ThrowawayOptions::default() });
    for (text, question) in
        [("pg_control_system", "report its identity"), ("pg_db_role_setting", "report the settings of roles")]
    {
        let mut params = server.throwaway.params();
        params.host = Some("127.0.0.1".to_owned());
        params.port = Some(proxy(server.throwaway.port(), u64::MAX, Some(text)).to_string());
        params.sslmode = Some(ssp::postgres::SslMode::Disable);
        let target = Target::resolve(&params, &Environment::default()).unwrap();
        let error = Snapshot::open(&target, &SessionOptions::default()).err().unwrap();
        assert!(error.to_string().ends_with(question), "{text}: {error}");
    }
}

#[test]
fn timeouts_of_statements_and_locks_are_kept() {
    let server = Server::with("CREATE TABLE t (a int)");
    let options = SessionOptions {
        statement_timeout: Some(Duration::from_millis(300)),
        lock_timeout: Some(Duration::from_millis(200)),
        ..SessionOptions::default()
    };
    let snapshot = Snapshot::open(&server.target(), &options).unwrap();
    let error = failing(&server, &snapshot, "SELECT pg_sleep(100)::text AS a", &Monitor::default());
    assert_eq!(
        chain(&error),
        "the server cannot run the query: canceling statement due to statement timeout (SQLSTATE 57014)"
    );
    assert!(!error.is_transient());
    let mut lock = lock_t(&server);
    let error = failing(&server, &snapshot, "SELECT a FROM t", &Monitor::default());
    assert!(chain(&error).contains("canceling statement due to lock timeout (SQLSTATE 55P03)"), "{error:?}");
    assert!(error.is_transient());
    lock.kill().unwrap();
    lock.wait().unwrap();
}

/// A shell's limit on the size of a file stands for a disk that is full.
#[test]
fn a_full_disk_is_told_with_what_was_written() {
    let server = Server::with("");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.parquet");
    fs::write(&out, "last good").unwrap();
    let query = "SELECT n, md5(n::text) AS a, md5((-n)::text) AS b FROM generate_series(1, 300000) AS n";
    for further in [&["--row-group-size", "20000"][..], &[], &["--keep-temp"]] {
        let output = Command::new("sh")
            .args(["-c", "ulimit -f 2000; exec \"$0\" \"$@\""])
            .arg(assert_cmd::cargo::cargo_bin("fast-export"))
            .args(["--dsn", &server.throwaway.uri(), "--sql", query, "--out", "a.parquet"])
            .args(further)
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("error: cannot export to `a.parquet`\n"), "{text}");
        assert!(text.contains("File too large (os error 27); raise the limit"), "{text}");
        assert_eq!(names(folder.path()), ["a.parquet"]);
        assert_eq!(fs::read(&out).unwrap(), b"last good");
    }
    nothing_runs(&server);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_is_read() {
    let server = Server::with("");
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be stops root too, whom permissions do not.
    fs::write(folder.path().join("out"), "a file").unwrap();
    // What is in the way is seen before the folder is made.
    for (out, code) in [("out/a.parquet", 2), ("/proc/ssp/a.parquet", 1)] {
        let output = assert_cmd::Command::cargo_bin("fast-export")
            .unwrap()
            .current_dir(folder.path())
            .args(["--dsn", &server.throwaway.uri(), "--sql", LONG, "--silent", "--out", out])
            .timeout(PATIENCE)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(out), "{text}");
        assert_eq!(names(folder.path()), ["out"]);
    }
    nothing_runs(&server);
}

#[test]
fn a_signal_ends_all_in_good_order() {
    let server = Server::with("");
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.parquet"), "last good").unwrap();
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("fast-export"))
            .current_dir(folder.path())
            .args(["--dsn", &server.throwaway.uri(), "--sql", SLOW, "--out", "a.parquet"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until_queries(&server, 1);
        eventually("the temporary file", || names(folder.path()).len() == 2);
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let status = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.starts_with(&format!("error: stopped by SIG{}\n", &signal[1..])), "{said}");
        assert_eq!(names(folder.path()), ["a.parquet"]);
        assert_eq!(fs::read(folder.path().join("a.parquet")).unwrap(), b"last good");
        nothing_runs(&server);
    }
}

#[test]
fn a_throwaway_server_that_is_dropped_ends_and_leaves_no_folder() {
    let server = Server::with("");
    let folder = server.throwaway.folder().to_owned();
    let pid =
        fs::read_to_string(folder.join("data/postmaster.pid")).unwrap().lines().next().unwrap().to_owned();
    let alive = || Command::new("kill").args(["-0", &pid]).stderr(Stdio::null()).status().unwrap().success();
    assert!(alive());
    drop(server);
    assert!(!alive());
    assert!(!folder.exists());
}

/// An export that fails between two rows leaves the rest of its answer to be read: the next query of the only connection must
/// not get it.
#[test]
fn a_lone_connection_is_good_after_an_export_that_failed_in_the_middle() {
    let server = Server::with("");
    let options = SessionOptions { connections: 0, ..SessionOptions::default() };
    let snapshot = Snapshot::open(&server.target(), &options).unwrap();
    let query = "SELECT CASE WHEN n = 50000 THEN 'infinity'::date ELSE DATE '2026-03-02' END AS d, repeat('x', 300) AS s
                 FROM generate_series(1, 3000000) AS n";
    for _ in 0..3 {
        let error = failing(&server, &snapshot, query, &Monitor::default());
        assert!(chain(&error).contains("row 50000"), "{error:?}");
        still_reads(&snapshot);
    }
    let error = failing(&server, &snapshot, LONG, &once_rows_come(|monitor| monitor.stop("a test")));
    assert!(error.is_stopped(), "{error:?}");
    still_reads(&snapshot);
}
