//! Passwords and other secrets: refused in a pipeline file, and shown nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use crate::place::Place;

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
        "{sql: \"SELECT dblink_connect('postgresql://u:'||'hunter2'||'@h/d?host=/tmp')\"}",
        "{sql: \"SELECT dblink_connect(concat('host=h password=', 'hunter2'))\"}",
        "{sql: \"SELECT dblink_connect('password='::text || quote_literal('hunter2'))\"}",
        "{sql: \"SELECT dblink_connect(E'host=h\\\\npassword=hunter2')\"}",
        "{sql: \"SELECT $x$OPTIONS (user 'u', password 'hunter2')$x$\"}",
        "{sql: \"SELECT f(password => 'hunter2')\"}",
        "{sql: 'SELECT 1 AS \"password=hunter2\"'}",
        "{sql: \"SELECT '{\\\"password\\\": \\\"hunter2\\\"}'::json\"}",
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
        "{sql: \"SELECT 1 WHERE '%password=%' LIKE 'password=%' OR 'y' ~ 'password=\\\\w+'\"}",
        "{sql: \"SELECT 'https://h:8080/x@y', 's3://bucket:a/key@v1' -- password=none needed\"}",
        "{sql: \"SELECT 'password=' || stn || ' host=h' FROM obs\"}",
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

#[test]
fn a_password_under_another_key_is_refused_or_not_shown() {
    let place = Place::empty();
    for (database, vars) in [
        ("{service: s, passwd: hunter2}", "{}"),
        ("{service: s, pwd: hunter2}", "{}"),
        ("\n  pass: >\n    hunter2", "{}"),
        ("'host=h pass=hunter2'", "{}"),
        ("{host: 'u:hunter2@h', prt: 1}", "{}"),
        ("{service: s}", "{unused: host=h password=hunter2}"),
        ("{service: s}", "{unused: 'postgresql://u:hunter2@h'}"),
        ("{service: s}", "{unused: \"dblink('password=hunter2')\"}"),
    ] {
        let path = place.pipeline_on(database, "  a: {export: {table: t}, out: a.parquet}\n");
        let text = fs::read_to_string(path).unwrap();
        place.put("pipeline.yaml", format!("vars: {vars}\n{text}"));
        place.ssp_run(&["validate"]).expect(2).does_not_say("hunter2");
    }
    let path =
        place.pipeline_on("{service: s}", "  a: {export: {sql: \"SELECT 1 WHERE ${c}\"}, out: a.parquet}\n");
    let text = fs::read_to_string(path).unwrap();
    place.put(
        "pipeline.yaml",
        format!("vars: {{c: \"password = 'x'\", unused: \"a.password = 'x' AND b\", d: X05}}\n{text}"),
    );
    place.ssp_run(&["validate"]).expect(0);
}

/// What a server makes of a value: its lines, names without quotes, strings that it has read; and what a watermark returns.
#[test]
fn no_form_of_a_value_of_the_environment_is_shown() {
    let mut place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    for (value, query, code) in [
        ("Zq7Secret", "SELECT ${env:PW} FROM t", 1),
        ("First\nZq7Secret", "SELECT '${env:PW}'::int AS a FROM t", 1),
        ("Zq7''Secret", "SELECT '${env:PW}'::int AS a FROM t", 1),
        ("Zq7\\tSecret", "SELECT E'${env:PW}'::int AS a FROM t", 1),
        ("Zq7Secret", "SELECT a, '${env:PW}' AS b FROM t", 0),
    ] {
        place.environment.insert("PW".to_owned(), value.to_owned());
        let _ = fs::remove_dir_all(place.path("out"));
        place.pipeline(&format!(
            "  a: {{export: {{sql: \"{}\", watermark: \"SELECT '${{env:PW}}' AS w\"}}, out: a.parquet}}\n",
            query.replace('\\', "\\\\")
        ));
        let mut said = place.ssp_run(&["-v"]).expect(code).text;
        for arguments in [&["status", "--json"][..], &["log"], &["explain", "a"], &["report"]] {
            // The status of a night that failed is a failure.
            let expected = if arguments[0] == "status" { code } else { 0 };
            said += &place.ssp_run(arguments).expect(expected).text;
        }
        assert!(!said.to_lowercase().contains("secret"), "{value:?}: {said}");
        let _ = fs::remove_file(place.path("out/a.parquet"));
        for form in ["Secret", "secret"] {
            assert_eq!(holding(&place.path("out"), form), Vec::<PathBuf>::new(), "{value:?}: {form}");
        }
    }
    // Another value is another answer of the watermark.
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-n", "--check"]).expect(0);
    place.environment.insert("PW".to_owned(), "Zq8Secret".to_owned());
    place.ssp_run(&["-n", "--check"]).expect(3);
}

#[test]
fn our_own_words_stay_whatever_a_variable_holds() {
    let mut place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    place.environment.insert("WORD".to_owned(), "rows".to_owned());
    place.pipeline(
        "  a: {export: {sql: \"SELECT a FROM t WHERE '${env:WORD}' = ''\"}, out: a.parquet, checks: {min_rows: 5}}\n",
    );
    place.ssp_run(&[]).expect(5).says("min_rows").says("0 rows").does_not_say("${env:WORD}");
}
