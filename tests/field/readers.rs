//! Files for readers that do not know every encoding, tell names apart by case, or have doubles only.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{Place, Said, case};
use crate::support::python::python;

/// Rows that are encoded as differences and by the places of their bytes unless they are to be plain: wide steps, doubles.
const WIDE: &str = "CREATE TABLE wide AS
    SELECT ('x' || substr(md5(g::text), 1, 14))::bit(56)::int8 AS id, g AS number, sqrt(g::float8) AS f,
           g::float4 / 3 AS single, 'name ' || g % 7 AS name, g % 2 = 0 AS even,
           timestamp '2026-01-01' + g * interval '1.5 s' AS moment, CASE WHEN g % 3 = 0 THEN sqrt(g::float8) END AS gaps
    FROM generate_series(1, 5000) g";

/// What fastparquet makes of plain files.
fn read_as_plain(files: &[PathBuf]) -> Said {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/plain.py");
    Command::new(python()).arg(script).args(files).output().unwrap().into()
}

#[test]
fn plain_files_are_read_by_fastparquet_wherever_they_are_asked_for() {
    let place = Place::with(WIDE);
    let sql = "SELECT * FROM wide";
    let export = ["--silent", "--sql", sql, "--out"];
    place.run("fast-export", &[&export, &["compact.parquet"][..]].concat()).expect(0);
    place.run("fast-export", &[&export, &["plain.parquet", "--encodings", "plain"][..]].concat()).expect(0);
    place.put(
        "exports.yaml",
        format!(
            "[{{sql: {sql}, out: listed.parquet, encodings: plain}}, {{sql: {sql}, out: other.parquet}}]"
        ),
    );
    place.run("fast-export", &["--silent", "--config", "exports.yaml"]).expect(0);
    let inputs = ["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"].map(case);
    let flags = ["--silent", "--encodings", "plain", "--output", "objects.parquet"].map(PathBuf::from);
    place.run("ssp-build-ssobject", &[&inputs[..], &flags].concat()).expect(0);
    let plain = ["plain.parquet", "listed.parquet", "objects.parquet"].map(|name| place.path(name));
    read_as_plain(&plain).expect(0).says("plain.parquet: 5000 rows of 8 columns").says("objects.parquet: ");
    for name in ["compact.parquet", "other.parquet"] {
        read_as_plain(&[place.path(name)]).expect(1).says("AssertionError").says("DELTA_BINARY_PACKED");
    }
    place
        .run("fast-export", &[&export, &["x.parquet", "--encodings", "simple"][..]].concat())
        .expect(2)
        .says("[possible values: compact, plain]");
}

#[test]
fn a_pipeline_writes_plain_files_and_runs_again_only_where_that_is_new() {
    let place = Place::with(WIDE);
    let stage = |encodings: &str| {
        place.pipeline(&format!("  wide: {{export: {{table: wide{encodings}}}, out: wide.parquet}}\n"));
    };
    stage("");
    place.ssp_run(&[]).expect(0).says("1 done");
    stage(", encodings: compact");
    place.ssp_run(&[]).expect(0).says("everything is up to date");
    stage(", encodings: plain");
    place.ssp_run(&[]).expect(0).says("params_changed: encodings compact -> plain");
    read_as_plain(&[place.path("out/wide.parquet")]).expect(0);
    stage("");
    let file = std::fs::read_to_string(place.path("pipeline.yaml")).unwrap();
    place.put("pipeline.yaml", file + "defaults: {encodings: plain}\n");
    place.ssp_run(&[]).expect(0).says("everything is up to date");
}

fn warnings(sql: &str) -> Said {
    let place = Place::with("");
    place.run("fast-export", &["--silent", "--sql", sql, "--out", "o.parquet"]).expect(0)
}

