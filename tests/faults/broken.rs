//! Broken pipeline files, made from the good one: each is refused with line and column, before anything runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::site::put;

/// Files that are broken, with what was done to them: each line in turn gets something that its kind of line must not
/// have.
fn broken(good: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = good.lines().collect();
    let mut made = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let content = line.split(" #").next().unwrap_or_default().trim_end();
        if content.trim().is_empty() || content.trim_start().starts_with('#') {
            continue;
        }
        let mut with = |what: &str, new: &[String]| {
            let text: Vec<&str> = lines[..number]
                .iter()
                .copied()
                .chain(new.iter().map(String::as_str))
                .chain(lines[number + 1..].iter().copied())
                .collect();
            made.push((format!("line {}: {what}", number + 1), text.join("\n") + "\n"));
        };
        let indent = &content[..content.len() - content.trim_start().len()];
        with("a tab", &[format!("\t{content}")]);
        with("twice", &[content.to_owned(), content.to_owned()]);
        with("an open quote", &[format!("{content} \"")]);
        with("an unknown key beside it", &[content.to_owned(), format!("{indent}kex: 1")]);
        if let Some((key, value)) = content.split_once(':') {
            with("a list instead", &[format!("{key}: [[1], {{a: 2}}]")]);
            with("an unknown variable", &[format!("{key}: ${{nowhere}}")]);
            with("an open bracket", &[format!("{key}:{value} [")]);
        }
    }
    made
}

#[test]
fn every_broken_pipeline_file_is_refused_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let good = fs::read_to_string(root.join("pipelines/demo.yaml")).unwrap();
    let file = folder.path().join("pipeline.yaml");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.env_clear().current_dir(folder.path()).args(arguments);
        command.env("BUTLER_REPO", root.join("fixtures/survey/butler"));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    put(&file, good.as_bytes());
    assert_eq!(run(&["validate", "pipeline.yaml"]).0, Some(0));

    let mut refused = 0;
    for (what, text) in broken(&good) {
        put(&file, text.as_bytes());
        let (code, said) = run(&["pipeline.yaml"]);
        assert!(!said.contains("panicked"), "{what}: {said}");
        // Some are another good pipeline, such as one whose name is a text with a bracket: those would run, and find no
        // database here.
        if code == Some(4) {
            continue;
        }
        assert_eq!(code, Some(2), "{what}: {said}\n{text}");
        let place =
            said.split("pipeline.yaml:").nth(1).unwrap_or_else(|| panic!("{what}: no place in {said}"));
        let mut numbers = place.splitn(3, ':').map(str::parse::<u32>);
        assert!(matches!((numbers.next(), numbers.next()), (Some(Ok(1..)), Some(Ok(1..)))), "{what}: {said}");
        assert!(!folder.path().join("data").exists(), "{what}: something was written");
        refused += 1;
    }
    assert!(refused >= 150, "only {refused} broken files");
}
