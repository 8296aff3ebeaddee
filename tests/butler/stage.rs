//! An extract as a stage of a pipeline: what makes it run again.

use assert_cmd::Command;

use crate::fixture::{CLEAN, Fixture, RUN_A, write};

const PIPELINE: &str = "
version: 1
name: extracts
out_dir: data
butler: {repo: repo}
stages:
  dia_sources:
    extract: {collection: COLLECTION}
    out: dia_sources.parquet
";

/// Runs the pipeline; all that it says.
fn run(fixture: &Fixture) -> String {
    let mut command = Command::cargo_bin("ssp-run").unwrap();
    command.current_dir(fixture.folder.path()).env_clear().arg("pipeline.yaml");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_visit_more_or_less_is_counted_without_a_look_at_files() {
    let fixture = Fixture::sqlite();
    write(&fixture.folder.path().join("pipeline.yaml"), PIPELINE.replace("COLLECTION", CLEAN).as_bytes());
    fixture.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM dataset_tags_00000001 WHERE visit = 2025071500011
             AND collection_id = (SELECT collection_id FROM collection WHERE name = '{CLEAN}');
         DELETE FROM dataset_tags_00000001 WHERE visit = 2025071500011
             AND collection_id = (SELECT collection_id FROM collection WHERE name = '{CLEAN}');"
    ));
    assert!(run(&fixture).contains("never_run"));
    fixture.sql("INSERT INTO dataset_tags_00000001 SELECT * FROM kept");
    let said = run(&fixture);
    assert!(said.contains("datasets_changed: +1 -0"), "{said}");
    fixture.sql("DELETE FROM dataset_tags_00000001 WHERE (dataset_id, collection_id) IN (SELECT dataset_id, collection_id FROM kept)");
    let said = run(&fixture);
    assert!(said.contains("datasets_changed: +0 -1"), "{said}");
    // No file is read to plan: that one is damaged is not seen, and does not matter to what is up to date.
    write(&fixture.file_of(RUN_A, 2_025_071_500_014), b"no Parquet");
    let said = run(&fixture);
    assert!(!said.contains("dia_sources: done") && !said.contains("changed"), "{said}");
}
