//! Inputs that do not fit together.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray};

use crate::place::{COLLECTION, Place, SURVEY_BUTLER, Said};

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

const ROWS: usize = 6;

fn reals(values: [f32; ROWS]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

/// Writes the detections of a night.
fn put_detections(
    place: &Place,
    first_id: i64,
    bands: [Option<&str>; ROWS],
    flux: [f32; ROWS],
    flux_err: f32,
) {
    let times = (0..6).map(|row| 60_800.0 + f64::from(row));
    place.table(
        "dia.parquet",
        vec![
            ("diaSourceId", numbers((0..6).map(|row| first_id + row))),
            ("band", texts(&bands)),
            ("midpointMjdTai", Arc::new(Float64Array::from_iter_values(times))),
            ("psfFlux", reals(flux)),
            ("psfFluxErr", reals([flux_err; ROWS])),
            ("extendedness", reals([0.0; ROWS])),
        ],
    );
}

/// The inputs of an SSObject table: two objects with three detections each.
struct Night {
    designations: [Option<&'static str>; 2],
    orbits: Vec<&'static str>,
    /// The first element of each orbit; NaN is unknown.
    q: f64,
    band: Option<&'static str>,
    objects: [i64; 2],
    first_dia_source: i64,
    /// psfFlux, psfFluxErr, phaseAngle, topoRange, helioRange; NaN is unknown.
    measured: [f32; 5],
}

const NIGHT: Night = Night {
    designations: [Some("2020 BE1"), Some("2020 QN3")],
    orbits: Vec::new(),
    q: 1.1,
    band: Some("r"),
    objects: [7, 8],
    first_dia_source: 1,
    measured: [1000.0, 10.0, 12.0, 1.5, 2.2],
};

impl Night {
    fn put(&self, place: &Place) {
        let real = |value: f32| reals([value; ROWS]);
        let each = |row: usize| row * 2 / ROWS;
        let [flux, flux_err, phase, topo, helio] = self.measured;
        let designations: Vec<_> = (0..ROWS).map(|row| self.designations[each(row)]).collect();
        place.table(
            "sss.parquet",
            vec![
                ("diaSourceId", numbers(1..=6)),
                ("ssObjectId", numbers((0..ROWS).map(|row| self.objects[each(row)]))),
                ("designation", texts(&designations)),
                ("phaseAngle", real(phase)),
                ("topoRange", real(topo)),
                ("helioRange", real(helio)),
            ],
        );
        put_detections(place, self.first_dia_source, [self.band; ROWS], [flux; ROWS], flux_err);
        let orbits: Vec<Option<&str>> = self.orbits.iter().map(|name| Some(*name)).collect();
        let mut columns = vec![("unpacked_primary_provisional_designation", texts(&orbits))];
        let elements = [self.q, 0.2, 5.0, 10.0, 20.0, 60_800.0];
        for (name, value) in ["q", "e", "i", "node", "argperi", "epoch_mjd"].into_iter().zip(elements) {
            columns.push((name, Arc::new(Float64Array::from(vec![value; orbits.len()]))));
        }
        place.table("orbits.parquet", columns);
    }

    /// What `ssp-build-ssobject --silent` says of it, with more flags.
    fn build(&self, flags: &[&str]) -> Said {
        let place = Place::empty();
        self.put(&place);
        build(&place, flags)
    }
}

fn build(place: &Place, flags: &[&str]) -> Said {
    let inputs = ["sss.parquet", "dia.parquet", "orbits.parquet", "--output", "out.parquet", "--silent"];
    place.run("ssp-build-ssobject", &[&inputs, flags].concat())
}

#[test]
fn objects_without_orbits_are_told_of_with_examples_of_both_sides() {
    let packed = [Some("K20B01E"), Some("K20Q03N")];
    Night { designations: packed, orbits: vec!["2020 QN3", "2020 BE1"], ..NIGHT }
        .build(&[])
        .expect(0)
        .says("none of the 2 objects in SSSource is in mpc_orbits by designation")
        .says("not found: `K20B01E`, `K20Q03N`; mpc_orbits has, for example, `2020 BE1`, `2020 QN3`\n");
    Night { orbits: Vec::new(), ..NIGHT }.build(&[]).expect(0).says("mpc_orbits has none");
    let unknown = Night { designations: [None, None], orbits: vec!["2020 BE1"], ..NIGHT };
    unknown.build(&[]).expect(0).says("not found: `NULL`; mpc_orbits has, for example, `2020 BE1`");
}

#[test]
fn half_of_the_objects_is_enough_unless_more_is_asked_for() {
    let half = Night { orbits: vec!["2020 BE1"], ..NIGHT };
    assert_eq!(half.build(&[]).expect(0).text, "");
    let place = Place::empty();
    half.put(&place);
    place.put("out.parquet", "old");
    build(&place, &["--min-match", "51%"])
        .expect(5)
        .says("check `min_match` failed: 1 of 2 objects in SSSource is in mpc_orbits by designation")
        .says("not found: `2020 QN3`; mpc_orbits has, for example, `2020 BE1`; expected at least 51%");
    assert_eq!(fs::read_to_string(place.path("out.parquet")).unwrap(), "old");
    build(&place, &["--min-match", "50%"]).expect(0);
    build(&place, &["--min-match", "0.5"]).expect(2).says("`0.5` has no percent sign: write 50%");
}

#[test]
fn orbits_without_elements_and_bands_of_another_name_are_told_of() {
    let orbits = vec!["2020 BE1", "2020 QN3"];
    Night { orbits: orbits.clone(), q: f64::NAN, ..NIGHT }
        .build(&[])
        .expect(0)
        .says("none of the 2 orbits of the objects is complete in mpc_orbits")
        .does_not_say("by designation");
    Night { orbits: orbits.clone(), band: Some("LSST_r"), ..NIGHT }
        .build(&[])
        .expect(0)
        .says("none of the 6 detections is in one of the bands u g r i z y; column `band` has, for example, `LSST_r`");
    let unknown = Night { orbits, band: None, ..NIGHT }.build(&[]).expect(0).says("has, for example, `NULL`");
    assert_eq!(unknown.text.matches("warning:").count(), 1, "{}", unknown.text);
}

#[test]
fn a_few_of_another_band_are_told_of_once_and_are_no_failure() {
    let place = Place::empty();
    Night { orbits: vec!["2020 BE1", "2020 QN3"], ..NIGHT }.put(&place);
    let bands = [Some("r"), Some("r"), Some("r"), Some("r"), Some("r"), Some("white")];
    put_detections(&place, 1, bands, [1000.0; ROWS], 10.0);
    let said = "warning: 5 of 6 detections are in one of the bands u g r i z y; column `band` has, for example, `white`\n";
    assert_eq!(build(&place, &[]).expect(0).text, said);
    assert_eq!(build(&place, &["--min-match", "80%"]).expect(0).text, said);
    build(&place, &["--min-match", "90%"]).expect(5).says("5 of 6 detections");
}

#[test]
fn detections_of_which_none_can_be_used_for_a_fit_are_told_of_with_the_reason() {
    const NONE: f32 = f32::NAN;
    let night = |measured| Night { orbits: vec!["2020 BE1", "2020 QN3"], measured, ..NIGHT };
    let unusable = "warning: none of the 6 detections in the bands u g r i z y is usable for H and G12, which are NULL for all \
                    objects (6 without ";
    for (measured, reason) in [
        ([NONE, 10.0, 12.0, 1.5, 2.2], "positive psfFlux)"),
        ([-3.0, 10.0, 12.0, 1.5, 2.2], "positive psfFlux)"),
        ([0.0, 10.0, 12.0, 1.5, 2.2], "positive psfFlux)"),
        ([1000.0, 0.0, 12.0, 1.5, 2.2], "positive psfFluxErr)"),
        ([1000.0, NONE, 12.0, 1.5, 2.2], "positive psfFluxErr)"),
        ([1000.0, 10.0, NONE, 1.5, 2.2], "phaseAngle)"),
        ([1000.0, 10.0, 12.0, NONE, 2.2], "positive topoRange or helioRange)"),
        ([1000.0, 10.0, 12.0, 1.5, NONE], "positive topoRange or helioRange)"),
        ([NONE, NONE, 12.0, 1.5, 2.2], "positive psfFlux, 6 without positive psfFluxErr)"),
    ] {
        assert_eq!(night(measured).build(&[]).expect(0).text, format!("{unusable}{reason}\n"));
    }
    night([NONE, 10.0, 12.0, 1.5, 2.2])
        .build(&["--min-match", "1%"])
        .expect(5)
        .says("is usable for H and G12");
    // Where no phase function has a value.
    night([1000.0, 10.0, 179.0, 1.5, 2.2]).build(&[]).expect(0).says("NULL for all objects\n");
    // One that can be used is enough, for negative fluxes are usual.
    let place = Place::empty();
    night(NIGHT.measured).put(&place);
    put_detections(&place, 1, [Some("r"); ROWS], [-1.0, -1.0, NONE, -5.0, 900.0, -1.0], 10.0);
    assert_eq!(build(&place, &["--min-match", "100%"]).expect(0).text, "");
}

#[test]
fn a_share_of_zero_never_fails() {
    let none = Night { orbits: vec!["K20B01E"], ..NIGHT };
    let said = none.build(&["--min-match", "0%"]).expect(0);
    assert_eq!(said.text.matches("warning:").count(), 1, "{}", said.text);
    extract(numbers([5, 6]), &["--min-match", "0%"]).expect(0).says("warning: none of the 2 ids");
    let place = Place::empty();
    none.put(&place);
    stage(&place, "{min_match: {at_least: 0%, severity: fail}}");
    place.ssp_run(&["-q"]).expect(0).says("warning table: none of the 2 objects");
}

#[test]
fn examples_differ() {
    let same = Night { designations: [Some("2099 ZZ9"); 2], orbits: vec!["2020 BE1"], ..NIGHT };
    same.build(&[]).expect(0).says("not found: `2099 ZZ9`; mpc_orbits has, for example, `2020 BE1`");
    // All rows of a dataset are of one visit.
    let said = extract(numbers([1]), &["--target-column", "visit"]).expect(0);
    let (_, examples) = said.text.split_once("that column has, for example, ").unwrap();
    assert_eq!(examples.matches('`').count(), 2, "{}", said.text);
}

#[test]
fn names_of_columns_may_have_blanks_around_them_and_a_name_in_another_case_is_proposed() {
    extract(numbers([1]), &["--columns", "diaSourceId, ra ,dec"]).expect(0);
    for (asked, meant) in
        [("RA", "ra"), ("Band", "band"), ("DIASOURCEID", "diaSourceId"), ("psfflux", "psfFlux")]
    {
        extract(numbers([1]), &["--columns", asked])
            .expect(1)
            .says(&format!("no dataset has a column `{asked}`; did you mean `{meant}`"));
    }
    extract(numbers([1]), &["--target-column", "DiaSourceID"]).expect(1).says("did you mean `diaSourceId`");
}

#[test]
fn rows_that_meet_no_detection_or_are_of_no_object_are_told_of() {
    let orbits = vec!["2020 BE1", "2020 QN3"];
    let far = Night { orbits: orbits.clone(), first_dia_source: 101, ..NIGHT };
    far.build(&["--on-missing", "drop"])
        .expect(0)
        .says("none of the 6 diaSourceIds of SSSource is in DiaSource (rows without a match were left out); not found: `1`, `2`, `3`, ...; DiaSource has, for example, `101`, `102`, `103`");
    far.build(&["--on-missing", "drop", "--memory", "1B"])
        .expect(0)
        .says("has, for example, `101`, `102`, `103`");
    let unlinked = Night { orbits: orbits.clone(), objects: [0, 0], ..NIGHT }.build(&[]).expect(0);
    assert_eq!(unlinked.text.matches("warning:").count(), 1, "{}", unlinked.text);
    unlinked.says("none of the 6 rows in SSSource is of an object");
    let good = Night { orbits, ..NIGHT }.build(&["--min-match", "100%"]);
    assert_eq!(good.expect(0).text, "");
}

/// A pipeline that builds the table, with checks.
fn stage(place: &Place, checks: &str) {
    place.put(
        "pipeline.yaml",
        format!(
            "version: 1\nname: field\nout_dir: out\nstages:\n  table:\n    build-ssobject: {{sssource: ./sss.parquet, \
             dia_sources: ./dia.parquet, mpc_orbits: ./orbits.parquet}}\n    out: so.parquet\n    checks: {checks}\n"
        ),
    );
}

#[test]
fn a_run_keeps_the_warning_and_says_it_though_it_is_quiet() {
    let place = Place::empty();
    Night { orbits: vec!["K20B01E"], ..NIGHT }.put(&place);
    stage(&place, "{}");
    let warning = "none of the 2 objects in SSSource is in mpc_orbits by designation";
    place.ssp_run(&["-q"]).expect(0).says(&format!("warning table: {warning}"));
    let run = place.path("out/.ssp/runs/latest");
    for record in ["run.json", "table.log", "events.jsonl", "report.html"] {
        let text = fs::read_to_string(run.join(record)).unwrap();
        assert!(text.contains(warning), "{record}: {text}");
    }
}

#[test]
fn a_stage_may_fail_for_it_and_keeps_the_last_good_output() {
    let place = Place::empty();
    let orbits = vec!["2020 BE1", "2020 QN3"];
    Night { orbits: orbits.clone(), ..NIGHT }.put(&place);
    stage(&place, "{min_match: {at_least: 80%, severity: fail}}");
    assert_eq!(place.ssp_run(&["-q"]).expect(0).text, "");
    let good = fs::read(place.path("out/so.parquet")).unwrap();
    Night { orbits: orbits[..1].to_vec(), ..NIGHT }.put(&place);
    place.ssp_run(&[]).expect(5).says("1 of 2 objects").says("expected at least 80%");
    assert_eq!(fs::read(place.path("out/so.parquet")).unwrap(), good);
    // A share alone is a warning, and so is what is found nowhere whatever the share is.
    stage(&place, "{min_match: 80%}");
    place.ssp_run(&["-q"]).expect(0).says("warning table: 1 of 2 objects");
    Night { orbits: Vec::new(), ..NIGHT }.put(&place);
    stage(&place, "{min_match: 0%}");
    place.ssp_run(&["-q"]).expect(0).says("warning table: none of the 2 objects");
    stage(&place, "{min_match: {severity: fail}}");
    place.ssp_run(&["-f"]).expect(5).says("expected at least 50%");
}

#[test]
fn a_share_that_makes_no_sense_is_a_mistake_of_the_file() {
    let place = Place::empty();
    for (checks, said) in [
        ("{min_match: 150%}", "`150%` is not a percentage from 0% to 100%"),
        ("{min_match: 0.5}", "`min_match`: `0.5` has no percent sign: write 50%\n"),
        ("{min_match: {at_least: 10%, severity: maybe}}", "`severity` must be `warn` or `fail`"),
        ("{min_match: {at_most: 10%}}", "unknown key `at_most`"),
    ] {
        stage(&place, checks);
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
}

fn extract(ids: ArrayRef, flags: &[&str]) -> Said {
    let place = Place::empty();
    place.table("ids.parquet", vec![("id", ids)]);
    let what = ["out.parquet", SURVEY_BUTLER, COLLECTION, "-s"];
    let filter = ["--filter-ids", "ids.parquet", "--filter-column", "id"];
    place.run("extract-catalog", &[&what[..], &filter, flags].concat())
}

#[test]
fn ids_that_are_in_no_dataset_are_told_of_with_examples_of_both_sides() {
    extract(numbers([5, 6]), &[])
        .expect(0)
        .says("none of the 2 ids in `ids.parquet` is in column `diaSourceId` of the datasets; not found: `5`, `6`; that column has, for example, `");
    extract(texts(&[Some("5"), None]), &["--min-match", "1%"]).expect(5).says("none of the 1 ids");
    // Of another column: values are compared, not names.
    extract(numbers([1]), &["--target-column", "visit"]).expect(0).says("in column `visit` of the datasets");
}

#[test]
fn no_ids_at_all_are_told_of_and_are_no_failure() {
    let none = "warning: there are no ids in `ids.parquet`\n";
    extract(texts(&[None, None]), &["--min-match", "90%"]).expect(0).says(none);
    extract(numbers([]), &[]).expect(0).says(none);
}
