//! `runs/index.html`: all runs with links to their pages. Not a place for what one run did.

use std::path::PathBuf;

use maud::{DOCTYPE, Markup, html};

use super::page::{head, run_state};
use super::{Error, path};
use crate::durable;
use crate::run::events::RunReport;
use crate::run::history::History;
use crate::run::store::Store;
use crate::run::words::{self, period};

const STYLE: &str = concat!(include_str!("colors.css"), include_str!("page.css"));
/// Runs on the page: a year of nights, and what is run by day.
const SHOWN: usize = 500;

/// A run on the page.
struct Entry {
    run: String,
    /// None if its record cannot be read.
    report: Option<RunReport>,
    has_page: bool,
}

/// Writes the page, and says where.
pub(crate) fn write(store: &Store) -> Result<PathBuf, Error> {
    let history = History::of(store)?;
    let entries = history.runs.iter().take(SHOWN).map(|run| Entry {
        run: run.clone(),
        report: history.report(run),
        has_page: path(store, run).exists(),
    });
    let target = store.path("runs/index.html");
    durable::write(&target, page(&entries.collect::<Vec<_>>(), history.runs.len()).as_bytes())?;
    Ok(target)
}

fn page(entries: &[Entry], total: usize) -> String {
    let newest = entries.iter().find_map(|entry| entry.report.as_ref());
    let name = newest.map_or("", |report| report.name.as_str());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&html! { "Runs" @if !name.is_empty() { " · " (name) } }, STYLE))
            body {
                main {
                    h1 { "Runs" @if !name.is_empty() { " " span class="pipeline" { (name) } } }
                    table class="runs" {
                        caption {
                            "Newest first" @if entries.len() < total { "; the newest " (entries.len()) " of " (total) }
                        }
                        thead { tr {
                            th scope="col" { "Run" } th scope="col" { "Status" } th scope="col" { "Started" }
                            th scope="col" class="number" { "Took" }
                        } }
                        tbody { @for entry in entries { (row(entry)) } }
                    }
                }
                footer { p { "Made by ssp at the end of the newest run. Times are in UTC." } }
            }
        }
    };
    page.into_string() + "\n"
}

fn row(entry: &Entry) -> Markup {
    let run = html! {
        @if entry.has_page { a href={ (entry.run) "/report.html" } { (entry.run) } } @else { (entry.run) }
    };
    let Some(report) = &entry.report else {
        return html! { tr { th scope="row" { (run) } td colspan="3" { "no readable record" } } };
    };
    let (class, word, _) = run_state(report);
    html! {
        tr class=(class) {
            th scope="row" { (run) }
            td { span class="word" { (word) } " " span class="soft" { (words::counts(&report.stages)) } }
            td { (report.started.format("%Y-%m-%d %H:%M:%S")) }
            td class="number" { (period(report.seconds)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_listed_with_links_to_the_pages_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let hostile = "<script>alert(1)</script>";
        for (run, has_page) in [("20260301T061500Z", true), ("20260302T061500Z", false)] {
            let report = RunReport {
                name: hostile.to_owned(),
                ..RunReport::new(run, "p.yaml", chrono::DateTime::from_timestamp(1_785_000_000, 0).unwrap())
            };
            store.write_json(&format!("runs/{run}/run.json"), &report).unwrap();
            if has_page {
                durable::write(&path(&store, run), b"").unwrap();
            }
        }
        durable::make_folder(&store.path("runs/20260303T061500Z")).unwrap();
        let text = std::fs::read_to_string(write(&store).unwrap()).unwrap();
        assert_eq!(text.matches("<tr class").count(), 2, "{text}");
        assert_eq!(text.matches("href=").count(), 1, "{text}");
        assert!(text.contains("<a href=\"20260301T061500Z/report.html\">"), "{text}");
        assert!(text.contains("no readable record") && text.contains("Killed"), "{text}");
        assert!(!text.contains("<script"), "{text}");
    }
}
