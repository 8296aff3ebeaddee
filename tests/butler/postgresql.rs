//! The repository with a registry in PostgreSQL, on a throwaway server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ssp::butler::Repository;
use ssp::postgres::{Environment, Throwaway};

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
    let served = served();
    compare(&served.fixture.open(), &expected("expected.json"), served.fixture.repo());
    extracts(&served.fixture.open(), &expected("expected.json"), &served.fixture);
}

#[test]
fn both_kinds_of_registry_give_the_same_bytes() {
    let (served, sqlite) = (served(), Fixture::sqlite());
    let mut everything = spec(NESTED);
    everything.on_missing = Some(ssp::pipeline::spec::OnMissingDataset::Skip);
    everything.condition =
        Some("instrument = 'LSSTCam' AND NOT (band = 'x''y' OR visit IN (1..5))".to_owned());
    let digest = |fixture: &Fixture| {
        let product = extract_from(&fixture.open(), &everything, &fixture.output()).unwrap().0;
        product.table.file.digest()
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

#[test]
fn tables_are_looked_for_in_the_namespace() {
    let Served { fixture, .. } = &served();
    fixture.edit_config("namespace: fixture_ns", "namespace: other");
    let error = Repository::open(fixture.repo(), &nothing()).err().unwrap();
    assert!(!error.is_unreachable() && error.to_string().contains("attributes"), "{error}");
    fixture.edit_config("  namespace: other\n", "");
    assert!(Repository::open(fixture.repo(), &nothing()).is_err());
}
