//! The plots of `docs/explanation/fits-and-moids.md`, drawn from what the program computes of the fixtures.
//!
//! `SSP_UPDATE_DOCS=1 cargo test --test docs` draws them again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Float32Type, Int64Type};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;
use ssp::science::orbit::earth::{osculating, secular};
use ssp::science::orbit::elements::Elements;
use ssp::science::orbit::moid::{Ellipse, moid};
use ssp::science::photometry::Fitter;
use ssp::science::photometry::fit::{Observation, Options};
use ssp::science::photometry::hg12::magnitude;

use crate::page::root;
use crate::reference::fresh;
use crate::support::parquet::rows;

const SIZE: (u32, u32) = (720, 420);
/// Colours that are told apart by those who do not see all (Okabe and Ito).
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub const GREY: RGBColor = RGBColor(110, 110, 110);

pub type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// Draws a plot, and compares it with the kept one of this name.
pub fn draw(name: &str, plot: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>)) {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).unwrap();
        plot(&area);
        area.present().unwrap();
    }
    fresh(name, &svg);
}

pub fn legend<'a, 'b: 'a, X: Ranged, Y: Ranged>(
    chart: &mut Chart<'a, 'b, X, Y>,
    corner: SeriesLabelPosition,
) {
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE)
        .border_style(GREY)
        .label_font(("sans-serif", 14))
        .draw()
        .unwrap();
}

pub fn line(points: impl Iterator<Item = (f64, f64)>, style: ShapeStyle) -> [PathElement<(f64, f64)>; 1] {
    [PathElement::new(points.collect::<Vec<_>>(), style)]
}

/// A band of the test cases that was seen well: 38 points from 0.9 to 32 deg.
const BAND: usize = 17;

#[test]
fn the_plot_of_a_phase_curve_is_fresh() {
    let cases: Value =
        serde_json::from_str(&fs::read_to_string(root().join("fixtures/hg12_cases.json")).unwrap()).unwrap();
    let inputs = &cases[BAND]["inputs"];
    let numbers = |name: &str| {
        inputs[name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let [mag, err, phase_deg, topo, helio] =
        ["mag", "mag_err", "phase_angle_deg", "topo_range_au", "helio_range_au"].map(numbers);
    let mut rows: Vec<Observation> = (0..mag.len())
        .map(|k| Observation {
            phase_rad: phase_deg[k].to_radians(),
            mag: mag[k],
            mag_err: err[k],
            topo_range_au: topo[k],
            helio_range_au: helio[k],
        })
        .collect();
    let fit = Fitter::new(Options::default()).fit(&mut rows);
    let fixed = Fitter::new(Options { fixed_g12: Some(0.5), ..Options::default() }).fit(&mut rows);
    // Phase angle, magnitude at 1 au from Sun and observer, sigma with the floor.
    let points: Vec<(f64, f64, f64)> = rows
        .iter()
        .map(|row| {
            let reduced = row.mag - 5.0 * (row.topo_range_au * row.helio_range_au).log10();
            (row.phase_rad.to_degrees(), reduced, row.mag_err.hypot(0.05))
        })
        .collect();
    let (h, g12, h_fixed) = (fit.h_mag.unwrap(), fit.g12.unwrap(), fixed.h_mag.unwrap());

    draw("docs/explanation/phase-curve.svg", |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..34.0, (h + 1.5)..(h - 0.2))
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("phase angle [deg]")
            .y_desc("magnitude at 1 au from Sun and observer [mag]")
            .y_label_formatter(&|mag| format!("{mag:.1}"))
            .label_style(("sans-serif", 14))
            .draw()
            .unwrap();
        let curve = |h: f64, g12: f64| {
            (0..=340)
                .map(move |k| f64::from(k) / 10.0)
                .map(move |deg| (deg, magnitude(h, g12, deg.to_radians())))
        };
        chart
            .draw_series(line(curve(h_fixed, 0.5), GREY.stroke_width(1)))
            .unwrap()
            .label(format!("G12 = 0.5 fixed: H = {h_fixed:.2}"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], GREY));
        chart
            .draw_series(line(curve(h, g12), BLUE.stroke_width(2)))
            .unwrap()
            .label(format!(
                "fit: H = {h:.2} ± {:.2}, G12 = {g12:.2} ± {:.2}",
                fit.h_err_mag.unwrap(),
                fit.g12_err.unwrap()
            ))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLUE));
        chart
            .draw_series(points.iter().map(|(deg, mag, sigma)| {
                PathElement::new(vec![(*deg, mag - sigma), (*deg, mag + sigma)], ORANGE.stroke_width(1))
            }))
            .unwrap();
        chart
            .draw_series(points.iter().map(|(deg, mag, _)| Circle::new((*deg, *mag), 3, ORANGE.filled())))
            .unwrap()
            .label("detections")
            .legend(|(x, y)| Circle::new((x + 9, y), 3, ORANGE.filled()));
        legend(&mut chart, SeriesLabelPosition::UpperRight);
    });
}

