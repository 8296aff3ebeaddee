//! Inputs in every form give the same table, also when memory does not hold them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int64Array, UInt32Array};
use arrow::compute::{cast, concat, take, take_record_batch};
use arrow::datatypes::DataType;
use ssp::digest::Digest;
use ssp::stages::build_ssobject::{BuildSsObject, Inputs};

use super::tables::{
    Columns, build, built, column, columns, ids, inputs, numbers, options, read, replace, write,
};

const CASE: &str = "fixtures/ssobject_case";

fn table(name: &str) -> Columns {
    columns(&read(&Path::new(CASE).join(name)))
}

struct Case {
    folder: tempfile::TempDir,
    inputs: Inputs,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), inputs: inputs() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn digest_with(&self, inputs: &Inputs, options: &BuildSsObject) -> Digest {
        build(inputs, options, &self.path("out.parquet")).unwrap().files.remove(0).file.digest()
    }

    fn digest(&self, inputs: &Inputs) -> Digest {
        self.digest_with(inputs, &options())
    }
}

/// The columns of one type as another.
fn recast(columns: Columns, from: &DataType, to: &DataType) -> Columns {
    let recast = |array: ArrayRef| if array.data_type() == from { cast(&array, to).unwrap() } else { array };
    columns.into_iter().map(|(name, array)| (name, recast(array))).collect()
}

#[test]
fn texts_of_every_type_are_read() {
    let case = Case::new();
    let expected = case.digest(&case.inputs);
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    for to in
        [DataType::LargeUtf8, DataType::Utf8View, dictionary(DataType::Utf8), dictionary(DataType::LargeUtf8)]
    {
        let form = |name: &str| write(&case.path(name), &recast(table(name), &DataType::Utf8, &to));
        let inputs = Inputs {
            sssource: form("sssource.parquet"),
            dia_sources: Some(form("dia_sources.parquet")),
            mpc_orbits: form("mpc_orbits.parquet"),
        };
        assert_eq!(case.digest(&inputs), expected, "{to}");
    }
}

#[test]
fn numbers_and_ids_of_every_type_are_read() {
    let case = Case::new();
    let expected = case.digest(&case.inputs);
    let form =
        |name: &str, from: &DataType, to: &DataType| write(&case.path(name), &recast(table(name), from, to));
    // Single precision held in double precision is the same number.
    let double = Inputs {
        sssource: form("sssource.parquet", &DataType::Float32, &DataType::Float64),
        dia_sources: Some(form("dia_sources.parquet", &DataType::Float32, &DataType::Float64)),
        ..case.inputs.clone()
    };
    assert_eq!(case.digest(&double), expected);
    let mixed = Inputs { dia_sources: case.inputs.dia_sources.clone(), ..double };
    assert_eq!(case.digest(&mixed), expected);
    let signed = Inputs {
        sssource: form("sssource.parquet", &DataType::Int64, &DataType::UInt64),
        dia_sources: Some(form("dia_sources.parquet", &DataType::UInt64, &DataType::Int64)),
        ..case.inputs.clone()
    };
    assert_eq!(case.digest(&signed), expected);
}

#[test]
fn elements_in_single_precision_are_read() {
    let case = Case::new();
    let form = |name: &str, columns: Columns| Inputs {
        mpc_orbits: write(&case.path(name), &columns),
        ..case.inputs.clone()
    };
    let single = recast(table("mpc_orbits.parquet"), &DataType::Float64, &DataType::Float32);
    assert!(single.iter().filter(|(_, array)| *array.data_type() == DataType::Float32).count() >= 6);
    // The same numbers, which single precision holds, in double precision.
    let double = recast(single.clone(), &DataType::Float32, &DataType::Float64);
    let digest = case.digest(&form("single.parquet", single));
    assert_eq!(digest, case.digest(&form("double.parquet", double)));
    assert_ne!(digest, case.digest(&case.inputs), "the elements were not rounded, or not used");
}

