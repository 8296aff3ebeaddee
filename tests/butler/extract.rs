//! Extracts as a whole: against the Python tool's files, filters, columns, and the same bytes for any number of threads.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use ssp::monitor::{Monitor, Progress};
use ssp::parquet::write::Compression;
use ssp::stages::Spec as _;
use ssp::stages::extract;
use ssp::stages::extract::{Duplicates, FilterSpec, OnMissingDataset};

use crate::fixture::{
    CHAIN, CLEAN, Fixture, NESTED, RUN_A, RUN_B, RUN_Z, TAGGED, Table, extract_with_jobs, filter, fixtures,
    spec,
};

/// All rows, ordered by id.
fn sorted(table: &Table) -> RecordBatch {
    let all = concat_batches(&table.batches[0].schema(), &table.batches).unwrap();
    let order = sort_to_indices(all.column_by_name("diaSourceId").unwrap(), None, None).unwrap();
    take_record_batch(&all, &order).unwrap()
}

/// Equal rows and columns; NaN equals NaN, as the bits say.
fn assert_same(ours: &Table, theirs: &Table) {
    assert_eq!(ours.reader.schema().fields(), theirs.reader.schema().fields());
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    for (column, field) in ours.schema().fields().iter().enumerate() {
        assert_eq!(ours.column(column).to_data(), theirs.column(column).to_data(), "{}", field.name());
    }
}

#[test]
fn what_the_python_tool_wrote_is_written() {
    let fixture = Fixture::sqlite();
    for (collection, reference) in [(CLEAN, "clean"), (TAGGED, "tagged"), (RUN_Z, "zipped")] {
        let (_, ours) = fixture.extract(&spec(collection)).unwrap();
        assert_same(&ours, &Table::read(&fixtures().join(format!("reference/{reference}.parquet"))));
    }
    let mut filtered = spec(CLEAN);
    filtered.filter = Some(filter(&fixtures().join("reference/filter_ids.parquet"), "obssubid"));
    let (product, ours) = fixture.extract(&filtered).unwrap();
    assert_same(&ours, &Table::read(&fixtures().join("reference/clean_filtered.parquet")));
    assert_eq!((&product.figures["ids_found"], &product.figures["rows_written"]), (&198.into(), &198.into()));
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(NESTED);
    spec.on_missing = Some(OnMissingDataset::Skip);
    spec.duplicates = Some(Duplicates::Keep);
    let digest = |jobs| {
        let product = extract_with_jobs(&fixture.open(), &spec, &fixture.output(), jobs).unwrap().0;
        product.files[0].file.digest()
    };
    assert_eq!((digest(1), digest(8)), (digest(2), digest(1)));
}

#[test]
fn the_metadata_are_true_for_the_whole() {
    let fixture = Fixture::sqlite();
    let (_, table) = fixture.extract(&spec(CLEAN)).unwrap();
    assert_eq!(table.metadata("lsst::arrow::rowcount").as_deref(), Some("592"));
    assert_eq!(table.metadata("lsst::arrow::len::ssObjectName").as_deref(), Some("12"));
    assert_eq!(table.metadata("table::len::ssObjectName").as_deref(), Some("12"));
    let described = table.metadata("table_meta_yaml").unwrap();
    assert!(described.contains("name: ra, unit: deg") && !described.contains("LSST.BUTLER"), "{described}");
    // What only some of the datasets say is not said of all.
    assert_eq!(table.metadata("lsst::arrow::astropy_pandas_index"), None);
    // Readers that look at the Arrow schema alone see the same.
    assert_eq!(
        table.reader.schema().metadata().get("lsst::arrow::rowcount").map(String::as_str),
        Some("592")
    );
    let field = table.reader.schema().field_with_name("ra").unwrap();
    assert_eq!(field.metadata().get("unit").map(String::as_str), Some("deg"));
    assert!(field.is_nullable());

    let mut few = spec(CLEAN);
    few.columns = Some(vec!["ra".to_owned(), "diaSourceId".to_owned()]);
    let (_, table) = fixture.extract(&few).unwrap();
    assert_eq!(table.metadata("lsst::arrow::len::band"), None);
    let names: Vec<&str> = table.reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["ra", "diaSourceId"]);
}

