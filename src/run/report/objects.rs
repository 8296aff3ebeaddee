//! What a report shows of a table of objects: H against G12, histograms, failed fits. Not a place for counting.

use maud::{Markup, html};

use super::histogram::{Words, histogram};
use super::plot::{Block, Frame, SHADES, said};
use super::records::Table;
use crate::run::words::thousands;
use crate::stages::figures::{Density, ObjectFigures};

/// The MOID below which a large enough asteroid counts as potentially hazardous \[au\].
const HAZARDOUS_MOID_AU: f64 = 0.05;
/// What the names of the counts of failed fits begin with, and the reasons in words.
const FAILED: &str = "fits_failed_";
/// The reason of most of them, which is none to worry about.
const FEW: &str = "few";
const REASONS: [(&str, &str); 4] = [
    (FEW, "too few detections"),
    ("bound", "G12 at a bound of its range"),
    ("singular", "H and G12 cannot be told apart"),
    ("span", "the phase angles span too little"),
];

/// What is drawn of the table of a stage.
pub(super) fn figures(name: &str, table: &ObjectFigures) -> Markup {
    let (cells, most) = (Cells::of(&table.bands), most(&table.bands));
    html! {
        h3 { "H against G12 where the slope was fitted" }
        @if most > 0 {
            p class="legend" {
                "Objects in a cell:"
                @for shade in 0..SHADES {
                    @if let Some(said) = shade_range(shade, most) {
                        " " span class="swatch" style=(format!("background:var(--d{})", shade + 1)) {} " " (said)
                    }
                }
            }
        }
        div class="multiples" { @for density in &table.bands { (panel(name, density, &cells, most)) } }
        h3 { "Distributions of " (thousands(table.objects)) " objects" }
        div class="multiples" {
            (histogram(name, "nobs", &table.log2_n_obs, &Words {
                of: "objects", title: "Detections of an object", label: "nObs", x: &|log| said(log.exp2()), limit: None, unknown: "have no detections",
            }))
            (histogram(name, "span", &table.phase_span_deg, &Words {
                of: "objects", title: "Span of the phase angles of an object, all bands", label: "span [deg]", x: &said, limit: None,
                unknown: "have no phase angle",
            }))
            (histogram(name, "moid", &table.log10_moid_au, &Words {
                of: "objects", title: "MOID with the Earth; the line is at 0.05 au", label: "MOID [au]", x: &|log| said(10_f64.powf(log)),
                limit: Some(HAZARDOUS_MOID_AU.log10()), unknown: "have no MOID",
            }))
        }
    }
}

/// The cells that are shown of each band: one range for all, so that the bands can be compared.
struct Cells {
    h: (usize, usize),
    g12: (usize, usize),
}

impl Cells {
    fn of(bands: &[Density]) -> Self {
        let (mut h, mut g12) = ((usize::MAX, 0), (usize::MAX, 0));
        for density in bands {
            // The whole range of a fit within bounds, also where it is empty.
            for bin in 0..density.g12.bins {
                let middle = density.g12.edge(bin) + density.g12.width / 2.0;
                if middle > 0.0 && middle < 1.0 {
                    g12 = (g12.0.min(bin), g12.1.max(bin + 1));
                }
            }
            let occupied = density.counts.iter().enumerate().filter(|(_, count)| **count > 0);
            for (cell, _) in occupied {
                let (row, column) = (cell / density.h_mag.bins, cell % density.h_mag.bins);
                h = (h.0.min(column), h.1.max(column + 1));
                g12 = (g12.0.min(row), g12.1.max(row + 1));
            }
        }
        let all = bands.first().map_or((0, 1), |density| (0, density.h_mag.bins));
        Self { h: if h.0 < h.1 { h } else { all }, g12 }
    }
}

fn most(bands: &[Density]) -> u64 {
    bands.iter().flat_map(|density| &density.counts).copied().max().unwrap_or(0)
}

/// The shade of a count: logarithmic, so that a single object is seen beside a thousand.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the shades")]
fn shade(count: u64, most: u64) -> usize {
    if most <= 1 {
        return SHADES / 2;
    }
    let share = (count as f64).ln() / (most as f64).ln();
    ((share * SHADES as f64) as usize).min(SHADES - 1)
}

