//! The command line as text: exit code and standard error.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

use crate::fixture::{CHAIN, CLEAN, Fixture, RUN_O, Table, fixtures};

/// Runs the command in the folder of the fixture; the output says nothing of where that is.
pub fn run(fixture: &Fixture, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("extract-catalog").unwrap();
    command.current_dir(fixture.folder.path()).env_clear().args(args);
    text(&command.output().unwrap(), fixture.folder.path())
}

fn text(output: &Output, folder: &Path) -> String {
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stderr).replace(folder.to_str().unwrap(), "[folder]");
    format!("exit {}\n{said}", output.status.code().unwrap())
}

/// Times and sizes differ from run to run and release to release.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"[0-9.]+ [kM]?B in [0-9.]+ s", "[size] in [time]");
    settings
}

macro_rules! assert_text {
    ($text:expr, @$expected:literal) => {
        settings().bind(|| insta::assert_snapshot!($text, @$expected))
    };
}

#[test]
fn a_collection_is_written() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN]), @r#"
exit 0
`out.parquet`: 592 rows of 592 read, from 8 of 9 datasets; [size] in [time]
"#);
    assert_eq!(Table::read(&fixture.output()).reader.rows(), 592);
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--silent"]), @r#"
exit 0
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", RUN_O, CLEAN, "--find-first", "--where", "band = 'u'"]), @r#"
exit 0
`out.parquet`: 12 rows of 12 read, from 1 of 1 datasets; [size] in [time]
"#);
}

#[test]
fn a_filter_says_how_many_ids_were_found() {
    let fixture = Fixture::sqlite();
    let ids = fixtures().join("reference/filter_ids.parquet");
    let ids = ids.to_str().unwrap();
    let args = ["out.parquet", "repo", CLEAN, "--filter-ids", ids, "--filter-column", "obssubid", "-j", "1"];
    assert_text!(run(&fixture, &args), @r#"
exit 0
`out.parquet`: 198 rows of 592 read, from 8 of 9 datasets, 198 of 205 ids found; [size] in [time]
"#);
}

#[test]
fn thousands_of_visits_may_be_listed() {
    let fixture = Fixture::sqlite();
    let visits: Vec<String> = (1..=5_000).map(|visit| visit.to_string()).collect();
    let condition = format!("visit IN ({}, 2025071500000..2025079900000)", visits.join(", "));
    let said = run(&fixture, &["out.parquet", "repo", CLEAN, "--where", &condition]);
    assert!(said.starts_with("exit 0\n`out.parquet`: 592 rows of 592 read"), "{said}");
}

#[test]
fn what_cannot_be_read_is_listed_with_a_hint() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "repo", CHAIN]), @r#"
exit 1
error: 3 of 15 datasets cannot be read; no output was written
  {instrument: 'LSSTCam', visit: 2025071500010} of run `LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z` (bc8813ce-a2ce-5e2b-b12a-4cabe65e9955): not stored: the registry has it, but no datastore does
  {instrument: 'LSSTCam', visit: 2025071600101} of run `LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z` (ae44d47c-b72f-54a2-b8f3-19ba362595a6): its file is missing: `[folder]/repo/LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z/dia_source_visit/20250716/u/u_24/2025071600101/dia_source_visit_LSSTCam_u_u_24_2025071600101_LSSTCam_runs_DRP_fixture_w_2025_30_20250801T010203Z.parq`
  {instrument: 'LSSTCam', visit: 2025071600105} of run `LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z` (8b504b86-8350-5105-87cf-59db055e5759): not stored: the registry has it, but no datastore does
  hint: `--on-missing skip` leaves them out and lists them
"#);
    assert!(!fixture.output().exists());
    assert_text!(run(&fixture, &["out.parquet", "repo", CHAIN, "--on-missing", "skip", "--silent"]), @r#"
exit 0
warning: {instrument: 'LSSTCam', visit: 2025071500010} of run `LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z` (bc8813ce-a2ce-5e2b-b12a-4cabe65e9955): not stored: the registry has it, but no datastore does
warning: {instrument: 'LSSTCam', visit: 2025071600101} of run `LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z` (ae44d47c-b72f-54a2-b8f3-19ba362595a6): its file is missing: `[folder]/repo/LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z/dia_source_visit/20250716/u/u_24/2025071600101/dia_source_visit_LSSTCam_u_u_24_2025071600101_LSSTCam_runs_DRP_fixture_w_2025_30_20250801T010203Z.parq`
warning: {instrument: 'LSSTCam', visit: 2025071600105} of run `LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z` (8b504b86-8350-5105-87cf-59db055e5759): not stored: the registry has it, but no datastore does
"#);
    assert_eq!(Table::read(&fixture.output()).reader.rows(), 766);
}

#[test]
fn failures_have_their_exit_codes() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "nowhere", CLEAN]), @r#"
exit 4
error: there is no Butler repository `nowhere`: cannot read `[folder]/nowhere`
  caused by: No such file or directory (os error 2)
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", "u/fixture/claen"]), @r#"
exit 1
error: there is no collection `u/fixture/claen` in `repo`; did you mean `u/fixture/clean`, `u/fixture/tagged`?
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--dataset-type", "diaSource"]), @r#"
exit 1
error: there is no dataset type `diaSource` in `repo`; did you mean `dia_source_visit`, `dia_source_detector`, `dia_source_visit_df`?
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--where", "visit = 1 AND bnad = 'g'"]), @r#"
exit 2
error: cannot parse the condition at character 15: `bnad` is not part of these data IDs, which have instrument, visit, day_obs, physical_filter, band
  visit = 1 AND bnad = 'g'
                ^
