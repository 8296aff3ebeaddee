//! Text that changes its meaning, messages that mislead, and secrets.

use std::fs;
use std::path::PathBuf;

use crate::place::Place;

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
                .says("hides the rest: `WHERE 2 > 1`");
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
        ("SELECT a FROM t WHERE flags  # 4 = 0", "# 4 = 0"),
    ] {
        export(&place, &format!("      sql: {sql}"));
        let said = place.ssp_run(&["validate"]).expect(2);
        said.says(&format!("`#` begins a comment of YAML here, so `{hidden}` is not part of `sql`"));
        export(&place, &format!("      sql: |\n        {sql}"));
        place.ssp_run(&["validate"]).expect(0);
    }
    for sql in [
        "SELECT a FROM t   # optional, see above",
        "'SELECT a #b FROM t'  #all",
        "SELECT a#b FROM t",
        "SELECT a FROM t #ours",
        "SELECT a FROM t # TODO: JOIN with orbits",
        "SELECT a FROM t # JSON of the survey: FROM and AND",
        "SELECT a FROM t WHERE stn = 'X05' # AND mag < 21",
    ] {
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
    said.says("the value of `${which}` has a comment, which hides the rest: `AND 1 > 2`");
    place.ssp_run(&["validate", "--set", "which=true /* all */"]).expect(0);
}

/// A pipeline file with these variables and one query.
fn with_vars(vars: &str, sql: &str) -> String {
    format!(
        "version: 1\nname: n\nout_dir: out\ndatabase: {{service: s}}\nvars:\n{vars}\nstages:\n  a:\n    export:\n      sql: {sql}\n    \
         out: a.parquet\n"
    )
}

#[test]
fn a_comment_in_a_variable_hides_nothing_wherever_the_variable_is_used() {
    let place = Place::empty();
    for (vars, sql, at, hidden) in [
        (
            "  q: >\n    SELECT 1 -- all\n    WHERE 2 > 1",
            "'${q}'",
            "7:14",
            "YAML joins the lines of `q`, so this comment hides the rest: `WHERE 2 > 1`; write `q: |`",
        ),
        ("  c: >\n    2 > 1 -- ours\n    AND 3 > 2", "SELECT 1 WHERE ${c}", "7:11", "`AND 3 > 2`"),
        ("  c: 2 > 1 -- ours\n    AND 3 > 2", "SELECT 1 WHERE ${c}", "6:12", "`AND 3 > 2`"),
        (
            "  c: 2 > 1 -- ours\n  q: SELECT 1 WHERE ${c} AND 3 > 2",
            "${q}",
            "6:12",
            "the value of `${c}` has a comment, which hides the rest: `AND 3 > 2`",
        ),
        ("  c: 2 > 1 -- ours\n  q: SELECT 1 WHERE ${c}", "${q} AND 3 > 2", "6:12", "`AND 3 > 2`"),
        ("  c: 2 > 1 -- ours\n  d: ${c}", "SELECT 1 WHERE ${d}\n        AND 3 > 2", "6:12", "`AND 3 > 2`"),
        (
            "  c: x\n",
            "SELECT 1 WHERE ${env:UNSET:-2 > 1 -- ours} AND 3 > 2",
            "11:46",
            "the value of `${env:UNSET:-2 > 1 -- ours}` has",
        ),
        ("  c: flags # 4 = 0", "SELECT 1 WHERE ${c}", "6:12", "`# 4 = 0` is not part of `c`"),
        (
            "  c: 2 > 1\u{a0}OR 2 > 3",
            "SELECT 1 WHERE ${c}",
            "6:11",
            "the value of `${c}` has a no-break space",
        ),
    ] {
        place.put("pipeline.yaml", with_vars(vars, sql));
        let said = place.ssp_run(&["validate"]).expect(2);
        said.says(&format!("pipeline.yaml:{at}: ")).says(hidden);
    }
    for (vars, sql) in [
        ("  q: |\n    SELECT 1 -- all\n    WHERE 2 > 1", "'${q}'"),
        ("  c: 2 > 1 -- ours", "SELECT 1 WHERE ${c}"),
        ("  c: >\n    2 > 1\n    AND 3 > 2", "SELECT 1 -- WHERE ${c}"),
        ("  c: >\n    2 > 1\n    -- ours", "SELECT 1 WHERE ${c}"),
        ("  c: 2 > 1 -- ours", "\"SELECT 1 WHERE ${c}\\nAND 3 > 2\""),
        ("  c: 2 > 1 # AND 3 > 2", "SELECT 1 WHERE ${c}"),
        ("  c: -- ours", "SELECT '${c} AND 2 > 1'"),
    ] {
        place.put("pipeline.yaml", with_vars(vars, sql));
        place.ssp_run(&["validate"]).expect(0);
    }
}

