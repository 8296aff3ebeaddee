//! Differences of small files in several row groups, and of random ones against a plain comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, UInt64Array,
};
use proptest::prelude::*;

use super::*;
use crate::cases::cases;
use crate::parquet::write::{TableWriter, WriteOptions};

/// A file with these columns in row groups of three rows.
fn file(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> TableReader {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let options = WriteOptions { row_group_rows: 3, ..WriteOptions::default() };
    let path = folder.join(name);
    let mut writer = TableWriter::create(&path, rows.schema(), &options).unwrap();
    writer.write(&rows).unwrap();
    writer.seal().unwrap().file.publish().unwrap();
    TableReader::open(&path).unwrap()
}

fn compared(
    old: Vec<(&str, ArrayRef)>,
    new: Vec<(&str, ArrayRef)>,
    key: &[&str],
) -> Result<Difference, Error> {
    let folder = tempfile::tempdir().unwrap();
    let key: Vec<String> = key.iter().map(ToString::to_string).collect();
    compare(&file(folder.path(), "old.parquet", old), &file(folder.path(), "new.parquet", new), &key)
}

fn ids<const N: usize>(ids: [i64; N]) -> ArrayRef {
    Arc::new(Int64Array::from(ids.to_vec()))
}

fn first(rows: &Rows) -> Vec<&str> {
    rows.first.iter().map(String::as_str).collect()
}

#[test]
fn rows_are_matched_whatever_their_order() {
    let found = compared(
        vec![("id", ids([1, 2, 3, 4, 5])), ("x", ids([10, 20, 30, 40, 50])), ("y", ids([1; 5]))],
        vec![("y", ids([1; 5])), ("x", ids([50, 41, 20, 60, 5_010])), ("id", ids([5, 4, 2, 6, 1]))],
        &["id"],
    )
    .unwrap();
    assert_eq!((found.added.count, first(&found.added)), (1, vec!["6"]));
    assert_eq!((found.removed.count, first(&found.removed)), (1, vec!["3"]));
    let changed = found.changed.clone().unwrap();
    assert_eq!((changed.count, first(&changed)), (2, vec!["4", "1"]));
    let [x] = &found.columns[..] else { panic!("{found:?}") };
    assert_eq!((x.column.as_str(), x.rows, x.from_null, x.to_null), ("x", 2, 0, 0));
    let sizes = x.sizes.unwrap();
    assert_eq!(
        (sizes.median, sizes.q99, sizes.max),
        (Step::Whole(1), Step::Whole(5_000), Step::Whole(5_000))
    );
    assert!(!found.is_empty());
}

#[test]
fn nan_is_nan_a_zero_a_zero_and_null_only_null() {
    let nan = f64::from_bits(f64::NAN.to_bits() ^ 1);
    let old = [Some(f64::NAN), Some(-0.0), None, None, Some(f64::NAN), Some(1.0), Some(f64::INFINITY)];
    let new = [Some(nan), Some(0.0), None, Some(f64::NAN), Some(2.0), None, Some(f64::NEG_INFINITY)];
    let floats = |values: [Option<f64>; 7]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let key = ids([1, 2, 3, 4, 5, 6, 7]);
    let found =
        compared(vec![("k", key.clone()), ("x", floats(old))], vec![("k", key), ("x", floats(new))], &["k"])
            .unwrap();
    assert_eq!(first(found.changed.as_ref().unwrap()), ["4", "5", "6", "7"]);
    let x = &found.columns[0];
    assert_eq!((x.rows, x.from_null, x.to_null), (4, 1, 1));
    // Only the last two are numbers on both sides.
    assert_eq!(x.sizes.unwrap().median, Step::Real(f64::INFINITY));
}

#[test]
fn integers_are_exact_at_the_ends_of_their_range() {
    let big = 1_i64 << 53;
    let found = compared(
        vec![("k", ids([1, 2, 3])), ("x", ids([i64::MIN, big, 5]))],
        vec![("k", ids([1, 2, 3])), ("x", ids([i64::MAX, big + 1, 5]))],
        &["k"],
    )
    .unwrap();
    let sizes = found.columns[0].sizes.unwrap();
    assert_eq!((sizes.median, sizes.max), (Step::Whole(1), Step::Whole(u64::MAX)));
    let unsigned = |value| Arc::new(UInt64Array::from(vec![value, u64::MAX])) as ArrayRef;
    let old = vec![("k", ids([1, 2])), ("x", unsigned(0))];
    let found = compared(old, vec![("k", ids([1, 2])), ("x", unsigned(u64::MAX))], &["k"]).unwrap();
    assert_eq!((found.columns[0].rows, found.columns[0].sizes.unwrap().max), (1, Step::Whole(u64::MAX)));
}

#[test]
fn values_of_other_types_are_compared_where_they_can_be() {
    let texts = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let words = |values: [&str; 2]| Arc::new(DictionaryArray::<Int32Type>::from_iter(values)) as ArrayRef;
    let lists = |values: [i32; 2]| {
        let lists = values.map(|value| Some(vec![Some(value), None]));
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)) as ArrayRef
    };
    let old = vec![
        ("k", ids([1, 2])),
        ("single", Arc::new(Float32Array::from(vec![0.1, 0.5])) as ArrayRef),
        ("word", texts(["a", "b"])),
        ("list", lists([1, 2])),
        ("number", ids([1, 2])),
        ("gone", ids([1, 2])),
        ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
    ];
    let new = vec![
        ("k", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef),
        ("single", Arc::new(Float64Array::from(vec![f64::from(0.1_f32), 0.75]))),
        ("word", words(["a", "c"])),
        ("list", lists([1, 3])),
        ("number", texts(["1", "2"])),
        ("come", ids([1, 2])),
        ("flag", Arc::new(BooleanArray::from(vec![true, true]))),
    ];
    let found = compared(old, new, &["k"]).unwrap();
    let types: Vec<(&str, bool)> =
        found.types.iter().map(|change| (change.column.as_str(), change.compared)).collect();
    assert_eq!(types, [("k", true), ("single", true), ("word", true), ("number", false)]);
    assert_eq!((&found.only_old, &found.only_new), (&vec!["gone".to_owned()], &vec!["come".to_owned()]));
    let columns: Vec<(&str, u64)> =
        found.columns.iter().map(|change| (change.column.as_str(), change.rows)).collect();
    assert_eq!(columns, [("single", 1), ("word", 1), ("list", 1), ("flag", 1)]);
    assert_eq!(found.columns[0].sizes.unwrap().max, Step::Real(0.25));
    assert_eq!(found.columns[1].sizes, None);
}

