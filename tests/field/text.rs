//! Text that changes its meaning, messages that mislead, and secrets.

use std::fs;
use std::path::{Path, PathBuf};

use super::place::Place;

/// A pipeline with these settings of one export.
fn export(place: &Place, settings: &str) -> PathBuf {
    place.pipeline(&format!("  a:\n    export:\n{settings}\n    out: a.parquet\n"))
}

#[test]
fn a_comment_that_hides_lines_of_a_query_is_a_mistake() {
    let place = Place::empty();
    let sql = |style: &str| format!("      sql: {style}\n        SELECT 1 -- ours\n        WHERE 2 > 1\n");
    for (settings, at) in [
        (sql(">"), "9:18"),
        (sql(">-"), "9:18"),
        (sql(">+"), "9:18"),
        ("      sql: SELECT 1 -- ours\n        WHERE 2 > 1".to_owned(), "8:21"),
        ("      sql: 'SELECT 1 -- ours\n        WHERE 2 > 1'".to_owned(), "8:22"),
        ("      sql: \"SELECT 1 -- ours\n        WHERE 2 > 1\"".to_owned(), "8:22"),
        ("      sql: \"SELECT 1 -- ours \\\n        WHERE 2 > 1\"".to_owned(), "8:22"),
        ("      {sql: SELECT 1 -- ours\r\n        WHERE 2 > 1}".to_owned(), "8:22"),
        (
            "      sql: >\n        SELECT '--', 1 -- ours\n        -- only\n        WHERE 2 > 1".to_owned(),
            "9:24",
        ),
        (
            "      table: t\n      watermark: >\n        SELECT 1 -- ours\n        WHERE 2 > 1".to_owned(),
            "10:18",
        ),
    ] {
        export(&place, &settings);
        for arguments in [&["validate"][..], &["-q"], &["-n"]] {
            let said = place.ssp_run(arguments).expect(2);
            said.says(&format!("pipeline.yaml:{at}: YAML joins the lines of"))
                .says("hides what follows: `WHERE 2 > 1`");
        }
    }
    assert!(!place.path("out").exists());
}

#[test]
fn a_query_that_a_comment_of_yaml_cuts_is_a_mistake() {
    let place = Place::empty();
    for (sql, hidden) in [
        ("SELECT a #b FROM t", "#b FROM t"),
        ("SELECT a # b FROM t", "# b FROM t"),
        ("SELECT j #>> '{a,b}'", "#>> '{a,b}'"),
        ("SELECT a FROM t  #all", "#all"),
    ] {
        export(&place, &format!("      sql: {sql}"));
        let said = place.ssp_run(&["validate"]).expect(2);
        said.says(&format!("`#` begins a comment of YAML here, so `{hidden}` is not part of `sql`"));
        export(&place, &format!("      sql: |\n        {sql}"));
        place.ssp_run(&["validate"]).expect(0);
    }
    for sql in ["SELECT a FROM t   # optional, see above", "'SELECT a #b FROM t'  #all", "SELECT a#b FROM t"]
    {
        export(&place, &format!("      sql: {sql}"));
        place.ssp_run(&["validate"]).expect(0);
    }
}

#[test]
fn a_comment_that_hides_nothing_is_none() {
    let place = Place::empty();
    for settings in [
        "      sql: |\n        SELECT 1 -- one\n        WHERE 2 > 1",
        "      sql: >\n        SELECT 1\n        WHERE 2 > 1 -- the end\n",
        "      sql: >\n        SELECT 1 -- one\n        -- and only that\n",
        "      sql: >\n        SELECT '-- a\n        b'",
        "      sql: >\n        SELECT 1 AS \"-- a\n        b\"",
        "      sql: >\n        SELECT 1 /* -- a\n        b */",
        "      sql: >\n        SELECT 1 -- one\n\n        WHERE 2 > 1",
        "      sql: >\n        SELECT\n          1 -- one\n        WHERE 2 > 1",
        "      sql: \"SELECT 1 -- one\\nWHERE 2 > 1\"",
        "      {\"sql\": \"SELECT 1 -- one\\n\\\n        WHERE 2 > 1\"}",
    ] {
        export(&place, settings);
        place.ssp_run(&["validate"]).expect(0);
    }
}

