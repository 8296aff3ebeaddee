//! Why each stage ran, with old and new values. Not a place for deciding that (see `plan`).

use maud::{Markup, html};

use crate::digest::Digest;
use crate::plan::Reason;
use crate::run::events::{RunReport, StageReport};
use crate::stages::kind;

/// Longer values are cut: a query or a list can be of any length, a page cannot.
const LONGEST_VALUE: usize = 4_000;
/// Longer values are folded away.
const LONGEST_LINE: usize = 160;

/// The reasons, or nothing if no stage ran.
pub(super) fn section(report: &RunReport) -> Markup {
    let ran: Vec<&StageReport> = report.stages.iter().filter(|stage| !stage.reasons.is_empty()).collect();
    html! {
        @if !ran.is_empty() {
            section id="reasons" {
                h2 { "Why stages ran" }
                dl class="reasons" {
                    @for stage in ran {
                        dt { (stage.stage) }
                        dd { ul {
                            @for reason in &stage.reasons { li { (said(reason)) } }
                            @if let Some(reused) = kind(&stage.kind).and_then(|kind| (kind.reused)(&stage.figures)) { li { (reused) } }
                        } }
                    }
                }
            }
        }
    }
}

fn said(reason: &Reason) -> Markup {
    let values = [&reason.old, &reason.new];
    let is_long =
        values.into_iter().flatten().any(|value| value.len() > LONGEST_LINE || value.contains('\n'));
    let head = html! { span class="code" { (reason.code) } @if let Some(subject) = &reason.subject { " " span { (subject) } } };
    html! {
        @if reason.old.is_none() && reason.new.is_none() { (head) }
        @else if is_long {
            details { summary { (head) } (block("old", reason.old.as_ref())) (block("new", reason.new.as_ref())) }
        } @else {
            (head) " " (inline(reason.old.as_ref())) " → " (inline(reason.new.as_ref()))
        }
    }
}

fn inline(value: Option<&String>) -> Markup {
    // Two digests that differ do so at the beginning.
    let short = value.and_then(|value| value.parse::<Digest>().ok()).map(|digest| digest.short());
    html! { @match value { Some(value) => { code title=[short.as_ref().map(|_| value)] { (short.as_ref().unwrap_or(value)) } }, None => { span class="soft" { "none" } } } }
}

fn block(word: &str, value: Option<&String>) -> Markup {
    html! {
        p class="soft" { (word) @if value.is_none() { ": none" } }
        @if let Some(value) = value { pre tabindex="0" { (cut(value)) } }
    }
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(LONGEST_VALUE) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}… ({} more characters)", &value[..end], value[end..].chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ReasonCode;

    #[test]
    fn short_values_are_on_a_line_and_long_ones_fold_away() {
        let reason = Reason::changed(ReasonCode::ParamsChanged, "fit", "1 < 2", "3");
        assert_eq!(
            said(&reason).into_string(),
            "<span class=\"code\">params_changed</span> <span>fit</span> <code>1 &lt; 2</code> → <code>3</code>"
        );
        let long = Reason::changed(ReasonCode::SqlChanged, "sql", "a", "x".repeat(5_000));
        let text = said(&long).into_string();
        assert!(text.starts_with("<details>") && text.contains("… (1000 more characters)"), "{text}");
        assert_eq!(
            said(&Reason::new(ReasonCode::Forced)).into_string(),
            "<span class=\"code\">forced</span>"
        );
    }
}
