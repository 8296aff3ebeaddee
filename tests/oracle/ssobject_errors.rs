//! What wrong inputs lead to, as text.

use std::path::PathBuf;

use arrow::array::{Float32Array, Float64Array, Int64Array, StringArray, UInt64Array};
use ssp::ssobject::options::Earth;
use ssp::stages::build_ssobject::{BuildSsObject, Inputs};
use ssp::stages::{MinMatch, Product, check_lookups};

use super::tables::{Columns, build, built, column, error_text, ids, numbers, options, read, replace, write};

/// Three detections of two objects, all in order.
fn sssource() -> Columns {
    vec![
        column("diaSourceId", Int64Array::from(vec![11, 12, 13])),
        column("ssObjectId", Int64Array::from(vec![1, 1, 2])),
        column("designation", StringArray::from(vec!["2020 AA", "2020 AA", "2021 BB"])),
        column("phaseAngle", Float32Array::from(vec![5.0, 9.0, 14.0])),
        column("topoRange", Float32Array::from(vec![1.0, 1.1, 1.2])),
        column("helioRange", Float32Array::from(vec![2.0, 2.1, 2.2])),
    ]
}

fn dia_sources() -> Columns {
    vec![
        column("diaSourceId", UInt64Array::from(vec![13, 11, 14, 12])),
        column("midpointMjdTai", Float64Array::from(vec![60000.5, 60001.5, 60002.5, 60003.5])),
        column("band", StringArray::from(vec!["r", "g", "r", "g"])),
        column("psfFlux", Float32Array::from(vec![1000.0, 2000.0, 3000.0, 4000.0])),
        column("psfFluxErr", Float32Array::from(vec![10.0, 20.0, 30.0, 40.0])),
        column("extendedness", Float32Array::from(vec![Some(0.1), None, Some(0.3), Some(0.4)])),
    ]
}

fn orbits() -> Columns {
    let one = |value: f64| Float64Array::from(vec![value, value]);
    vec![
        column("unpacked_primary_provisional_designation", StringArray::from(vec!["2020 AA", "2022 CC"])),
        column("q", one(1.1)),
        column("e", one(0.3)),
        column("i", one(7.0)),
        column("node", one(120.0)),
        column("argperi", one(40.0)),
        column("epoch_mjd", one(61000.0)),
    ]
}

/// The three tables of a test, and where they are.
struct Case {
    folder: tempfile::TempDir,
    sssource: Columns,
    dia_sources: Columns,
    orbits: Columns,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, sssource: sssource(), dia_sources: dia_sources(), orbits: orbits() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            sssource: write(&self.path("sss.parquet"), &self.sssource),
            dia_sources: Some(write(&self.path("dia.parquet"), &self.dia_sources)),
            mpc_orbits: write(&self.path("orb.parquet"), &self.orbits),
        }
    }

    /// The error of a build with these inputs; there must be no output.
    fn error_of(&self, inputs: &Inputs) -> String {
        self.error_with(inputs, &options())
    }

    fn error_with(&self, inputs: &Inputs, options: &BuildSsObject) -> String {
        let target = self.path("out/ssobject.parquet");
        let text = error_text(self.folder.path(), build(inputs, options, &target));
        assert_eq!(std::fs::read_dir(self.path("out")).map_or(0, Iterator::count), 0, "something was left");
        text
    }

    fn error(&self) -> String {
        self.error_of(&self.inputs())
    }

    /// The error where SSSource has DiaSource's columns too.
    fn error_wide(&self) -> String {
        let sssource = write(&self.path("wide.parquet"), &wide(&self.sssource));
        self.error_of(&Inputs { sssource, dia_sources: None, ..self.inputs() })
    }
}

#[test]
fn the_good_case_is_good() {
    let case = Case::new();
    let product = build(&case.inputs(), &options(), &case.path("out.parquet")).unwrap();
    assert_eq!(product.rows(), 2);
    insta::assert_snapshot!(serde_json::to_string_pretty(&product.figures).unwrap());
    insta::assert_snapshot!(product.warnings.join("\n"), @"");
}

