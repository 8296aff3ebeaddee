//! Verdicts from facts, the plan as text, cycles, selections.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::*;
use crate::database_state::DatabaseState;
use crate::digest::Digest;
use crate::key::{Aspect, Key};

fn graph(stages: &str) -> Result<Graph, Vec<crate::pipeline::Mistake>> {
    let text = format!(
        "version: 1\nname: n\nout_dir: d\ndatabase: {{service: s}}\nbutler: {{repo: r}}\nstages:\n{stages}"
    );
    let reading = crate::pipeline::read(Path::new("p"), &text, &BTreeMap::new(), &|_| None);
    assert_eq!(reading.mistakes, []);
    Graph::seal(&reading.pipeline.unwrap())
}

fn key(sql: &str) -> Key {
    let mut key = Key::default();
    key.push(Aspect::Sql, "sql", sql);
    key
}

fn generation(snapshot: &str, watermark: Option<&str>) -> DatabaseState {
    DatabaseState {
        snapshot: snapshot.to_owned(),
        lsn: Some("0/10".to_owned()),
        place: [("role", "reader"), ("server", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        started: Some("06:00".to_owned()),
        query: Some("tree".to_owned()),
        watermark: watermark.map(str::to_owned),
        ..DatabaseState::default()
    }
}

fn record(key: Key, generation: Option<DatabaseState>) -> Record {
    Record {
        format: RECORD_FORMAT,
        stage: "a".into(),
        kind: "export".to_owned(),
        run: "r".to_owned(),
        finished: DateTime::<Utc>::UNIX_EPOCH,
        written_by: "r".to_owned(),
        key,
        output: Some(Output { path: "a".into(), bytes: 1, rows: 1, digest: Digest::of(b"a"), parts: None }),
        generation,
        seconds: 1.0,
        figures: serde_json::Map::new(),
        checks: Vec::new(),
        version: "0".to_owned(),
    }
}

fn reasons(facts: &Facts<'_>) -> Vec<String> {
    match decide(facts) {
        Verdict::UpToDate => Vec::new(),
        Verdict::Run { reasons } => reasons.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_fact_gives_its_reason() {
    let now = key("B");
    let old = record(key("A"), None);
    let same = record(key("B"), None);
    let facts = |record, output| Facts {
        record,
        output,
        key: &now,
        generation: None,
        must_refresh: None,
        forced: false,
        interrupted: false,
    };
    assert_eq!(reasons(&facts(None, OutputState::Missing)), ["never_run"]);
    assert_eq!(reasons(&Facts { interrupted: true, ..facts(None, OutputState::Missing) }), ["interrupted"]);
    assert_eq!(reasons(&facts(Some(&same), OutputState::AsRecorded)), Vec::<String>::new());
    assert_eq!(reasons(&Facts { forced: true, ..facts(Some(&same), OutputState::AsRecorded) }), ["forced"]);
    assert_eq!(reasons(&facts(Some(&old), OutputState::Missing)), ["output_missing", "sql_changed"]);
    let modified = OutputState::Modified { digest: Digest::of(b"b") };
    let said = reasons(&facts(Some(&same), modified));
    assert!(said[0].starts_with("output_modified: digest "), "{said:?}");
}

#[test]
fn a_database_is_unchanged_only_if_that_is_proven() {
    let now = key("A");
    let said = |then: DatabaseState, current: DatabaseState, always: bool| {
        let record = record(key("A"), Some(then));
        reasons(&Facts {
            record: Some(&record),
            output: OutputState::AsRecorded,
            key: &now,
            generation: Some(&current),
            must_refresh: always.then_some("refresh: always"),
            forced: false,
            interrupted: false,
        })
    };
    let none = Vec::<String>::new();
    assert_eq!(said(generation("1:1:", None), generation("1:1:", None), false), none);
    assert_eq!(
        said(generation("1:1:", None), generation("1:2:", None), false),
        ["data_changed: snapshot 1:1: -> 1:2:"]
    );
    assert_eq!(
        said(generation("1:1:", None), generation("1:1:", None), true),
        ["data_changed: refresh: always"]
    );
    assert_eq!(said(generation("1:1:", Some("7")), generation("1:2:", Some("7")), false), none);
    assert_eq!(
        said(generation("1:1:", Some("7")), generation("1:2:", Some("8")), false),
        ["data_changed: watermark 7 -> 8"]
    );
    let now = || generation("1:1:", None);
    let text = |text: &str| Some(text.to_owned());
    let place = |name: &str, value: &str, generation: DatabaseState| {
        let mut place = generation.place.clone();
        place.insert(name.to_owned(), value.to_owned());
        DatabaseState { place, ..generation }
    };
    for (other, reason) in [
        (place("server", "8", now()), "data_changed: server 7 -> 8"),
        (place("role", "other", now()), "data_changed: role reader -> other"),
        (place("setting TimeZone", "UTC", now()), "data_changed: setting TimeZone none -> UTC"),
        (DatabaseState { place: BTreeMap::new(), ..now() }, "data_changed: role reader -> none"),
        (DatabaseState { started: text("07:00"), ..now() }, "data_changed: server start 06:00 -> 07:00"),
        (DatabaseState { connection: text("c"), ..now() }, "data_changed: connection settings none -> c"),
        (DatabaseState { query: text("other"), ..now() }, "data_changed: query tree -> other"),
        (DatabaseState { query: None, ..now() }, "data_changed: query tree -> none"),
        (DatabaseState { lsn: text("0/F"), ..now() }, "data_changed: log position 0/10 -> 0/F"),
        (DatabaseState { lsn: None, ..now() }, "data_changed: log position 0/10 -> none"),
        (
            DatabaseState { doubt: text("a standby"), ..now() },
            "data_changed: not proven unchanged: a standby",
        ),
    ] {
        assert_eq!(said(now(), other, false), [reason]);
    }
    let doubted = DatabaseState { doubt: text("now() is stable"), ..now() };
    assert_eq!(said(doubted, now(), false), ["data_changed: not proven unchanged: now() is stable"]);
    assert_eq!(said(now(), DatabaseState { lsn: text("1/0"), ..now() }, false), none);
    // A record of an earlier version says nothing of all that.
    let old: DatabaseState = serde_json::from_str(
        r#"{"server":"s","snapshot":"1:1:","lsn":"0/1","taken":"2026-01-01T00:00:00Z"}"#,
    )
    .unwrap();
    assert_eq!(said(old, now(), false).len(), 1);
    // A watermark is the user's word: a restart and a query with a clock do not matter, another place does.
    let marked = || generation("1:1:", Some("7"));
    let later = DatabaseState { started: text("07:00"), query: None, doubt: text("d"), ..marked() };
    assert_eq!(said(marked(), DatabaseState { snapshot: "1:2:".to_owned(), ..later }, false), none);
    assert_eq!(said(marked(), place("server", "8", marked()), false), ["data_changed: server 7 -> 8"]);
    let optioned = place("session options", "c", marked());
    assert_eq!(said(marked(), optioned, false), ["data_changed: session options none -> c"]);
    let other = DatabaseState { watermark_query: text("q"), ..marked() };
    assert_eq!(said(marked(), other, false), ["data_changed: watermark query none -> q"]);
    // A server that does not tell which it is has an address.
    let silent = |address: &str| {
        let mut silent = DatabaseState { connection: text(address), ..marked() };
        silent.place.remove("server");
        silent
    };
    assert_eq!(said(silent("a"), silent("a"), false), none);
    assert_eq!(said(silent("a"), silent("b"), false), ["data_changed: connection settings a -> b"]);
}

#[test]
fn stages_come_after_what_they_need_and_else_in_the_order_of_the_file() {
    let graph = graph(
        "  d: {extract: {collection: c, filter: {ids: b, column: x}}, out: d}\n  \
           b: {export: {table: b}, out: b}\n  \
           a: {export: {table: a}, out: a}\n",
    )
    .unwrap();
    let names: Vec<&str> = graph.ids().map(|id| graph.stage(id).name.as_str()).collect();
    assert_eq!(names, ["b", "a", "d"]);
    let ids: Vec<StageId> = graph.ids().collect();
    let levels: Vec<&[StageId]> = graph.levels(&ids).collect();
    assert_eq!(levels, [&ids[..2], &ids[2..]]);
}

/// The names of the stages selected, and the line on those that the snapshot brings along; or why none are.
fn selected(graph: &Graph, stages: &[&str], only: bool, exclude: &[&str]) -> (String, Option<String>) {
    let [stages, exclude] =
        [stages, exclude].map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    match select(graph, &Choice { stages: &stages, only, exclude: &exclude }) {
        Err(error) => (error.to_string(), None),
        Ok(selection) => {
            let chosen = graph.ids().filter(|id| selection.has(*id));
            let names: Vec<&str> = chosen.map(|id| graph.stage(id).name.as_str()).collect();
            (names.join(" "), selection.brought(graph))
        }
    }
}

#[test]
fn stages_are_selected_with_what_they_need_and_with_what_needs_them() {
    let graph = graph(
        "  a: {export: {table: a}, out: a}\n  \
           b: {export: {table: b}, out: b}\n  \
           x: {extract: {collection: c}, out: x}\n  \
           d: {extract: {collection: c, filter: {ids: b, column: x}}, out: d, needs: [x]}\n  \
           e: {extract: {collection: c}, out: e, needs: [d]}\n",
    )
    .unwrap();
    let with_b = Some("with b: 1 more stage of the same snapshot, a".to_owned());
    for (stages, only, exclude, expected, brought) in [
        (&[][..], false, &[][..], "a b x d e", None),
        (&["d"], false, &[], "a b x d", with_b.clone()),
        (&["+d"], false, &[], "a b x d", with_b.clone()),
        (&["d"], true, &[], "d", None),
        (&["b"], true, &[], "a b", with_b.clone()),
        (&["x+"], true, &[], "x d e", None),
        (&["x+"], false, &[], "a b x d e", with_b),
        (&["x", "e"], true, &[], "x e", None),
        (&[], false, &["d"], "a b x e", None),
        (&[], false, &["a", "b"], "x d e", None),
        (&["d"], false, &["a", "b"], "x d", None),
    ] {
        let (names, told) = selected(&graph, stages, only, exclude);
        assert_eq!((names.as_str(), told), (expected, brought), "{stages:?} {only} {exclude:?}");
    }
    for (stages, exclude, expected) in [
        (&["aa"][..], &[][..], "the pipeline has no stage `aa` (did you mean `a`?)"),
        (&["++d"], &[], "the pipeline has no stage `+d` (did you mean `d`?)"),
        (&[], &["y"], "the pipeline has no stage `y`"),
        (&["x"], &["x"], "`x` is named by `--stage` and by `--exclude`"),
        (&["+x"], &["x"], "`x` is named by `--stage` and by `--exclude`"),
        (&["d", "x+"], &["x"], "`x` is named by `--stage` and by `--exclude`"),
        (&[], &["a", "b", "x", "d", "e"], "`--exclude` leaves no stage to run"),
        (
            &[],
            &["a"],
            "`--exclude a`: stages that read the same snapshot are published together; exclude all of them or none: a,b",
        ),
    ] {
        let (said, _) = selected(&graph, stages, false, exclude);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn two_thousand_stages_are_sealed() {
    let stages: Vec<String> = (0..2_000)
        .map(|n| {
            let needs = if n == 0 { String::new() } else { format!(", needs: [s{}, s{}]", n - 1, n / 2) };
            format!("  s{n}: {{extract: {{collection: c}}, out: s{n}{needs}}}\n")
        })
        .collect();
    let graph = graph(&stages.concat()).unwrap();
    assert_eq!(graph.len(), 2_000);
    assert_eq!(graph.upstream(graph.find("s1999").unwrap()).len(), 2);
}

#[test]
fn the_note_of_a_plan_keeps_its_indent() {
    let brought =
        format!("with a: 2 more stages of the same snapshot, {}, {}", "b".repeat(30), "c".repeat(30));
    let plan = Explanation {
        format: 1,
        pipeline: "p.yaml".to_owned(),
        stages: Vec::new(),
        snapshot: None,
        brought: Some(brought),
    };
    let text = plan.to_string();
    assert!(text.ends_with(&format!("\n  {}\n", "c".repeat(30))), "{text}");
}