#[test]
fn a_key_must_have_one_row_and_a_value() {
    let error = |old: ArrayRef, new: ArrayRef, key: &[&str]| {
        compared(vec![("k", old), ("other", ids([1, 1, 1, 1]))], vec![("k", new)], key)
            .unwrap_err()
            .to_string()
    };
    let good = ids([1, 2, 3, 4]);
    // The third row group has no row: the first repeat is in the second.
    let said = error(good.clone(), ids([7, 5, 5, 7]), &["k"]);
    assert!(said.ends_with("new.parquet`: rows 2 and 3 both have 5"), "{said}");
    let null = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), None])) as ArrayRef;
    let said = error(null, good.clone(), &["k"]);
    assert!(
        said.starts_with("column `k` of the key is NULL in row 4 of") && said.contains("old.parquet"),
        "{said}"
    );
    let said = error(good.clone(), Arc::new(StringArray::from(vec!["1", "2", "3", "4"])), &["k"]);
    assert_eq!(said, "column `k` of the key is Int64 in the old file and Utf8 in the new file");
    let said = error(good.clone(), good, &["other"]);
    assert!(said.ends_with("new.parquet` has no column `other`, which is part of the key"), "{said}");
}

#[test]
fn a_key_may_have_several_columns() {
    let texts = |values: [&str; 3]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let found = compared(
        vec![("a", ids([1, 1, 2])), ("b", texts(["x", "y", "x"])), ("v", ids([1, 2, 3]))],
        vec![("b", texts(["x", "y", "y"])), ("a", ids([2, 1, 2])), ("v", ids([3, 4, 5]))],
        &["a", "b"],
    )
    .unwrap();
    assert_eq!((first(&found.added), first(&found.removed)), (vec!["2, y"], vec!["1, x"]));
    assert_eq!(first(found.changed.as_ref().unwrap()), ["1, y"]);
}

#[test]
fn empty_files_differ_in_nothing() {
    let empty = || vec![("k", ids([])), ("x", ids([]))];
    for key in [&["k"][..], &[]] {
        assert!(compared(empty(), empty(), key).unwrap().is_empty());
        let found = compared(empty(), vec![("k", ids([1])), ("x", ids([2]))], key).unwrap();
        assert_eq!((found.added.count, found.removed.count), (1, 0));
    }
}

/// Rows of a small table: a value, which may be NULL, by key.
type Table = BTreeMap<i64, Option<i64>>;

fn columns(rows: &[(i64, Option<i64>)]) -> Vec<(&'static str, ArrayRef)> {
    let values: Int64Array = rows.iter().map(|(_, value)| *value).collect();
    vec![
        ("k", Arc::new(Int64Array::from_iter_values(rows.iter().map(|(key, _)| *key)))),
        ("v", Arc::new(values)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(48, 1_024)))]

    #[test]
    fn a_keyed_difference_is_that_of_two_maps(
        old in prop::collection::btree_map(0_i64..30, prop::option::of(0_i64..4), 0..20),
        new in prop::collection::btree_map(0_i64..30, prop::option::of(0_i64..4), 0..20),
        backwards: bool,
    ) {
        let rows = |table: &Table| table.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>();
        let mut shuffled = rows(&new);
        if backwards {
            shuffled.reverse();
        }
        let found = compared(columns(&rows(&old)), columns(&shuffled), &["k"]).unwrap();
        let keys = |table: &Table| table.keys().copied().collect::<BTreeSet<i64>>();
        prop_assert_eq!(found.added.count, (&keys(&new) - &keys(&old)).len() as u64);
        prop_assert_eq!(found.removed.count, (&keys(&old) - &keys(&new)).len() as u64);
        let changed = old.iter().filter(|(key, value)| new.get(key).is_some_and(|now| now != *value)).count();
        prop_assert_eq!(found.changed.unwrap().count, changed as u64);
        prop_assert_eq!(found.columns.first().map_or(0, |change| change.rows), changed as u64);
    }

    #[test]
    fn without_a_key_each_row_counts(
        old in prop::collection::vec((0_i64..3, prop::option::of(0_i64..2)), 0..20),
        new in prop::collection::vec((0_i64..3, prop::option::of(0_i64..2)), 0..20),
    ) {
        let found = compared(columns(&old), columns(&new), &[]).unwrap();
        let mut left = old.clone();
        let mut added = 0;
        for row in &new {
            match left.iter().position(|other| other == row) {
                Some(at) => drop(left.swap_remove(at)),
                None => added += 1,
            }
        }
        prop_assert_eq!((found.added.count, found.removed.count), (added, left.len() as u64));
        prop_assert!(found.changed.is_none() && found.columns.is_empty());
    }
}
