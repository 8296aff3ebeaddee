//! Command lines that are nearly right: nothing is lost, and what to do is said.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::site::put;

/// The exit code and standard error of a program that is run in a folder, in an empty environment.
fn said(program: &str, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
    let output = command.current_dir(folder).env_clear().args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_input_of_the_table_is_not_replaced_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case");
    let names = ["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"];
    for name in names {
        put(&folder.path().join(name), &fs::read(from.join(name)).unwrap());
    }
    symlink("mpc_orbits.parquet", folder.path().join("link.parquet")).unwrap();
    for (output, table) in [
        ("sssource.parquet", "SSSource"),
        ("./dia_sources.parquet", "DiaSource"),
        ("mpc_orbits.parquet", "mpc_orbits"),
        ("link.parquet", "mpc_orbits"),
    ] {
        let (code, text) =
            said("ssp-build-ssobject", folder.path(), &[names[0], names[1], "mpc_*.parquet", "-o", output]);
        let expected = format!(
            "error: `{output}` is read as {table}: it would be replaced\n  hint: name another output\n"
        );
        assert_eq!((code, text), (Some(2), expected));
    }
    for name in names {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), fs::read(from.join(name)).unwrap());
    }
}

#[test]
fn no_more_datasets_are_read_at_once_than_there_can_be_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = said("extract-catalog", folder.path(), &["a.parquet", "repo", "c", "-j", "1000000"]);
    assert_eq!(code, Some(2));
    assert!(text.contains("1000000 is not in 1..=256"), "{text}");
}
