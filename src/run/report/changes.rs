//! What a report shows of a table beside that of the generation before: which objects are new, lost or other.

use maud::{Markup, html};

use super::plot::said;
use crate::errors::chain;
use crate::run::events::StageReport;
use crate::run::generations::Generations;
use crate::run::store::{Found, Store};
use crate::run::words::thousands;
use crate::stages::figures::{CLOSE_AU, H_STEP_MAG, ObjectChanges};
use crate::stages::kind;

/// How a table differs from that of an earlier generation.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The run of the generation; `None` if the generations cannot be read.
    pub since: Option<String>,
    /// The differences; `None` if the tables are the same; or why they are not known.
    pub found: Result<Option<ObjectChanges>, String>,
}

impl Changes {
    /// Of the table that a run made or found, which is still the current one; `None` without a generation before the run.
    pub(super) fn of(store: &Store, run: &str, stage: &StageReport) -> Option<Self> {
        let read = kind(&stage.kind)?.changes?;
        let kept = match Generations::of(store) {
            Ok(kept) => kept,
            Err(error) => return Some(Self { since: None, found: Err(chain(&error).join(": ")) }),
        };
        let since = kept.before(run)?;
        let then = kept.kept(since);
        let Found::Record(record) = then.record(&stage.stage) else { return None };
        let output = record.output?;
        let is_same = stage.digest.as_ref() == Some(&output.digest.to_string());
        let new = store.out_dir().join(stage.output.as_deref()?);
        let compare = || read(&then.out_dir().join(&output.path), &new).map(Some);
        let found = if is_same { Ok(None) } else { compare().map_err(|error| chain(&error).join(": ")) };
        Some(Self { since: Some(since.to_owned()), found })
    }
}

/// The part of the section on a table.
pub(super) fn section(changes: &Changes) -> Markup {
    let since = changes.since.as_deref().unwrap_or("the generation before");
    html! {
        h3 { "Changes since " (since) }
        @match &changes.found {
            Err(why) => { p class="soft" { "The table cannot be compared with the kept generation: " (why) } },
            Ok(None) => { p class="soft" { "No change: the table is that of generation " (since) "." } },
            Ok(Some(found)) => {
                ul class="changes" {
                    li { (counted(found.new.count, "new object")) (list(&found.new.named, found.new.count)) }
                    li { (counted(found.lost.count, "lost object")) (list(&found.lost.named, found.lost.count)) }
                    li {
                        (counted(found.h_changed.count, "object")) " with H changed by more than " (H_STEP_MAG) " mag"
                        (list(&h_changes(found), found.h_changed.count))
                    }
                    li {
                        (counted(found.close.count, "object")) " with a new MOID below " (CLOSE_AU) " au"
                        (list(&moids(found), found.close.count))
                    }
                }
            },
        }
    }
}

fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", thousands(count), if count == 1 { "" } else { "s" })
}

fn h_changes(found: &ObjectChanges) -> Vec<String> {
    let line = |change: &crate::stages::figures::HChange| {
        format!("{} ({} {:.2} to {:.2})", change.designation, change.band, change.old_mag, change.new_mag)
    };
    found.h_changed.named.iter().map(line).collect()
}

fn moids(found: &ObjectChanges) -> Vec<String> {
    found.close.named.iter().map(|(name, moid_au)| format!("{name} ({} au)", said(*moid_au))).collect()
}

/// The names, and how many more there are.
fn list(names: &[String], count: u64) -> Markup {
    let more = count.saturating_sub(names.len() as u64);
    html! {
        @if !names.is_empty() {
            ": " (names.join(", ")) @if more > 0 { " and " (thousands(more)) " more" }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn generations_that_cannot_be_read_are_said_below_a_whole_heading() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        fs::create_dir(store.path("")).unwrap();
        fs::write(store.path("generations"), b"").unwrap();
        let stage: StageReport = serde_json::from_value(serde_json::json!({
            "stage": "ssobject", "kind": "build-ssobject", "status": "done", "reasons": [], "rows": 1, "bytes": 1,
            "digest": "d", "started_after": 0.0, "seconds": 1.0, "figures": {}, "warnings": [], "errors": [],
            "check_failed": false, "kept": null, "blocked_by": [], "output": "ssobject.parquet",
        }))
        .unwrap();
        let changes = Changes::of(&store, "20260302T061500Z", &stage).unwrap();
        let text = section(&changes).into_string();
        assert!(text.contains("<h3>Changes since the generation before</h3>"), "{text}");
        assert!(text.contains(&store.path("generations").display().to_string()), "{text}");
    }
}
