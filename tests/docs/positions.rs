//! The numbers and plots of `docs/explanation/positions.md`, from what the program computes of `fixtures/ephemeris/`.
//!
//! `SSP_UPDATE_DOCS=1 cargo test --test docs` writes them again.

use std::collections::BTreeMap;
use std::fs;

use plotters::prelude::*;
use ssp::science::ephemeris::observer::rotation_ends_mjd_utc;
use ssp::science::ephemeris::place::KM_S;
use ssp::science::ephemeris::time::{LEAP_SECONDS_END_MJD_UTC, tdb_of_tai};

use crate::assist::{Seen, Table, allowed, fixture, seen, spread};
use crate::ellipse_errors::ellipse_errors;
use crate::page::{Page, root};
use crate::plots::{BLUE, GREY, ORANGE, draw, legend, line};

const PAGE: &str = "docs/explanation/positions.md";

const SKY: RGBColor = RGBColor(86, 180, 233);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const YELLOW: RGBColor = RGBColor(230, 159, 0);

/// The classes of the fixtures, with their names on the page, in its order.
const CLASSES: [(&str, &str); 15] = [
    ("mb", "main belt"),
    ("hilda", "Hilda"),
    ("trojan", "Trojan"),
    ("centaur", "Centaur"),
    ("tno", "trans-Neptunian"),
    ("hyperbolic", "parabolic, hyperbolic"),
    ("survey", "real objects of the fixture survey"),
    ("neo", "near-Earth"),
    ("comet_ng", "comets with A1, A2, A3"),
    ("yarkovsky", "Yarkovsky effect"),
    ("mb_old", "main belt, epoch 5 to 25 years away"),
    ("encounter_earth", "after an encounter with the Earth"),
    ("encounter_venus", "after an encounter with Venus"),
    ("encounter_mars", "after an encounter with Mars"),
    ("encounter_jupiter", "after an encounter with Jupiter"),
];

/// The classes that the plots show together.
const GROUPS: [(&str, &[&str], RGBColor); 7] = [
    ("main belt and beyond", &["mb", "hilda", "trojan", "centaur", "tno", "hyperbolic"], BLUE),
    ("fixture survey", &["survey"], GREY),
    ("near-Earth", &["neo"], SKY),
    ("non-gravitational", &["comet_ng", "yarkovsky"], GREEN),
    ("epoch 5 to 25 years away", &["mb_old"], PURPLE),
    ("after Venus, Mars, Jupiter", &["encounter_venus", "encounter_mars", "encounter_jupiter"], YELLOW),
    ("after the Earth", &["encounter_earth"], ORANGE),
];

/// The fixtures of this project, with our positions.
struct Positions {
    orbits: Table,
    cases: Table,
    seen: Vec<Seen>,
}

impl Positions {
    fn new() -> Self {
        let (orbits, cases) = (fixture("orbits"), fixture("cases"));
        let seen = seen(&orbits, &cases);
        Self { orbits, cases, seen }
    }

    /// The rows of some classes.
    fn of(&self, classes: &[&str]) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| classes.contains(&self.orbits.text("cls", seen.row)))
    }
}

/// Two significant digits.
fn two_digits(value: f64) -> String {
    let short: f64 = format!("{value:.1e}").parse().unwrap();
    if short >= 0.001 { format!("{short}") } else { format!("{short:.1e}") }
}

fn table_of_positions(positions: &Positions) -> Vec<Vec<String>> {
    let row = |(class, name): (&str, &str)| {
        let orbits = positions.orbits.texts["cls"].iter().filter(|other| *other == class).count();
        let mut off: Vec<f64> = positions.of(&[class]).map(|seen| seen.off_mas).collect();
        let count = off.len();
        let found = spread(&mut off).map(two_digits);
        let limits = allowed(class).map(|limit| limit.to_string()).join(", ");
        let mut cells = vec![name.to_owned(), orbits.to_string(), count.to_string()];
        cells.extend(found);
        cells.push(limits);
        cells
    };
    let rows: Vec<Vec<String>> = CLASSES.into_iter().map(row).collect();
    let counted: usize = rows.iter().map(|row| row[2].parse::<usize>().unwrap()).sum();
    assert_eq!(counted, positions.seen.len(), "a class is missing in the table");
    rows
}

