//! The first minutes: `tables`, `init`, `schema` and `validate`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::said::Streams;
use crate::site::{Site, files_below, put};

/// Names with all that SQL, YAML and the pipeline file treat in a way of their own, and a column of each type.
const ODD: &str = r#"
CREATE TABLE "a${b}" ("x: y" int PRIMARY KEY, "tab	col" text, "new
line" text, "$${q}" int, """q""" int, "é#" text, "true" bool);
INSERT INTO "a${b}" VALUES (1, 'a', 'b', 2, 3, 'e', true);
CREATE TABLE "A.b" (a int, b int, PRIMARY KEY (b, a));
INSERT INTO "A.b" VALUES (1, 1), (1, 2);
CREATE TABLE "a.B" (a int);
CREATE TABLE "true" (n int UNIQUE NOT NULL);
CREATE TABLE "Таблица" ("столбец" text);
CREATE TABLE "x'y""z\w" (a int);
CREATE TABLE "~home" (a int);
CREATE TABLE "-n" (a int);
CREATE TABLE "new
line" (a int);
CREATE TABLE " blank " (" x" int PRIMARY KEY);
CREATE TABLE no_columns ();
CREATE VIEW v AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW mv AS SELECT 2 AS b;
CREATE TABLE part (d date, n int, PRIMARY KEY (d, n)) PARTITION BY RANGE (d);
CREATE TABLE part_2020 PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO part VALUES ('2020-02-02', 1);
COMMENT ON TABLE part IS 'A comment
with "quotes" and # signs';
"#;

/// The types of the type table of `tests/postgres`, as it names them.
fn types() -> Vec<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/types.rs")).unwrap();
    let table = &text[text.find("fn cases()").unwrap()..text.find("const TYPES").unwrap()];
    let cases = table.split("case(").skip(1).map(|case| case.trim_start().strip_prefix('"').unwrap());
    cases.map(|case| case[..case.find("\",").unwrap()].replace("\\\"", "\"")).collect()
}

/// A database with a table of all types, and tables with odd names.
fn odd_site() -> Site {
    let site = Site::new();
    let columns: Vec<String> = types()
        .iter()
        .enumerate()
        .map(|(index, name)| format!("\"c{index} of {}\" {name}", name.replace('"', "")))
        .collect();
    assert!(columns.len() > 60, "{columns:?}");
    let types = format!(
        "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TYPE pair AS (a int, b text);
         CREATE TABLE types (id int PRIMARY KEY, {}); INSERT INTO types (id) VALUES (1), (2);",
        columns.join(", ")
    );
    site.sql(&format!("{ODD}{types}"));
    site
}

/// `ssp-run` in the site's folder, without a pipeline that a variable names.
fn typed(site: &Site, arguments: &[&str]) -> Streams {
    let mut command = site.command(arguments);
    command.env_remove("SSP_PIPELINE").env("PGDATABASE", "mpc_sbn").output().unwrap().into()
}

#[test]
fn a_generated_pipeline_validates_and_runs_whatever_the_names_and_types_are() {
    let site = odd_site();
    let said = typed(&site, &["init", "mine", "--dbname", "mpc_sbn", "--name", "odd"]).expect(0);
    let commands: Vec<&str> = said.stderr.split("\nnext\n").nth(1).unwrap().lines().map(str::trim).collect();
    let expected =
        ["validate --connect ", "-n ", ""].map(|words| format!("ssp-run {words}mine/pipelines/odd.yaml"));
    assert_eq!(commands, expected);
    for command in &commands {
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        let said = typed(&site, &arguments);
        assert_eq!(said.code, Some(0), "{command}: {}{}", said.stdout, said.stderr);
        assert!(!said.stderr.contains("does not fit"), "{}", said.stderr);
    }
    let outputs = fs::read_dir(site.path("mine/data")).unwrap().count();
    // Each table of both sets, and the records; neither the partition nor the table without columns.
    assert_eq!(outputs, 13 + 1 + 4 + 1);
    let text = fs::read_to_string(site.path("mine/pipelines/odd.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=../schemas/pipeline.schema.json\n"));
    for part in [
        "unique: [\"x: y\"]}",
        "\nkeep: 7 ",
        "    key: [\"x: y\"]\n",
        "    key: [b, a]\n",
        "not_null: [b, a]}",
        "the table is empty now",
        "# view v\n",
        "  # dia_sources:\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn init_replaces_no_file_and_writes_none_then() {
    let site = Site::new();
    let init = |arguments: &[&str]| typed(&site, &[&["init", "mine"], arguments].concat());
    init(&["--table", "obs_sbn"]).expect(0);
    let files = || {
        let paths = files_below(&site.path("mine")).into_iter();
        paths.map(|path| (fs::read(&path).unwrap(), path)).collect::<BTreeSet<_>>()
    };
    let before = files();
    let said = init(&[]).expect(2);
    for name in ["pipelines/mpc_sbn.yaml", "schemas/obs_sbn.yaml"] {
        said.says(&format!("`mine/{name}`"));
    }
    assert!(files() == before);
    // Another pipeline beside it shares the JSON Schema and `.gitignore`.
    let said = init(&["--table", "mpc_orbits", "--name", "two"]).expect(0);
    assert!(said.stderr.starts_with("wrote 2 files in mine\n"), "{}", said.stderr);
    for (arguments, expected) in [
        (&["--table", "obs_sbm"][..], "did you mean `obs_sbn`?"),
        (&["--name", "No"], "cannot be a pipeline's name"),
        (&["--dsn", "postgresql://me:hunter2@h/d"], "write it into ~/.pgpass"),
        (&["--port", "1,2", "--name", "x"], "gives 2 ports for 1 hosts"),
    ] {
        let said = init(arguments);
        said.says(expected);
        assert!(matches!(said.code, Some(2 | 4)), "{arguments:?}");
        assert!(!said.stderr.contains("hunter2"));
    }
    site.sql("CREATE TABLE t1 (); DO $$ BEGIN FOR n IN 1..30 LOOP EXECUTE 'CREATE TABLE many_' || n || ' (a int)'; END LOOP; END $$");
    typed(&site, &["init", "many"])
        .expect(2)
        .says("--table NAME")
        .says("many_30")
        .says("tables and views in its search path; without --table, `init` takes at most 20\n");
    assert!(!site.path("many").exists());
}

#[test]
fn a_repository_gives_the_extract_its_collection() {
    let site = Site::new();
    typed(&site, &["init", "mine", "--table", "obs_sbn", "--butler", "butler"]).expect(0);
    let said = typed(&site, &["validate", "--connect", "mine/pipelines/mpc_sbn.yaml"]).expect(0);
    assert!(said.stdout.contains("\ndia_sources: 45 datasets\n"), "{}", said.stdout);
    typed(&site, &["init", "other", "--table", "obs_sbn", "--butler", "nowhere"])
        .expect(0)
        .says("warning: there is no Butler repository `nowhere`");
    let text = fs::read_to_string(site.path("other/pipelines/mpc_sbn.yaml")).unwrap();
    assert!(text.contains("\n  # dia_sources:\n"), "{text}");
}

#[test]
fn tables_that_a_role_can_read_are_listed_in_80_columns() {
    let site = Site::new();
    site.sql(
        "CREATE ROLE weak LOGIN; GRANT SELECT (id, stn) ON obs_sbn TO weak; CREATE SCHEMA archive;
         CREATE TABLE archive.obs (id int, n int, PRIMARY KEY (n, id)); CREATE VIEW bright AS SELECT 1 AS h;
         GRANT SELECT ON bright TO weak",
    );
    site.sql(&format!("CREATE TABLE {} (a int)", "long_".repeat(12)));
    let all = typed(&site, &["tables"]).expect(0);
    for line in all.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let line =
        |start: &str| all.stdout.lines().find(|line| line.starts_with(start)).unwrap_or(start).to_owned();
    assert!(line("obs_sbn ").ends_with("  id") && line("obs_sbn ").contains(" 792 "), "{}", all.stdout);
    assert!(line("archive.obs").ends_with("-           n, id"), "{}", all.stdout);
    assert!(line("bright (view)").ends_with("-       -  -           -"), "{}", all.stdout);
    let of_file = typed(&site, &["tables", "-p", "pipelines/demo.yaml"]);
    assert_eq!(of_file.stdout, all.stdout, "{}", of_file.stderr);

    let weak = typed(&site, &["tables", "--user", "weak"]);
    assert!(weak.stdout.contains("\nobs_sbn (some columns) "), "{}", weak.stdout);
    weak.says("that role `weak` may not read").says("GRANT");
    let json = typed(&site, &["tables", "--user", "weak", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[1]["readable_columns"], serde_json::json!(["id", "stn"]), "{json}");
    typed(&site, &["tables", "--dbname", "none"]).expect(4);
    typed(&site, &["tables", "--dbname", "postgres"]).expect(0).says("has no tables");
    // What a pipeline can select only some columns of.
    typed(&site, &["init", "weak", "--user", "weak"]).expect(0);
    let said = typed(&site, &["-q", "weak/pipelines/mpc_sbn.yaml"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_json_schema_is_printed() {
    let said = typed(&Site::new(), &["schema"]);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/pipeline.schema.json");
    assert!(said.code == Some(0) && said.stdout == fs::read_to_string(kept).unwrap());
}

const WRONG: &str = r#"version: 1
name: wrong
out_dir: /proc/x
database: {}
butler: {repo: ./nothing}
hooks: {on_success: [no-such-program, a], on_failure: mail me}
stages:
  a:
    export: {sql: "SELECT id, stn FROM obs_sbn"}
    out: a.parquet
    schema: nothing.yaml
  b:
    export: {table: mpc_orbits, columns: [id, q, e]}
    out: b.parquet
    schema: b.yaml
    checks: {unique: [idd]}
  c:
    build-ssobject: {sssource: in/x.parquet, mpc_orbits: b}
    out: c.parquet
"#;

#[test]
fn validate_names_all_that_is_missing_in_one_pass_and_makes_nothing() {
    let site = Site::new();
    put(&site.path("wrong.yaml"), WRONG.as_bytes());
    put(
        &site.path("b.yaml"),
        b"table: b\ndescription: B.\ncolumns:\n  - {name: id, type: int64, description: I.}\n  \
          - {name: q, type: float64, description: Q.}\n",
    );
    let said = typed(&site, &["validate", "wrong.yaml"]).expect(2);
    for part in [
        "wrong.yaml:3:10: `out_dir` cannot be written: ",
        "wrong.yaml:5:16: there is no Butler repository `./nothing`",
        "wrong.yaml:6:21: `on_success`: there is no program `no-such-program` in PATH",
        "wrong.yaml:11:13: cannot read schema file `nothing.yaml`",
        "wrong.yaml:16:22: check `unique` names column `idd`, which is not in schema `b.yaml` (did you mean `id`?)",
        "wrong.yaml:18:32: `sssource`: cannot read `in/x.parquet`",
        "has 6 mistakes",
        "looked at: 3 stages, 2 queries, 2 schema files, hook",
        "not looked at: hook `on_failure` (text for a shell), the database (add",
    ] {
        said.says(part);
    }
    assert!(said.stderr.lines().take_while(|line| !line.starts_with("error")).all(|line| line.len() <= 80));
    let text =
        WRONG.replace("/proc/x", "out").replace("./nothing", "./butler").replace("no-such-program", "cat");
    put(&site.path("wrong.yaml"), text.replace("idd", "q").replace("stn FROM", "stm FROM").as_bytes());
    let said = typed(&site, &["validate", "--connect", "wrong.yaml"]).expect(2);
    for part in [
        "wrong.yaml:9:13: the server cannot prepare the query",
        "column \"stm\" does not exist",
        "wrong.yaml:15:13: the output will not fit schema `b.yaml`: column `id` is int32, but declared as int64; \
         column `e` is not declared; if that is right, change `b.yaml`: change the type, add the new column",
        "has 4 mistakes",
    ] {
        said.says(part);
    }
    site.offline(&["validate", "--connect", "wrong.yaml"]).expect(4).says("`in/x.parquet`");
    assert!(!site.path("out").exists());
}

/// `/dev/shm` is a file system of its own wherever it is there.
#[test]
fn an_output_that_cannot_be_kept_as_a_link_is_a_mistake() {
    let site = Site::new();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    fs::create_dir(site.path("data")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), site.path("data/far")).unwrap();
    site.edit("out: ssobject.parquet", "out: far/ssobject.parquet");
    site.ssp_run(&["validate"])
        .expect(2)
        .says("is on another file system than `out_dir`")
        .says("has 1 mistake;");
    site.edit("\nkeep:", "\n# keep:");
    site.ssp_run(&["validate"]).expect(0);
}

#[test]
fn a_column_of_a_check_that_the_query_does_not_return_is_found_when_connected() {
    let site = Site::new();
    site.edit("    checks: {min_rows: 1,", "    checks: {not_null: [obstme], min_rows: 1,");
    site.ssp_run(&["validate"]).expect(0);
    let said = site.ssp_run(&["validate", "--connect"]).expect(2);
    let expected =
        "check `not_null` names column `obstme`, which is not in the output (did you mean `obstime`?)";
    said.says(expected);
    site.edit("w_2025_19/DM-50795", "w_2025_19/DM-5079");
    let said = site.ssp_run(&["validate", "--connect"]);
    said.says("there is no collection `LSSTCam/runs/DRP/FL/w_2025_19/DM-5079`");
}

#[test]
fn what_would_fail_in_every_run_is_found_when_connected() {
    let site = Site::new();
    site.edit("column: obssubid", "column: obsSubId");
    site.edit("    checks: {min_rows: 1,", "    checks: {range: {stn: [0, 1], id: [0, null]}, min_rows: 1,");
    site.edit("exclude: [mpc_orb_jsonb]", "exclude: [mpc_orb_json]");
    site.ssp_run(&["validate"]).expect(0);
    let said = site.ssp_run(&["validate", "--connect"]).expect(2);
    for part in [
        "`filter.column` names column `obsSubId`, which is not in the output of `obs_sbn` (did you mean `obssubid`?)",
        "check `range`: column `stn` is string, but only numbers have a range",
        "table \"mpc_orbits\" has no column `mpc_orb_json` (did you mean `mpc_orb_jsonb`?)",
        "has 3 mistakes",
    ] {
        said.says(part);
    }
    // The caret is below the value of the key.
    let lines: Vec<&str> = said.stderr.lines().collect();
    for (line, value) in [("column: obsSubId", "obsSubId"), ("exclude: [", "[mpc"), ("range: {stn", "[0, 1]")]
    {
        let at = lines.iter().position(|text| text.contains(line) && text.contains(" | ")).unwrap();
        assert_eq!(lines[at + 1].find('^'), lines[at].find(value), "{}", said.stderr);
    }
    site.edit("exclude: [mpc_orb_json]", "exclude: [something_else]");
    let said = site.ssp_run(&["validate", "--connect"]);
    let line = said.stderr.lines().find(|line| line.contains("`something_else`")).unwrap();
    assert!(line.len() < 400 && line.ends_with(" more)"), "{line}");
}

#[test]
fn a_mistake_in_a_limit_shows_what_to_write() {
    let site = Site::new();
    site.edit(
        "    checks: {min_rows: 1,",
        "    timeout: 0s\n    checks: {max_lag: 36h, range: {id: 40}, min_rows: 1,",
    );
    let said = site.ssp_run(&["validate"]).expect(2);
    for part in [
        "`max_lag` must be a mapping such as `{column: obstime, at_most: 36h}`, not the text `36h`",
        "; write [null, 40] or [40, null]",
        "`timeout` is zero: write a longer time, such as 20m, or remove `timeout`",
    ] {
        said.says(part);
    }
    site.edit("max_lag: 36h", "max_lag: {column: obstime, at_most: 36000d}");
    site.edit("{id: 40}", "{id: [null, 4000000000]}");
    site.edit("timeout: 0s", "timeout: 20m");
    site.ssp_run(&["validate"]).expect(0);
}
