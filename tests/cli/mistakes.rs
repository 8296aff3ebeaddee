//! Every broken pipeline file is refused as a whole, with all its mistakes, before anything runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::said::Streams;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn run(arguments: &[&str]) -> Streams {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    command.current_dir(ROOT).env_clear().args(arguments).output().unwrap().into()
}

#[test]
fn every_broken_pipeline_file_is_refused_with_its_lines() {
    let folder = Path::new(ROOT).join("fixtures/pipelines/bad");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    files.sort();
    assert!(files.len() >= 20);
    for file in files {
        let Streams { code, stdout, stderr } = run(&[&format!("fixtures/pipelines/bad/{file}")]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{file}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{file}: {stderr}");
        assert!(!folder.join("data").exists(), "{file} wrote something");
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(file.trim_end_matches(".yaml"), stderr);
        });
    }
}

/// One pass reports all: what YAML, the types, the queries, the kinds, the references and the graph refuse.
#[test]
fn mistakes_of_every_sort_are_reported_at_once_with_line_and_column() {
    let text = run(&["validate", "fixtures/pipelines/bad/50_sorts.yaml"]).stderr;
    let expected = [
        ("1:10", "`version` must be 1, not 2"),
        ("4:1", "unknown key `retries`"),
        ("6:39", "`connections` must be a whole number"),
        ("6:54", "`max_age`: `20` has no unit"),
        ("11:19", "`sql`: `drop` is not a query"),
        ("11:33", "unknown key `colums` (did you mean `columns`?)"),
        ("13:3", "`Orbits` is not a stage's name"),
        ("14:52", "`decimal(99)` is not a type"),
        ("17:19", "variable `stn` is not in `vars`"),
        ("17:74", "`watermark`: there is more than one statement"),
        ("18:10", "stages `obs_sbn` and `names` have the same output"),
        ("20:27", "`collection` is empty"),
        ("20:45", "`where`: expected a whole number or a quoted text"),
        ("20:64", "`obs_sbm` is not a stage (did you mean `obs_sbn`?)"),
        ("21:10", "must be the name of a file below `out_dir`"),
        ("22:12", "`orbits` is not a stage"),
        ("27:25", "`clip_sigma` is -1, and must be"),
        ("27:41", "`g12_bounds` is 1,0, and must be"),
        ("28:14", "`earth` must be `secular` or `osculating`"),
        ("30:14", "`timeout`: `5` has no unit"),
        ("31:26", "`max_shrink`: `0.1` has no percent sign"),
        ("32:3", "stages need each other in a circle"),
        ("38:3", "stage `nothing` needs one of"),
    ];
    for (place, message) in expected {
        let found =
            text.lines().any(|line| line.contains(&format!(".yaml:{place}: ")) && line.contains(message));
        assert!(found, "{place}: {message} is not in\n{text}");
    }
    assert!(text.contains(&format!("has {} mistakes", expected.len())), "{text}");
}