fn table_of_ellipses() -> Vec<Vec<String>> {
    let table = fixture("covariances");
    let mut errors = ellipse_errors(&table);
    let rows = CLASSES.into_iter().filter_map(|(class, name)| {
        let errors = errors.get_mut(class)?;
        let mut cells = vec![name.to_owned(), errors.by_rule.len().to_string(), errors.varied.to_string()];
        cells.extend(spread(&mut errors.by_rule).map(|share| two_digits(100.0 * share)));
        cells.push(two_digits(100.0 * spread(&mut errors.two_body)[2]));
        Some(cells)
    });
    rows.collect()
}

/// The largest differences of the observer and of the time scale.
fn table_of_observers(positions: &Positions) -> Vec<Vec<String>> {
    let Positions { cases, seen, .. } = positions;
    let largest = |value: &dyn Fn(&Seen) -> f64| seen.iter().map(value).fold(0.0, f64::max);
    let component = |seen: &Seen, what: usize, names: [&str; 3]| {
        let wanted = cases.vector("obs_", names, seen.case);
        (0..3).map(|axis| (seen.observer[what][axis] - wanted[axis]).abs()).fold(0.0, f64::max)
    };
    let metres = largest(&|seen| component(seen, 0, ["x", "y", "z"]) * KM_S * 86_400.0 * 1e3);
    let speed = largest(&|seen| component(seen, 1, ["vx", "vy", "vz"]) * KM_S * 1e6);
    let time = largest(&|seen| {
        let days = tdb_of_tai(cases.number("t_mjd_tai", seen.case)) - cases.number("t_mjd_tdb", seen.case);
        days.abs() * 86_400e6
    });
    [("position of the observer [m]", metres), ("velocity of the observer [mm/s]", speed), ("TDB [us]", time)]
        .map(|(name, value)| vec![name.to_owned(), two_digits(value)])
        .to_vec()
}

/// Whether a cell is right. Numbers may differ a little, as do the mathematical functions of machines.
fn agrees(said: &str, found: &str) -> bool {
    const SHARE: f64 = 0.2;
    const LEAST: f64 = 1e-5;
    said == found
        || said
            .parse::<f64>()
            .ok()
            .zip(found.parse::<f64>().ok())
            .is_some_and(|(said, found)| (said - found).abs() < SHARE * found + LEAST)
}

/// Compares the table after a header with what was found, and returns the page with what was found.
fn with_table(page: &str, header: &str, rows: &[Vec<String>], wrong: &mut Vec<String>) -> String {
    let (before, rest) = page.split_once(header).unwrap_or_else(|| panic!("no table with {header}"));
    let (ruler, rest) = rest.trim_start_matches('\n').split_once('\n').unwrap();
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    let said: Vec<&str> = rest[..end].lines().collect();
    let found: Vec<String> = rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    for (k, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = said
            .get(k)
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .unwrap_or_default();
        if cells.len() != row.len() || !cells.iter().zip(row).all(|(said, found)| agrees(said, found)) {
            wrong.push(found[k].clone());
        }
    }
    if said.len() != rows.len() {
        wrong.push(format!("{} rows, not {}", rows.len(), said.len()));
    }
    format!("{before}{header}\n{ruler}\n{}\n{}", found.join("\n"), &rest[end..])
}

#[test]
fn the_page_of_positions_is_fresh() {
    let positions = Positions::new();
    let mut wrong = Vec::new();
    let path = root().join(PAGE);
    let mut page = fs::read_to_string(&path).unwrap();
    for (header, rows) in [
        ("| class | orbits | positions | median | 99 % | largest | limits |", table_of_positions(&positions)),
        ("| class | ellipses | integrated | median | 99 % | largest | two-body alone |", table_of_ellipses()),
        ("| quantity | largest difference |", table_of_observers(&positions)),
    ] {
        page = with_table(&page, header, &rows, &mut wrong);
    }
    if std::env::var_os("SSP_UPDATE_DOCS").is_some() && !wrong.is_empty() {
        fs::write(&path, &page).unwrap();
        return;
    }
    assert!(
        wrong.is_empty(),
        "{PAGE} is stale: run `SSP_UPDATE_DOCS=1 cargo test --test docs`\n{}",
        wrong.join("\n")
    );
}

