//! What is wrong with the file is said before anything is delivered.

use crate::place::Place;

#[test]
fn a_target_and_its_tables_are_checked() {
    let place = Place::new("out/${run}/");
    for (to, tables, said) in [
        ("out/", "{Small: in/small.parquet}", "`to` has no `${run}`"),
        ("https://host/${run}/", "{Small: in/small.parquet}", "can only be read"),
        ("gs://me@bucket/${run}/", "{Small: in/small.parquet}", "has a login"),
        ("s3://${run}/x", "{Small: in/small.parquet}", "belongs into the path"),
        ("ftp://host/${run}/", "{Small: in/small.parquet}", "not one of s3, gs, http, https and file"),
        ("out/${run}/", "{}", "`tables` is empty"),
        ("out/${run}/", "{a/b: in/small.parquet}", "`a/b` is not a name of a table"),
        ("out/${run}/", "{Small: small}", "`small` is not a stage"),
        ("out/${run}/", "{Small: ppdb}", "stage `ppdb` makes no file that can be read"),
        ("out/${rum}/", "{Small: in/small.parquet}", "variable `rum` is not in `vars`"),
    ] {
        place.pipeline(to, tables, "");
        place.run(&["validate", "p.yaml"]).expect(2).shows(said);
        place.run(&["p.yaml"]).expect(2).shows(said);
    }
    assert!(!place.path("out").exists());
}

#[test]
fn a_secret_in_a_target_is_not_shown() {
    let place = Place::new("out/${run}/");
    for to in ["s3://key:hunter2@bucket/${run}/", "https://me:hunter2@host/${run}/"] {
        place.pipeline(to, "{Small: in/small.parquet}", "");
        let said = place.run(&["validate", "p.yaml"]).expect(2);
        let shown = said.text.lines().filter(|line| !line.contains(" | ")).collect::<Vec<_>>().join("\n");
        assert!(!shown.contains("hunter2"), "{}", said.text);
    }
}

#[test]
fn run_is_the_time_of_a_delivery_in_its_target_alone() {
    let place = Place::new("out/${run}/");
    place.pipeline("out/${run}/", "{Small: \"in/${run}.parquet\"}", "");
    place
        .run(&["validate", "p.yaml"])
        .expect(2)
        .shows("variable `run` is not in `vars`; as the time of a delivery");
    place.pipeline("out/${run}/", "{Small: in/small.parquet}", "vars: {run: x}\n");
    place.run(&["validate", "p.yaml"]).expect(2).shows("`vars` cannot have a variable `run`: rename it");
}

#[test]
fn a_stage_that_makes_no_file_has_no_out() {
    let place = Place::new("out/${run}/");
    place.pipeline("out/${run}/", "{Small: in/small.parquet}", "    out: x.parquet\n");
    place.run(&["validate", "p.yaml"]).expect(2).shows("`deliver` makes no file: leave out `out`");
    place.pipeline("out/${run}/", "{Small: in/small.parquet}", "    checks: {min_rows: 3}\n");
    place.run(&["validate", "p.yaml"]).expect(2).shows("needs an output file");
    place.run(&["--stage", "ppdb", "--only", "--own-snapshot", "x", "p.yaml"]).expect(2);
}