#[test]
fn whole_numbers_that_become_others_are_told_of_once_for_each_column() {
    let said = warnings(
        "SELECT g::numeric AS small, 9007199254740990 + g::numeric AS id, 2::numeric ^ 70 AS power, g / 7.0 AS part,
                ARRAY[1, 36028797018963968.0 + g] AS list
         FROM generate_series(1, 40000) g",
    );
    assert_eq!(said.text.matches("warning:").count(), 2, "{}", said.text);
    said.says("column `id`, row 3 and maybe more: 9007199254740993 became 9007199254740992")
        .says("(cast the column to int8 or int8[], or cast the column to text in the query, or with `types` in a pipeline file)")
        .says(
            "column `list`, row 1 and maybe more: its element 2: 36028797018963969 became 36028797018963968",
        );
}

#[test]
fn what_the_warning_of_a_number_says_can_be_done() {
    const INT8: &str = "int8 or int8[]";
    for (value, of_int8, shown) in [
        ("9007199254740993::numeric", true, "9007199254740993 became 9007199254740992,"),
        ("ARRAY[1, NULL, 9007199254740993]::numeric[]", true, "its element 3: 9007199254740993 became"),
        // A cast to int8 would round these.
        ("123456789012345678.9::numeric", false, "123456789012345678 became 123456789012345680,"),
        ("9007199254740993.5::numeric", false, "9007199254740993 became 9007199254740994,"),
        ("-1e25::numeric - 1", false, "-10000000000000000000000001 became -10000000000000000905969664,"),
        (
            "1e300::numeric",
            false,
            "10000000000000000000... (301 digits) became 10000000000000000525... (301 digits),",
        ),
    ] {
        let said = warnings(&format!("SELECT {value} AS v"));
        assert_eq!((said.text.contains(INT8), said.text.len() < 330), (of_int8, true), "{}", said.text);
        said.says(shown).does_not_say("decimal");
        let array = if value.contains("[]") { "[]" } else { "" };
        let casts = if of_int8 { &["text", "int8"][..] } else { &["text"] };
        for cast in casts {
            assert_eq!(warnings(&format!("SELECT ({value})::{cast}{array} AS v")).text, "");
        }
        let place = Place::with(&format!("CREATE TABLE t AS SELECT {value} AS v"));
        place.pipeline("  t: {export: {table: t, types: {v: text}}, out: t.parquet}\n");
        assert_eq!(place.ssp_run(&["-q"]).expect(0).text, "");
    }
    for value in ["9007199254740992.5::numeric", "0.1::numeric", "'NaN'::numeric", "'-Infinity'::numeric"] {
        assert_eq!(warnings(&format!("SELECT {value} AS v")).text, "");
    }
}

#[test]
fn numbers_that_are_kept_whole_are_not_told_of() {
    let place = Place::with("CREATE TABLE t AS SELECT 9007199254740993::numeric AS id");
    for (types, said) in [("id: 'decimal(38, 0)'", ""), ("id: text", ""), ("", "9007199254740993 became")] {
        place.pipeline(&format!("  t: {{export: {{table: t, types: {{{types}}}}}, out: t.parquet}}\n"));
        let found = place.ssp_run(&["-q"]).expect(0);
        assert_eq!(found.text.is_empty(), said.is_empty(), "{}", found.text);
        found.says(said);
    }
}

#[test]
fn columns_that_differ_in_case_only_are_told_of() {
    warnings("SELECT 1 AS \"A\", 2 AS a, 3 AS b")
        .says("warning: `o.parquet`: columns `A` and `a` differ only in case, and DuckDB and Spark treat them as one column");
    assert_eq!(warnings("SELECT 1 AS a, 2 AS aa").text, "");
    // What it says to do is there: a query has no `columns`, and a table no `AS`.
    warnings("SELECT 1 AS \"A\", 2 AS a").says("in the query (`AS`)").does_not_say("`exclude`");
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS \"A\", 2 AS a");
    place.pipeline("  t: {export: {table: t}, out: t.parquet}\n");
    place.ssp_run(&["-q"]).expect(0).says("with `columns` or `exclude`").does_not_say("`AS`");
}
