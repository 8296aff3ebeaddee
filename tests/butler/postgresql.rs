//! The repository with a registry in PostgreSQL, on a throwaway server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ssp::butler::{Repository, Selection};
use ssp::environment::Environment;
use ssp::errors::Classified as _;
use ssp::monitor::Monitor;
use ssp::throwaway::Throwaway;

use crate::expected::{compare, expected, extracts};
use crate::fixture::{CLEAN, Fixture, NESTED, TAGGED, extract_from, nothing, selection, spec, with, write};

const WRITTEN: &str = "postgresql+psycopg2://butler@127.0.0.1:54329/butlerdb";

/// A repository and the server that holds its registry.
struct Served {
    fixture: Fixture,
    server: Throwaway,
}

fn served() -> Served {
    let fixture = Fixture::unpack("repo_pg");
    let data = tempfile::tempdir().unwrap().keep();
    let server = Throwaway::start(&data, false).unwrap();
    server.load(&fixture.root.join("fixture_pg.sql")).unwrap();
    fixture.edit_config(WRITTEN, &server.uri().replace("postgresql:", "postgresql+psycopg2:"));
    Served { fixture, server }
}

#[test]
fn every_collection_of_the_postgresql_repository_is_as_the_real_butler_has_it() {
    let (served, expected) = (served(), expected());
    compare(&served.fixture.open(), &expected, served.fixture.repo());
    extracts(&served.fixture.open(), &expected, &served.fixture);
}

#[test]
fn both_kinds_of_registry_give_the_same_bytes() {
    let (served, sqlite) = (served(), Fixture::sqlite());
    let mut everything = spec(NESTED);
    everything.on_missing = Some(ssp::stages::extract::OnMissingDataset::Skip);
    everything.condition =
        Some("instrument = 'LSSTCam' AND NOT (band = 'x''y' OR visit IN (1..5))".to_owned());
    let digest = |fixture: &Fixture| {
        let product = extract_from(&fixture.open(), &everything, &fixture.output()).unwrap().0;
        product.files[0].file.digest()
    };
    assert_eq!(digest(&served.fixture), digest(&sqlite));
}

#[test]
fn names_with_quotes_and_backslashes_are_no_sql() {
    let served = served();
    let repository = served.fixture.open();
    for name in ["'; DROP TABLE fixture_ns.dataset; --", "\\' OR 1=1 --", "$1", "$$"] {
        let error = repository.datasets(&selection(name)).unwrap_err().to_string();
        assert!(error.contains("there is no collection `"), "{error}");
    }
    assert_eq!(repository.datasets(&selection(TAGGED)).unwrap().len(), 4);
}

/// How many clean datasets fit a condition, or what is wrong with it.
fn count(fixture: &Fixture, condition: &str) -> Result<usize, String> {
    let selection = Selection { condition: Some(condition.to_owned()), ..selection(CLEAN) };
    let found = fixture.open().datasets(&selection);
    found.map(|found| found.len()).map_err(|error| ssp::errors::chain(&error).join(": "))
}

/// A text as a condition has it.
fn in_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn every_text_is_found_as_it_is_written() {
    let (served, sqlite) = (served(), Fixture::sqlite());
    for text in [
        "it's",
        "''",
        "\\",
        "\\'",
        "\"",
        "\\\"",
        "a,b",
        "{}",
        "{a}",
        "NULL",
        "$1",
        "%s",
        "é Ω 😀",
        "\u{7f}\t\n",
        " ",
    ] {
        let quoted = in_quotes(text);
        psql(&served, &format!("UPDATE fixture_ns.physical_filter SET band = {quoted}"));
        sqlite.sql(&format!("UPDATE physical_filter SET band = {quoted}"));
        for fixture in [&served.fixture, &sqlite] {
            for (condition, fitting) in [
                (format!("band = {quoted}"), 9),
                (format!("band IN ({quoted})"), 9),
                (format!("band IN ('x', {quoted}, 'NULL\\')"), 9),
                (format!("band != {quoted}"), 0),
                (format!("NOT band IN ({quoted})"), 0),
                (format!("band IN ('x', {})", in_quotes(&format!("{text}x"))), 0),
            ] {
                assert_eq!(count(fixture, &condition), Ok(fitting), "{condition}");
            }
        }
        let name = format!("u/{text}");
        psql(
            &served,
            &format!("UPDATE fixture_ns.collection SET name = {} WHERE collection_id = 7", in_quotes(&name)),
        );
        assert_eq!(served.fixture.open().datasets(&selection(&name)).unwrap().len(), 4, "{name}");
    }
}