#[test]
fn there_is_a_row_group_for_each_dataset_with_rows_that_are_kept() {
    let fixture = Fixture::sqlite();
    let (_, whole) = fixture.extract(&spec(CLEAN)).unwrap();
    let visits = |table: &Table| -> Vec<i64> {
        (0..table.reader.row_groups())
            .map(|group| {
                let mut batches = table.reader.batches(&["visit"], Some(vec![group]), 1 << 20).unwrap();
                let batch = batches.next().unwrap().unwrap();
                assert!(batches.next().is_none());
                let visits = batch.column(0).as_primitive::<Int64Type>().clone();
                assert!(visits.iter().all(|visit| visit == Some(visits.value(0))));
                visits.value(0)
            })
            .collect()
    };
    assert_eq!(visits(&whole).len(), 8);
    let ids = ids_file(&fixture, &whole, &[0, 591]);
    let mut two = spec(CLEAN);
    two.filter = Some(ids);
    let (product, few) = fixture.extract(&two).unwrap();
    assert_eq!(visits(&few), [visits(&whole)[0], visits(&whole)[7]]);
    assert_eq!(product.figures["datasets_with_rows"], 2);
}

/// A file of the ids of some rows of a table.
fn ids_file(fixture: &Fixture, table: &Table, rows: &[usize]) -> FilterSpec {
    let ids = table.column("diaSourceId");
    let ids = ids.as_primitive::<Int64Type>();
    let column: ArrayRef = Arc::new(rows.iter().map(|row| Some(ids.value(*row))).collect::<Int64Array>());
    filter(&fixture.ids_file(column), "id")
}

#[test]
fn ids_may_be_texts_of_digits_and_null_never_matches() {
    let fixture = Fixture::sqlite();
    let (_, whole) = fixture.extract(&spec(CLEAN)).unwrap();
    let id = whole.column("diaSourceId").as_primitive::<Int64Type>().value(7);
    let texts: ArrayRef =
        Arc::new(StringArray::from(vec![None, Some(id.to_string()), Some("-1".to_owned())]));
    let mut filtered = spec(CLEAN);
    filtered.filter = Some(filter(&fixture.ids_file(texts), "id"));
    assert_eq!(fixture.extract(&filtered).unwrap().0.rows(), 1);
    // A NULL in the target matches nothing either: -1 is what a masked value looks like to NumPy.
    filtered.filter.as_mut().unwrap().target = Some("ssObjectId".to_owned());
    assert_eq!(fixture.extract(&filtered).unwrap().0.rows(), 0);
}

#[test]
fn what_is_no_id_is_an_error_with_its_row() {
    let fixture = Fixture::sqlite();
    for (column, message) in [
        (
            Arc::new(StringArray::from(vec!["1", "x2"])) as ArrayRef,
            "column `id` row 2: `x2` is not a 64-bit integer",
        ),
        (Arc::new(StringArray::from(vec![""])), "row 1: `` is not"),
        (Arc::new(UInt64Array::from(vec![1, 1 << 63])), "row 2: `9223372036854775808` is not"),
        (Arc::new(arrow::array::Float64Array::from(vec![1.0])), "column `id` is Float64; ids are integers"),
        (Arc::new(arrow::array::BooleanArray::from(Vec::<bool>::new())), "column `id` is Boolean"),
    ] {
        let mut filtered = spec(CLEAN);
        filtered.filter = Some(filter(&fixture.ids_file(column), "id"));
        let error = fixture.extract(&filtered).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
        filtered.filter.as_mut().unwrap().column = "ids".to_owned();
        let error = fixture.extract(&filtered).err().unwrap().to_string();
        assert!(error.contains("has no column `ids` (it has: id)"), "{error}");
    }
}