#[test]
fn a_value_of_the_environment_cannot_hide_a_part_of_a_query_and_is_not_shown() {
    let mut place = Place::empty();
    place.put("pipeline.yaml", with_vars("  c: ${env:C}", "SELECT 1 WHERE ${c} AND '${env:KEY}' <> ''"));
    place.environment.insert("KEY".to_owned(), "Zq7Secret".to_owned());
    for (value, code) in [("2 > 1 -- x", 2), ("2 > 1 /* x */", 0), ("'--' <> ''", 0), ("2 > 1 -- x\n", 0)] {
        place.environment.insert("C".to_owned(), value.to_owned());
        let said = place.ssp_run(&["validate"]).expect(code).does_not_say("Zq7Secret");
        if code == 2 {
            said.says(
                "the value of `${env:C}` has a comment, which hides the rest: `AND '${env:KEY}' <> ''`",
            );
        }
    }
}

#[test]
fn a_hook_and_a_condition_do_what_they_seem_to() {
    let place = Place::empty();
    let hook = |text: &str| PLAIN.replace("stages:", &format!("hooks: {text}\nstages:"));
    for (text, said) in [
        (
            "\n  on_success: >\n    echo hi # say\n    ; touch DONE",
            "8:13: YAML joins the lines of `on_success`",
        ),
        ("\n  on_success: echo\u{a0}hi", "`on_success` has a no-break space"),
        ("\n  on_success: [psql, 'host=h password=hunter2']", "a password does not belong in this file"),
        ("\n  on_failure: PGPASSWORD=hunter2 psql -l", "a password does not belong in this file"),
    ] {
        place.put("pipeline.yaml", hook(text));
        place.ssp_run(&["validate"]).expect(2).says(said).does_not_say("hunter2");
    }
    for text in [
        "\n  on_success: |\n    echo hi # say\n    touch DONE",
        "\n  on_success: >\n    echo 'a # b' a#b $#\n    ; touch DONE",
        "\n  on_success: psql \"host=h password=$PW\"",
        "\n  on_success: PGPASSWORD=$(cat secret) psql -l",
        "\n  on_success: [sh, -c, \"echo a\\necho b\"]",
    ] {
        place.put("pipeline.yaml", hook(text));
        place.ssp_run(&["validate"]).expect(0);
    }
    let extract = |condition: &str| {
        format!(
            "version: 1\nname: n\nout_dir: out\nbutler: {{repo: r}}\nstages:\n  e:\n    extract:\n      dataset_type: t\n      collection: c\n      \
             where: {condition}\n    out: e\n"
        )
    };
    for (condition, said) in [
        ("visit > 1 -- ours", "10:24: `where`: a condition has no comments: remove it"),
        (
            "|\n        visit > 1\n        /* ours */ AND visit < 3",
            "12:9: `where`: a condition has no comments",
        ),
        ("band = ‘r’", "10:21: `where`: this is a typographic quote (`‘`, U+2018): write `'`"),
        ("visit ≥ 1", "a greater-or-equal sign (`≥`, U+2265): write `>=`"),
        ("visit > 1;", "`;` has no meaning here: remove it"),
        ("''", "`where`: expected"),
    ] {
        place.put("pipeline.yaml", extract(condition));
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
    place.put("pipeline.yaml", extract("visit > 1 AND band IN ('g', 'r') # ours"));
    place
        .ssp_run(&["validate"])
        .expect(2)
        .says("`pipeline.yaml` has 1 mistake")
        .says("no Butler repository `r`");
}

#[test]
fn a_name_has_no_blanks_at_its_ends_and_no_line_breaks() {
    let mut place = Place::empty();
    for (from, to, said) in [
        ("out: a", "out: |\n      a.parquet", "11:7: `out` has a line break (U+000A): remove it"),
        ("out_dir: out", "out_dir: |\n  out", "`out_dir` has a line break"),
        ("out: a", "out: 'a.parquet '", "`out` has a space at its end (U+0020): remove it"),
        ("out: a", "out: ' a.parquet'", "`out` has a space at its beginning"),
        ("out: a", "out: \"a\\tb\"", "`out` has a tab (U+0009)"),
        ("name: nightly – all of it", "name: |\n  nightly", "`name` has a line break"),
        ("service: s", "host: \"h\\n\"", "`host` has a line break"),
        ("service: s", "dbname: 'd '", "`dbname` has a space at its end"),
        ("table: t", "table: |\n        t", "`table` has a line break"),
        ("table: t", "table: t\n      columns: [\"a\\n\"]", "`columns` has a line break"),
        ("out_dir: out", "out_dir: '${env:OD}'", "the value of `${env:OD}` has a carriage return (U+000D)"),
    ] {
        place.environment.insert("OD".to_owned(), "out\r".to_owned());
        place.put("pipeline.yaml", PLAIN.replace(from, to));
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
    for value in ["out\n", "out\u{a0}", " out"] {
        place.environment.insert("OD".to_owned(), value.to_owned());
        place.ssp_run(&["validate"]).expect(2).says("3:11: the value of `${env:OD}` has ");
    }
    place.put("pipeline.yaml", PLAIN.replace("service: s", "dsn: \"host=h\\n port=1\\n\""));
    place.ssp_run(&["validate"]).expect(0);

    for (out, said) in [
        ("o.parquet ", "the name \"o.parquet \" of a file or folder to make has a space at its end"),
        ("o.parquet\n", "the name \"o.parquet\\n\" of a file or folder to make has a line break"),
    ] {
        place.run("fast-export", &["--sql", "SELECT 1", "--out", out]).expect(2).says(said);
    }
    place.put("e.yaml", "- sql: SELECT 1\n  out: |\n    o.parquet\n");
    place.run("fast-export", &["--config", "e.yaml"]).expect(2).says("`out` has a line break");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 3, "only home and what the test has written");
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
        ("min_rows: 1", "min_rows: 010", "the number 010; write 10, without a leading zero"),
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
        ("timeout: 2h", "compression: GZIP", "(did you mean `gzip`?)"),
        ("min_rows: 1", "not_null: id", "`not_null` must be a list, not the text `id`; write [id]"),
        ("out: a", "out: a\n    needs: b", "`needs` must be a list, not the text `b`; write [b]"),
        ("max_shrink: 10%", "min_match: 50", "`50` has no percent sign: write 50%"),
        ("max_shrink: 10%", "min_match: 50 %", "`50 %` has a blank: write 50%"),
        ("max_shrink: 10%", "min_match: {at_least: 90}", "`90` has no percent sign: write 90%"),
        ("min_rows: 1,", "min_rows: 1,000,", "write a number without commas: 1000, not 1,000"),
        (
            "      table: t",
            "    table: t",
            "unknown key `table`; it belongs below `export`: indent it further",
        ),
        (
            "table: t",
            "table: ${HOME}",
            "`HOME` is not in `vars`; for the environment variable `HOME` write `${env:HOME}`",
        ),
        ("table: t", "table: ${ENV:X}", "for the environment variable `X` write `${env:X}`"),
        ("table: t", "table: ${env.X}", "for the environment variable `X` write `${env:X}`"),
        (
            "service: s",
            "dsn: 'host=h password=${env:HOME}'",
            "put the whole string in an environment variable (`dsn: ${env:NAME}`)",
        ),
        ("stages:", "---\nstages:", "the file has more than one document: remove the line `---`"),
        (
            "min_rows: 1",
            "min_rows: '${n}'",
            "`min_rows` must be a whole number, not the text `abc` (`${n}` is `abc`)",
        ),
        (
            "timeout: 2h",
            "timeout: '${n}'",
            "`abc` is not a period of time: write numbers with units, such as 90s, 20h or 1h30m (`${n}` is `abc`)",
        ),
        (
            "connections: 4",
            "connections: '${env:HOME}'",
            "`connections` must be a whole number, not the value of `${env:HOME}`",
        ),
        ("timeout: 2h", "timeout: '${env:HOME}'", "`${env:HOME}` is not a period of time"),
        ("table: t", "sql: ''", "`sql` is empty"),
        ("table: t", "sql: DELETE FROM t", "`DELETE` is not a query"),
        ("table: t", "table: t\n      watermark: SELECT 'x", "a string that begins in line 1 is not closed"),
    ] {
        place.put("pipeline.yaml", PLAIN.replace(from, to) + "vars: {n: abc}\n");
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
    for (setting, said) in
        [("yes", "not the text `yes`; write true\n"), ("'yes'", "; write true, without quotes\n")]
    {
        let stage =
            format!("  e: {{extract: {{dataset_type: t, collection: c, find_first: {setting}}}, out: e}}\n");
        place.put("pipeline.yaml", format!("{PLAIN}{stage}"));
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
}

#[test]
fn the_long_forms_of_checks_and_their_limits_have_good_mistakes() {
    let place = Place::empty();
    for (from, to, said) in [
        ("min_rows: 1", "min_rows: {at_least: one}", "`at_least` must be a whole number, not the text `one`"),
        ("min_rows: 1", "min_rows: {atleast: 1}", "unknown key `atleast` (did you mean `at_least`?)"),
        ("min_rows: 1", "min_rows: {severity: warn}", "`min_rows` lacks the key `at_least`"),
        ("min_rows: 1", "min_rows: {at_least: 1, severity: warm}", "(did you mean `warn`?)"),
        ("max_shrink: 10%", "max_shrink: {at_most: 10}", "`10` has no percent sign: write 10%"),
        ("max_shrink: 10%", "max_growth: 150", "`150` has no percent sign: write 150%"),
        ("max_shrink: 10%", "max_growth: -1%", "`-1%` is not a percentage, such as 20% or 150%"),
        (
            "max_shrink: 10%",
            "max_lag: {column: t, at_most: 36}",
            "`36` has no unit: write 36s, 36m, 36h or 36d",
        ),
        ("max_shrink: 10%", "max_lag: {at_most: 36h}", "`max_lag` lacks the key `column`"),
        (
            "max_shrink: 10%",
            "range: {h: [40, -5]}",
            "11:38: the range of `h` has its limits the wrong way round: write [-5, 40]",
        ),
        ("max_shrink: 10%", "range: {h: {between: [1, 0.5]}}", "write [0.5, 1]"),
        ("max_shrink: 10%", "range: {h: [5]}", "`h` must have 2 items, not 1"),
        (
            "max_shrink: 10%",
            "range: {h: 5}",
            "`h` must be a list, not the number 5; write [null, 5] or [5, null]",
        ),
        ("max_shrink: 10%", "range: {h: [low, 5]}", "`low` is not a number, such as 40 or -0.5"),
        ("max_shrink: 10%", "range: {h: [null, null]}", "the range of `h` has no limit"),
        ("max_shrink: 10%", "range: {h: [0, 18446744073709551616]}", "put the number in quotes"),
        ("max_shrink: 10%", "range: [0, 5]", "`range` must be a mapping"),
        (
            "max_shrink: 10%",
            "not_null: {columns: id}",
            "`columns` must be a list, not the text `id`; write [id]",
        ),
    ] {
        place.put("pipeline.yaml", PLAIN.replace(from, to));
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
}
