//! Words and names as the report shows them.

use maud::{Markup, html};

use super::records::Input;
use crate::run::events::StageStatus;
use crate::run::words;

/// The CSS class and the word for the state of a stage.
pub(super) fn state(status: StageStatus) -> (&'static str, &'static str) {
    let class = match status {
        StageStatus::Done => "s-done",
        StageStatus::Unchanged => "s-unchanged",
        StageStatus::UpToDate => "s-idle",
        StageStatus::Failed => "s-failed",
        StageStatus::Blocked | StageStatus::Cancelled => "s-blocked",
    };
    (class, words::state(status))
}

/// A name or a path that may break after `_` and `/`, not anywhere.
pub(super) fn breakable(name: &str) -> Markup {
    html! { @for part in name.split_inclusive(['_', '/']) { (part) wbr; } }
}

/// A link to the page of another run, if it has one.
pub(super) fn run_link(text: &str, run: &str, input: &Input) -> Markup {
    html! {
        @if input.pages.contains(run) { a href={ "../" (run) "/report.html" } { (text) } } @else { (text) }
    }
}