#[test]
fn the_value_of_a_variable_cannot_hide_a_part_of_a_query() {
    let place = Place::empty();
    let path = export(&place, "      sql: SELECT 1 -- for ${who} only");
    let text = fs::read_to_string(&path).unwrap() + "vars: {which: true, who: us}\n";
    place.put("pipeline.yaml", &text);
    place.ssp_run(&["validate"]).expect(0);
    place.put("pipeline.yaml", text.replace("1 -- for ${who} only", "1 WHERE ${which} AND 1 > 2"));
    place.ssp_run(&["validate"]).expect(0);
    let said = place.ssp_run(&["validate", "--set", "which=true -- all"]).expect(2);
    said.says("the value of a variable has a comment, which hides what follows: `AND 1 > 2`");
    place.ssp_run(&["validate", "--set", "which=true /* all */"]).expect(0);
}

#[test]
fn fast_export_reads_no_query_that_a_comment_cuts() {
    let place = Place::empty();
    place.put("e.yaml", "- sql: >\n    SELECT 1 -- one\n    WHERE 2 > 1\n  out: a.parquet\n");
    let said = place.run("fast-export", &["--config", "e.yaml"]).expect(2);
    said.says("e.yaml:2:14: YAML joins the lines of `sql`").says("`WHERE 2 > 1`");
    place.put("e.yaml", "- {sql: \"SELECT\u{a0}1\", out: a.parquet}\n");
    let said = place.run("fast-export", &["--config", "e.yaml"]).expect(2);
    said.says("e.yaml:1:16: `sql` has a no-break space (U+00A0): write a space");
    let said = place.run("fast-export", &["--sql", "SELECT “a”", "--out", "a.parquet"]).expect(2);
    said.says("line 1, column 8 of the query has a typographic quote (`“`, U+201C): write `\"`");
}

const PLAIN: &str = "version: 1
name: nightly – all of it
out_dir: out
database: {service: s, connections: 4}
defaults: {timeout: 2h}
stages:
  a:
    export:
      table: t
    out: a
    checks: {min_rows: 1, max_shrink: 10%}
";

