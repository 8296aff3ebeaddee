//! Who may use whom: the folders of `src/` are layers, and an import that goes against them fails here. One of them,
//! [`CRATE`], is a crate of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and what it may use, from the bottom. An arrow that is not used fails a test. All may use [`FOR_ALL`].
const LAYERS: &[(&str, &[&str])] = &[
    ("characters", &[]),
    ("digest", &[]),
    ("dsn", &[]),
    ("environment", &[]),
    ("key", &["digest"]),
    ("lines", &[]),
    ("lookup", &[]),
    ("margin", &[]),
    ("monitor", &[]),
    ("obssubid", &[]),
    ("quantity", &[]),
    ("regular", &[]),
    ("spelling", &[]),
    // Passwords are hidden in every text, whatever else is.
    ("secrets", &["dsn"]),
    ("errors", &["secrets"]),
    ("database_state", &[]),
    ("threads", &[]),
    (CRATE, &[]),
    ("schema", &[]),
    ("durable", &["digest", "characters"]),
    ("store", &["environment", "durable", "digest"]),
    ("parquet", &["durable", "store", "threads"]),
    ("postgres", &["environment", "database_state", "schema", "digest", "threads", "characters", "dsn"]),
    // A registry may be in PostgreSQL: connections follow libpq's rules there too.
    ("butler", &["environment", "parquet", "postgres", "store", "threads", "characters", "obssubid"]),
    ("tables", &["parquet", "digest", "characters"]),
    ("ssobject", &["schema", "science", "tables", "lookup"]),
    ("sssource", &["schema", "science", "durable", "parquet", "tables", "lookup", "obssubid"]),
    (
        "stages",
        &[
            "environment",
            "schema",
            "postgres",
            "butler",
            "store",
            "parquet",
            "science",
            "tables",
            "ssobject",
            "sssource",
            "durable",
            "digest",
            "threads",
            "lookup",
            "margin",
            "quantity",
            "database_state",
        ],
    ),
    // The words of the file that belong to others.
    (
        "pipeline",
        &[
            "stages",
            "postgres",
            "butler",
            "parquet",
            "durable",
            "characters",
            "dsn",
            "schema",
            "secrets",
            "key",
            "quantity",
        ],
    ),
    ("plan", &["pipeline", "digest", "database_state", "key", "lines", "margin", "secrets"]),
    (
        "run",
        &[
            "plan",
            "stages",
            "pipeline",
            "environment",
            "database_state",
            "digest",
            "durable",
            "schema",
            "threads",
            "key",
            "margin",
            "quantity",
        ],
    ),
    // The demo's server writes its log and its settings.
    ("throwaway", &["environment", "postgres", "durable"]),
    (
        "cli",
        &[
            "run",
            "plan",
            "stages",
            "pipeline",
            "postgres",
            "butler",
            "parquet",
            "tables",
            "ssobject",
            "sssource",
            "science",
            "environment",
            "durable",
            "threads",
            "quantity",
            "dsn",
            "margin",
            "throwaway",
            "lines",
            "schema",
            "characters",
        ],
    ),
    ("bin", &["cli"]),
];

/// The layer that is a crate: there, `crate::` is the folder itself; the others name it as `crate::science`.
const CRATE: &str = "science";

