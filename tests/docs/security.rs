//! Claims of SECURITY.md that no other test holds.

use std::fs;
use std::process::Command;

use crate::page::root;
use crate::support::parquet::lines;
use crate::support::postgres::{Server, sql};

#[test]
fn a_query_cannot_make_its_session_writable() {
    let server = Server::with("CREATE TABLE t (n int); CREATE SEQUENCE s;");
    for (query, why) in [
        ("SELECT set_config('transaction_read_only', 'off', true)", "25001"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "25001"),
        ("SELECT nextval('s')", "25006"),
        ("WITH w AS (DELETE FROM t RETURNING n) SELECT * FROM w", "25006"),
        ("INSERT INTO t VALUES (1) RETURNING n", "an export only reads"),
        ("SELECT 1; COMMIT; INSERT INTO t VALUES (1)", "more than one statement"),
    ] {
        let error = server.export_error(&sql(query));
        assert!(error.contains(why), "{query}: {error}");
    }
}

/// Servers before 16 let large objects be made in transactions that only read.
#[test]
fn what_a_server_lets_pass_is_rolled_back() {
    let server = Server::with("");
    if let Err(error) = server.export("made.parquet", &sql("SELECT lo_create(0) AS made")) {
        let said = ssp::errors::chain(&error).join(": ");
        assert!(said.contains("read-only transaction"), "{said}");
    }
    let (file, _) =
        server.export("left.parquet", &sql("SELECT count(*) AS n FROM pg_largeobject_metadata")).unwrap();
    assert_eq!(lines(&file), ["0"]);
}

#[test]
fn a_damaged_parquet_file_never_costs_the_last_good_output() {
    let case = root().join("fixtures/ssobject_case");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let good = fs::read(case.join("mpc_orbits.parquet")).unwrap();
    let build = || {
        let inputs =
            [case.join("sssource.parquet"), case.join("dia_sources.parquet"), path("orbits.parquet")];
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-build-ssobject"));
        command.args(inputs).arg("-o").arg(path("out.parquet")).arg("--silent").output().unwrap()
    };
    // A generator of our own, so that every run damages the same bytes; Knuth's constants.
    let mut state = 1_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let mut failures = 0;
    for round in 0..60 {
        let mut bytes = good.clone();
        // Half of the damage is in the footer, where it changes lengths and offsets.
        let (start, length) = if round % 2 == 0 { (0, bytes.len()) } else { (bytes.len() - 4000, 4000) };
        if round % 10 == 0 {
            bytes.truncate(below(good.len()));
        } else {
            for _ in 0..=below(3) {
                bytes[start + below(length)] = u8::try_from(below(256)).unwrap();
            }
        }
        fs::write(path("orbits.parquet"), &bytes).unwrap();
        fs::write(path("out.parquet"), b"the last good output").unwrap();
        let done = build();
        let out = fs::read(path("out.parquet")).unwrap();
        if done.status.success() {
            assert!(out.ends_with(b"PAR1"), "round {round}");
        } else {
            failures += 1;
            println!("{round}: {:?} {}", done.status, String::from_utf8_lossy(&done.stderr));
            assert_eq!(done.status.code(), Some(1), "round {round}");
            assert_eq!(out, b"the last good output", "round {round}");
        }
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "round {round}: {names:?}");
    }
    assert!((10..60).contains(&failures), "{failures} failures");
}
