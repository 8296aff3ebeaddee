//! What a report shows of a table of detections: how far they are from their predicted positions. Not a place for counting.

use maud::{Markup, html};

use super::histogram::{Words, histogram};
use super::plot::said;
use crate::run::words::thousands;
use crate::stages::figures::OffsetFigures;

/// What is drawn of the table of a stage.
pub(super) fn figures(name: &str, table: &OffsetFigures) -> Markup {
    let offsets = &table.offsets;
    let quantile = |share| {
        offsets.quantile(share).map_or_else(|| "–".to_owned(), |arcsec| format!("{}\"", said(arcsec)))
    };
    html! {
        h3 { "Observed against predicted positions of " (thousands(table.detections)) " detections" }
        @if offsets.total == 0 {
            p class="soft" { "No detection has a predicted position." }
        } @else {
            p {
                "ephOffset: median " (quantile(0.5)) ", 99 % below " (quantile(0.99)) ", "
                (thousands(offsets.large)) " above 10\"."
            }
            div class="multiples" {
                (histogram(name, "offset", &table.log10_arcsec, &Words {
                    of: "detections", title: "Angle between the observed and the predicted position", label: "ephOffset [arcsec]",
                    x: &|log| said(10_f64.powf(log)), limit: None, unknown: "have no predicted position",
                }))
            }
            table class="counts" {
                caption { "The largest offsets" }
                thead { tr { th scope="col" { "Object" } th scope="col" { "diaSourceId" } th scope="col" class="number" { "ephOffset" } } }
                tbody {
                    @for far in &offsets.worst {
                        tr {
                            th scope="row" { (far.designation) }
                            td { (far.dia_source_id) }
                            td class="number" { (said(far.arcsec)) "\"" }
                        }
                    }
                }
            }
        }
    }
}