"#);
    assert_text!(run(&fixture, &["repo", "repo", CLEAN]), @r#"
exit 2
error: `repo` is a folder, not a file to write
  hint: name another output
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--columns", "ra,decl"]), @r#"
exit 1
error: no dataset has a column `decl`; did you mean `dec`, `decErr`?
"#);
}

#[test]
fn wrong_flags_are_told_apart() {
    let fixture = Fixture::sqlite();
    for args in [
        &["out.parquet", "repo"][..],
        &["out.parquet", "repo", CLEAN, "--filter-ids", "x"],
        &["out.parquet", "repo", CLEAN, "--compression", "zip"],
        &["out.parquet", "repo", CLEAN, "--duplicates", "some"],
        &["out.parquet", "repo", CLEAN, "--jobs", "0"],
    ] {
        assert!(run(&fixture, args).starts_with("exit 2\nerror: "), "{args:?}");
    }
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--compression", "zip"]), @r#"
exit 2
error: invalid value 'zip' for '--compression <NAME>'
  [possible values: zstd, snappy, gzip, lz4, brotli, none]

  tip: a similar value exists: 'gzip'

For more information, try '--help'.
"#);
}

#[test]
fn an_earlier_output_stands_if_it_fails() {
    let fixture = Fixture::sqlite();
    run(&fixture, &["out.parquet", "repo", CLEAN]);
    assert!(run(&fixture, &["out.parquet", "repo", CHAIN]).starts_with("exit 1"));
    assert_eq!(Table::read(&fixture.output()).reader.rows(), 592);
    assert!(run(&fixture, &["no/such/folder/out.parquet", "repo", CLEAN, "--silent"]).starts_with("exit 0"));
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 3);
}

#[test]
fn columns_are_named_once_and_not_by_nothing() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--columns", "ra,dec", "--columns", "ra"]), @r#"
exit 2
error: `columns` names column `ra` twice
  hint: `--columns` takes names separated by commas, such as `ra,dec`
"#);
    for empty in ["", "ra,", "ra,,dec"] {
        let said = run(&fixture, &["out.parquet", "repo", CLEAN, "--columns", empty]);
        assert!(said.starts_with("exit 2\nerror: `columns` has an empty name\n"), "{said}");
    }
}

#[test]
fn a_datastore_root_that_is_not_there_is_told_of_once() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--datastore-root", "no where"]), @r#"
exit 2
error: `[folder]/no where`, given as the datastore's root, is not a folder that can be read
  caused by: No such file or directory (os error 2)
"#);
    assert_text!(run(&fixture, &["out.parquet", "repo", CLEAN, "--datastore-root", "davs://there/x"]), @r#"
exit 1
error: the root given for the datastore is at `davs://there/x`, where it cannot be read: `davs` is not one of s3, gs, http, https and file; copy the files to a local folder and give that folder with `--datastore-root`
"#);
}

#[test]
fn a_remote_repository_comes_with_advice_that_helps() {
    let fixture = Fixture::sqlite();
    assert_text!(run(&fixture, &["out.parquet", "davs://me:hunter2@data.example/repo", CLEAN]), @r#"
exit 1
error: the repository is at `davs://data.example/repo`, where it cannot be read: `davs` is not one of s3, gs, http, https and file; give a local copy of its `butler.yaml` (and of its registry, if that is SQLite), and a copy of its files with `--datastore-root`
"#);
    assert_text!(run(&fixture, &["out.parquet", "s3://key:hunter2@bucket/repo/butler.yaml", CLEAN]), @r#"
exit 1
error: the repository is at `s3://bucket/repo/butler.yaml`, where it cannot be read: only the name of a profile may be before `@`, and no key; give a local copy of its `butler.yaml` (and of its registry, if that is SQLite), and a copy of its files with `--datastore-root`
"#);
}

#[test]
fn details_on_request_do_not_repeat_the_error() {
    let fixture = Fixture::sqlite();
    let listed = |said: &str| said.matches("its file is missing").count();
    let said = run(&fixture, &["out.parquet", "repo", CHAIN, "--reraise"]);
    assert!(listed(&said) == 1 && said.contains("with `RUST_BACKTRACE=1`, a backtrace"), "{said}");
    let mut command = Command::cargo_bin("extract-catalog").unwrap();
    command.current_dir(fixture.folder.path()).env_clear().env("RUST_BACKTRACE", "1");
    let output = command.args(["out.parquet", "repo", CHAIN, "--reraise"]).output().unwrap();
    let said = text(&output, fixture.folder.path());
    assert!(listed(&said) == 1 && said.matches("Stack backtrace:\n").count() == 1, "{said}");
    assert!(said.contains("extract_catalog"), "{said}");
}

#[test]
fn the_help_has_examples() {
    let mut command = Command::cargo_bin("extract-catalog").unwrap();
    let help = String::from_utf8(command.env_clear().arg("--help").output().unwrap().stdout).unwrap();
    insta::assert_snapshot!(help);
}