/// The counts of a shade in words; none if no count has it.
fn shade_range(wanted: usize, most: u64) -> Option<String> {
    // The shade grows with the count: the ends are found by halving.
    let first = |above: usize| {
        let (mut low, mut high) = (1, most + 1);
        while low < high {
            let middle = u64::midpoint(low, high);
            if shade(middle, most) >= above { high = middle } else { low = middle + 1 }
        }
        low
    };
    let (from, to) = (first(wanted), first(wanted + 1).min(most + 1) - 1);
    match from {
        _ if from > to || shade(from, most) != wanted => None,
        _ if from == to => Some(thousands(from)),
        _ => Some(format!("{}–{}", thousands(from), thousands(to))),
    }
}

fn panel(name: &str, density: &Density, cells: &Cells, most: u64) -> Markup {
    let (h, g12, band, total) = (&density.h_mag, &density.g12, density.band, density.total());
    let mut blocks: Vec<Block> = Vec::new();
    for row in cells.g12.0..cells.g12.1 {
        let mut last: Option<usize> = None;
        for column in cells.h.0..cells.h.1 {
            let count = density.count(column, row);
            let now = (count > 0).then(|| shade(count, most));
            match (now, blocks.last_mut()) {
                // Neighbours of one shade are one rectangle: a third of the size of the page.
                (Some(_), Some(block)) if now == last => block.x.1 = h.edge(column + 1),
                (Some(_), _) => blocks.push(Block {
                    x: (h.edge(column), h.edge(column + 1)),
                    y: (g12.edge(row), g12.edge(row + 1)),
                    shade: now,
                }),
                (None, _) => {}
            }
            last = now;
        }
    }
    let frame = Frame {
        id: &format!("hg-{name}-{band}"),
        title: format!("H against G12 in {band}"),
        description: format!(
            "{} objects with a fitted slope, {} without.",
            thousands(total),
            thousands(density.failed)
        ),
        labels: ["H [mag]", "G12"],
        x: (h.edge(cells.h.0), h.edge(cells.h.1)),
        y: (g12.edge(cells.g12.0), g12.edge(cells.g12.1)),
        x_ticks: 6,
        x_words: &said,
    };
    html! {
        figure {
            figcaption {
                strong { (band) } " " (thousands(total)) " fitted, " (thousands(density.failed)) " failed"
                @if density.outside > 0 { ", " (thousands(density.outside)) " off the scale" }
            }
            (frame.draw(&blocks, None))
        }
    }
}

/// The fits that the stage counted as failed.
pub(super) fn failed_fits(table: &Table) -> Markup {
    let count = |name: &str| table.counted.get(name).and_then(serde_json::Value::as_u64);
    let others = table.counted.keys().filter_map(|name| name.strip_prefix(FAILED));
    html! {
        @if let (Some(fits), Some(failed)) = (count("fits"), count("fits_failed")) {
            h3 { "Fits that failed" }
            table class="counts" {
                caption {
                    (thousands(failed)) " of " (thousands(fits + failed)) " fits failed"
                    @if let Some(few) = count(&format!("{FAILED}{FEW}")) {
                        ": " (thousands(few)) " for too few detections, " (thousands(failed.saturating_sub(few))) " for other reasons"
                    }
                    "; a fit can have several reasons"
                }
                thead { tr { th scope="col" { "Reason" } th scope="col" class="number" { "Fits" } th scope="col" class="number" { "Share" } } }
                tbody {
                    @for reason in others {
                        @let number = count(&format!("{FAILED}{reason}")).unwrap_or(0);
                        tr {
                            th scope="row" { (REASONS.iter().find(|(name, _)| *name == reason).map_or(reason, |(_, words)| words)) }
                            td class="number" { (thousands(number)) }
                            td class="number" { (share(number, fits + failed)) }
                        }
                    }
                }
            }
        }
    }
}

fn share(number: u64, of: u64) -> String {
    if of == 0 { "–".to_owned() } else { format!("{:.1} %", number as f64 / of as f64 * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_a_shade_and_the_legend_names_each_count_once() {
        for most in [1, 2, 3, 7, 1_000, 300_000] {
            let said: Vec<String> = (0..SHADES).filter_map(|shade| shade_range(shade, most)).collect();
            assert!(said[0].starts_with('1'), "{most}: {said:?}");
            assert!(said[said.len() - 1].ends_with(&thousands(most)), "{most}: {said:?}");
        }
        assert_eq!(
            (0..SHADES).filter_map(|shade| shade_range(shade, 3)).collect::<Vec<_>>(),
            ["1", "2", "3"]
        );
    }
}
