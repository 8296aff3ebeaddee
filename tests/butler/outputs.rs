//! What an output must not be: a registry, a configuration, or a file that is read.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use ssp::stages::extract::Error;

use crate::command::run;
use crate::fixture::{CLEAN, Fixture, RUN_A, RUN_Z, extract_from, spec, write};

const VISIT: i64 = 2_025_071_500_010;

/// Every file of a folder, with its size and the time of its last change.
fn state(folder: &Path) -> Vec<(String, u64, i64, i64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        found.push((
            path.to_str().unwrap().to_owned(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        ));
        if metadata.is_dir() {
            found.extend(state(&path));
        }
    }
    found.sort();
    found
}

/// Asserts that an extract to `output` is refused, with this said, and changes nothing.
fn assert_refused(fixture: &Fixture, output: &str, args: &[&str], wanted: &str) {
    let before = state(fixture.folder.path());
    let said = run(fixture, &[&[output, "repo"], args].concat());
    assert!(said.starts_with("exit 2\nerror: ") && said.contains(wanted), "{output}: {said}");
    assert!(said.contains("hint: name another output"), "{output}: {said}");
    assert_eq!(state(fixture.folder.path()), before, "{output}");
}

#[test]
fn a_registry_or_a_configuration_is_never_replaced() {
    let fixture = Fixture::sqlite();
    for output in ["repo/gen3.sqlite3", "repo/butler.yaml"] {
        assert_refused(&fixture, output, &[CLEAN], "exists and is not a Parquet file");
    }
    assert_refused(&fixture, "repo", &[CLEAN], "is a folder, not a file to write");
    // A program that opens a pipe waits for a writer.
    assert!(Command::new("mkfifo").arg(fixture.folder.path().join("pipe")).status().unwrap().success());
    assert_refused(&fixture, "pipe", &[CLEAN], "is a FIFO, not a file to write");
}

#[test]
fn the_file_of_ids_is_never_replaced() {
    let fixture = Fixture::sqlite();
    let path = |name: &str| fixture.folder.path().join(name);
    assert!(run(&fixture, &["ids.parquet", "repo", CLEAN]).starts_with("exit 0"));
    symlink("ids.parquet", path("link.parquet")).unwrap();
    fs::hard_link(path("ids.parquet"), path("hard.parquet")).unwrap();
    let args = [CLEAN, "--filter-ids", "ids.parquet", "--filter-column", "diaSourceId"];
    for output in ["./ids.parquet", "repo/../ids.parquet", "link.parquet", "hard.parquet"] {
        assert_refused(&fixture, output, &args, "is the file of ids: it would be replaced");
    }
}

#[test]
fn a_file_of_a_dataset_that_is_read_is_never_replaced() {
    let fixture = Fixture::sqlite();
    let path = |name: &str| fixture.folder.path().join(name);
    let dataset = fixture.file_of(RUN_A, VISIT);
    let relative = dataset.strip_prefix(fixture.folder.path()).unwrap().to_str().unwrap();
    symlink(&dataset, path("link.parquet")).unwrap();
    fs::hard_link(&dataset, path("hard.parquet")).unwrap();
    let wanted = format!("is the file of dataset {{instrument: 'LSSTCam', visit: {VISIT}}} of run `{RUN_A}`");
    for output in [relative, &format!("./repo/../{relative}"), "link.parquet", "hard.parquet"] {
        assert_refused(&fixture, output, &[CLEAN], &wanted);
        assert_refused(&fixture, output, &[RUN_A, "--on-missing", "skip", "--columns", "ra"], &wanted);
    }
    // One that is left out is not read: an output of before may be replaced, also where a link names it.
    fs::remove_file(path("hard.parquet")).unwrap();
    assert!(run(&fixture, &["hard.parquet", "repo", CLEAN]).starts_with("exit 0"));
    assert!(run(&fixture, &["hard.parquet", "repo", CLEAN]).starts_with("exit 0"));
}

#[test]
fn a_zip_file_of_datasets_is_never_replaced() {
    let fixture = Fixture::sqlite();
    let repository = fixture.open();
    let datasets = repository.datasets(&crate::fixture::selection(RUN_Z)).unwrap();
    let zip = repository.locate(&datasets[0]).unwrap()[0].place.path().unwrap().to_owned();
    // As a stage, for which the kind of file is not checked.
    let error = extract_from(&repository, &spec(RUN_Z), &zip).err().unwrap();
    assert!(matches!(&error, Error::Replaces { path, .. } if *path == zip), "{error}");
}

#[test]
fn nothing_is_read_before_an_output_is_refused() {
    let fixture = Fixture::sqlite();
    let dataset = fixture.file_of(RUN_A, VISIT);
    let relative = dataset.strip_prefix(fixture.folder.path()).unwrap().to_str().unwrap().to_owned();
    // Neither the ids nor the other datasets could be read.
    write(&fixture.folder.path().join("ids.parquet"), b"no Parquet");
    write(&fixture.file_of(RUN_A, VISIT + 1), b"no Parquet");
    let args = [CLEAN, "--filter-ids", "ids.parquet", "--filter-column", "x"];
    assert_refused(&fixture, &relative, &args, "is the file of dataset");
}