#[test]
fn messages_say_what_is_written_and_what_to_write() {
    let place = Place::empty();
    for (from, to, said) in [
        ("version: 1", "version: 1.0", "the number 1.0; write 1, without a point"),
        ("version: 1", "version: \"1\"", "the text `1`; write 1, without quotes"),
        ("min_rows: 1", "min_rows: 010", "the number 010; write 10, without a zero before it"),
        ("min_rows: 1", "min_rows: 1e6", "the number 1e6; write 1000000, without an exponent"),
        ("min_rows: 1", "min_rows: '1,000'", "the text `1,000`; write 1000, in digits alone"),
        ("min_rows: 1", "min_rows: –1", "it has a typographic dash (`–`, U+2013): write `-`"),
        ("min_rows: 1", "min_rows: -0x1", "-0x1"),
        ("max_shrink: 10%", "max_shrink: 0.1", "`0.1` has no percent sign: write 10%"),
        ("max_shrink: 10%", "max_shrink: .125", "`.125` has no percent sign: write 12.5%"),
        ("max_shrink: 10%", "max_shrink: 10", "`10` has no percent sign: write 10%"),
        ("max_shrink: 10%", "max_shrink: 1", "`1` has no percent sign: write 1%"),
        ("max_shrink: 10%", "max_shrink: 110%", "`110%` is not a percentage from 0% to 100%, such as 10%"),
        ("timeout: 2h", "timeout: 7200", "`7200` has no unit: write 7200s, 7200m, 7200h or 7200d"),
        ("timeout: 2h", "timeout: '20'", "`20` has no unit"),
        ("timeout: 2h", "timeout: 1.5", "`1.5` is not a period of time"),
        ("connections: 4", "connections: 4.0", "the number 4.0; write 4, without a point"),
        ("connections: 4", "connections: 0o777", "must be from 0 to 64, not 0o777"),
        ("connections: 4", "connections: \"4\"", "the text `4`; write 4, without quotes"),
        ("table: t", "table: 007", "the number 007; put it in quotes: \"007\""),
        ("table: t", "table: True", "put it in quotes: \"True\""),
        ("table: t", "table: 1.10", "the number 1.10; put it in quotes: \"1.10\""),
        ("table: t", "table: “t”", "`table` has a typographic quote (`“`, U+201C): write `\"`"),
        ("table: t", "table: t\u{200b}", "9:15: `table` has a zero-width space (U+200B): remove it"),
        ("table: t", "sql\u{a0}: SELECT 1", "9:10: this key has a no-break space (U+00A0): write a space"),
        ("out: a", "out: a\u{a0}b", "10:11: `out` has a no-break space (U+00A0): write a space"),
        ("table: t", "sql: >\n        SELECT 1\n        FROM\u{a0}t", "11:13: `sql` has a no-break space"),
        (
            "table: t",
            "sql: SELECT a FROM t WHERE b = ‘c’",
            "9:38: `sql` has a typographic quote (`‘`, U+2018): write `'`",
        ),
        ("table: t", "sql: ''", "`sql` is empty"),
        ("table: t", "sql: DELETE FROM t", "`DELETE` is not a query"),
        ("table: t", "table: t\n      watermark: SELECT 'x", "a string that begins in line 1 does not end"),
    ] {
        place.put("pipeline.yaml", PLAIN.replace(from, to));
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
}

#[test]
fn a_password_in_any_text_is_refused_and_not_shown() {
    let place = Place::empty();
    for settings in [
        "{sql: \"SELECT * FROM dblink('host=h password=hunter2', 'SELECT 1') AS t(a int)\"}",
        "{sql: \"SELECT dblink_connect('c', 'postgresql://u:hunter2@h/d')\"}",
        "{sql: \"SELECT dblink_connect('postgresql://u:hun/hunter2@h/d')\"}",
        "{sql: \"SELECT dblink_connect('host=h sslpassword = hunter2')\"}",
        "{sql: \"SELECT dblink_connect('host=h pass' || 'word=hunter2')\"}",
        "{sql: \"SELECT dblink_connect($x$host=h password='hunter2'$x$)\"}",
        "{sql: \"SELECT dblink_connect(E'password=\\\\'hunter2\\\\'')\"}",
        "{sql: \"SELECT dblink_connect('password=''hunter2''')\"}",
        "{sql: \"SELECT 1 -- postgresql://u:hunter2@h/d\"}",
        "{sql: \"SELECT dblink_connect('password=${env:UNSET:-hunter2}')\"}",
        "{sql: \"SELECT dblink_connect('password=${secret}')\"}",
        "{table: t, watermark: \"SELECT dblink('password=hunter2')\"}",
        "{sql: |\n       SELECT 1,\n       dblink('password=hunter2')\n      }",
        "{table: 'postgresql://u:hunter2@h/d'}",
    ] {
        place.put(
            "pipeline.yaml",
            format!(
                "version: 1\nname: n\nout_dir: out\ndatabase: {{service: s}}\nvars: {{secret: hunter2}}\nstages:\n  a:\n    \
                 export: {settings}\n    out: a.parquet\n"
            )
            .replace("{sql: |", "\n      sql: |")
            .replace("\n      }", "\n"),
        );
        for arguments in [&["validate"][..], &["-q"], &["graph"]] {
            let said = place.ssp_run(arguments).expect(2).does_not_say("hunter2");
            said.says("a password does not belong in").says("pipeline.yaml:");
        }
    }
    for settings in [
        "{sql: \"SELECT * FROM users WHERE password = 'x' OR name = 'password'\"}",
        "{sql: \"SELECT * FROM logs WHERE line LIKE '%password=%'\"}",
        "{sql: \"SELECT 'https://h/a@b', 'user=u', 'postgresql://u@h/d'\"}",
        "{sql: \"SELECT dblink('server_with_a_user_mapping', 'SELECT 1')\"}",
    ] {
        place.pipeline(&format!("  a: {{export: {settings}, out: a.parquet}}\n"));
        place.ssp_run(&["validate"]).expect(0);
    }
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(holding(&path, text));
        } else if path.is_file()
            && fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

const SECRETS: [&str; 3] = ["Secret-Of-Dblink", "Secret-Of-Key", "7\"<&"];

/// All that programs say and write, with the secrets of the environment in queries that work and in ones that fail.
#[test]
fn values_of_the_environment_in_queries_are_shown_nowhere() {
    let mut place = Place::with("CREATE EXTENSION dblink; CREATE TABLE t AS SELECT 1 AS a, 'X05' AS stn");
    place.environment.insert("DB2_PASSWORD".to_owned(), SECRETS[0].to_owned());
    place.environment.insert("KEY".to_owned(), SECRETS[1].to_owned());
    place.environment.insert("STATION".to_owned(), "X05".to_owned());
    place.environment.insert("PIN".to_owned(), SECRETS[2].to_owned());
    let stages = "  works:
    export:
      sql: SELECT a FROM t WHERE '${env:KEY}' <> '' AND stn = '${env:STATION}'
      watermark: SELECT max(a) FROM t WHERE '${env:KEY}' <> ''
    out: works.parquet
  other: {export: {sql: \"SELECT * FROM dblink('host=nowhere password=${env:DB2_PASSWORD}', 'SELECT 1') AS t(a int)\"}, out: o.parquet}
  cast: {export: {sql: \"SELECT '${env:KEY}'::int AS a FROM t\"}, out: c.parquet}
  pin: {export: {sql: \"SELECT dblink_connect('password=${env:PIN} bad') FROM t\"}, out: p.parquet}
  syntax: {export: {sql: \"SELECT a FROM t WHERE '${key}' = = 1\"}, out: s.parquet}
";
    let head = "vars: {key: '${env:KEY}'}\nhooks: {on_failure: cat, on_success: cat}\n";
    let whole = place.pipeline(stages);
    let text = head.to_owned() + &fs::read_to_string(&whole).unwrap();
    let works = format!(
        "{}works:{}",
        text.split("works:").next().unwrap(),
        text.split("works:").nth(1).unwrap().split("  other:").next().unwrap()
    );
    let failing = text.replace("  works:", "  unused:").replace("works.parquet", "unused.parquet");
    let mut said = String::new();
    for (text, code) in [(works.as_str(), 0), (failing.as_str(), 1)] {
        place.put("pipeline.yaml", text);
        for arguments in [
            &["validate"][..],
            &["-n"],
            &["-n", "--json"],
            &["-v", "--metrics-file", "out/ssp.prom", "--log-format", "json"],
            &["--force", "--json"],
            &["explain", if code == 0 { "works" } else { "cast" }],
            &["explain", if code == 0 { "works" } else { "cast" }, "--json"],
            &["graph", "--format", "svg"],
            &["status", "--json"],
            &["history", "--json"],
            &["log"],
            &["report"],
            &["validate", "--connect"],
        ] {
            said += &place.ssp_run(arguments).text;
        }
    }
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in:\n{said}");
        assert_eq!(holding(&place.path("out"), secret), Vec::<PathBuf>::new(), "{secret}");
    }
    for kept in ["${env:KEY}", "X05"] {
        assert!(!holding(&place.path("out"), kept).is_empty(), "{kept}");
    }
    assert!(said.contains("${env:KEY}"), "{said}");

    // The value counts all the same.
    place.put("pipeline.yaml", &works);
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-n", "--check"]).expect(0);
    place.environment.insert("KEY".to_owned(), "Secret-Of-Kez".to_owned());
    place.ssp_run(&["-n", "--check"]).expect(3).says("environment variable KEY");
}

#[test]
fn a_recorded_password_of_an_earlier_version_is_not_shown() {
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    place.pipeline("  a: {export: {sql: SELECT a FROM t}, out: a.parquet}\n");
    place.ssp_run(&["-q"]).expect(0);
    let record = "out/.ssp/stages/a.json";
    let text = fs::read_to_string(place.path(record)).unwrap();
    place.put(record, text.replace("SELECT a FROM t", "SELECT dblink('host=h password=hunter2') FROM t"));
    place.ssp_run(&["explain", "a"]).expect(0).says("password=***").does_not_say("hunter2");
}

#[test]
fn ordinary_values_of_the_environment_stay_readable() {
    let mut place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    place.environment.insert("SSP_DATA".to_owned(), "products".to_owned());
    let path = place.pipeline("  a: {export: {sql: SELECT a FROM t}, out: a.parquet}\n");
    let text = fs::read_to_string(&path).unwrap().replace("out_dir: out", "out_dir: ${env:SSP_DATA:-data}");
    place.put("pipeline.yaml", text);
    place.ssp_run(&[]).expect(0).says("products/.ssp/runs/");
    place.ssp_run(&["-n", "--check"]).expect(0);
}