/// Only rows for which `primary` is true count, in an SSSource of either form.
#[test]
fn rows_that_are_not_primary_do_not_count() {
    let case = Case::new();
    let expected = case.digest(&case.inputs);
    let none = |rows: usize| vec![Some(false); rows];
    for file in [wide(&case), case.inputs.sssource.clone()] {
        // The first three rows again, of the same objects, and not primary.
        let batch = read(&file);
        let known = batch.column_by_name("primary").map(|array| array.as_boolean().iter().collect());
        let known: Vec<_> = known.unwrap_or_else(|| vec![Some(true); batch.num_rows()]);
        let again = |array: &ArrayRef| concat(&[&**array, &*array.slice(0, 3)]).unwrap();
        let mut columns: Columns =
            columns(&batch).into_iter().map(|(name, array)| (name, again(&array))).collect();
        columns.retain(|entry| entry.0 != "primary");
        let primary = |last: Vec<Option<bool>>| {
            let values = known.iter().copied().chain(last).collect::<BooleanArray>();
            [&columns[..], &[column("primary", values)]].concat()
        };
        let dia_sources = case.inputs.dia_sources.clone().filter(|_| batch.column_by_name("band").is_none());
        let form = |last| Inputs {
            sssource: write(&case.path("primary.parquet"), &primary(last)),
            dia_sources: dia_sources.clone(),
            ..case.inputs.clone()
        };
        assert_eq!(case.digest(&form(none(3))), expected, "{}", file.display());
        // Nothing is left of a table without a primary row.
        let mut columns = columns.clone();
        columns.push(column("primary", BooleanArray::from(none(columns[0].1.len()))));
        let sssource = write(&case.path("primary.parquet"), &columns);
        let inputs = Inputs { sssource, dia_sources: dia_sources.clone(), ..case.inputs.clone() };
        assert_eq!(build(&inputs, &options(), &case.path("out.parquet")).unwrap().rows(), 0);
    }
}

/// Orbits that no object has are accepted; what cannot be computed of them is NULL, and angles stay below a full turn.
#[test]
fn absurd_orbits_put_no_infinity_into_the_table() {
    let case = Case::new();
    let absurd = [(5e-324, 1.0), (1e-300, 0.5), (1e300, 0.1), (1e150, 0.9), (1e8, 0.1), (1e9, 0.3)];
    let columns = table("mpc_orbits.parquet").into_iter().map(|(name, array)| {
        let one = |row: usize| absurd[row % absurd.len()];
        let rows = 0..array.len();
        let array: ArrayRef = match name.as_str() {
            "q" => Arc::new(Float64Array::from_iter_values(rows.map(|row| one(row).0))),
            "e" => Arc::new(Float64Array::from_iter_values(rows.map(|row| one(row).1))),
            _ => array,
        };
        (name, array)
    });
    let inputs =
        Inputs { mpc_orbits: write(&case.path("orbits.parquet"), &columns.collect()), ..case.inputs.clone() };
    let found = built(&inputs, &options(), &case.path("out.parquet"));
    let mut known = 0;
    for field in found.schema().fields().iter().filter(|field| field.data_type().is_floating()) {
        let values = numbers(&found, field.name());
        assert!(values.iter().flatten().all(|value| value.is_finite()), "{}: {values:?}", field.name());
        known += values.iter().flatten().count();
    }
    assert!(known > 1_000, "only {known} values are not NULL");
    for name in ["MOIDEarthEclipticLongitude", "MOIDEarthTrueAnomaly", "MOIDEarthTrueAnomalyObject"] {
        let values: Vec<f64> = numbers(&found, name).into_iter().flatten().collect();
        assert!(
            !values.is_empty() && values.iter().all(|angle| (0.0..360.0).contains(angle)),
            "{name}: {values:?}"
        );
    }
}

/// Writes each third row of a table to a file of its own in a folder.
fn parts(case: &Case, name: &str) -> PathBuf {
    let batch = read(&Path::new(CASE).join(name));
    let folder = case.path(&format!("{name}.d"));
    for part in 0..3 {
        let rows = UInt32Array::from_iter_values((part..u32::try_from(batch.num_rows()).unwrap()).step_by(3));
        let batch = take_record_batch(&batch, &rows).unwrap();
        write(&folder.join(format!("part-{part}.parquet")), &columns(&batch));
    }
    folder
}

