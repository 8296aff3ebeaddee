//! Standard error and output whose reader has gone away, as of `2>&1 | head -1`.

use std::fs::OpenOptions;
use std::io::{PipeWriter, pipe};
use std::path::Path;
use std::process::Command;

/// The writing end of a pipe without a reader.
fn unread() -> PipeWriter {
    pipe().unwrap().1
}

#[test]
fn an_output_is_made_though_its_messages_have_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("ssobject.parquet");
    let status = Command::new(env!("CARGO_BIN_EXE_ssp-build-ssobject"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case"))
        .args(["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet", "-o"])
        .arg(&output)
        .stderr(unread())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(output.exists());
}

#[test]
fn a_failure_has_its_exit_code_though_its_messages_have_no_reader() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    assert_eq!(command.arg("nowhere.yaml").stderr(unread()).status().unwrap().code(), Some(2));
}

#[test]
fn texts_may_be_read_in_part() {
    for arguments in [&["completions", "bash"][..], &["man"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        assert_eq!(
            command.args(arguments).stdout(unread()).status().unwrap().code(),
            Some(0),
            "{arguments:?}"
        );
    }
}

#[test]
fn data_that_is_lost_is_a_failure() {
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/daily.yaml");
    let graph = ["graph", pipeline.to_str().unwrap()];
    for (program, arguments) in [
        ("ssp-run", &["completions", "bash"][..]),
        ("ssp-run", &["man"]),
        ("ssp-run", &["schema"]),
        ("ssp-run", &graph),
        ("ssp-run", &["--help"]),
        ("fast-export", &["--help"]),
        ("extract-catalog", &["--help"]),
        ("ssp-build-sssource", &["--version"]),
        ("ssp-build-ssobject", &["--help"]),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
        let output = command.args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{program} {arguments:?} {said}");
        assert!(said.starts_with("error: cannot write to standard output\n  caused by: No space"), "{said}");
    }
}
