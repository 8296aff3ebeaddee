//! The forms in which columns come.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};

use super::case::{Case, Tables, replace, run, utc_us, write, write_all};

fn change(tables: &mut Tables, from: &DataType, to: &DataType) {
    for (_, array) in tables.values_mut().flatten() {
        if array.data_type() == from {
            *array = cast(array, to).unwrap();
        }
    }
}

#[test]
fn every_layout_of_text_is_read() {
    let case = Case::new();
    let expected = case.build().list().len();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for layout in [DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        let mut tables = case.tables();
        change(&mut tables, &DataType::Utf8, &layout);
        assert_eq!(case.build_of(tables).unwrap().rows.len(), expected, "{layout}");
    }
}

#[test]
fn ids_may_be_unsigned_and_elements_single_precision() {
    let case = Case::new();
    let mut tables = case.tables();
    replace(&mut tables, "dia_sources", "diaSourceId", UInt64Array::from(vec![101, 102, 103, 104]));
    for column in ["q", "h", "g"] {
        replace(&mut tables, "mpc_orbits", column, Float32Array::from(vec![Some(1.5), None]));
    }
    let built = case.build_of(tables).unwrap();
    assert_eq!(built.ids(), [103, 101, 102]);
    let orbit = built.objects[1].orbit.as_ref().unwrap();
    assert_eq!((orbit.elements.q_au, orbit.h_mag, orbit.g), (1.5, 1.5, 1.5));
    let orbit = built.objects[0].orbit.as_ref().unwrap();
    assert!(orbit.elements.q_au.is_nan() && orbit.h_mag.is_nan() && orbit.g.is_nan());
}

#[test]
fn times_may_have_any_unit_and_a_zone() {
    let mut case = Case::new();
    // Whole seconds of UTC, so that each unit holds them.
    for (k, id) in [0, 1, 2].into_iter().enumerate() {
        let mjd = 60_796.25 + 37.0 / 86_400.0 + f64::from(id);
        case.dia[k].mjd_tai = Some(mjd);
        case.obs[k].mjd_tai = mjd;
    }
    let us: Vec<i64> = case.obs.iter().map(|row| utc_us(row.mjd_tai)).collect();
    let by = |factor: i64| us.iter().map(|us| us / factor).collect::<Vec<_>>();
    let plain = case.tables()["obs_sbn"].iter().find(|(name, _)| *name == "obstime").unwrap().1.clone();
    let zoned = plain.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC");
    let arrays: [ArrayRef; 4] = [
        Arc::new(TimestampSecondArray::from(by(1_000_000))),
        Arc::new(TimestampMillisecondArray::from(by(1_000))),
        Arc::new(TimestampNanosecondArray::from(us.iter().map(|us| us * 1_000).collect::<Vec<_>>())),
        Arc::new(zoned),
    ];
    for array in arrays {
        let name = array.data_type().to_string();
        let mut tables = case.tables();
        tables.get_mut("obs_sbn").unwrap().iter_mut().find(|(name, _)| *name == "obstime").unwrap().1 = array;
        assert_eq!(case.build_of(tables).unwrap().ids(), [103, 101, 102], "{name}");
    }
}

#[test]
fn rows_are_numbered_over_all_files_of_an_input() {
    let case = Case::new();
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = write_all(folder.path(), case.tables());
    for table in ["obs_sbn", "dia_sources"] {
        let parts = folder.path().join(format!("{table}_parts"));
        std::fs::create_dir(&parts).unwrap();
        let columns = &case.tables()[table];
        let rows = columns[0].1.len();
        for (name, start, length) in [("a", 0, 1), ("b", 1, 0), ("c", 1, rows - 1)] {
            let slice = columns.iter().map(|(name, array)| (*name, array.slice(start, length))).collect();
            write(&parts.join(format!("{name}.parquet")), slice);
        }
        if table == "obs_sbn" {
            inputs.obs_sbn = parts;
        } else {
            inputs.dia_sources = parts;
        }
    }
    let built = run(&inputs, &case.options, folder.path()).unwrap();
    let places: Vec<(u64, u64)> = built.rows.iter().map(|row| (row.obs_row, row.dia_row)).collect();
    assert_eq!(places, [(2, 2), (0, 0), (1, 1)]);
}

#[test]
fn empty_inputs_give_no_rows() {
    let case = Case { obs: Vec::new(), dia: Vec::new(), orbits: Vec::new(), ..Case::new() };
    let built = case.build();
    assert_eq!((built.rows.len(), built.objects.len()), (0, 0));
}

#[test]
fn times_beyond_the_table_of_leap_seconds_are_a_warning() {
    let mut case = Case::new();
    let expected =
        |built: &super::case::Built| built.figures.warnings().iter().any(|text| text.contains("leap second"));
    assert!(!expected(&case.build()));
    case.obs[0].mjd_tai = 61_584.5;
    case.dia[0].mjd_tai = Some(61_584.5);
    let built = case.build();
    assert!(expected(&built) && built.figures.beyond_leap_seconds == 1);
}
