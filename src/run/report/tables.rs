//! The section of a report on the table of a stage. Not a place for counting.

use maud::{Markup, html};

use super::records::Table;
use super::{changes, objects, offsets};
use crate::run::events::StageReport;
use crate::stages::figures::TableFigures;

/// The section on the table of a stage.
pub(super) fn section(stage: &StageReport, table: &Table) -> Markup {
    let name = stage.stage.as_str();
    html! {
        section id={ "table-" (name) } class="objects" {
            h2 { "The table of " (name) }
            @match &table.figures {
                Err(why) => { p class="soft" { (why) } },
                Ok(TableFigures::Objects(found)) if found.objects == 0 => { p class="soft" { "The table has no objects." } },
                Ok(TableFigures::Objects(found)) => { (objects::figures(name, found)) },
                Ok(TableFigures::Offsets(found)) => { (offsets::figures(name, found)) },
            }
            @if let Some(found) = &table.changes { (changes::section(found)) }
            (objects::failed_fits(table))
        }
    }
}
