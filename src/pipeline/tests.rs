//! Whole files, good and bad, read as text; the keys of their stages.

use std::fs;

use super::*;
use crate::key::{Aspect, Key};

const DAILY: &str = include_str!("../../pipelines/daily.yaml");

fn read_text(text: &str) -> Reading {
    let environment = |name: &str| (name == "HOME").then(|| "/home/me".into());
    read(Path::new("pipelines/p.yaml"), text, &BTreeMap::new(), &environment)
}

/// The query of an export.
fn sql(stage: &Stage) -> Option<&str> {
    stage.parameters.value(Aspect::Sql, "sql")
}

fn mistakes(text: &str) -> String {
    let reading = read_text(text);
    Mistakes::new(Path::new("p.yaml"), text, reading.mistakes).to_string()
}

#[test]
fn the_shipped_pipeline_is_right() {
    let reading = read_text(DAILY);
    assert_eq!(reading.mistakes, []);
    let pipeline = reading.pipeline.unwrap();
    let names: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "obs_sbn",
            "mpc_orbits",
            "current_identifications",
            "numbered_identifications",
            "dia_sources",
            "sssource",
            "ssobject"
        ]
    );
    assert_eq!(sql(&pipeline.stages[0]), Some("SELECT * FROM obs_sbn WHERE stn = 'X05'"));
    assert_eq!(pipeline.stages[5].upstream().count(), 5);
    assert_eq!(pipeline.stages[6].upstream().count(), 3);
    assert_eq!(pipeline.stages[6].out.as_deref(), Some(Path::new("pipelines/../data/ssobject.parquet")));
}

#[test]
fn a_mistake_never_shows_a_password_of_the_environment_or_the_file() {
    const HEAD: &str = "version: 1\nname: n\nout_dir: d\n";
    let dsn = "postgresql://me:hunter2@there/db";
    let environment = |name: &str| (name == "DSN").then(|| dsn.into());
    for text in [
        "database: ${env:DSN}\n",
        "database: {service: s, port: '${env:DSN}'}\n",
        "database: {service: s, sslmode: '${env:DSN}'}\n",
        "database: {service: s, max_age: '${env:DSN}'}\n",
        "database: {service: s, dsn: postgresql://me:hunter2@there/db}\n",
        "database: {service: s, dsn: 'postgresql://me:hun/hunter2@there/db}\n",
        "database: {service: s, dsn: host=h password=hunter2, conections: 1}\n",
        "database: postgresql://me:hunter2@there/db\n",
    ] {
        let text = format!("{HEAD}{text}stages: {{a: {{export: {{table: t}}, out: a}}}}\n");
        let reading = read(Path::new("p.yaml"), &text, &BTreeMap::new(), &environment);
        let said = Mistakes::new(Path::new("p.yaml"), &text, reading.mistakes).to_string();
        assert!(said.contains("p.yaml:") && !said.contains("hunter2"), "{text}: {said}");
    }
}

#[test]
fn the_line_of_a_mistake_is_shown_whatever_ends_lines() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["version: 1", "name: n", "out_dri: d", "stages: {}", ""].join(end);
        let said = mistakes(&text);
        assert!(said.contains("p.yaml:3:1: unknown key `out_dri`"), "{end:?}: {said}");
        assert!(said.contains("\n  3 | out_dri: d\n    | ^"), "{end:?}: {said}");
    }
}

/// Names of columns, stages and tables that are also keys of the file.
#[test]
fn a_name_that_the_user_chooses_is_no_key() {
    const HEAD: &str = "version: 1\nname: n\nout_dir: d\ndatabase: {service: s}\nstages:\n  ";
    let reading = read_text(&format!(
        "{HEAD}sql: {{export: {{table: t, types: {{sql: text, where: uuid, computed: text}}}}, out: a.parquet}}\n  \
         to: {{deliver: {{tables: {{where: sql, dsn: sql, to: sql}}, to: 'd/${{run}}'}}}}\n"
    ));
    assert_eq!(reading.mistakes, []);
    let parameters = &reading.pipeline.unwrap().stages[0].parameters;
    assert_eq!(parameters.value(Aspect::Params, "types.sql"), Some("text"));
    for stage in ["vars", "computed", "types"] {
        let said = mistakes(&format!("{HEAD}{stage}: {{export: {{sql: DROP x}}, out: a.parquet}}\n"));
        assert!(said.contains("`sql`"), "{stage}: {said}");
    }
}