#[test]
fn folders_and_patterns_are_read() {
    let case = Case::new();
    let expected = case.digest(&case.inputs);
    let folders = Inputs {
        sssource: parts(&case, "sssource.parquet"),
        dia_sources: Some(parts(&case, "dia_sources.parquet")),
        mpc_orbits: parts(&case, "mpc_orbits.parquet"),
    };
    // What is not meant as data is not read.
    ssp::durable::write(&folders.sssource.join("_SUCCESS"), b"").unwrap();
    ssp::durable::write(&folders.sssource.join(".part-9.parquet"), b"half").unwrap();
    assert_eq!(case.digest(&folders), expected);
    let patterns = Inputs {
        sssource: folders.sssource.join("part-*.parquet"),
        dia_sources: folders.dia_sources.map(|folder| folder.join("part-[0-9].parquet")),
        mpc_orbits: folders.mpc_orbits.join("part-?.parquet"),
    };
    assert_eq!(case.digest(&patterns), expected);
}

#[test]
fn rows_that_memory_does_not_hold_go_through_files() {
    let case = Case::new();
    let expected = case.digest(&case.inputs);
    let wide = Inputs { sssource: wide(&case), dia_sources: None, ..case.inputs.clone() };
    for memory_bytes in [1, 20_000, 200_000] {
        let mut options = options();
        options.table.memory_bytes = memory_bytes;
        assert_eq!(case.digest_with(&case.inputs, &options), expected, "{memory_bytes} bytes");
        assert_eq!(case.digest_with(&wide, &options), expected, "{memory_bytes} bytes, wide");
    }
}

/// SSSource with the columns of DiaSource, and rows that are of no object or not primary.
fn wide(case: &Case) -> PathBuf {
    let sssource = read(&Path::new(CASE).join("sssource.parquet"));
    let dia = read(&Path::new(CASE).join("dia_sources.parquet"));
    let places: std::collections::HashMap<i64, u32> = ids(&dia, "diaSourceId").into_iter().zip(0..).collect();
    let rows = UInt32Array::from_iter_values(ids(&sssource, "diaSourceId").iter().map(|id| places[id]));
    let mut columns = columns(&sssource);
    for name in ["midpointMjdTai", "band", "psfFlux", "psfFluxErr", "extendedness"] {
        columns.push((name.to_owned(), take(dia.column_by_name(name).unwrap(), &rows, None).unwrap()));
    }
    // The first three rows again: with a NULL object, with object 0, and not primary.
    let n = sssource.num_rows();
    let mut columns: Columns = columns
        .into_iter()
        .map(|(name, array)| {
            let again = match name.as_str() {
                "ssObjectId" => Arc::new(Int64Array::from(vec![None, Some(0), Some(1)])) as ArrayRef,
                _ => array.slice(0, 3),
            };
            (name, concat(&[&*array, &*again]).unwrap())
        })
        .collect();
    let primary = (0..n + 3).map(|row| if row == n + 2 { None } else { Some(true) });
    columns.push(column("primary", primary.collect::<BooleanArray>()));
    columns.retain(|entry| entry.0 != "diaSourceId");
    write(&case.path("wide.parquet"), &columns)
}

#[test]
fn a_wide_sssource_needs_no_dia_source() {
    let case = Case::new();
    let inputs = Inputs { sssource: wide(&case), dia_sources: None, ..case.inputs.clone() };
    assert_eq!(case.digest(&inputs), case.digest(&case.inputs));
}

#[test]
fn ids_are_never_rounded() {
    let case = Case::new();
    // Neighbours that one double precision number stands for.
    let base = 600_000_000_000_000_000_i64;
    let first = |name: &str| columns(&read(&Path::new(CASE).join(name)).slice(0, 2));
    let (mut sssource, mut dia) = (first("sssource.parquet"), first("dia_sources.parquet"));
    replace(&mut dia, "extendedness", Float32Array::from(vec![0.25, 0.75]));
    replace(&mut sssource, "diaSourceId", Int64Array::from(vec![base, base + 1]));
    replace(&mut sssource, "ssObjectId", Int64Array::from(vec![base + 3, base + 2]));
    replace(&mut dia, "diaSourceId", Int64Array::from(vec![base + 1, base]));
    let inputs = Inputs {
        sssource: write(&case.path("sss.parquet"), &sssource),
        dia_sources: Some(write(&case.path("dia.parquet"), &dia)),
        ..case.inputs.clone()
    };
    let found = built(&inputs, &options(), &case.path("ids.parquet"));
    assert_eq!(ids(&found, "ssObjectId"), [base + 2, base + 3]);
    assert_eq!(numbers(&found, "extendednessMax"), [Some(0.25), Some(0.75)]);
}
