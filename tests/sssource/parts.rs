//! The output in parts that end between objects.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use ssp::digest::Digest;
use ssp::durable::publish_all;
use ssp::parquet::read::TableReader;
use ssp::parquet::write::WriteOptions;
use ssp::sssource::parts::{Parts, Sealed};

type Id = Option<i64>;

/// Rows of objects, each with a number of rows. Object 0 is none.
fn rows(objects: &[(i64, usize)]) -> RecordBatch {
    let ids: Int64Array =
        objects.iter().flat_map(|(id, rows)| vec![Some(*id).filter(|id| *id != 0); *rows]).collect();
    let numbers = Int64Array::from_iter_values(0..i64::try_from(ids.len()).unwrap());
    let schema = Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("ssObjectId", DataType::Int64, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers) as ArrayRef, Arc::new(ids)]).unwrap()
}

fn write(target: &Path, rows: &RecordBatch, part_rows: Option<u64>, batch_rows: usize) -> Sealed {
    let mut parts = Parts::create(target, rows.schema(), &WriteOptions::default(), part_rows).unwrap();
    let mut at = 0;
    while at < rows.num_rows() {
        let some = batch_rows.min(rows.num_rows() - at);
        parts.write(&rows.slice(at, some)).unwrap();
        at += some;
    }
    parts.seal().unwrap()
}

fn ids(path: &Path) -> Vec<Id> {
    let reader = TableReader::open(path).unwrap();
    let batches = reader.batches(&["ssObjectId"], None, 1 << 20).unwrap();
    batches
        .flat_map(|batch| batch.unwrap().column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
        .collect()
}

/// The objects of each part, each with its number of rows.
fn parts(objects: &[(i64, usize)], part_rows: u64) -> Vec<Vec<(i64, usize)>> {
    let (rows, mut expected) = (rows(objects), None);
    for batch_rows in [1, 2, 3, 7, 1_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let sealed = write(&folder.path().join("out.parquet"), &rows, Some(part_rows), batch_rows);
        let tables: Vec<_> = sealed.tables.iter().map(|table| table.file.digest()).collect();
        let list = sealed.list.as_ref().unwrap().digest();
        let targets: Vec<_> = sealed.tables.iter().map(|table| table.file.target().to_owned()).collect();
        publish_all(sealed.files()).unwrap();
        let counted = |target| {
            let ids: Vec<Id> = ids(target);
            ids.chunk_by(|a, b| a == b).map(|run| (run[0].unwrap_or(0), run.len())).collect::<Vec<_>>()
        };
        let found: Vec<_> = targets.iter().map(|target| counted(target)).collect();
        let found = (found, tables, list);
        assert_eq!(expected.get_or_insert_with(|| found.clone()), &found, "{batch_rows}");
    }
    expected.unwrap().0
}

#[test]
fn a_part_ends_at_the_object_nearest_to_its_number_of_rows() {
    assert_eq!(
        parts(&[(1, 4), (2, 4), (3, 4), (4, 1)], 10),
        // 12 rows are as near 10 as 8 are: the shorter part is taken.
        [vec![(1, 4), (2, 4)], vec![(3, 4), (4, 1)]]
    );
    assert_eq!(parts(&[(1, 4), (2, 4), (3, 3), (4, 1)], 10), [vec![(1, 4), (2, 4), (3, 3)], vec![(4, 1)]]);
    assert_eq!(parts(&[(1, 5), (2, 5), (3, 5)], 5), [[(1, 5)], [(2, 5)], [(3, 5)]]);
    assert_eq!(parts(&[(1, 2), (2, 30), (3, 1)], 4), [vec![(1, 2)], vec![(2, 30)], vec![(3, 1)]]);
    assert_eq!(parts(&[(1, 1), (2, 1)], 1_000), [[(1, 1), (2, 1)]]);
}

#[test]
fn rows_without_an_object_are_in_parts_of_their_own() {
    assert_eq!(parts(&[(1, 2), (0, 11)], 5), [[(1, 2)], [(0, 5)], [(0, 5)], [(0, 1)]]);
    assert_eq!(parts(&[(0, 6)], 3), [[(0, 3)], [(0, 3)]]);
    assert_eq!(parts(&[(1, 5), (0, 1)], 5), [[(1, 5)], [(0, 1)]]);
}

#[test]
fn the_list_names_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("SSSource.parquet");
    let objects = [(-7, 2), (9_007_199_254_740_993, 3), (0, 1)];
    publish_all(write(&target, &rows(&objects), Some(3), 4).files()).unwrap();
    let list: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("SSSource.json")).unwrap()).unwrap();
    assert_eq!(list["rows"], 6);
    let expected = [
        ("SSSource-0001.parquet", 2, Some(-7)),
        ("SSSource-0002.parquet", 3, Some(9_007_199_254_740_993_i64)),
        ("SSSource-0003.parquet", 1, None),
    ];
    for (part, (file, rows, id)) in list["parts"].as_array().unwrap().iter().zip(expected) {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        assert_eq!(
            *part,
            serde_json::json!({
                "file": file, "rows": rows, "firstSsObjectId": id, "lastSsObjectId": id, "bytes": bytes.len(),
                "digest": Digest::of(&bytes).to_string(),
            })
        );
    }
    assert!(!target.exists());
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["SSSource-0001.parquet", "SSSource-0002.parquet", "SSSource-0003.parquet", "SSSource.json"]
    );
    // Fewer parts than before: those that are left are named.
    let sealed = write(&target, &rows(&objects), Some(100), 4);
    assert_eq!(sealed.stale, [folder.path().join("SSSource-0003.parquet")]);
}

#[test]
fn without_parts_there_is_one_file_whatever_the_batches() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(&[(1, 70_000), (2, 1), (0, 80_000)]);
    let digests = [1_000, 65_536, 150_000].map(|batch_rows| {
        let sealed = write(&folder.path().join("out.data"), &rows, None, batch_rows);
        assert!(sealed.list.is_none() && sealed.stale.is_empty());
        let [table] = &sealed.tables[..] else { panic!("{sealed:?}") };
        assert_eq!(table.rows, 150_001);
        assert!(table.file.target().ends_with("out.data"));
        table.file.digest()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn a_table_without_rows_is_one_empty_part() {
    assert_eq!(parts(&[], 3), [[]; 1]);
    let folder = tempfile::tempdir().unwrap();
    let sealed = write(&folder.path().join("out.parquet"), &rows(&[]), Some(3), 1);
    assert_eq!((sealed.tables.len(), sealed.tables[0].rows), (1, 0));
}

#[test]
fn an_output_whose_parts_would_have_no_names_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str, rows: &RecordBatch| {
        let target = folder.path().join(name);
        Parts::create(&target, rows.schema(), &WriteOptions::default(), Some(3)).err().unwrap().to_string()
    };
    let rows = rows(&[(1, 1)]);
    let said = create("out.json", &rows);
    assert!(
        said.ends_with("would have no names: with --part-rows the output must end in `.parquet`"),
        "{said}"
    );
    assert_eq!(create("out.parquet", &rows.project(&[0]).unwrap()), "cannot convert column `ssObjectId`");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
