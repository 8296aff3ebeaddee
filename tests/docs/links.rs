//! Links between the pages, and to files of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::page::{Page, pages, root};

#[test]
fn every_relative_link_leads_somewhere() {
    let pages = pages();
    let anchors: BTreeMap<PathBuf, BTreeSet<String>> =
        pages.iter().map(|page| (page.path.canonicalize().unwrap(), page.anchors())).collect();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for page in &pages {
        for (line, target) in page.links() {
            if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.path.parent().unwrap();
            let file = if path.is_empty() { page.path.clone() } else { folder.join(path) };
            let there = file.canonicalize().ok();
            let known = there.as_ref().and_then(|file| anchors.get(file));
            if there.is_none() || !anchor.is_empty() && !known.is_some_and(|names| names.contains(anchor)) {
                wrong.push(format!("{}:{line}: {target}", page.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn the_index_has_every_page() {
    let pages = pages();
    let index = pages.iter().find(|page| page.name() == "docs/README.md").expect("docs/README.md");
    let linked: BTreeSet<String> = index.links().into_iter().map(|(_, target)| target).collect();
    let missing: Vec<String> = pages
        .iter()
        .map(Page::name)
        .filter_map(|name| name.strip_prefix("docs/").map(str::to_owned))
        .filter(|name| name != "README.md" && !linked.contains(name))
        .collect();
    assert!(missing.is_empty(), "docs/README.md has no link to {missing:?}");
}

#[test]
fn the_claims_of_the_threat_model_name_tests_that_are_there() {
    let mut sources = String::new();
    let mut folders = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let prose = Page::named("SECURITY.md").prose();
    let cited = prose.split('`').skip(1).step_by(2);
    let is_name =
        |name: &&str| name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let names: BTreeSet<&str> = cited.filter(is_name).collect();
    for name in &names {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "SECURITY.md names a test `{name}`, which is not there"
        );
    }
    assert!(names.len() >= 10, "only {names:?} are named");
}