#[test]
fn nul_is_refused_before_the_server_does() {
    let served = served();
    for condition in ["band = 'a\0b'", "band IN ('g', 'a\0b')"] {
        let error = count(&served.fixture, condition).unwrap_err();
        assert!(error.contains("contains the character NUL"), "{error}");
    }
    let error = served.fixture.open().datasets(&selection("a\0b")).unwrap_err();
    let said = ssp::errors::chain(&error).join(": ");
    assert!(said.contains(r#""a\0b" contains the character NUL"#) && !error.is_transient(), "{said}");
}

#[test]
fn a_number_that_no_column_can_hold_is_not_found() {
    let served = served();
    psql(&served, "ALTER TABLE fixture_ns.visit ALTER day_obs TYPE int");
    for (condition, fitting) in [
        (format!("day_obs = {}", i64::MAX), 0),
        (format!("day_obs IN ({}, {})", i64::MIN, i64::MAX), 0),
        (format!("day_obs <= {}", i64::MAX), 9),
        (format!("day_obs IN ({}..{})", i64::MIN, i64::MAX), 9),
    ] {
        assert_eq!(count(&served.fixture, &condition), Ok(fitting), "{condition}");
    }
}

#[test]
fn a_list_may_be_longer_than_a_query_may_have_parameters() {
    let (served, sqlite) = (served(), Fixture::sqlite());
    let numbers =
        (0..100_000).map(|n| (2_025_071_500_000_i64 + n).to_string()).collect::<Vec<_>>().join(", ");
    let texts = (0..100_000).map(|n| format!("'b{n}'")).collect::<Vec<_>>().join(", ");
    let all = count(&served.fixture, "visit > 0").unwrap();
    let some = count(&served.fixture, "visit IN (2025071500000..2025071599999)").unwrap();
    assert!(0 < some && some < all, "{some} of {all}");
    for fixture in [&served.fixture, &sqlite] {
        assert_eq!(count(fixture, &format!("visit IN ({numbers})")), Ok(some));
        assert_eq!(count(fixture, &format!("visit NOT IN ({numbers})")), Ok(all - some));
        assert_eq!(count(fixture, &format!("band NOT IN ({texts})")), Ok(all));
    }
    let ranges = (0..40_000).map(|n| format!("{n}..{n}")).collect::<Vec<_>>().join(", ");
    let error = count(&served.fixture, &format!("visit IN ({ranges})")).unwrap_err();
    assert!(error.contains("the query has 80000 parameters"), "{error}");
}

#[test]
fn user_and_password_are_found_where_butler_and_libpq_look() {
    let Served { fixture, server } = served();
    let sql = fixture.folder.path().join("role.sql");
    write(&sql, b"CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA fixture_ns TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA fixture_ns TO reader;");
    server.load(&sql).unwrap();
    let nobody = server.uri().replace("//ssp@", "//");
    fixture.edit_config(&server.uri().replace("postgresql:", "postgresql+psycopg2:"), &nobody);
    let count = |env: &Environment| {
        Repository::open(fixture.repo(), env).map(|found| found.datasets(&selection(CLEAN)).unwrap().len())
    };
    assert_eq!(count(&with(&[("PGUSER", "reader")])).unwrap(), 9);
    let stranger = count(&with(&[("PGUSER", "stranger")])).unwrap_err();
    assert!(stranger.is_unreachable(), "{stranger}");
    assert!(count(&nothing()).unwrap_err().to_string().contains("PostgreSQL"));

    let auth = fixture.folder.path().join("db-auth.yaml");
    write(&auth, b"- url: postgresql://*/postgres\n  username: reader\n  password: hunter2\n");
    fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).unwrap();
    // A socket's folder after the `?` is libpq's own: Butler's file is for hosts.
    let host = server.socket_folder().to_string_lossy().replace('/', "%2F");
    fixture.edit_config(&nobody, &format!("postgresql://{host}:{}/postgres", server.port()));
    assert_eq!(count(&with(&[("LSST_DB_AUTH", auth.to_str().unwrap())])).unwrap(), 9);
}

#[test]
fn a_server_that_is_gone_is_unreachable_and_no_secret_is_shown() {
    let Served { fixture, server } = served();
    let written = server.uri().replace("postgresql:", "postgresql+psycopg2:");
    fixture.edit_config(&written, &written.replace("ssp@", "ssp:hunter2@"));
    assert_eq!(fixture.open().datasets(&selection(CLEAN)).unwrap().len(), 9);
    server.stop();
    let error = Repository::open(fixture.repo(), &nothing()).err().unwrap();
    assert!(error.is_unreachable());
    let text = format!("{error} {error:?}");
    assert!(text.contains("postgres at ") && !text.contains("hunter2"), "{text}");
}

/// A pipeline with an extract alone, of a registry that `reader` reads.
fn pipeline(served: &Served) -> Command {
    let uri = served.server.uri();
    let written = uri.replace("postgresql:", "postgresql+psycopg2:");
    served.fixture.edit_config(&written, &written.replace("ssp@", "reader@"));
    let text = format!(
        "version: 1\nname: n\nout_dir: data\nbutler: {{repo: {}}}\nstages:\n  \
         dia_sources: {{extract: {{collection: '{CLEAN}'}}, out: d.parquet}}\n",
        served.fixture.repo()
    );
    write(&served.fixture.folder.path().join("p.yaml"), text.as_bytes());
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("ssp-run"));
    command.current_dir(served.fixture.folder.path()).env_clear().arg("p.yaml");
    command
}

