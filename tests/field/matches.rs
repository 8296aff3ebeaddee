//! Inputs that do not fit together.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray};

use crate::place::{Place, Said};

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
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
}

const NIGHT: Night = Night {
    designations: [Some("2020 BE1"), Some("2020 QN3")],
    orbits: Vec::new(),
    q: 1.1,
    band: Some("r"),
    objects: [7, 8],
    first_dia_source: 1,
};

impl Night {
    fn put(&self, place: &Place) {
        const ROWS: usize = 6;
        let real = |value: f32| Arc::new(Float32Array::from(vec![value; ROWS])) as ArrayRef;
        let each = |row: usize| row * 2 / ROWS;
        let designations: Vec<_> = (0..ROWS).map(|row| self.designations[each(row)]).collect();
        place.table(
            "sss.parquet",
            vec![
                ("diaSourceId", numbers(1..=6)),
                ("ssObjectId", numbers((0..ROWS).map(|row| self.objects[each(row)]))),
                ("designation", texts(&designations)),
                ("phaseAngle", real(12.0)),
                ("topoRange", real(1.5)),
                ("helioRange", real(2.2)),
            ],
        );
        place.table(
            "dia.parquet",
            vec![
                ("diaSourceId", numbers((0..6).map(|row| self.first_dia_source + row))),
                ("band", texts(&[self.band; ROWS])),
                (
                    "midpointMjdTai",
                    Arc::new(Float64Array::from_iter_values((0..6).map(|row| 60_800.0 + f64::from(row)))),
                ),
                ("psfFlux", real(1000.0)),
                ("psfFluxErr", real(10.0)),
                ("extendedness", real(0.0)),
            ],
        );
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
        .says("none of the 2 designations of the objects in SSSource is in mpc_orbits")
        .says("not found: `K20B01E`, `K20Q03N`; mpc_orbits has, for example, `2020 BE1`, `2020 QN3`\n");
    Night { orbits: Vec::new(), ..NIGHT }.build(&[]).expect(0).says("mpc_orbits has none");
    let unknown = Night { designations: [None, None], orbits: vec!["2020 BE1"], ..NIGHT };
    unknown.build(&[]).expect(0).says("not found: `NULL`, `NULL`; mpc_orbits has, for example, `2020 BE1`");
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
        .says("check `min_match` failed: 1 of 2 designations of the objects in SSSource is in mpc_orbits")
        .says("not found: `2020 QN3`; mpc_orbits has, for example, `2020 BE1`; at least 51% are wanted");
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
        .does_not_say("designations");
    Night { orbits: orbits.clone(), band: Some("LSST_r"), ..NIGHT }
        .build(&[])
        .expect(0)
        .says("none of the 6 detections is in one of the bands u g r i z y; column `band` has, for example, `LSST_r`");
    Night { orbits, band: None, ..NIGHT }.build(&[]).expect(0).says("has, for example, `NULL`");
}

#[test]
fn rows_that_meet_no_detection_or_are_of_no_object_are_told_of() {
    let orbits = vec!["2020 BE1", "2020 QN3"];
    let far = Night { orbits: orbits.clone(), first_dia_source: 101, ..NIGHT };
    far.build(&["--on-missing", "drop"])
        .expect(0)
        .says("none of the 6 diaSourceIds of SSSource is in DiaSource; not found: `1`, `2`, `3`, ...; DiaSource has, for example, `101`, `102`, `103`");
    far.build(&["--on-missing", "drop", "--memory", "1"])
        .expect(0)
        .says("has, for example, `101`, `102`, `103`");
    let unlinked = Night { orbits: orbits.clone(), objects: [0, 0], ..NIGHT }.build(&[]).expect(0);
    assert_eq!(unlinked.text.matches("warning:").count(), 1, "{}", unlinked.text);
    unlinked.says("none of the 6 rows of SSSource is of an object");
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
    let warning = "none of the 2 designations of the objects in SSSource is in mpc_orbits";
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
    place.ssp_run(&[]).expect(5).says("1 of 2 designations").says("at least 80% are wanted");
    assert_eq!(fs::read(place.path("out/so.parquet")).unwrap(), good);
    // A share alone is a warning, and so is what is found nowhere whatever the share is.
    stage(&place, "{min_match: 80%}");
    place.ssp_run(&["-q"]).expect(0).says("warning table: 1 of 2 designations");
    Night { orbits: Vec::new(), ..NIGHT }.put(&place);
    stage(&place, "{min_match: 0%}");
    place.ssp_run(&["-q"]).expect(0).says("warning table: none of the 2 designations");
    stage(&place, "{min_match: {severity: fail}}");
    place.ssp_run(&["-f"]).expect(5).says("at least 50% are wanted");
}

#[test]
fn a_share_that_makes_no_sense_is_a_mistake_of_the_file() {
    let place = Place::empty();
    for (checks, said) in [
        ("{min_match: 150%}", "`150%` is not a percentage from 0% to 100%"),
        (
            "{min_match: 0.5}",
            "`min_match` must be a percentage such as `10%` or a mapping, not the number 0.5\n",
        ),
        ("{min_match: {at_least: 10%, severity: maybe}}", "`severity` must be `warn` or `fail`"),
        ("{min_match: {at_most: 10%}}", "unknown key `at_most`"),
    ] {
        stage(&place, checks);
        place.ssp_run(&["validate"]).expect(2).says(said);
    }
}

const COLLECTION: &str = "LSSTCam/runs/DRP/FL/w_2025_19/DM-50795";

fn extract(ids: ArrayRef, flags: &[&str]) -> Said {
    let place = Place::empty();
    place.table("ids.parquet", vec![("id", ids)]);
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/survey/butler");
    let filter =
        ["out.parquet", repository, COLLECTION, "--filter-ids", "ids.parquet", "--filter-column", "id", "-s"];
    place.run("extract-catalog", &[&filter, flags].concat())
}

#[test]
fn ids_that_are_in_no_dataset_are_told_of_with_examples_of_both_sides() {
    extract(numbers([5, 6]), &[])
        .expect(0)
        .says("none of the 2 ids of `ids.parquet` is in column `diaSourceId` of the datasets; not found: `5`, `6`; that column has, for example, `");
    extract(texts(&[Some("5"), None]), &["--min-match", "1%"]).expect(5).says("none of the 1 ids");
    // Of another column: values are compared, not names.
    extract(numbers([1]), &["--target-column", "visit"]).expect(0).says("in column `visit` of the datasets");
}

#[test]
fn no_ids_at_all_are_told_of_and_are_no_failure() {
    let none = "there are no ids of `ids.parquet`: none can be in column `diaSourceId` of the datasets";
    extract(texts(&[None, None]), &["--min-match", "90%"]).expect(0).says(none);
    extract(numbers([]), &[]).expect(0).says(none);
}