/// The Gregorian date of an MJD.
fn date(mjd: f64) -> String {
    let start = chrono::NaiveDate::from_ymd_opt(1858, 11, 17).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of days of this century")]
    let days = chrono::Duration::days(mjd as i64);
    (start + days).to_string()
}

#[test]
fn the_page_of_positions_has_the_dates_at_which_tables_end() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    for mjd in [rotation_ends_mjd_utc(), LEAP_SECONDS_END_MJD_UTC] {
        assert!(page.contains(&date(mjd)), "{PAGE} does not have {}", date(mjd));
    }
}

#[test]
fn the_warnings_of_the_page_are_those_of_the_program() {
    let page = Page::named(PAGE);
    let sources = ["figures", "predictions"]
        .map(|name| fs::read_to_string(root().join(format!("src/sssource/{name}.rs"))).unwrap());
    let sources = sources.concat().replace('\\', "");
    let sources = sources.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows = page.rows();
    let warnings: Vec<&str> =
        rows.iter().skip_while(|row| row[0] != "warning").skip(1).map(|row| row[0].as_str()).collect();
    assert!(warnings.len() > 4);
    for warning in warnings {
        assert!(sources.contains(warning), "no warning says: {warning}");
    }
}

/// The bottom of the logarithmic axis \[mas\]: less is the rounding of numbers.
const LEAST_MAS: f64 = 1e-6;

#[test]
fn the_plot_of_residuals_by_class_is_fresh() {
    let positions = Positions::new();
    draw("docs/explanation/residuals-by-class.svg", |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d((LEAST_MAS..1e0).log_scale(), 0.0..1.0)
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("distance from ASSIST's position [mas]")
            .y_desc("share of the positions")
            .x_label_formatter(&|mas| format!("{mas:.0e}"))
            .label_style(("sans-serif", 14))
            .draw()
            .unwrap();
        for (name, classes, colour) in GROUPS {
            let mut off: Vec<f64> = positions.of(classes).map(|seen| seen.off_mas).collect();
            off.sort_by(f64::total_cmp);
            let count = off.len() as f64;
            // At most 200 points: more are less than a pixel apart.
            let step = off.len().div_ceil(200);
            let last = off.len() - 1;
            let shown = off.iter().enumerate().filter(|(k, _)| k % step == 0 || *k == last);
            let steps = shown.map(|(k, mas)| (mas.max(LEAST_MAS), (k + 1) as f64 / count));
            chart
                .draw_series(line(steps, colour.stroke_width(2)))
                .unwrap()
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight);
    });
}

#[test]
fn the_plot_of_residuals_by_age_is_fresh() {
    let positions = Positions::new();
    draw("docs/explanation/residuals-by-age.svg", |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..34.0, (LEAST_MAS..1e0).log_scale())
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("years from the epoch of the orbit")
            .y_desc("distance from ASSIST's position [mas]")
            .y_label_formatter(&|mas| format!("{mas:.0e}"))
            .label_style(("sans-serif", 14))
            .draw()
            .unwrap();
        for (name, classes, colour) in GROUPS {
            // The largest of each object.
            let mut worst: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
            for seen in positions.of(classes) {
                let epoch = positions.orbits.number("epoch_mjd", seen.row);
                let years = (positions.cases.number("t_mjd_tai", seen.case) - epoch).abs() / 365.25;
                let known = worst.entry(seen.row).or_insert((years, 0.0));
                if seen.off_mas > known.1 {
                    *known = (years, seen.off_mas);
                }
            }
            let circle =
                |(years, mas): &(f64, f64)| Circle::new((*years, mas.max(LEAST_MAS)), 3, colour.filled());
            chart
                .draw_series(worst.values().map(circle))
                .unwrap()
                .label(name)
                .legend(move |(x, y)| Circle::new((x + 9, y), 3, colour.filled()));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight);
    });
}
