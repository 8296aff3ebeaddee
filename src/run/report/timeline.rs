//! When each stage ran: a bar a stage on the time of the run. Not a place for how long that took before.

use maud::{Markup, html};

use super::text::{breakable, state};
use crate::run::events::RunReport;
use crate::run::words::period;

/// Shorter bars would not be seen \[per cent of the run\].
const SHORTEST: f64 = 0.4;

/// The stages on the time of the run.
pub(super) fn table(report: &RunReport) -> Markup {
    let last =
        report.stages.iter().map(|stage| stage.started_after + stage.seconds).fold(report.seconds, f64::max);
    let span = if last > 0.0 && last.is_finite() { last } else { 1.0 };
    let percent = |seconds: f64| (seconds / span * 100.0).clamp(0.0, 100.0);
    html! {
        table class="timeline" {
            caption { "Timeline, from the beginning of the run" }
            thead { tr {
                th scope="col" { "Stage" }
                th scope="col" class="ticks" {
                    span class="scale" { span { "0" } span { (period(span / 2.0)) } span { (period(span)) } }
                }
                th scope="col" class="number" { "Took" }
            } }
            tbody {
                @for stage in &report.stages {
                    @let (class, word) = state(stage.status);
                    @let ran = stage.seconds > 0.0;
                    @let left = percent(stage.started_after).min(100.0 - SHORTEST);
                    tr class=(class) {
                        th scope="row" { (breakable(stage.stage.as_str())) }
                        td class="track" {
                            @if ran {
                                span class="bar" title={ (word) ", began after " (period(stage.started_after)) }
                                    style=(format!("left:{left:.2}%;width:{:.2}%", percent(stage.seconds).clamp(SHORTEST, 100.0 - left))) {}
                            } @else { span class="word" { (word) } }
                        }
                        td class="number" { @if ran { (period(stage.seconds)) } @else { "–" } }
                    }
                }
            }
        }
    }
}
