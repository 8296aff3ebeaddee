//! A histogram as a report draws it. Not a place for counting.

use maud::{Markup, html};

use super::plot::{Block, Frame};
use crate::run::words::thousands;
use crate::stages::figures::Histogram;

/// The words of a histogram.
pub(super) struct Words<'a> {
    /// What is counted, in the plural.
    pub of: &'a str,
    pub title: &'a str,
    pub label: &'a str,
    pub x: &'a dyn Fn(f64) -> String,
    pub limit: Option<f64>,
    pub unknown: &'a str,
}

/// A histogram of the table of a stage.
pub(super) fn histogram(name: &str, id: &str, histogram: &Histogram, words: &Words<'_>) -> Markup {
    let axis = &histogram.axis;
    let occupied = || (0..axis.bins).filter(|bin| histogram.counts[*bin] > 0);
    let (first, last) = (occupied().next().unwrap_or(0), occupied().next_back().unwrap_or(axis.bins - 1));
    let most = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
    let blocks: Vec<Block> = occupied()
        .map(|bin| Block {
            x: (axis.edge(bin), axis.edge(bin + 1)),
            y: (0.0, histogram.counts[bin] as f64),
            shade: None,
        })
        .collect();
    let total: u64 = histogram.counts.iter().sum();
    let mode = (0..axis.bins).rev().max_by_key(|bin| histogram.counts[*bin]).unwrap_or(0);
    let frame = Frame {
        id: &format!("{id}-{name}"),
        title: words.title.to_owned(),
        description: format!(
            "{} {}, from {} to {}; most are between {} and {}.",
            thousands(total),
            words.of,
            (words.x)(axis.edge(first)),
            (words.x)(axis.edge(last + 1)),
            (words.x)(axis.edge(mode)),
            (words.x)(axis.edge(mode + 1)),
        ),
        size: (340, 230),
        labels: [words.label, words.of],
        x: (axis.edge(first), axis.edge(last + 1)),
        y: (0.0, most as f64 * 1.04),
        x_ticks: 7,
        x_words: words.x,
        y_words: &said,
    };
    html! {
        figure {
            figcaption {
                strong { (words.title) }
                @if histogram.unknown > 0 { "; " (thousands(histogram.unknown)) " " (words.unknown) }
                @if histogram.outside > 0 { "; " (thousands(histogram.outside)) " off the scale" }
            }
            (frame.draw(&blocks, words.limit))
        }
    }
}

/// A number on an axis: `0.001`, `10`, `0.25`, `20k`.
pub(super) fn said(value: f64) -> String {
    let round = |value: f64| {
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value.abs() {
        v if v >= 1e6 => format!("{}M", round((value / 1e5).round() / 10.0)),
        v if v >= 1e4 => format!("{}k", round((value / 1e2).round() / 10.0)),
        v if v >= 10.0 => round((value * 10.0).round() / 10.0),
        v if v >= 1.0 => round((value * 100.0).round() / 100.0),
        v if v >= 1e-6 => {
            let scale = 10_f64.powf(2.0 - v.log10().ceil());
            round((value * scale).round() / scale)
        }
        _ => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_axes_are_short() {
        assert_eq!(
            [0.0, 0.05, 0.001, 0.316_227_8, 2.0, 2.5, 20.0, 1234.0, 25_000.0, 1.5e6, -0.5].map(said),
            ["0", "0.05", "0.001", "0.32", "2", "2.5", "20", "1234", "25k", "1.5M", "-0.5"]
        );
    }
}
