//! Bars and densities as inline SVG, drawn by plotters. Not a place for what is counted.
//!
//! plotters knows colours, a page has light and dark: each colour drawn here stands for a variable of the style sheet.

use std::error::Error;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;

const INK: RGBColor = RGBColor(1, 0, 0);
const GRID: RGBColor = RGBColor(2, 0, 0);
const AREA: RGBColor = RGBColor(3, 0, 0);
const RULE: RGBColor = RGBColor(4, 0, 0);
/// Steps of a density's shade.
pub(super) const SHADES: usize = 5;
const SHADE: [RGBColor; SHADES] =
    [RGBColor(16, 0, 0), RGBColor(17, 0, 0), RGBColor(18, 0, 0), RGBColor(19, 0, 0), RGBColor(20, 0, 0)];
const VARIABLES: [(&str, &str); 9] = [
    ("\"#010000\"", "\"var(--soft)\""),
    ("\"#020000\"", "\"var(--grid)\""),
    ("\"#030000\"", "\"var(--area)\""),
    ("\"#040000\"", "\"var(--rule)\""),
    ("\"#100000\"", "\"var(--d1)\""),
    ("\"#110000\"", "\"var(--d2)\""),
    ("\"#120000\"", "\"var(--d3)\""),
    ("\"#130000\"", "\"var(--d4)\""),
    ("\"#140000\"", "\"var(--d5)\""),
];
/// plotters writes what is the default anyway.
const NEEDLESS: [&str; 4] =
    [" opacity=\"1\"", " stroke=\"none\"", " stroke-width=\"1\"", " font-family=\"sans-serif\""];

/// The width and height of a plot.
const SIZE: (u32, u32) = (340, 230);

/// What is around a plot.
pub(super) struct Frame<'a> {
    /// Its id on the page.
    pub(super) id: &'a str,
    /// What it is, for those who cannot see it.
    pub(super) title: String,
    /// What it shows, for them.
    pub(super) description: String,
    /// What is on the axes.
    pub(super) labels: [&'a str; 2],
    /// The range of x.
    pub(super) x: (f64, f64),
    /// The range of y.
    pub(super) y: (f64, f64),
    /// About how many ticks are on x.
    pub(super) x_ticks: usize,
    /// How values of x are said.
    pub(super) x_words: &'a dyn Fn(f64) -> String,
}

/// A rectangle: from `x.0`, `y.0` to `x.1`, `y.1`, in a shade, or in the colour of bars.
pub(super) struct Block {
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    pub(super) shade: Option<usize>,
}

impl Frame<'_> {
    /// The plot, with a vertical line where there is a limit.
    pub(super) fn draw(&self, blocks: &[Block], limit: Option<f64>) -> Markup {
        let mut text = String::new();
        let drawn = {
            let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            self.draw_on(&root, blocks, limit).and_then(|()| Ok(root.present()?))
        };
        if let Err(error) = drawn {
            return html! { p class="soft" { "The plot “" (self.title) "” could not be drawn: " (error) } };
        }
        let (title, description) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        // Only what is between the tags of the plot: the page's own tag has what plotters knows nothing of.
        let inner = text.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>"));
        let mut inner = inner.map_or_else(String::new, |(inner, _)| inner.to_owned());
        for (color, variable) in VARIABLES {
            inner = inner.replace(color, variable);
        }
        for needless in NEEDLESS {
            inner = inner.replace(needless, "");
        }
        html! {
            svg class="plot" role="img" aria-labelledby={ (title) " " (description) }
                viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                (PreEscaped(inner))
            }
        }
    }

    fn draw_on(
        &self,
        root: &DrawingArea<SVGBackend<'_>, Shift>,
        blocks: &[Block],
        limit: Option<f64>,
    ) -> Result<(), Box<dyn Error>> {
        let mut chart = ChartBuilder::on(root)
            .margin_top(6)
            .margin_right(18)
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d(self.x.0..self.x.1, self.y.0..self.y.1)?;
        chart
            .configure_mesh()
            .x_labels(self.x_ticks)
            .y_labels(5)
            .x_label_formatter(&|x| (self.x_words)(*x))
            .y_label_formatter(&|y| said(*y))
            .x_desc(self.labels[0])
            .y_desc(self.labels[1])
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 14).into_font().color(&INK))
            .axis_desc_style(("sans-serif", 14).into_font().color(&INK))
            .draw()?;
        chart.draw_series(blocks.iter().map(|block| {
            let color = block.shade.map_or(AREA, |shade| SHADE[shade.min(SHADES - 1)]);
            Rectangle::new([(block.x.0, block.y.1), (block.x.1, block.y.0)], color.filled())
        }))?;
        if let Some(limit) = limit.filter(|limit| *limit > self.x.0 && *limit < self.x.1) {
            chart.draw_series([PathElement::new([(limit, self.y.0), (limit, self.y.1)], RULE)])?;
        }
        Ok(())
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
    use std::collections::HashMap;

    use super::said;

    const COLORS: &str = include_str!("colors.css");

    /// The colours of each scheme: light, dark, print.
    fn schemes() -> Vec<HashMap<&'static str, &'static str>> {
        let blocks = COLORS.split(":root{").skip(1).map(|block| block.split('}').next().unwrap());
        let colors = blocks
            .map(|block| block.split(';').filter_map(|rule| rule.trim().strip_prefix("--")?.split_once(':')));
        colors.map(Iterator::collect).collect()
    }

    /// The relative luminance of a colour, by WCAG 2.
    fn luminance(color: &str) -> f64 {
        let digits: String = match color.strip_prefix('#').unwrap() {
            short if short.len() == 3 => short.chars().flat_map(|digit| [digit, digit]).collect(),
            long => long.to_owned(),
        };
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn single_cells_are_seen_and_shades_differ() {
        let schemes = schemes();
        assert_eq!(schemes.len(), 3);
        for colors in schemes {
            for shade in 1..=super::SHADES {
                let color = colors[format!("d{shade}").as_str()];
                let seen = contrast(color, colors["paper"]);
                assert!(seen >= 3.0, "--d{shade} {color} on {}: {seen:.2}", colors["paper"]);
                if shade > 1 {
                    let step = contrast(color, colors[format!("d{}", shade - 1).as_str()]);
                    assert!(step >= 1.25, "--d{shade} {color} beside the shade before: {step:.2}");
                }
            }
            for text in ["ink", "soft", "area", "done", "failed", "blocked"] {
                let read = contrast(colors[text], colors["paper"]);
                assert!(read >= 4.5, "--{text} on {}: {read:.2}", colors["paper"]);
            }
        }
        assert!((contrast("#fff", "#000000") - 21.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_on_axes_are_short() {
        assert_eq!(
            [0.0, 0.05, 0.001, 0.316_227_8, 2.0, 2.5, 20.0, 1234.0, 25_000.0, 1.5e6, -0.5].map(said),
            ["0", "0.05", "0.001", "0.32", "2", "2.5", "20", "1234", "25k", "1.5M", "-0.5"]
        );
    }
}
