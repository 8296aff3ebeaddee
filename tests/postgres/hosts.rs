//! Which of several hosts is taken, and what is said when none is.

use std::net::TcpListener;
use std::time::Instant;

use ssp::environment::Environment;
use ssp::errors::Classified as _;
use ssp::monitor::Monitor;
use ssp::postgres::connect::Secret;
use ssp::postgres::{ConnectParams, Error, SessionOptions, Snapshot, Target};
use ssp::throwaway::{Throwaway, ThrowawayOptions};

use crate::support::postgres::Server;

/// Connects with a connection string.
fn open(dsn: &str) -> Result<Snapshot, Error> {
    let params = ConnectParams {
        dsn: Some(Secret::from(dsn.to_owned())),
        given_by: "test".into(),
        ..ConnectParams::default()
    };
    let environment = Environment { user: Some("ssp".into()), ..Environment::default() };
    Snapshot::open(&Target::resolve(&params, &environment)?, &SessionOptions::default())
}

#[test]
fn hosts_are_tried_in_turn_until_one_is_of_the_kind_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let options = |files| ThrowawayOptions {
        keep: true,
        settings: vec!["wal_level=replica".into()],
        files,
        ..ThrowawayOptions::default()
    };
    Throwaway::start_with(folder.path(), &options(vec![])).unwrap().stop();
    let standby =
        Throwaway::start_with(folder.path(), &options(vec![("standby.signal".into(), vec![])])).unwrap();
    let read_only = Server::start(&ThrowawayOptions {
        settings: vec!["default_transaction_read_only=on".into()],
        ..ThrowawayOptions::default()
    });
    let primary = Server::with("");
    let hosts =
        [standby.socket_folder(), read_only.throwaway.socket_folder(), primary.throwaway.socket_folder()]
            .map(|path| path.display().to_string());
    let all = format!("host=/nonexistent,{} dbname=postgres", hosts.join(","));
    for (attributes, expected) in [
        ("any", &hosts[0]),
        ("standby", &hosts[0]),
        ("read-only", &hosts[0]),
        ("prefer-standby", &hosts[0]),
        ("primary", &hosts[1]),
        ("read-write", &hosts[2]),
    ] {
        let snapshot = open(&format!("{all} target_session_attrs={attributes}"))
            .unwrap_or_else(|error| panic!("{attributes}: {error}"));
        let found = snapshot
            .watermark("SELECT current_setting('unix_socket_directories')", &Monitor::default())
            .unwrap();
        assert!(found.contains(expected.as_str()), "{attributes}: {found}");
        assert!(snapshot.generation().lsn.is_some());
        assert!(snapshot.is_exported(), "a standby exports snapshots too");
    }
    let alone = format!("host={} dbname=postgres target_session_attrs", hosts[2]);
    assert!(open(&format!("{alone}=prefer-standby")).is_ok());
    let error = open(&format!("{alone}=standby")).err().unwrap();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the server is not a standby, which target_session_attrs requires"
    );
    assert!(error.is_unreachable() && error.is_transient());
    let error = open("host=/nonexistent,/neither dbname=d user=u").err().unwrap();
    assert_eq!(
        error.to_string(),
        "cannot connect to Postgres: none of 2 servers can be used\n  \
         host `/nonexistent` (connection string of test), port `5432` (default), database `d` (connection string of test), user `u` (connection string of test): \
         the server cannot be reached (is it running, and does it listen there?): No such file or directory (os error 2)\n  \
         host `/neither` (connection string of test), port `5432` (default), database `d` (connection string of test), user `u` (connection string of test): \
         the server cannot be reached (is it running, and does it listen there?): No such file or directory (os error 2)"
    );
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = Instant::now();
    let error = open(&format!(
        "host=127.0.0.1 port={} dbname=d connect_timeout=2",
        silent.local_addr().unwrap().port()
    ))
    .err()
    .unwrap();
    assert!(error.is_unreachable() && error.is_transient(), "{error}");
    assert!((2..10).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[test]
fn what_the_server_refuses_is_told() {
    let server = Server::with("");
    let folder = server.throwaway.socket_folder().display().to_string();
    let cause = |dsn: &str| {
        let error = open(dsn).err().unwrap();
        let chain = std::iter::successors(std::error::Error::source(&error), |error| error.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    assert_eq!(
        cause(&format!("host={folder} dbname=none")),
        "the login failed: database \"none\" does not exist (SQLSTATE 3D000)"
    );
    assert_eq!(
        cause(&format!("host={folder} dbname=postgres user=none")),
        "the login failed: role \"none\" does not exist (SQLSTATE 28000)"
    );
    assert_eq!(
        cause("host=no.such.host.invalid dbname=d").split(':').next(),
        Some("the host name cannot be looked up")
    );
}

#[test]
fn a_login_that_is_turned_down_ends_the_search() {
    let server = Server::with("");
    let folder = server.throwaway.socket_folder().display().to_string();
    let error = open(&format!("host={folder},{folder} dbname=none")).err().unwrap();
    assert!(error.to_string().starts_with("cannot connect to Postgres: host "), "{error}");
    assert!(!error.is_transient(), "{error}");
    // One that cannot be reached does not.
    let error = open(&format!("host=/nonexistent,{folder},/neither dbname=none")).err().unwrap();
    let said = error.to_string();
    assert!(said.contains("none of 2 servers") && said.contains("SQLSTATE 3D000"), "{said}");
    assert!(!said.contains("/neither"), "{said}");
}