#[test]
fn every_mistake_of_a_file_is_reported_at_once() {
    let text = mistakes(
        "version: 2
name: bad
out_dir: ${env:NOWHERE}
vars: {a: 1}
database: {service: s, password: hunter2, connections: many}
stages:
  One:
    export: {sql: 'SELECT ${b}', tabel: t}
    out: one.parquet
    checks: {max_shrink: 110%, min_rows: -1}
  two:
    extract: {collection: c, duplicates: kepe}
    out: ../two.parquet
    timeout: 5 minutes
",
    );
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn references_outputs_and_settings_are_checked() {
    let text = mistakes(
        "version: 1
name: bad
out_dir: data
database: {dsn: 'postgresql://me:hunter2@h/d'}
stages:
  orbits:
    export: {sql: SELECT 1, table: t, columns: [a]}
    out: a.parquet
  ids:
    export: {sql: SELECT 1, exclude: [a]}
    out: ./a.parquet
  sources:
    extract: {collection: c, filter: {ids: id, column: x}}
    out: .ssp/x.parquet
    needs: [orbit]
  objects:
    build-ssobject: {sssource: in/s.parquet, mpc_orbits: data/a.parquet}
    out: a.parquet/b.parquet
  nothing:
    out: n.parquet
  much:
    export: {table: t}
    extract: {collection: c}
    out: m.parquet
",
    );
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_variable_may_stand_for_a_number() {
    let text = "version: 1\nname: n\nout_dir: data\nvars: {n: 3, stn: '007'}\ndatabase: {service: s, connections: '${n}'}\n\
                stages: {a: {export: {sql: 'SELECT ''${stn}'' -- $${x}'}, out: a.parquet}}\n";
    let reading = read_text(text);
    assert_eq!(reading.mistakes, []);
    let pipeline = reading.pipeline.unwrap();
    assert_eq!(pipeline.sources.database.unwrap().connections, Some(3));
    assert_eq!(sql(&pipeline.stages[0]), Some("SELECT '007' -- ${x}"));
}

#[test]
fn a_number_among_the_variables_is_put_in_as_it_is_written() {
    let text = "version: 1\nname: n\nout_dir: data\ndatabase: {service: s, connections: '${n}'}\n\
                vars: {stn: 007, big: 123456789012345678901234, n: &a 3, again: *a, é: 1.10}\n\
                stages: {a: {export: {sql: 'SELECT ${stn} ${big} ${n} ${again} ${é}'}, out: a.parquet}}\n";
    let reading = read_text(text);
    assert_eq!(reading.mistakes, []);
    let pipeline = reading.pipeline.unwrap();
    assert_eq!(sql(&pipeline.stages[0]), Some("SELECT 007 123456789012345678901234 3 3 1.10"));
    assert_eq!(pipeline.sources.database.unwrap().connections, Some(3));
    // Also below a line that only YAML ends.
    let text = text.replace("name: n\n", "name: n\rroot: .\n");
    assert_eq!(
        sql(&read_text(&text).pipeline.unwrap().stages[0]),
        Some("SELECT 007 123456789012345678901234 3 3 1.10")
    );
}

#[test]
fn a_query_that_a_comma_cuts_is_told_of_quotes() {
    let text = mistakes(
        "version: 1\nname: n\nout_dir: data\ndatabase: {service: s}\nstages:\n  a:\n    export: {sql: SELECT n, x FROM t}\n    \
         out: a.parquet\n",
    );
    assert!(
        text.contains("unknown key `x FROM t`") && text.contains("a text with a comma needs quotes"),
        "{text}"
    );
}

#[test]
fn set_overrides_a_variable_that_is_there() {
    let set = |name: &str| BTreeMap::from([(name.to_owned(), "T05".to_owned())]);
    let environment = |_: &str| None;
    let right = read(Path::new("p"), DAILY, &set("station"), &environment);
    assert_eq!(sql(&right.pipeline.unwrap().stages[0]), Some("SELECT * FROM obs_sbn WHERE stn = 'T05'"));
    // The stage `sssource` is of this station too.
    let said: Vec<&str> = right.mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
    assert!(matches!(said[..], [said] if said.starts_with("`station` is `T05`: give its place in `site`")));
    let wrong = read(Path::new("p"), DAILY, &set("statoin"), &environment);
    assert!(wrong.mistakes[0].message.contains("did you mean `station`"), "{:?}", wrong.mistakes);
}

/// A key that changes makes every site build everything again. `SSP_UPDATE_KEYS=1` writes the file, for a change that is
/// meant.
#[test]
fn the_keys_of_known_pipelines_are_as_they_were() {
    const EXPECTED: &str = "fixtures/keys.json";
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut keys: BTreeMap<&str, BTreeMap<String, Key>> = BTreeMap::new();
    for name in ["pipelines/demo.yaml", "pipelines/daily.yaml", "fixtures/pipelines/good/every_option.yaml"] {
        let text = fs::read_to_string(home.join(name)).unwrap();
        let reading = read(Path::new(name), &text, &BTreeMap::new(), &|_| None);
        assert_eq!(reading.mistakes, [], "{name}");
        let pipeline = reading.pipeline.unwrap();
        let of = |stage: &Stage| (stage.name.to_string(), stage.parameters.clone());
        keys.insert(name, pipeline.stages.iter().map(of).collect());
    }
    let text = serde_json::to_string_pretty(&keys).unwrap() + "\n";
    let expected = home.join(EXPECTED);
    if std::env::var_os("SSP_UPDATE_KEYS").is_some() {
        crate::durable::write(&expected, text.as_bytes()).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&expected).unwrap(), "see {EXPECTED}");
}

/// `SSP_UPDATE_SCHEMA=1 cargo test` (`make generated`) writes the file instead.
#[test]
fn the_schema_file_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/pipeline.schema.json");
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("SSP_UPDATE_SCHEMA").is_some() {
        #[expect(clippy::disallowed_methods, reason = "a generated file of the sources, not an output")]
        fs::write(path, &text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "schemas/pipeline.schema.json is stale: run `make generated`");
}

proptest::proptest! {
    /// Whatever is cut out of a good file or put into it: no panic, and mistakes lie within the text.
    #[test]
    fn a_mangled_file_is_a_pipeline_or_has_mistakes(
        from in 0usize..DAILY.len(),
        length in 0usize..200,
        text in "[ -~\\n\\t\u{e4}\u{1f600}]{0,30}",
    ) {
        let boundary = |at: usize| (0..=at.min(DAILY.len())).rev().find(|at| DAILY.is_char_boundary(*at)).unwrap_or(0);
        let mangled = format!("{}{text}{}", &DAILY[..boundary(from)], &DAILY[boundary(from + length)..]);
        let reading = read_text(&mangled);
        let lines = mangled.lines().count() + 1;
        for mistake in &reading.mistakes {
            proptest::prop_assert!(usize::try_from(mistake.place.line).is_ok_and(|line| line <= lines), "{:?}", mistake);
        }
        proptest::prop_assert!(reading.pipeline.is_some() || !reading.mistakes.is_empty());
        let _ = Mistakes::new(Path::new("p.yaml"), &mangled, reading.mistakes).to_string();
    }
}

/// YAML's null is the word `null` where a setting has that word.
#[test]
fn a_word_null_needs_no_quotes() {
    for (written, expected) in [("null", Some("null")), ("\"null\"", Some("null")), ("error", Some("error"))]
    {
        let text = format!(
            "version: 1\nname: n\nout_dir: d\ndatabase: {{service: s}}\nstages:\n  \
             a: {{export: {{table: t, infinity: {written}}}, out: a.parquet}}\n"
        );
        let reading = read_text(&text);
        assert_eq!(reading.mistakes, []);
        let stage = &reading.pipeline.unwrap().stages[0];
        assert_eq!(stage.parameters.value(Aspect::Params, "infinity"), expected, "{written}");
    }
}
