//! An extract as a stage of a pipeline: what makes it run again.

use arrow::array::AsArray;
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
    run_with(fixture, &[])
}

fn run_with(fixture: &Fixture, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("ssp-run").unwrap();
    command.current_dir(fixture.folder.path()).env_clear().arg("pipeline.yaml").args(args);
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
    assert!(said.contains("everything is up to date"), "{said}");
}

#[test]
fn a_run_copies_from_the_last_output_and_writes_what_a_full_run_writes() {
    let fixture = Fixture::sqlite();
    let path = |name: &str| fixture.folder.path().join(name);
    let text = PIPELINE.replace("COLLECTION", &format!("{CLEAN}, incremental: INCREMENTAL"));
    let pipeline = |incremental: &str| {
        write(&path("pipeline.yaml"), text.replace("INCREMENTAL", incremental).as_bytes());
    };
    pipeline("true");
    let add = "INSERT INTO dataset_tags_00000001 SELECT * FROM kept";
    let clean = format!("(SELECT collection_id FROM collection WHERE name = '{CLEAN}')");
    let remove =
        format!("DELETE FROM dataset_tags_00000001 WHERE visit = 2025071500011 AND collection_id = {clean}");
    fixture.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM dataset_tags_00000001
             WHERE visit = 2025071500011 AND collection_id = {clean};
         {remove}"
    ));
    let output = || std::fs::read(path("data/dia_sources.parquet")).unwrap();
    let said = run(&fixture);
    assert!(!said.contains("copied"), "{said}");
    let without = output();
    fixture.sql(add);
    let said = run_with(&fixture, &["-v"]);
    assert!(said.contains("1 of 9 datasets read, 8 copied") && said.contains("datasets_opened 1"), "{said}");
    let with = output();
    fixture.sql(&remove);
    let said = run(&fixture);
    assert!(said.contains("0 of 8 datasets read, 8 copied") && output() == without, "{said}");
    // Neither with `--full` nor without the key.
    fixture.sql(add);
    let said = run_with(&fixture, &["--full"]);
    assert!(!said.contains("copied") && output() == with, "{said}");
    pipeline("false");
    fixture.sql(&remove);
    let said = run(&fixture);
    assert!(said.contains("datasets_changed: +0 -1") && !said.contains("copied"), "{said}");
    assert!(output() == without);
    pipeline("true");
    fixture.sql(add);
    assert!(!run(&fixture).contains("copied") && output() == with);
    // What is remembered is damaged: the run reads all.
    let memory = path("data/.ssp/stages/dia_sources.memory");
    let mut bytes = std::fs::read(&memory).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    write(&memory, &bytes);
    fixture.sql(&remove);
    let said = run(&fixture);
    assert!(!said.contains("copied") && output() == without, "{said}");
}

#[test]
fn a_change_that_leaves_the_output_as_it_is_writes_nothing() {
    let fixture = Fixture::sqlite();
    let path = |name: &str| fixture.folder.path().join(name);
    let filtered = "    extract: {collection: COLLECTION, filter: {ids: ids.parquet, column: diaSourceId}}";
    let pipeline = PIPELINE.replace("    extract: {collection: COLLECTION}", filtered);
    write(&path("pipeline.yaml"), pipeline.replace("COLLECTION", CLEAN).as_bytes());
    let ids = |ids: &[i64]| {
        let column: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::Int64Array::from(ids.to_vec()));
        let batch = arrow::array::RecordBatch::try_from_iter([("diaSourceId", column)]).unwrap();
        crate::fixture::write_table(&path("ids.parquet"), &batch);
    };
    let whole = fixture.extract(&crate::fixture::spec(CLEAN)).unwrap().1;
    let id = whole.column("diaSourceId").as_primitive::<arrow::datatypes::Int64Type>().value(0);
    ids(&[id, -5]);
    let said = run(&fixture);
    assert!(!said.contains("not found"), "{said}");
    let output = || std::fs::metadata(path("data/dia_sources.parquet")).unwrap().modified().unwrap();
    let before = output();
    ids(&[id, -5, -6]);
    let said = run(&fixture);
    // The checks are on what was looked up now.
    assert!(said.contains("1 of 3 ids in") && said.contains("not found: `-6`, `-5`"), "{said}");
    assert!(said.contains("unchanged") && said.contains("0 of 9 datasets read, 9 copied"), "{said}");
    assert_eq!(output(), before);
    assert!(run(&fixture).contains("everything is up to date"));
}