/// What errors mean and say, which files are read, progress and stopping.
const FOR_ALL: [&str; 4] = ["errors", "monitor", "regular", "spelling"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The layer of a file, by its path below `src`.
fn layer_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The code of a file, without comments and unit tests.
fn code(path: &str, text: &str) -> String {
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return String::new();
    }
    let lines = text.split("\nmod tests {").next().unwrap().lines();
    lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The layers that the code of a layer names: after `crate::`, in binaries and in [`CRATE`] after `ssp::`, also within
/// braces.
fn used(code: &str, layer: &str) -> BTreeSet<String> {
    let crate_name = if ["bin", CRATE].contains(&layer) { "ssp" } else { "crate" };
    let prefix = format!("{crate_name}::");
    let mut modules = BTreeSet::new();
    for (start, _) in code.match_indices(&prefix) {
        let whole_word = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let rest = &code[start + prefix.len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split_once('}').map_or("", |(group, _)| group).split(',').collect(),
            None => vec![rest],
        };
        if whole_word {
            for name in names {
                modules
                    .insert(name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    modules
}

fn violations(sources: &BTreeMap<String, String>) -> Vec<String> {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut found = Vec::new();
    for (path, text) in sources {
        let layer = layer_of(path);
        let Some(allowed) = layers.get(layer) else {
            found.push(format!("{path}: `{layer}` is not a layer; add it to tests/layers.rs"));
            continue;
        };
        for module in used(&code(path, text), layer) {
            if layers.contains_key(module.as_str())
                && module != layer
                && !FOR_ALL.contains(&module.as_str())
                && !allowed.contains(&&*module)
            {
                found.push(format!("{path}: `{layer}` must not use `{module}`"));
            }
        }
    }
    found
}

/// The text of every source file but the crate's page, by its path below `src`.
fn sources() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.retain(|path| *path != src.join("lib.rs"));
    let name = |path: &Path| path.strip_prefix(&src).unwrap().display().to_string();
    files.into_iter().map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn no_layer_uses_one_that_it_must_not() {
    let found = violations(&sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Its dependencies read no files and start no threads.
#[test]
fn science_depends_on_nothing_that_works() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(CRATE).join("Cargo.toml");
    let text = fs::read_to_string(path).unwrap();
    let table = text.split("[dependencies]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = table.lines().map(|line| line.split(['.', ' ']).next().unwrap()).collect();
    assert_eq!(names, ["schemars", "serde", "thiserror"]);
}

/// A kind of stage is one file: what reads, plans and runs stages knows their kinds from `stages::KINDS` alone.
#[test]
fn pipeline_plan_and_run_name_no_kind() {
    let names: Vec<String> = ssp::stages::KINDS.iter().map(|kind| format!("\"{}\"", kind.name)).collect();
    assert!(names.len() >= 3, "{names:?}");
    for (path, text) in &sources() {
        if ["pipeline", "plan", "run", "cli"].contains(&layer_of(path)) {
            let code = code(path, text);
            let found = names.iter().find(|name| code.contains(name.as_str()));
            assert_eq!(found, None, "{path} names a kind of stage");
        }
    }
}

#[test]
fn every_arrow_is_used() {
    let mut used_by: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in &sources() {
        let layer = layer_of(path);
        used_by.entry(layer.to_owned()).or_default().extend(used(&code(path, text), layer));
    }
    let unused = |(layer, allowed): &(&str, &[&'static str])| {
        let used = used_by.get(*layer).cloned().unwrap_or_default();
        let unused: Vec<&str> = allowed.iter().copied().filter(|name| !used.contains(*name)).collect();
        (!unused.is_empty()).then(|| format!("`{layer}` does not use {}", unused.join(", ")))
    };
    let found: Vec<String> = LAYERS.iter().filter_map(unused).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What makes, replaces or removes a name on disk; clippy knows `File::create`.
const WRITING_CALLS: [&str; 12] = [
    "File::options",
    "OpenOptions",
    "fs::write",
    "fs::rename",
    "fs::copy",
    "fs::hard_link",
    "unix::fs::symlink",
    "create_dir",
    "remove_file",
    "remove_dir",
    ".persist(",
    "generate_to",
];

/// The lines of code with one of the calls, outside some folders and tests.
fn calling(sources: &BTreeMap<String, String>, calls: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| !allowed.iter().any(|name| path.starts_with(name)))
    {
        let code = code(path, text);
        let lines = code.lines().filter(|line| calls.iter().any(|call| line.contains(call)));
        found.extend(lines.map(|line| format!("{path}: {}", line.trim())));
    }
    found
}

fn writing_calls(sources: &BTreeMap<String, String>) -> Vec<String> {
    calling(sources, &WRITING_CALLS, &["durable/"])
}

/// What opens a file to read it, as a whole or in parts.
const READING_CALLS: [&str; 3] = ["File::open(", "fs::read(", "fs::read_to_string("];
/// Where that is right: folders; the database of another program; what may be a pipe, read before signals are deferred;
/// the kernel's own files.
const MAY_READ: [&str; 6] = [
    "regular.rs",
    "durable/folder.rs",
    "butler/database/",
    "throwaway.rs",
    "cli/words.rs",
    "stages/memory.rs",
];

/// A FIFO blocks the program that opens it, and no signal ends that.
#[test]
fn only_regular_files_are_read() {
    let mut found = calling(&sources(), &READING_CALLS, &MAY_READ);
    // The kernel's own files never block.
    found.retain(|line| !line.contains("(\"/proc/"));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// One function decides what may be replaced: code that writes past `durable` writes past that.
#[test]
fn only_durable_writes_files() {
    let found = writing_calls(&sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_call_that_writes_is_found() {
    let sources = BTreeMap::from([
        ("durable/mod.rs".to_owned(), "fs::rename(a, b)".to_owned()),
        ("run/x.rs".to_owned(), "// fs::write\nfs::remove_file(a);\nmod tests {\nfs::write(a, b)".to_owned()),
        ("run/tests.rs".to_owned(), "fs::write(a, b)".to_owned()),
        ("run/y.rs".to_owned(), "fn f() {}\nmod tests {\nfs::write(a, b)".to_owned()),
    ]);
    assert_eq!(writing_calls(&sources), ["run/x.rs: fs::remove_file(a);"]);
}

#[test]
fn a_forbidden_import_is_found() {
    let sources = BTreeMap::from([
        (
            "science/fit.rs".to_owned(),
            "use crate::schema::fit;\nuse ssp::parquet::read;\n// use ssp::run\nuse std::fmt;".to_owned(),
        ),
        ("plan/key.rs".to_owned(), "use crate::{digest::Digest, run::Lock};".to_owned()),
        ("durable/mod.rs".to_owned(), "fn f() { crate::digest::x(); crate::errors::chain(e) }".to_owned()),
        ("bin/x.rs".to_owned(), "use ssp::run::execute;".to_owned()),
        ("new/x.rs".to_owned(), String::new()),
    ]);
    assert_eq!(
        violations(&sources),
        [
            "bin/x.rs: `bin` must not use `run`",
            "new/x.rs: `new` is not a layer; add it to tests/layers.rs",
            "plan/key.rs: `plan` must not use `run`",
            "science/fit.rs: `science` must not use `parquet`",
        ]
    );
}

/// No cycles: each layer uses only layers that are listed before it.
#[test]
fn the_layers_are_in_order() {
    for (index, (layer, allowed)) in LAYERS.iter().enumerate() {
        for used in *allowed {
            assert!(
                LAYERS[..index].iter().any(|(earlier, _)| earlier == used),
                "`{layer}` uses `{used}`, listed after it"
            );
        }
    }
}

/// The file of each module: `a/b.rs`, `a/mod.rs` and the `a/lib.rs` of a crate by `a::b` and `a`.
fn modules(sources: &BTreeMap<String, String>) -> BTreeMap<Vec<&str>, &str> {
    fn names(path: &str) -> Vec<&str> {
        path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib").split('/').collect()
    }
    sources.keys().map(|path| (names(path), path.as_str())).collect()
}

/// The paths that a text names after `crate::` or `super::`, also within braces: how many `super`, and the names.
fn paths(code: &str) -> Vec<(Option<usize>, Vec<&str>)> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut rest = &code[at..];
            let mut supers = 0;
            while let Some(inner) = rest.strip_prefix("super::") {
                (rest, supers) = (inner, supers + 1);
            }
            let supers = (start == "super::").then_some(supers);
            rest = rest.strip_prefix("crate::").unwrap_or(rest);
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            let before: Vec<&str> = rest[..end].split("::").filter(|name| !name.is_empty()).collect();
            let group = rest[end..].strip_prefix('{').map_or("", |group| group.split('}').next().unwrap());
            found.push((supers, before.clone()));
            for item in group.split([',', '{']) {
                let names = item.trim().split("::").map(|name| name.split(' ').next().unwrap());
                found.push((supers, before.iter().copied().chain(names).collect()));
            }
        }
    }
    found
}

/// The files that each file uses, but for those that a file uses below itself: it only hands their names on.
fn arrows(sources: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let modules = modules(sources);
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, path) in &modules {
        let code = code(path, &sources[*path]);
        for (supers, names) in paths(&code) {
            let root = usize::from(module[0] == CRATE);
            let base = supers.map_or(root, |supers| module.len().saturating_sub(supers));
            let full: Vec<&str> = module[..base].iter().copied().chain(names).collect();
            let known = (1..=full.len()).rev().find_map(|length| modules.get_key_value(&full[..length]));
            if let Some((_, file)) = known.filter(|(other, _)| !other.starts_with(module)) {
                arrows.entry(path).or_default().insert(file);
            }
        }
    }
    arrows
}

/// A circle of files that use each other, if there is one.
fn circle<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    fn visit<'a>(
        file: &'a str,
        arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        open: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = open.iter().position(|before| *before == file) {
            return Some(open[start..].to_vec());
        }
        if done.contains(file) {
            return None;
        }
        open.push(file);
        let found = arrows.get(file).into_iter().flatten().find_map(|next| visit(next, arrows, open, done));
        open.pop();
        done.insert(file);
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|file| visit(file, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let arrows = arrows(&sources);
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 500, "{arrows:?}");
    assert_eq!(circle(&arrows), None);
}

#[test]
fn a_circle_is_found() {
    let sources = [
        ("a/mod.rs", "mod b; pub use b::B;"),
        ("a/b.rs", "use super::{A, c::{C, D}};"),
        ("a/c.rs", "use crate::e::f;"),
        ("e/mod.rs", ""),
        ("e/f.rs", "fn f() { super::super::a::b::g() }"),
    ];
    let sources = sources.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    assert_eq!(circle(&arrows(&sources)), Some(vec!["a/b.rs", "a/c.rs", "e/f.rs"]));
    let sources = [
        ("science/lib.rs", "pub mod orbit;"),
        ("science/orbit/mod.rs", "use crate::vector::Vector;"),
        ("science/vector.rs", "use crate::orbit;"),
        ("vector/mod.rs", "use crate::science::orbit;"),
    ];
    let sources = sources.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    assert_eq!(circle(&arrows(&sources)), Some(vec!["science/orbit/mod.rs", "science/vector.rs"]));
}
