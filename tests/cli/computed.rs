//! Columns of an export that are computed from the others.

use std::path::PathBuf;

use crate::parquet;
use crate::said::Streams;
use crate::site::{Site, files_with, put};

const TABLE: &str = "CREATE TABLE t (id int NOT NULL, j jsonb, \"Mixed\" text); \
                     INSERT INTO t VALUES (1, '{\"CAR\": {\"a\": 1}, \"rest\": 2}', 'x'), (2, '{}', NULL)";

/// A pipeline of one export of the table.
fn export(site: &Site, keys: &str) {
    let keys = keys.replace('\n', "\n      ");
    let text = format!(
        "version: 1\nname: n\nout_dir: out\ndatabase: {{dbname: mpc_sbn}}\nstages:\n  t:\n    export:\n      {keys}\n    out: t.parquet\n"
    );
    put(&site.path("computed.yaml"), text.as_bytes());
}

fn run(site: &Site, arguments: &[&str]) -> Streams {
    site.ssp_run(&[arguments, &["computed.yaml"]].concat())
}

/// The columns of the output, and its rows as text.
fn made(site: &Site, keys: &str) -> (Vec<String>, Vec<String>) {
    export(site, keys);
    let said = run(site, &["-q"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{keys}");
    let path = site.path("out/t.parquet");
    let schema = parquet::rows(&path)[0].schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    (names, parquet::lines(&path))
}

#[test]
fn computed_columns_come_after_the_others() {
    let site = Site::new();
    site.sql(TABLE);
    let (names, rows) = made(&site, "table: t\nexclude: [j]\ncomputed: {car: \"j->'CAR'\"}");
    assert_eq!(names, ["id", "Mixed", "car"]);
    assert_eq!(rows, ["1 | x | {\"a\": 1}", "2 | NULL | NULL"]);

    // By name, whatever their order in the file; a comment ends with its expression.
    let (names, rows) = made(
        &site,
        "table: t\ncolumns: [id]\ncomputed:\n  twice: id * 2 -- twice\n  'a \"quoted\" name': \"'it''s ' || id\"\n  \
         Upper: upper(\"Mixed\")\n  several: |\n    CASE\n      WHEN id = 1 THEN 'one' END",
    );
    assert_eq!(names, ["id", "Upper", "a \"quoted\" name", "several", "twice"]);
    assert_eq!(rows, ["1 | X | it's 1 | one | 2", "2 | NULL | it's 2 | NULL | 4"]);

    let (names, rows) = made(&site, "table: t\ncomputed: {n: count(*) OVER ()}");
    assert_eq!(names, ["id", "j", "Mixed", "n"]);
    assert!(rows.iter().all(|row| row.ends_with(" | 2")), "{rows:?}");
}

#[test]
fn an_expression_that_changed_runs_the_export() {
    let site = Site::new();
    site.sql(TABLE);
    made(&site, "table: t\ncolumns: [id]\ncomputed: {n: id + 1}");
    let reason = |keys| {
        export(&site, keys);
        let plan = run(&site, &["-n"]).stdout;
        plan.lines()
            .find(|line| line.starts_with("  RUN "))
            .map(|line| line.split("export").nth(1).unwrap().trim().to_owned())
    };
    assert_eq!(reason("table: t\ncolumns: [id]\ncomputed: {n: id + 1}"), None);
    assert_eq!(
        reason("table: t\ncolumns: [id]\ncomputed: {n: id + 2}").unwrap(),
        "params_changed: computed.n id + 1 -> id + 2"
    );
    assert_eq!(
        reason("table: t\ncolumns: [id]\ncomputed: {m: id + 1}").unwrap(),
        "params_changed: computed.m none -> id + 1"
    );
    assert_eq!(reason("table: t\ncolumns: [id]").unwrap(), "params_changed: computed.n id + 1 -> none");
}

#[test]
fn what_is_no_expression_is_a_mistake_with_its_line_and_column() {
    let site = Site::new();
    let mut texts = String::new();
    for keys in [
        "sql: SELECT 1\ncomputed: {car: \"j->'CAR'\"}",
        "table: t\ncomputed: {car: \"j->'CAR\"}",
        "table: t\ncomputed: {car: \"1); DROP TABLE t; --\"}",
        "table: t\ncomputed: {car: \"j->\u{a0}'CAR'\"}",
        "table: t\ncomputed: {car: 1 /* one}",
        "table: t\ncomputed: {car: ''}",
        "table: t\ncomputed: {sql: -- one}",
        "table: t\ncomputed:\n  b: >-\n    id -- one\n    + 1",
        "table: t\ncomputed: {car: \"'postgresql://me:hunter2@h/d'\"}",
        "table: t\ncomputed: {car: \"'password=' || 'hunter2'\"}",
        "table: t\ncomputed: [car]",
        "computed: {car: '1'}",
    ] {
        export(&site, keys);
        let said = run(&site, &["validate"]);
        assert_eq!(said.code, Some(2), "{keys}: {}", said.stdout);
        texts += &format!("{keys}\n  {}\n", said.stderr.trim_end().replace('\n', "\n  "));
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("computed_mistakes", texts);
    });
}

/// As in a query, a value of the environment is used and not recorded.
#[test]
fn a_value_of_the_environment_is_not_recorded() {
    let site = Site::new();
    site.sql(TABLE);
    export(&site, "table: t\ncolumns: [id]\ncomputed: {sql: \"'${env:WORD}' || id\"}");
    let run = |word: &str, arguments: &[&str]| {
        let arguments = [arguments, &["computed.yaml"]].concat();
        let output = site.command(&arguments).env("WORD", word).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(run("Xylophon", &["-q"]), (Some(0), String::new()));
    assert_eq!(parquet::lines(&site.path("out/t.parquet")), ["1 | Xylophon1", "2 | Xylophon2"]);
    let (code, plan) = run("Marimba", &["-n"]);
    assert_eq!(code, Some(0), "{plan}");
    assert!(
        plan.contains("params_changed: environment variable WORD") && !plan.contains("Marimba"),
        "{plan}"
    );
    assert_eq!(files_with(&site.path("out/.ssp"), "Xylophon"), Vec::<PathBuf>::new());
}

/// What only the server knows.
#[test]
fn what_the_server_rejects_is_found_before_a_run() {
    let site = Site::new();
    site.sql(TABLE);
    for (keys, expected) in [
        ("table: t\ncomputed: {car: jj->'CAR'}", "column \"jj\" does not exist"),
        ("table: t\ncomputed: {car: (1}", "syntax error"),
        (
            "table: t\ncomputed: {id: id + 1}",
            "the query returns two columns named `id` (give one another name with AS)",
        ),
    ] {
        export(&site, keys);
        let said = run(&site, &["validate", "--connect"]);
        assert!(
            said.code != Some(0) && said.stderr.contains(expected),
            "{keys}: {}{}",
            said.stdout,
            said.stderr
        );
        let said = run(&site, &["-q"]);
        assert!(said.code != Some(0) && said.stderr.contains(expected), "{keys}: {}", said.stderr);
        assert!(!site.path("out/t.parquet").exists());
    }
}