#[test]
fn uint64_columns_are_compared_exactly() {
    let fixture = Fixture::sqlite();
    let mut nine = spec(RUN_B);
    nine.condition = Some("visit = 2025071600104".to_owned());
    let (_, table) = fixture.extract(&nine).unwrap();
    let ids = table.column("diaSourceId");
    assert_eq!(ids.data_type(), &DataType::UInt64, "alone, it stays as it is");
    let neighbours: Int64Array = ids
        .as_primitive::<arrow::datatypes::UInt64Type>()
        .values()
        .iter()
        .map(|id| Some(i64::try_from(*id + 1).unwrap()))
        .collect();
    let path = fixture.ids_file(Arc::new(neighbours));
    nine.filter = Some(filter(&path, "id"));
    let (product, _) = fixture.extract(&nine).unwrap();
    assert_eq!(product.rows(), 0, "as float64, neighbours would match");
}

#[test]
fn no_match_at_all_is_an_empty_table_and_a_warning() {
    let fixture = Fixture::sqlite();
    let path = fixture.ids_file(Arc::new(Int64Array::from(vec![5])));
    let mut filtered = spec(CLEAN);
    filtered.filter = Some(filter(&path, "id"));
    let (product, table) = fixture.extract(&filtered).unwrap();
    assert_eq!((table.reader.rows(), table.reader.schema().fields().len()), (0, 28));
    let [_, ids] = &product.lookups[..] else { panic!("{:?}", product.lookups) };
    let said = ids.to_string().replace(&path.display().to_string(), "IDS");
    assert!(
        said.starts_with("none of the 1 ids in `IDS` is in column `diaSourceId` of the datasets; not found: `5`; that column has"),
        "{said}"
    );
}

#[test]
fn a_target_that_is_not_there_or_no_integer_names_the_dataset() {
    let fixture = Fixture::sqlite();
    let path = fixture.ids_file(Arc::new(Int64Array::from(vec![5])));
    let mut filtered = spec(CLEAN);
    filtered.filter = Some(filter(&path, "id"));
    filtered.filter.as_mut().unwrap().target = Some("diaSourceID".to_owned());
    let error = fixture.extract(&filtered).err().unwrap().to_string();
    assert!(
        error.contains("2025071500010} of run") && error.contains("did you mean `diaSourceId`"),
        "{error}"
    );
    filtered.filter.as_mut().unwrap().target = Some("ra".to_owned());
    let error = fixture.extract(&filtered).err().unwrap().to_string();
    assert!(error.contains("column `ra` is Float64; ids are integers"), "{error}");
}

#[test]
fn the_target_need_not_be_among_the_columns() {
    let fixture = Fixture::sqlite();
    let mut filtered = spec(CLEAN);
    filtered.filter = Some(filter(&fixtures().join("reference/filter_ids.parquet"), "obssubid"));
    filtered.columns = Some(vec!["ra".to_owned()]);
    let (_, table) = fixture.extract(&filtered).unwrap();
    let reference = Table::read(&fixtures().join("reference/clean_filtered.parquet"));
    let sum = |table: &Table| {
        let mut ra: Vec<u64> = table
            .column("ra")
            .as_primitive::<arrow::datatypes::Float64Type>()
            .values()
            .iter()
            .map(|ra| ra.to_bits())
            .collect();
        ra.sort_unstable();
        ra
    };
    assert_eq!(sum(&table), sum(&reference));
}

#[test]
fn compression_is_as_asked() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(CLEAN);
    let bytes = |spec: &_| fixture.extract(spec).unwrap().0.bytes();
    spec.compression = Some(Compression::None);
    let plain = bytes(&spec);
    for compression in
        [Compression::Zstd, Compression::Snappy, Compression::Gzip, Compression::Lz4, Compression::Brotli]
    {
        spec.compression = Some(compression);
        assert!(bytes(&spec) < plain, "{compression:?}");
    }
}