#[test]
fn the_plot_of_moids_against_jpl_is_fresh() {
    let text = fs::read_to_string(root().join("fixtures/moid_jpl_neo.csv")).unwrap();
    let (mut with_osculating, mut with_secular) = (Vec::new(), Vec::new());
    for line in text.lines().skip(1) {
        // The name is the only field that may hold a comma, in quotes.
        let numbers: Vec<f64> =
            line.rsplit(',').take(12).map(|field| field.parse().unwrap_or(f64::NAN)).collect();
        let n: Vec<f64> = numbers.into_iter().rev().collect();
        let orbit = Elements {
            q_au: n[1],
            e: n[2],
            inclination_rad: n[3].to_radians(),
            node_rad: n[4].to_radians(),
            argperi_rad: n[5].to_radians(),
        };
        let difference =
            |earth: Elements| (moid(&Ellipse::new(earth).unwrap(), &orbit).unwrap().distance_au - n[6]).abs();
        let Some(earth) = osculating(n[0]) else { continue };
        with_osculating.push(difference(earth));
        with_secular.push(difference(secular(n[0])));
    }
    let count = with_osculating.len();
    assert!(count > 950, "{count}");

    draw("docs/explanation/moid-against-jpl.svg", |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d((1e-11..1e-2).log_scale(), 0.0..1.0)
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(10)
            .x_desc("difference from JPL's MOID [au]")
            .y_desc(format!("share of {count} asteroids"))
            .x_label_formatter(&|au| format!("{au:.0e}"))
            .label_style(("sans-serif", 14))
            .draw()
            .unwrap();
        for (label, colour, mut differences) in [
            ("osculating Earth (the default)", BLUE, with_osculating),
            ("mean Earth (--earth secular)", ORANGE, with_secular),
        ] {
            differences.sort_by(f64::total_cmp);
            let share = |k: usize| (k + 1) as f64 / count as f64;
            let steps = differences.iter().enumerate().map(|(k, au)| (au.max(1e-11), share(k)));
            chart
                .draw_series(line(steps, colour.stroke_width(2)))
                .unwrap()
                .label(format!(
                    "{label}: median {:.0e}, most {:.0e}",
                    differences[count / 2],
                    differences[count - 1]
                ))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight);
    });
}

/// V minus the band [mag] of the two kinds of surface: `COLOUR` of fixtures/survey/photometry.py.
const COLOURS: [(&str, [f64; 6]); 2] =
    [("C", [-1.61, -0.30, 0.17, 0.29, 0.30, 0.30]), ("S", [-1.93, -0.40, 0.26, 0.46, 0.40, 0.41])];
const BANDS: [&str; 6] = ["u", "g", "r", "i", "z", "y"];

