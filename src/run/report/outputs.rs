//! What each stage's output is now and was before. Not a place for what is in it.

use maud::{Markup, html};

use super::records::Input;
use super::text::{breakable, state};
use crate::run::events::StageReport;
use crate::run::words::{size, thousands};

/// The table of outputs.
pub(super) fn section(input: &Input) -> Markup {
    html! {
        section id="outputs" {
            h2 { "Outputs" }
            table class="outputs" {
                caption { "Rows and bytes, with the change since the run before, and rows over up to ten runs" }
                thead { tr {
                    th scope="col" { "Stage" }
                    th scope="col" class="number" { "Rows" }
                    th scope="col" class="number" { "Bytes" }
                    th scope="col" class="trend" { "Trend" }
                } }
                tbody { @for stage in input.report.stages.iter().filter(|stage| stage.output.is_some()) { (row(stage, input)) } }
            }
        }
    }
}

fn row(stage: &StageReport, input: &Input) -> Markup {
    let (class, word) = state(stage.status);
    let earlier =
        || input.earlier.iter().flat_map(|run| &run.stages).filter(|other| other.stage == stage.stage);
    let before = earlier().rfind(|other| other.rows.is_some());
    let rows: Vec<u64> = earlier().filter_map(|other| other.rows).chain(stage.rows).collect();
    html! {
        tr class=(class) {
            th scope="row" {
                span class="stage" { (breakable(stage.stage.as_str())) }
                span class="word" { (word) }
                span class="file" { (breakable(stage.output.as_deref().unwrap_or_default())) }
            }
            (amount(stage.rows, before.and_then(|other| other.rows), thousands))
            (amount(stage.bytes, before.and_then(|other| other.bytes), size))
            td class="trend" { (sparkline(&rows, stage.rows.is_some())) }
        }
    }
}

fn amount(now: Option<u64>, before: Option<u64>, said: fn(u64) -> String) -> Markup {
    html! {
        td class="number" {
            @match (now, before) {
                (Some(now), _) => { (said(now)) span class="change" { (change(now, before, said)) } }
                (None, Some(before)) => { "–" span class="change" { "was " (said(before)) } }
                (None, None) => "–",
            }
        }
    }
}

/// `+1,204 (+0.3 %)`, `same`, or `first` if there was nothing before.
fn change(now: u64, before: Option<u64>, said: fn(u64) -> String) -> String {
    let Some(before) = before else { return "first".to_owned() };
    if now == before {
        return "same".to_owned();
    }
    let sign = if now > before { '+' } else { '−' };
    let share = if before == 0 {
        String::new()
    } else {
        let percent = now.abs_diff(before) as f64 / before as f64 * 100.0;
        let digits = usize::from(percent < 9.95);
        if percent < 0.05 {
            " (<0.1\u{a0}%)".to_owned()
        } else {
            format!(" ({sign}{percent:.digits$}\u{a0}%)")
        }
    };
    format!("{sign}{}{share}", said(now.abs_diff(before)))
}

const WIDTH: f64 = 88.0;
const HEIGHT: f64 = 24.0;
const PAD: f64 = 3.0;

/// Rows over the runs, oldest first; the last point is this run if it has rows.
fn sparkline(rows: &[u64], ends_now: bool) -> Markup {
    if rows.len() < 2 {
        return html! { span class="soft" { "one run" } };
    }
    let least = rows.iter().copied().min().unwrap_or(0);
    let most = rows.iter().copied().max().unwrap_or(0);
    let step = (WIDTH - 2.0 * PAD) / (rows.len() - 1) as f64;
    let points: Vec<(f64, f64)> = rows
        .iter()
        .enumerate()
        .map(|(index, count)| {
            // Rows that stay the same are a line in the middle.
            let share = if most == least { 0.5 } else { (count - least) as f64 / (most - least) as f64 };
            (PAD + step * index as f64, HEIGHT - PAD - (HEIGHT - 2.0 * PAD) * share)
        })
        .collect();
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let list: Vec<String> = rows.iter().map(|count| thousands(*count)).collect();
    html! {
        svg class="spark" role="img" width=(WIDTH) height=(HEIGHT) viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) {
            title { "Rows of " (rows.len()) " runs, oldest first: " (list.join("; ")) }
            polyline points=(line.join(" ")) {}
            @if let Some((x, y)) = points.last().filter(|_| ends_now) { circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.6" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_with_sign_and_share() {
        let said = |now, before| change(now, before, thousands);
        assert_eq!(said(5, None), "first");
        assert_eq!(said(5, Some(5)), "same");
        assert_eq!(said(1_204_000, Some(1_200_000)), "+4,000 (+0.3\u{a0}%)");
        assert_eq!(said(50, Some(100)), "−50 (−50\u{a0}%)");
        assert_eq!(said(1_000_001, Some(1_000_000)), "+1 (<0.1\u{a0}%)");
        assert_eq!(said(7, Some(0)), "+7");
    }

    #[test]
    fn a_sparkline_goes_from_the_oldest_to_this_run() {
        let text = sparkline(&[10, 30, 20], true).into_string();
        assert!(text.contains("points=\"3.0,21.0 44.0,3.0 85.0,12.0\""), "{text}");
        assert!(text.contains("10; 30; 20") && text.contains("<circle"), "{text}");
        assert!(!sparkline(&[10, 30], false).into_string().contains("<circle"));
        assert!(sparkline(&[7, 7], true).into_string().contains("points=\"3.0,12.0 85.0,12.0\""));
        assert!(!sparkline(&[7], true).into_string().contains("<svg"));
    }
}