#[test]
fn the_same_columns_are_had_from_all_storage_classes() {
    let fixture = Fixture::sqlite();
    for (dataset_type, rows) in [
        ("dia_source_visit_df", None),
        ("dia_source_visit_table", Some(24 + 4)),
        ("dia_source_visit_numpy", Some(24)),
        ("dia_source_visit_numpydict", Some(24)),
        ("preloaded_ss_object_visit", Some(10 + 11 + 12 + 13)),
    ] {
        let mut spec = spec(RUN_A);
        spec.dataset_type = Some(dataset_type.to_owned());
        let (product, table) = fixture.extract(&spec).unwrap();
        assert_eq!(product.rows(), table.reader.rows());
        let found = table.reader.rows();
        assert!(found > 0 && rows.is_none_or(|rows| rows == found), "{dataset_type}: {found} rows");
        assert_eq!(table.metadata("pandas"), None, "{dataset_type}: it numbers the rows of one file");
    }
    let mut composite = spec(RUN_A);
    composite.dataset_type = Some("fixture_metrics".to_owned());
    let error = fixture.extract(&composite).err().unwrap().to_string();
    assert!(error.contains("`fixture_metrics` are stored in 3 parts"), "{error}");
}

/// Stops when this many datasets are written, or when their number is known.
struct StopAt(u64, AtomicU64, Monitor);

impl Progress for StopAt {
    fn expect(&self, _rows: u64) {
        self.advance(0, 0);
    }

    fn advance(&self, _rows: u64, _bytes: u64) {
        if self.1.fetch_add(1, Ordering::SeqCst) >= self.0 {
            self.2.stop("a test");
        }
    }
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let fixture = Fixture::sqlite();
    let extract = spec(CLEAN).checked().unwrap();
    let repository = fixture.open();
    let datasets = extract::plan(&extract, &repository).unwrap();
    for (stop_at, jobs) in [(None, 1), (Some(0), 2), (Some(1), 1), (Some(2), 2)] {
        let monitor = Monitor::default();
        let progress = stop_at.map(|at| Arc::new(StopAt(at, AtomicU64::new(0), monitor.clone())));
        let monitor = match progress {
            Some(progress) => monitor.with_progress(progress),
            None => monitor.with_timeout(Some(Duration::ZERO)),
        };
        let jobs = jobs.try_into().unwrap();
        let result = extract::run(&extract, &datasets, &repository, None, jobs, &fixture.output(), &monitor);
        assert!(matches!(result.unwrap_err(), extract::Error::Stopped));
        assert_eq!(fs::read_dir(fixture.folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_file_that_is_damaged_inside_fails_and_leaves_nothing_behind() {
    let fixture = Fixture::sqlite();
    let path = fixture.file_of(RUN_A, 2_025_071_500_011);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40..2000].fill(0xff);
    crate::fixture::write(&path, &bytes);
    let error = fixture.extract(&spec(CLEAN)).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("cannot read the rows of dataset {instrument: 'LSSTCam', visit: 2025071500011}"),
        "{error}"
    );
    assert_eq!(fs::read_dir(fixture.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_filter_needs_its_file_and_a_file_its_filter() {
    let fixture = Fixture::sqlite();
    let extract = spec(CLEAN).checked().unwrap();
    let path = Path::new("ids.parquet");
    let jobs = 1.try_into().unwrap();
    let result = extract::run(&extract, &[], &fixture.open(), Some(path), jobs, path, &Monitor::default());
    assert!(matches!(result.unwrap_err(), extract::Error::NoIds));
    let mut chain = spec(CHAIN);
    chain.filter = Some(filter(Path::new("/nowhere.parquet"), "id"));
    assert!(fixture.extract(&chain).err().unwrap().to_string().contains("`/nowhere.parquet`"));
}