/// What is said of a product without checks of its own.
fn doubts(product: &Product) -> String {
    check_lookups(&product.lookups, MinMatch::rule(None))
        .into_iter()
        .filter_map(|margin| margin.message)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_detection_that_dia_source_lacks() {
    let mut case = Case::new();
    replace(&mut case.sssource, "diaSourceId", Int64Array::from(vec![11, 99, 98]));
    insta::assert_snapshot!(case.error());
    let mut options = options();
    options.table.drop_missing = true;
    let product = build(&case.inputs(), &options, &case.path("out.parquet")).unwrap();
    assert_eq!(product.rows(), 1);
    insta::assert_snapshot!(doubts(&product));
}

#[test]
fn a_detection_twice_in_dia_source() {
    let mut case = Case::new();
    replace(&mut case.dia_sources, "diaSourceId", Int64Array::from(vec![13, 11, 11, 12]));
    insta::assert_snapshot!(case.error());
}

/// The rows of SSSource with what DiaSource has of them: the wide form.
fn wide(sssource: &Columns) -> Columns {
    let mut wide = sssource.clone();
    wide.extend(vec![
        column("midpointMjdTai", Float64Array::from(vec![60001.5, 60003.5, 60000.5])),
        column("band", StringArray::from(vec!["g", "g", "r"])),
        column("psfFlux", Float32Array::from(vec![2000.0, 4000.0, 1000.0])),
        column("psfFluxErr", Float32Array::from(vec![20.0, 40.0, 10.0])),
        column("extendedness", Float32Array::from(vec![None, Some(0.4), Some(0.1)])),
    ]);
    wide
}

/// Of one object or of two, in one file with DiaSource's columns or in two, and whether memory holds the rows or not.
#[test]
fn a_detection_twice_in_sssource() {
    for ids in [[11, 11, 13], [13, 12, 13]] {
        let mut case = Case::new();
        replace(&mut case.sssource, "diaSourceId", Int64Array::from(ids.to_vec()));
        let inputs = case.inputs();
        let sssource = write(&case.path("wide.parquet"), &wide(&case.sssource));
        let wide = Inputs { sssource, dia_sources: None, ..inputs.clone() };
        for inputs in [inputs, wide] {
            for memory_bytes in [1, 200, 1 << 30] {
                let mut options = options();
                options.table.memory_bytes = memory_bytes;
                let product = build(&inputs, &options, &case.path("out.parquet")).unwrap();
                let said = format!(
                    "SSSource has 1 diaSourceId ({}) more than once: all of their rows are counted",
                    ids[0]
                );
                assert!(product.warnings.contains(&said), "{memory_bytes} bytes: {:?}", product.warnings);
                assert_eq!(product.figures["detections_repeated"], 1);
                assert_eq!(product.figures["detections"], 3);
            }
        }
    }
}

/// What is of no object, or not primary, may stand there again; so may rows without an id in the wide form.
#[test]
fn rows_that_do_not_count_are_not_a_second_time() {
    let mut case = Case::new();
    replace(&mut case.sssource, "diaSourceId", Int64Array::from(vec![11, 11, 11]));
    replace(&mut case.sssource, "ssObjectId", Int64Array::from(vec![None, Some(0), Some(2)]));
    let detections = |inputs: &Inputs| {
        let product = build(inputs, &options(), &case.path("out.parquet")).unwrap();
        assert_eq!(product.figures["detections_repeated"], 0);
        product.figures["detections"].clone()
    };
    assert_eq!(detections(&case.inputs()), 1);
    let mut table = wide(&sssource());
    replace(&mut table, "diaSourceId", Int64Array::from(vec![None, None, Some(13)]));
    let sssource = write(&case.path("wide.parquet"), &table);
    assert_eq!(detections(&Inputs { sssource, dia_sources: None, ..case.inputs() }), 3);
}

#[test]
fn two_designations_of_one_object() {
    let mut case = Case::new();
    replace(&mut case.sssource, "designation", StringArray::from(vec!["2020 AA", "2020 AB", "2021 BB"]));
    insta::assert_snapshot!(case.error());
}

#[test]
fn a_designation_that_its_column_cannot_hold() {
    let mut case = Case::new();
    // Sixteen characters fit, also of several bytes each.
    let names = |first: &str| StringArray::from(vec![first, first, "sixteen char. \u{e9}\u{e9}"]);
    replace(&mut case.sssource, "designation", names("2020 AA"));
    assert_eq!(build(&case.inputs(), &options(), &case.path("out.parquet")).unwrap().rows(), 2);
    replace(&mut case.sssource, "designation", names("seventeen charact"));
    insta::assert_snapshot!(case.error(), @r"
    cannot build the SSObject table
    SSSource has a designation longer than 16 characters for 1 ssObjectId (1: `seventeen charact`): the column of SSObject is not wider; correct SSSource
    ");
}

#[test]
fn two_orbits_of_one_designation() {
    let mut case = Case::new();
    let name = "unpacked_primary_provisional_designation";
    replace(&mut case.orbits, name, StringArray::from(vec!["2020 AA", "2020 AA"]));
    insta::assert_snapshot!(case.error());
    // Also of one that no object has.
    replace(&mut case.orbits, name, StringArray::from(vec!["2022 CC", "2022 CC"]));
    insta::assert_snapshot!(case.error());
}

#[test]
fn an_id_that_does_not_fit() {
    let mut case = Case::new();
    replace(&mut case.dia_sources, "diaSourceId", UInt64Array::from(vec![13, 11, u64::MAX, 12]));
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    replace(&mut case.sssource, "diaSourceId", UInt64Array::from(vec![11, 1 << 63, 13]));
    insta::assert_snapshot!(case.error(), @r"
    cannot build the SSObject table
    SSSource: column `diaSourceId` of `sss.parquet` has 1 id (9223372036854775808) beyond a signed 64-bit integer: ids must be below 2^63
    ");
    let mut case = Case::new();
    replace(&mut case.sssource, "ssObjectId", UInt64Array::from(vec![u64::MAX, u64::MAX, 2]));
    insta::assert_snapshot!(case.error_wide(), @r"
    cannot build the SSObject table
    SSSource: column `ssObjectId` of `wide.parquet` has 1 id (18446744073709551615) beyond a signed 64-bit integer: ids must be below 2^63
    ");
    // The largest that fits does.
    let most = 0x7fff_ffff_ffff_ffff;
    let mut case = Case::new();
    replace(&mut case.sssource, "ssObjectId", UInt64Array::from(vec![most, most, 2]));
    let table = built(&case.inputs(), &options(), &case.path("out.parquet"));
    assert_eq!(ids(&table, "ssObjectId"), [2, i64::MAX]);
}

#[test]
fn a_wide_table_without_the_time() {
    let case = Case::new();
    let mut table = wide(&case.sssource);
    table.retain(|entry| entry.0 != "midpointMjdTai");
    let sssource = write(&case.path("wide.parquet"), &table);
    insta::assert_snapshot!(case.error_of(&Inputs { sssource, dia_sources: None, ..case.inputs() }), @r"
    cannot build the SSObject table
    no DiaSource was given, and SSSource `wide.parquet` lacks its columns midpointMjdTai: give DiaSource, or an SSSource with all of them
    ");
}

#[test]
fn a_row_of_a_wide_table_without_a_time() {
    let case = Case::new();
    let mut table = wide(&case.sssource);
    let times = vec![Some(60001.5), Some(f64::NAN), None];
    replace(&mut table, "midpointMjdTai", Float64Array::from(times));
    let sssource = write(&case.path("wide.parquet"), &table);
    insta::assert_snapshot!(case.error_of(&Inputs { sssource, dia_sources: None, ..case.inputs() }), @r"
    cannot build the SSObject table
    SSSource: column `midpointMjdTai` of `wide.parquet` has no value in row 2: each row must have one
    ");
}

#[test]
fn primary_of_the_wrong_type() {
    let mut case = Case::new();
    case.sssource.push(column("primary", Int64Array::from(vec![1, 1, 0])));
    let expected = |file: &str| {
        format!(
            "cannot build the SSObject table\nSSSource: column `primary` of `{file}` is Int64, and must be boolean"
        )
    };
    assert_eq!(case.error(), expected("sss.parquet"));
    assert_eq!(case.error_wide(), expected("wide.parquet"));
}

#[test]
fn a_detection_in_none_of_the_bands() {
    let mut case = Case::new();
    replace(&mut case.dia_sources, "band", StringArray::from(vec![Some("Y"), None, Some(""), Some("g")]));
    let product = build(&case.inputs(), &options(), &case.path("out.parquet")).unwrap();
    insta::assert_snapshot!(
        doubts(&product), @"1 of 3 detections is in one of the bands u g r i z y; column `band` has, for example, ``, `NULL`, `Y`"
    );
    assert_eq!(product.figures["detections_in_other_bands"], 2);
    product.files.into_iter().for_each(|table| table.file.publish().unwrap());
    let table = read(&case.path("out.parquet"));
    // They count as the object's, and in no band.
    assert_eq!(numbers(&table, "nObs"), [Some(2.0), Some(1.0)]);
    assert_eq!(numbers(&table, "g_nObs"), [Some(1.0), Some(0.0)]);
    assert_eq!(numbers(&table, "y_nObs"), [Some(0.0), Some(0.0)]);
}

#[test]
fn a_missing_column() {
    let mut case = Case::new();
    case.orbits.retain(|entry| entry.0 != "argperi");
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    case.sssource.retain(|entry| entry.0 != "ssObjectId");
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    case.dia_sources.retain(|entry| entry.0 != "psfFlux");
    insta::assert_snapshot!(case.error());
}

#[test]
fn a_column_of_the_wrong_type() {
    let mut case = Case::new();
    replace(&mut case.sssource, "ssObjectId", Float64Array::from(vec![1.0, 1.0, 2.0]));
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    replace(&mut case.dia_sources, "band", Int64Array::from(vec![1, 2, 3, 4]));
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    replace(&mut case.dia_sources, "psfFlux", StringArray::from(vec!["1", "2", "3", "4"]));
    insta::assert_snapshot!(case.error());
}

#[test]
fn no_id_or_no_time() {
    let mut case = Case::new();
    replace(&mut case.sssource, "diaSourceId", Int64Array::from(vec![Some(11), None, Some(13)]));
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    replace(&mut case.dia_sources, "diaSourceId", Int64Array::from(vec![Some(13), None, Some(11), Some(12)]));
    insta::assert_snapshot!(case.error());
    let mut case = Case::new();
    let times = vec![None, Some(f64::NAN), Some(60002.5), Some(60003.5)];
    replace(&mut case.dia_sources, "midpointMjdTai", Float64Array::from(times));
    insta::assert_snapshot!(case.error());
}

#[test]
fn dia_source_left_out_and_needed() {
    let case = Case::new();
    let inputs = Inputs { dia_sources: None, ..case.inputs() };
    insta::assert_snapshot!(case.error_of(&inputs));
}

#[test]
fn no_file() {
    let case = Case::new();
    let at = |path: &str| Inputs { sssource: case.path(path), ..case.inputs() };
    insta::assert_snapshot!(case.error_of(&at("nothing.parquet")));
    insta::assert_snapshot!(case.error_of(&at("nothing*.parquet")));
    insta::assert_snapshot!(case.error_of(&at("a***b.parquet")));
    std::fs::create_dir(case.path("empty")).unwrap();
    insta::assert_snapshot!(case.error_of(&at("empty")));
}

#[test]
fn a_file_that_is_not_parquet() {
    let case = Case::new();
    let inputs = case.inputs();
    ssp::durable::write(&inputs.mpc_orbits, b"not a Parquet file at all").unwrap();
    insta::assert_snapshot!(case.error_of(&inputs));
}

#[test]
fn an_epoch_for_which_the_osculating_earth_is_not_known() {
    let mut case = Case::new();
    replace(&mut case.orbits, "epoch_mjd", Float64Array::from(vec![41_000.0, 61_000.0]));
    let mut options = options();
    options.table.earth = Earth::Osculating;
    let product = build(&case.inputs(), &options, &case.path("out.parquet")).unwrap();
    insta::assert_snapshot!(product.warnings.join("\n"));
    product.files.into_iter().for_each(|table| table.file.publish().unwrap());
    let table = read(&case.path("out.parquet"));
    assert_eq!(numbers(&table, "MOIDEarth"), [None, None]);
    assert!(numbers(&table, "tisserand_J")[0].is_some());
}
