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
        labels: [words.label, words.of],
        x: (axis.edge(first), axis.edge(last + 1)),
        y: (0.0, most as f64 * 1.04),
        x_ticks: 7,
        x_words: words.x,
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