fn psql(served: &Served, sql: &str) {
    let mut psql = Command::new("psql");
    let output = psql.args(["-X", "-q", "-c", sql]).arg(served.server.uri()).output().unwrap();
    assert!(output.status.success(), "{sql}: {output:?}");
}

const READER: &str = "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA fixture_ns TO reader;
                      GRANT SELECT ON ALL TABLES IN SCHEMA fixture_ns TO reader";

#[test]
fn a_registry_that_cannot_be_reached_for_now_is_tried_again() {
    let served = served();
    psql(&served, READER);
    psql(&served, "ALTER ROLE reader CONNECTION LIMIT 0");
    let mut command = pipeline(&served);
    // It never has a connection.
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("retry      2 of 2") && said.contains("(SQLSTATE 53300)"), "{said}");
    // It has one in time.
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(400));
            psql(&served, "ALTER ROLE reader CONNECTION LIMIT 1");
        });
        command.output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("retry      1 of 2"), "{said}");
}

/// The tables of the registry are locked, so that its session can be ended in the middle of its query.
#[test]
fn a_registry_that_is_lost_is_read_again() {
    let served = served();
    psql(&served, READER);
    let mut command = pipeline(&served);
    let lock = "BEGIN; LOCK TABLE fixture_ns.collection; SELECT pg_sleep(1);
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'; SELECT pg_sleep(0.3)";
    let output = thread::scope(|scope| {
        scope.spawn(|| psql(&served, lock));
        thread::sleep(Duration::from_millis(400));
        command.output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("cannot read datasets from the registry") && said.contains("retry      1 of 2"),
        "{said}"
    );
    // What does not pass is not tried again.
    psql(&served, "REVOKE SELECT ON fixture_ns.collection FROM reader");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !said.contains("retry"), "{said}");
}

#[test]
fn tables_are_looked_for_in_the_namespace() {
    let Served { fixture, .. } = &served();
    fixture.edit_config("namespace: fixture_ns", "namespace: other");
    let error = Repository::open(fixture.repo(), &nothing()).err().unwrap();
    assert!(!error.is_transient() && error.to_string().contains("is not a Butler registry"), "{error}");
    fixture.edit_config("  namespace: other\n", "");
    assert!(Repository::open(fixture.repo(), &nothing()).is_err());
}

/// A lock on a table of the registry is not waited for once the work is stopped.
#[test]
fn a_stop_cancels_a_query_on_the_registry() {
    let served = served();
    let monitor = Monitor::default();
    let repository = Repository::open_with(served.fixture.repo(), &nothing(), &monitor).unwrap();
    let mut lock = Command::new("psql")
        .args(["-X", "-q", "-c", "BEGIN; LOCK TABLE fixture_ns.dataset_type; SELECT pg_sleep(60)"])
        .arg(served.server.uri())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let is_locked = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'fixture_ns.dataset_type'::regclass";
    let locked = || {
        let output = Command::new("psql").args(["-X", "-tAc", is_locked]).arg(served.server.uri()).output();
        output.unwrap().stdout == b"1\n"
    };
    while !locked() {
        thread::sleep(Duration::from_millis(20));
    }
    let begin = Instant::now();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            monitor.stop("a test");
        });
        repository.datasets(&selection(CLEAN)).unwrap_err()
    });
    assert!(error.is_stopped(), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    lock.kill().unwrap();
    lock.wait().unwrap();
}
