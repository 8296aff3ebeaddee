//! What wrong inputs lead to, as text.

use arrow::array::{Float64Array, Int32Array, Int64Array, UInt64Array};
use ssp::monitor::Monitor;
use ssp::sssource::{Error, associate};

use super::case::{Case, dia, obs, orbit, remove, replace, write_all};

#[test]
fn a_column_that_is_needed_is_named() {
    let needed = [
        ("obs_sbn", "obsid obssubid stn status obstime ra dec provid permid submission_id"),
        ("dia_sources", "diaSourceId midpointMjdTai ra dec"),
        (
            "mpc_orbits",
            "unpacked_primary_provisional_designation packed_primary_provisional_designation q e i node argperi \
             peri_time epoch_mjd h g",
        ),
        (
            "current_identifications",
            "unpacked_primary_provisional_designation unpacked_secondary_provisional_designation",
        ),
        ("numbered_identifications", "permid unpacked_primary_provisional_designation"),
    ];
    let case = Case::new();
    for (table, columns) in needed {
        for column in columns.split_whitespace() {
            let mut tables = case.tables();
            remove(&mut tables, table, column);
            let error = case.error_of(tables);
            let expected = format!("{table}: `{table}.parquet` has no column `{column}` (it has: ");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

#[test]
fn a_column_of_a_wrong_type_is_named() {
    let case = Case::new();
    for (table, column, wanted) in [
        ("obs_sbn", "obsid", "string, large_string, string_view or a dictionary of one of them"),
        ("obs_sbn", "obssubid", "string, large_string, string_view or a dictionary of one of them"),
        ("obs_sbn", "obstime", "timestamp"),
        ("obs_sbn", "ra", "float32 or float64"),
        ("dia_sources", "diaSourceId", "int64 or uint64"),
        ("dia_sources", "midpointMjdTai", "float32 or float64"),
        ("mpc_orbits", "peri_time", "float32 or float64"),
        (
            "numbered_identifications",
            "permid",
            "string, large_string, string_view or a dictionary of one of them",
        ),
    ] {
        let mut tables = case.tables();
        let rows = tables[table][0].1.len();
        replace(&mut tables, table, column, Int32Array::from(vec![1; rows]));
        assert_eq!(
            case.error_of(tables),
            format!("{table}: column `{column}` of `{table}.parquet` is Int32, and must be {wanted}")
        );
    }
}

#[test]
fn an_input_that_is_not_there_is_named() {
    let case = Case::new();
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = write_all(folder.path(), case.tables());
    inputs.mpc_orbits = folder.path().join("none.parquet");
    let error = associate(&inputs, &case.options, folder.path(), &Monitor::default()).err().unwrap();
    assert!(error.to_string().starts_with("mpc_orbits: `"), "{error}");
    assert!(error.to_string().contains("none.parquet` names no Parquet file: give a file"), "{error}");
}

#[test]
fn a_dia_source_twice_is_an_error_whether_it_is_used_or_not() {
    let mut case = Case::new();
    case.dia.extend([dia(104), dia(102)]);
    let expected = "dia_sources has 2 diaSourceIds (102, 104) more than once: each must appear once";
    assert_eq!(case.error(), expected);
    case.options.memory_bytes = 1;
    assert_eq!(case.error(), expected);
}

#[test]
fn an_obsid_twice_is_an_error() {
    let mut case = Case::new();
    case.obs.push(obs("o1", "104", 104, None));
    assert_eq!(case.error(), "obs_sbn has 1 obsid (o1) more than once: each observation must appear once");
    case.obs.extend([obs("o2", "no id", 104, None), obs("o2", "104", 104, None)]);
    assert_eq!(
        case.error(),
        "obs_sbn has 2 obsids (o1, o2) more than once: each observation must appear once"
    );
    // Not of other stations.
    case.obs.truncate(4);
    case.obs[3].stn = "W84";
    assert_eq!(case.build().ids(), [103, 101, 102]);
}

#[test]
fn an_observation_without_obsid_or_with_a_long_one_is_an_error() {
    let mut case = Case::new();
    case.obs[2].obsid = None;
    assert_eq!(
        case.error(),
        "obs_sbn: column `obsid` of `obs_sbn.parquet` has no value in row 3: each row must have one"
    );
    case.obs[2].obsid = Some("x".repeat(32));
    assert_eq!(case.build().ids(), [103, 101, 102]);
    case.obs[2].obsid = Some("x".repeat(33));
    let text = "x".repeat(33);
    assert_eq!(
        case.error(),
        format!(
            "obs_sbn: column `obsid` of `obs_sbn.parquet` has a text of 33 bytes in row 3 (`{text}`): at most 32 are possible"
        )
    );
}

#[test]
fn an_id_that_no_signed_integer_holds_is_an_error() {
    let case = Case::new();
    let mut tables = case.tables();
    let ids = UInt64Array::from(vec![101, u64::MAX, 103, 1 << 63]);
    replace(&mut tables, "dia_sources", "diaSourceId", ids);
    let error = case.error_of(tables);
    assert!(error.starts_with("dia_sources: column `diaSourceId` of `dia_sources.parquet` has "), "{error}");
    assert!(error.ends_with("beyond a signed 64-bit integer: ids must be below 2^63"), "{error}");
}

#[test]
fn a_dia_source_without_an_id_is_an_error() {
    let case = Case::new();
    let mut tables = case.tables();
    let ids = Int64Array::from(vec![Some(101), None, Some(103), Some(104)]);
    replace(&mut tables, "dia_sources", "diaSourceId", ids);
    assert_eq!(
        case.error_of(tables),
        "dia_sources: column `diaSourceId` of `dia_sources.parquet` has no value in row 2: each row must have one"
    );
}

#[test]
fn two_orbits_of_one_designation_are_an_error() {
    let mut case = Case::new();
    case.orbits.push(orbit("2023 BA2", "K23B02A"));
    assert_eq!(
        case.error(),
        "mpc_orbits has more than one orbit for 1 designation (2023 BA2): each designation must appear once"
    );
}

#[test]
fn two_primary_designations_of_one_are_an_error() {
    let mut case = Case::new();
    case.current.push(("2024 AB1", "2023 BA2"));
    assert_eq!(
        case.error(),
        "current_identifications gives more than one primary designation for 1 designation (2024 AB1): each must have one"
    );
    let mut case = Case::new();
    case.numbered.push(("7", "2024 AB1"));
    (case.obs[0].provid, case.obs[0].permid) = (None, Some("7"));
    assert_eq!(
        case.error(),
        "numbered_identifications gives more than one primary designation for 1 designation (7): each must have one"
    );
}

#[test]
fn a_packed_designation_that_gives_no_id_is_an_error() {
    for packed in [None, Some(""), Some("K24A01B99"), Some("K24Ä01B")] {
        let mut case = Case::new();
        case.orbits[0].packed = packed;
        assert_eq!(
            case.error(),
            "mpc_orbits has no packed_primary_provisional_designation of 1 to 8 ASCII characters for 1 designation \
             (2024 AB1): ssObjectId is made of it"
        );
    }
    let mut case = Case::new();
    case.orbits[0].packed = Some("K23B02A");
    assert_eq!(
        case.error(),
        "mpc_orbits has one packed_primary_provisional_designation for several objects: 1 designation (2023 BA2 and 2024 AB1)"
    );
}

#[test]
fn a_column_obsid_must_cover_every_row() {
    let mut case = Case::new();
    case.dia[0].obsid = Some("o1");
    case.dia[3].obsid = Some("o9");
    assert_eq!(
        case.error(),
        "column `obsid` of dia_sources lacks 2 obsids (o2, o3) of obs_sbn: make both from the same state of the data, or \
         leave the column out to match by obssubid"
    );
    (case.dia[1].obsid, case.dia[2].obsid) = (Some("o1"), Some("o2"));
    assert_eq!(
        case.error(),
        "dia_sources has 1 obsid (o1) more than once: each observation must appear once"
    );
    // Rows of another processing need no detection.
    let mut case = Case::new();
    (case.dia[0].obsid, case.dia[2].obsid) = (Some("o1"), Some("o3"));
    case.obs[1].obssubid = Some("LSST-DP2-102".to_owned());
    case.options.processing = vec!["DP1".to_owned()];
    assert_eq!(case.build().ids(), [103, 101]);
}

#[test]
fn more_unmatched_rows_than_allowed_are_an_error_with_reasons_and_examples() {
    let mut case = Case::new();
    case.obs[0].dec += 1.0;
    case.obs[1].obssubid = Some("P22xyz".to_owned());
    for k in 0..4 {
        case.obs.push(obs(&format!("p{k}"), "777", 101, None));
    }
    case.options.max_unmatched = 0.5;
    assert_eq!(
        case.error(),
        "6 of 7 observations have no DiaSource that agrees, more than the allowed 50%: 1 no_id (`P22xyz`), 4 no_dia_source \
         (`p0`, `p1`, `p2`, ...), 1 too_far (`o1`); check that obs_sbn and dia_sources are of the same processing, list the \
         rows with `ssp-build-sssource --report FILE`, or raise max-unmatched"
    );
    // The share that is allowed is no error.
    case.options.max_unmatched = 6.0 / 7.0;
    assert_eq!(case.build().ids(), [103]);
    let mut case = Case::new();
    case.options.max_unmatched = 0.0;
    assert_eq!(case.build().ids(), [103, 101, 102]);
}

#[test]
fn rows_of_no_station_are_no_error() {
    let mut case = Case::new();
    case.options.station = "Z99".to_owned();
    case.options.max_unmatched = 0.0;
    let built = case.build();
    assert_eq!((built.rows.len(), built.figures.observations), (0, 0));
    let lookup = &built.figures.lookups(&case.options)[0];
    assert_eq!(
        lookup.to_string(),
        "none of the 3 rows in obs_sbn is of station Z99; column `stn` has, for example, `X05`"
    );
    assert!(lookup.is_doubtful(0.0));
}

#[test]
fn a_monitor_stops_the_work() {
    let case = Case::new();
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), case.tables());
    let monitor = Monitor::default();
    monitor.stop("SIGINT");
    let error = associate(&inputs, &case.options, folder.path(), &monitor).err().unwrap();
    assert!(error.is_stopped() && matches!(error, Error::Input(_)), "{error}");
}

#[test]
fn temporary_files_that_cannot_be_written_are_an_error() {
    let mut case = Case::new();
    case.options.memory_bytes = 1;
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), case.tables());
    let scratch = folder.path().join("none");
    let error = associate(&inputs, &case.options, &scratch, &Monitor::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot write temporary files to folder `"), "{error}");
}

#[test]
fn a_time_that_is_no_number_is_no_match_and_no_error() {
    let case = Case::new();
    let mut tables = case.tables();
    let times = Float64Array::from(vec![f64::NAN, f64::INFINITY, 60_796.0, 60_797.0]);
    replace(&mut tables, "dia_sources", "midpointMjdTai", times);
    let built = case.build_of(tables).unwrap();
    assert_eq!(built.reasons(), [("no_position", 2), ("time_differs", 1)]);
}
