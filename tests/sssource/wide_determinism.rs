//! The same rows give the same copied columns in any order, with any number of threads and any memory.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use ssp::monitor::Monitor;
use ssp::sssource::associate;
use ssp::sssource::wide::Wide;

use super::case::{Case, Tables, dia, obs, orbit, write_all};
use super::determinism::{Counted, shuffled};
use super::wide::{add, copy, tables};

const DESIGNATIONS: [(&str, &str); 5] = [
    ("2020 AA1", "K20A01A"),
    ("2021 CC2", "K21C02C"),
    ("2022 DD3", "K22D03D"),
    ("2023 EE4", "K23E04E"),
    ("2024 FF5", "K24F05F"),
];

/// Some thousand rows of several objects. Some rows have no designation, and some share a detection.
fn survey() -> Case {
    let mut case = super::wide::case();
    case.orbits = DESIGNATIONS[..4].iter().map(|(name, packed)| orbit(name, packed)).collect();
    case.current = DESIGNATIONS.iter().map(|(name, _)| (*name, *name)).collect();
    case.numbered.clear();
    (case.obs, case.dia) = (Vec::new(), Vec::new());
    for k in 0..4_000_i64 {
        let id = 1_000_000_007 * (k % 977) + k;
        case.dia.push(dia(id));
        let name = DESIGNATIONS[usize::try_from(k * k % 5).unwrap()].0;
        let mut observed =
            obs(&format!("obs{:05}", k * 7_919 % 10_007), &format!("LSST-DP1-{id}"), id, Some(name));
        match k % 40 {
            // Detections that no row uses.
            0..8 => continue,
            8 => observed.status = Some("I"),
            9 | 10 => {
                let mut again = observed.clone();
                again.obsid = Some(format!("again{k}"));
                // Of another object, which is in another partition.
                again.provid = Some(DESIGNATIONS[usize::try_from((k * k + 1 + k % 2) % 5).unwrap()].0);
                case.obs.push(again);
            }
            _ => {}
        }
        case.obs.push(observed);
    }
    case
}

/// With columns whose values tell the rows apart.
fn survey_tables(case: &Case) -> Tables {
    let mut tables = tables(case);
    // Ids alone, not places: the rows are shuffled.
    let trkids = case.obs.iter().map(|row| row.obsid.clone());
    tables.get_mut("obs_sbn").unwrap().retain(|(name, _)| *name != "trkid");
    add(&mut tables, "obs_sbn", "trkid", trkids.collect::<StringArray>());
    let seventh = case.dia.iter().map(|row| (row.id % 7 > 0).then_some(row.id as f64 / 7.0));
    add(&mut tables, "dia_sources", "trailFlux", seventh.collect::<Float64Array>());
    let versions = case.dia.iter().map(|row| (row.id % 3 > 0).then(|| format!("v{}", row.id % 11)));
    add(&mut tables, "dia_sources", "reliabilityVersion", versions.collect::<StringArray>());
    tables
}

#[test]
fn order_threads_and_memory_change_no_array() {
    let case = survey();
    let expected = copy(&case, survey_tables(&case)).unwrap_or_else(|error| panic!("{error}")).rows;
    assert!(expected.num_rows() > 3_000);
    for (step, threads, memory_bytes) in
        [(1, 1, u64::MAX), (1_237, 1, 1_000_000), (77, 8, u64::MAX), (503, 3, 1), (2_503, 8, 300_000)]
    {
        let mut other = shuffled(&case, step);
        (other.threads, other.options.memory_bytes) = (threads, memory_bytes);
        let found = copy(&other, survey_tables(&other)).unwrap_or_else(|error| panic!("{error}")).rows;
        assert!(found == expected, "{step} {threads} {memory_bytes}");
    }
}

#[test]
fn each_row_has_the_values_of_its_own_detection_and_observation() {
    let mut case = survey();
    case.options.memory_bytes = 500_000;
    let rows = copy(&case, survey_tables(&case)).unwrap_or_else(|error| panic!("{error}")).rows;
    let text = |column: &str, row| {
        arrow::util::display::array_value_to_string(rows.column_by_name(column).unwrap(), row).unwrap()
    };
    for row in 0..rows.num_rows() {
        let id: i64 = text("diaSourceId", row).parse().unwrap();
        assert_eq!(text("visit", row), (2_025_060_100_000 + id).to_string());
        assert_eq!(text("obssubid", row), format!("LSST-DP1-{id}"));
        assert_eq!(text("obsid", row), text("trkid", row));
    }
}

/// Errors name the same rows in every order.
#[test]
fn errors_do_not_depend_on_order_and_memory() {
    let mut case = survey();
    let broken = |case: &Case| {
        let mut tables = survey_tables(case);
        let columns = tables.get_mut("dia_sources").unwrap();
        columns.retain(|(name, _)| *name != "band");
        let bands =
            case.dia.iter().map(|row| (row.id % 5 > 0).then_some(if row.id % 7 == 0 { "ri" } else { "r" }));
        columns.push(("band", Arc::new(bands.collect::<StringArray>())));
        copy(case, tables).err().unwrap().to_string()
    };
    let expected = broken(&case);
    assert!(
        expected.contains(", ...) of column `band` of dia_sources as a string of at most 1 characters"),
        "{expected}"
    );
    case.options.memory_bytes = 200_000;
    assert_eq!(broken(&shuffled(&case, 1_237)), expected);
}

#[test]
fn progress_ends_where_it_is_expected_to() {
    for memory_bytes in [u64::MAX, 300_000] {
        let mut case = survey();
        case.options.memory_bytes = memory_bytes;
        let folder = tempfile::tempdir().unwrap();
        let inputs = write_all(folder.path(), survey_tables(&case));
        let counted = Arc::new(Counted::default());
        let monitor = Monitor::default().with_progress(counted.clone());
        let wide = Wide::open(&inputs, &case.options).unwrap();
        let expected = wide.rows();
        let mut rows = associate(&inputs, &case.options, folder.path(), &Monitor::default()).unwrap().rows;
        wide.copy(&mut rows, folder.path(), &monitor).unwrap();
        assert_eq!(counted.rows()[1], expected);
        monitor.stop("test");
        let wide = Wide::open(&inputs, &case.options).unwrap();
        let stopped = wide.copy(&mut rows, folder.path(), &monitor).err().unwrap();
        assert!(stopped.is_stopped());
    }
}

#[test]
fn a_wide_table_needs_more_partitions_than_a_narrow_one() {
    let mut case = survey();
    let folder = tempfile::tempdir().unwrap();
    let inputs = write_all(folder.path(), survey_tables(&case));
    case.options.memory_bytes = 1_200_000;
    let partitions = [true, false].map(|wide| {
        case.options.wide = wide;
        let association = associate(&inputs, &case.options, folder.path(), &Monitor::default()).unwrap();
        association.rows.partition_count()
    });
    // 900 bytes a row in the place of 300.
    assert!(partitions[0] > 4 && partitions[1] == 1, "{partitions:?}");
}
