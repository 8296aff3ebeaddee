//! What the documents name is there: files that they link to, tests that they cite, flags in their commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use ssp::cli::programs::programs;

/// All files below the folders that people write, with one of these endings.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "demo"].contains(&name.as_str()) {
            files(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn documents() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(Path::new("."), &[".md"], &mut found);
    found.sort();
    assert!(found.len() >= 6, "{found:?}");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                links += 1;
                assert!(path.parent().unwrap().join(file).exists(), "{}: {link}", path.display());
            }
        }
    }
    assert!(links >= 6, "only {links} links were found");
}

#[test]
fn the_tests_that_security_cites_are_there() {
    let text = fs::read_to_string("SECURITY.md").unwrap();
    let mut sources = Vec::new();
    files(Path::new("tests"), &[".rs"], &mut sources);
    files(Path::new("src"), &[".rs"], &mut sources);
    let code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let cited = text.split('`').skip(1).step_by(2);
    let names: BTreeSet<&str> = cited
        .filter(|name| name.contains('_') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "SECURITY.md cites `{name}`");
    }
}

/// The long flags of a command and of those below it.
fn flags(command: &Command, found: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        found.extend(argument.get_long().map(str::to_owned));
        found.extend(argument.get_all_aliases().into_iter().flatten().map(str::to_owned));
    }
    command.get_subcommands().for_each(|below| flags(below, found));
}

#[test]
fn every_command_has_the_flags_that_it_is_shown_with() {
    let mut shown = 0;
    for (path, text) in documents() {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            for program in programs() {
                let is_it = |word: &&str| word.rsplit('/').next() == Some(program.get_name());
                // A command is a line of code that starts with the program, a variable, or cron's five fields.
                let Some(at) = words.iter().position(is_it).filter(|_| !line.starts_with(['|', '#', '-']))
                else {
                    continue;
                };
                let mut known = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
                flags(&program, &mut known);
                let rest =
                    words[at + 1..].iter().take_while(|word| !word.starts_with('#') && !word.contains('`'));
                for flag in rest.filter_map(|word| word.strip_prefix("--")) {
                    shown += 1;
                    let flag = flag.split('=').next().unwrap();
                    assert!(known.contains(flag), "{}: {} --{flag}", path.display(), program.get_name());
                }
            }
        }
    }
    assert!(shown >= 15, "only {shown} flags were found");
}