/// The SSObject table of the survey, made by the programs. H needs no orbit, so that any table of orbits will do.
fn survey_objects(folder: &Path) -> PathBuf {
    let survey = root().join("fixtures/survey");
    let run = |program: &str, arguments: &[&Path]| {
        let done =
            Command::new(program).args(arguments).arg("--silent").current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let collection = Path::new("LSSTCam/runs/DRP/FL/w_2025_19/DM-50795");
    run(
        env!("CARGO_BIN_EXE_extract-catalog"),
        &[Path::new("dia.parquet"), &survey.join("butler"), collection],
    );
    let orbits = root().join("fixtures/ssobject_case/mpc_orbits.parquet");
    let out = folder.join("ssobject.parquet");
    run(
        env!("CARGO_BIN_EXE_ssp-build-ssobject"),
        &[&survey.join("sssource.parquet"), Path::new("dia.parquet"), &orbits, Path::new("-o"), &out],
    );
    out
}

/// (H - true H) / `HErr` of each band that has both, with whether the slope was fitted.
fn errors_in_sigma() -> Vec<(f64, bool)> {
    let folder = tempfile::tempdir().unwrap();
    let table = survey_objects(folder.path());
    let expected = fs::read_to_string(root().join("fixtures/survey/expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let truths: BTreeMap<i64, &Value> = expected["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| (object["ss_object_id"].as_str().unwrap().parse().unwrap(), object))
        .collect();
    let mut errors = Vec::new();
    for batch in rows(&table) {
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let ids = column("ssObjectId").as_primitive::<Int64Type>().clone();
        for (index, band) in BANDS.iter().enumerate() {
            let float = |what: &str| column(&format!("{band}_{what}")).as_primitive::<Float32Type>().clone();
            let (h, h_err) = (float("H"), float("HErr"));
            let failed = column(&format!("{band}_slope_fit_failed")).as_boolean().clone();
            for row in (0..batch.num_rows()).filter(|row| h.is_valid(*row)) {
                let truth = truths[&ids.value(row)];
                let colours = COLOURS.iter().find(|(name, _)| truth["colours"] == *name).unwrap().1;
                let true_h = truth["true_h_v_mag"].as_f64().unwrap() - colours[index];
                errors.push((
                    (f64::from(h.value(row)) - true_h) / f64::from(h_err.value(row)),
                    !failed.value(row),
                ));
            }
        }
    }
    errors
}

/// The shares that the page quotes are part of what is compared.
#[test]
fn the_plot_of_errors_in_sigma_is_fresh() {
    let errors = errors_in_sigma();
    let series =
        [("slope fitted", true, BLUE), ("G12 = 0.5 taken", false, ORANGE)].map(|(label, fitted, colour)| {
            let mut sigmas: Vec<f64> =
                errors.iter().filter(|error| error.1 == fitted).map(|error| error.0.abs()).collect();
            sigmas.sort_by(f64::total_cmp);
            let within =
                |limit: f64| 100 * sigmas.iter().filter(|sigma| **sigma < limit).count() / sigmas.len();
            (
                format!(
                    "{label}: {} bands, {} % within 1 HErr, {} % within 2",
                    sigmas.len(),
                    within(1.0),
                    within(2.0)
                ),
                sigmas,
                colour,
            )
        });
    let page = fs::read_to_string(root().join("docs/explanation/fits-and-moids.md")).unwrap();
    for (label, ..) in &series {
        assert!(page.contains(label), "the page does not say: {label}");
    }

    draw("docs/explanation/errors-in-sigma.svg", |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..6.0, 0.0..1.0)
            .unwrap();
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("|H - true H| / HErr")
            .y_desc("share of the bands")
            .label_style(("sans-serif", 14))
            .draw()
            .unwrap();
        // The normal distribution at quarters of sigma, from tables.
        let normal = [
            0.0, 0.1974, 0.3829, 0.5467, 0.6827, 0.7887, 0.8664, 0.9199, 0.9545, 0.9756, 0.9876, 0.994,
            0.9973,
        ];
        let normal = normal.iter().enumerate().map(|(k, share)| (k as f64 / 4.0, *share)).chain([(6.0, 1.0)]);
        chart
            .draw_series(line(normal, GREY.stroke_width(1)))
            .unwrap()
            .label("normal errors")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], GREY));
        for (label, sigmas, colour) in series {
            let count = sigmas.len() as f64;
            let steps = sigmas.iter().enumerate().map(|(k, sigma)| (sigma.min(6.0), (k + 1) as f64 / count));
            chart
                .draw_series(line(steps, colour.stroke_width(2)))
                .unwrap()
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight);
    });
}
