//! Extracts that copy from their last output: the bytes of a full extract after any change, and only the files are opened
//! that may have changed rows.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;
use ssp::butler::{Dataset, Repository};
use ssp::monitor::Monitor;
use ssp::parquet::write::{Compression, TableWriter, WriteOptions, by_groups};
use ssp::stages::extract::{self, Error, ExtractSpec, Extraction, FilterSpec, OnMissingDataset};
use ssp::stages::{Last, Product, Spec as _};

use crate::cases::cases;
use crate::fixture::{
    CLEAN, Fixture, NESTED, RUN_A, RUN_Z, Table, VISITS, filter, int64, spec, table, visit_of, write,
    write_table,
};

/// One extract, run again and again.
struct Runs {
    fixture: Fixture,
    repository: Repository,
    last: Option<Last>,
}

/// What an incremental extract did.
#[derive(Debug, PartialEq)]
struct Did {
    copied: u64,
    read: u64,
    opened: u64,
    unchanged: bool,
}

const fn did(copied: u64, read: u64, opened: u64) -> Did {
    Did { copied, read, opened, unchanged: false }
}

const INCREMENTAL: [&str; 3] = ["datasets_copied", "datasets_read", "datasets_opened"];

impl Runs {
    fn new(fixture: Fixture) -> Self {
        let repository = fixture.open();
        Self { fixture, repository, last: None }
    }

    /// Visits of a run whose files hold these tables.
    fn of(tables: &[RecordBatch]) -> (Self, ExtractSpec) {
        let (fixture, spec) = Fixture::of(tables);
        (Self::new(fixture), spec)
    }

    fn plan(&self, spec: &ExtractSpec) -> Vec<Dataset> {
        extract::plan(&spec.checked().unwrap(), &self.repository).unwrap()
    }

    fn output(&self) -> PathBuf {
        self.fixture.output()
    }

    fn extraction(
        &self,
        spec: &ExtractSpec,
        datasets: &[Dataset],
        last: Option<&Last>,
    ) -> Result<Product, Error> {
        let ids = spec.filter.as_ref().map(|filter| Path::new(&filter.ids.0));
        let extraction = Extraction {
            extract: &spec.checked().unwrap(),
            datasets,
            repository: &self.repository,
            ids,
            jobs: NonZeroUsize::new(2).unwrap(),
            target: &self.output(),
            monitor: &Monitor::default(),
        };
        extraction.run_with_last(last)
    }

    /// Runs the extract with and without its last output: the same bytes, or the same error. Publishes the output.
    fn run_on(&mut self, spec: &ExtractSpec, datasets: &[Dataset]) -> Result<Did, String> {
        let full = self.extraction(spec, datasets, None);
        self.compare(spec, datasets, full)
    }

    fn compare(
        &mut self,
        spec: &ExtractSpec,
        datasets: &[Dataset],
        full: Result<Product, Error>,
    ) -> Result<Did, String> {
        let said = |error: Error| ssp::errors::chain(&error).join(": ");
        let incremental = self.extraction(spec, datasets, self.last.as_ref());
        let (full, product) = match (full, incremental) {
            (Ok(full), Ok(incremental)) => (full, incremental),
            (Err(full), Err(incremental)) => {
                let said = (said(full), said(incremental));
                assert_eq!(said.0, said.1);
                return Err(said.0);
            }
            (full, incremental) => panic!("{:?} but {:?}", full.map(|_| ()), incremental.map(|_| ())),
        };
        let wanted = fs::read(full.files[0].file.temporary()).unwrap();
        let bytes = match &product.files[..] {
            [] => fs::read(self.output()).unwrap(),
            [table] => fs::read(table.file.temporary()).unwrap(),
            more => panic!("{} files", more.len()),
        };
        assert!(bytes == wanted, "{} bytes, {} without the last output", bytes.len(), wanted.len());
        assert_eq!(product.unchanged, product.files.is_empty());
        let others = |product: &Product| {
            let figures = product.figures.iter().filter(|(name, _)| !INCREMENTAL.contains(&name.as_str()));
            figures.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>()
        };
        assert_eq!(others(&product), others(&full));
        assert_eq!((&product.warnings, &product.lookups), (&full.warnings, &full.lookups));
        // What is remembered does not depend on how the output came to be.
        assert!(product.memory == full.memory, "other memories");
        let figure = |name: &str| product.figures[name].as_u64().unwrap();
        let [copied, read, opened] = INCREMENTAL.map(figure);
        let did = Did { copied, read, opened, unchanged: product.unchanged };
        let rows = figure("rows_written");
        for table in product.files {
            assert_eq!(table.rows, rows);
            table.file.publish().unwrap();
        }
        self.last = product.memory.map(|memory| Last { path: self.output(), rows, memory });
        Ok(did)
    }

    fn run(&mut self, spec: &ExtractSpec) -> Result<Did, String> {
        let datasets = self.plan(spec);
        self.run_on(spec, &datasets)
    }

    /// As [`Self::run`], with no row left in the files of some visits, which have the size that they had: they are as good as
    /// unreadable for those who open them.
    fn run_blind(&mut self, spec: &ExtractSpec, visits: &[i64]) -> Did {
        let datasets = self.plan(spec);
        let full = self.extraction(spec, &datasets, None);
        for dataset in datasets.iter().filter(|dataset| visits.contains(&visit_of(dataset))) {
            let locations = self.repository.locate(dataset).unwrap();
            let path = locations[0].place.path().unwrap();
            write(path, &vec![0; fs::read(path).unwrap().len()]);
        }
        self.compare(spec, &datasets, full).unwrap()
    }
}

/// A filter by these ids.
fn ids_file(runs: &Runs, ids: &[i64]) -> FilterSpec {
    filter(&runs.fixture.ids_file(int64(ids)), "id")
}

/// Ids and another column.
fn sources(ids: &[i64]) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(ids.iter().map(|id| format!("<{id}>"))));
    table(&[("diaSourceId", int64(ids)), ("name", texts)])
}

#[test]
fn a_dataset_more_is_read_and_the_others_are_not_opened() {
    let mut runs = Runs::new(Fixture::sqlite());
    let spec = spec(CLEAN);
    let mut datasets = runs.plan(&spec);
    let new = datasets.remove(3);
    let others: Vec<i64> = datasets.iter().map(visit_of).collect();
    let count = others.len() as u64;
    assert_eq!(runs.run_on(&spec, &datasets), Ok(did(0, count, count)));
    assert_ne!(visit_of(&new), VISITS[0]);
    assert_eq!(runs.run_blind(&spec, &others), did(count, 1, 1));
}

#[test]
fn a_dataset_less_leaves_the_others_as_they_are() {
    let mut runs = Runs::new(Fixture::sqlite());
    let spec = spec(CLEAN);
    let mut datasets = runs.plan(&spec);
    runs.run(&spec).unwrap();
    for at in [7, 2, 0] {
        datasets.remove(at);
        assert_eq!(runs.run_on(&spec, &datasets), Ok(did(datasets.len() as u64, 0, 0)));
    }
    datasets.reverse();
    assert_eq!(runs.run_on(&spec, &datasets), Ok(did(6, 0, 0)));
    // One that is listed twice is copied twice.
    datasets.push(datasets[1].clone());
    assert_eq!(runs.run_on(&spec, &datasets), Ok(did(7, 0, 0)));
    assert_eq!(runs.run_on(&spec, &datasets), Ok(Did { unchanged: true, ..did(7, 0, 0) }));
}

#[test]
fn an_output_that_would_be_the_same_is_not_written() {
    let (mut runs, spec) = Runs::of(&[sources(&[1, 2]), sources(&[]), sources(&[3])]);
    let datasets = runs.plan(&spec);
    runs.run(&spec).unwrap();
    let same = Did { unchanged: true, ..did(3, 0, 0) };
    assert_eq!(runs.run_blind(&spec, &VISITS), same);
    // One without rows has no row group.
    let two = [datasets[0].clone(), datasets[2].clone()];
    let product = runs.extraction(&spec, &two, runs.last.as_ref()).unwrap();
    assert!(product.unchanged && product.figures["datasets"] == 2 && product.figures["rows_written"] == 3);
    let one = [datasets[0].clone(), datasets[1].clone()];
    assert!(!runs.extraction(&spec, &one, runs.last.as_ref()).unwrap().unchanged);
}

#[test]
fn an_output_without_rows_is_the_same_only_with_the_same_metadata() {
    let (mut runs, spec) = Runs::of(&[sources(&[]), sources(&[])]);
    let path = runs.fixture.file_of(RUN_A, VISITS[1]);
    let (_, mut writer) = by_groups(&path, &sources(&[]).schema(), Compression::None).unwrap();
    writer.add_metadata("key", "value");
    writer.seal().unwrap().file.publish().unwrap();
    let datasets = runs.plan(&spec);
    runs.run(&spec).unwrap();
    assert_eq!(runs.run_on(&spec, &datasets[1..]), Ok(did(1, 0, 0)));
    assert_eq!(Table::read(&runs.output()).metadata("key").as_deref(), Some("value"));
    assert_eq!(runs.run_on(&spec, &datasets[1..]), Ok(Did { unchanged: true, ..did(1, 0, 0) }));
}

#[test]
fn only_datasets_that_may_hold_an_id_that_was_added_are_opened() {
    let (mut runs, mut spec) =
        Runs::of(&[sources(&[10, 20, 30]), sources(&[110, 120, 130]), sources(&[210, 220, 230])]);
    spec.filter = Some(ids_file(&runs, &[10, 110, 210]));
    assert_eq!(runs.run(&spec), Ok(did(0, 3, 3)));
    // Within the range of the second, and in it.
    spec.filter = Some(ids_file(&runs, &[10, 110, 120, 210]));
    assert_eq!(runs.run_blind(&spec, &[VISITS[0], VISITS[2]]), did(2, 1, 1));
}

#[test]
fn a_dataset_that_only_might_have_held_it_is_copied() {
    let (mut runs, mut spec) =
        Runs::of(&[sources(&[10, 20, 30]), sources(&[110, 120, 130]), sources(&[210, 220, 230])]);
    spec.filter = Some(ids_file(&runs, &[10, 110, 210]));
    runs.run(&spec).unwrap();
    // Within the range of the second, and not in it; the examples of the first are remembered from then on.
    spec.filter = Some(ids_file(&runs, &[10, 110, 111, 210]));
    assert_eq!(runs.run(&spec), Ok(Did { unchanged: true, ..did(3, 0, 2) }));
    // Two that are within no range: none is opened.
    spec.filter = Some(ids_file(&runs, &[5, 10, 110, 111, 150, 210]));
    assert_eq!(runs.run_blind(&spec, &VISITS), Did { unchanged: true, ..did(3, 0, 0) });
}

#[test]
fn datasets_with_an_id_that_was_removed_are_read() {
    let (mut runs, mut spec) =
        Runs::of(&[sources(&[10, 20, 30]), sources(&[20, 120, 130]), sources(&[210, 220, 230])]);
    spec.filter = Some(ids_file(&runs, &[10, 20, 210]));
    runs.run(&spec).unwrap();
    spec.filter = Some(ids_file(&runs, &[10, 210]));
    assert_eq!(runs.run_blind(&spec, &[VISITS[2]]), did(1, 2, 2));
}

#[test]
fn an_id_that_no_dataset_had_is_not_an_id_that_was_added() {
    let (mut runs, mut spec) = Runs::of(&[sources(&[10, 20, 30]), sources(&[110])]);
    spec.filter = Some(ids_file(&runs, &[10, 15]));
    runs.run(&spec).unwrap();
    assert_eq!(runs.run_blind(&spec, &VISITS), Did { unchanged: true, ..did(2, 0, 0) });
}

#[test]
fn a_dataset_that_got_no_rows_before_gets_them() {
    let (mut runs, mut spec) = Runs::of(&[sources(&[10, 20]), sources(&[15, 16]), sources(&[17])]);
    for ids in [&[10, 17][..], &[10, 15, 17], &[16], &[], &[17, 20]] {
        spec.filter = Some(ids_file(&runs, ids));
        runs.run(&spec).unwrap();
    }
}

#[test]
fn ids_are_compared_as_the_integers_they_are() {
    let unsigned: ArrayRef =
        Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(1 << 63), Some(7), Some(7)]));
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(-1), None, Some(i64::MIN), Some(7)]));
    let only_nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
    let tables = [unsigned, nulls, only_nulls].map(|ids| table(&[("diaSourceId", ids)]));
    let (mut runs, mut spec) = Runs::of(&tables);
    for ids in [&[7][..], &[-1, 7], &[-1, 0, 7, i64::MAX], &[i64::MIN, 0, i64::MAX], &[-1, 7], &[-1, 0]] {
        spec.filter = Some(ids_file(&runs, ids));
        runs.run(&spec).unwrap();
    }
    // All bounds of the first are above the ids, so it is not opened for -2; that of the third has no bounds.
    spec.filter = Some(ids_file(&runs, &[-2, -1, 0]));
    assert_eq!(runs.run(&spec), Ok(Did { unchanged: true, ..did(3, 0, 2) }));
}

#[test]
fn other_columns_are_read_anew() {
    let narrow = table(&[("diaSourceId", Arc::new(arrow::array::Int32Array::from(vec![1])) as ArrayRef)]);
    let more = table(&[("diaSourceId", int64(&[3])), ("flag", int64(&[1]))]);
    let (mut runs, mut spec) = Runs::of(&[narrow.clone(), narrow.clone(), sources(&[2]), more]);
    let datasets = runs.plan(&spec);
    for (count, done) in
        [(1, did(0, 1, 1)), (2, did(1, 1, 1)), (3, did(0, 3, 3)), (4, did(0, 4, 4)), (3, did(0, 3, 3))]
    {
        assert_eq!(runs.run_on(&spec, &datasets[..count]), Ok(done), "{count}");
    }
    spec.columns = Some(vec!["name".to_owned(), "diaSourceId".to_owned()]);
    assert_eq!(runs.run(&spec), Ok(did(0, 4, 4)));
    assert_eq!(runs.run(&spec), Ok(Did { unchanged: true, ..did(4, 0, 0) }));
    spec.columns = Some(vec!["diaSourceId".to_owned(), "name".to_owned()]);
    assert_eq!(runs.run(&spec), Ok(did(0, 4, 4)));
}

#[test]
fn other_settings_are_not_copied_from() {
    let (mut runs, mut spec) = Runs::of(&[sources(&[1, 2]), sources(&[3, 4])]);
    runs.run(&spec).unwrap();
    spec.compression = Some(Compression::None);
    assert_eq!(runs.run(&spec), Ok(did(0, 2, 2)));
    spec.filter = Some(ids_file(&runs, &[1, 3]));
    assert_eq!(runs.run(&spec), Ok(did(0, 2, 2)));
    spec.filter = None;
    assert_eq!(runs.run(&spec), Ok(did(0, 2, 2)));
    spec.incremental = Some(false);
    assert_eq!(runs.run(&spec), Ok(did(0, 2, 2)));
    assert!(runs.last.is_none());
}

#[test]
fn a_file_that_is_gone_or_has_another_size_is_told_of_as_ever() {
    let mut runs = Runs::new(Fixture::sqlite());
    let mut spec = spec(CLEAN);
    runs.run(&spec).unwrap();
    let path = runs.fixture.file_of(RUN_A, VISITS[1]);
    let bytes = fs::read(&path).unwrap();
    write(&path, &bytes[1..]);
    assert!(runs.run(&spec).unwrap_err().contains("1 of 9 datasets cannot be read"));
    fs::remove_file(&path).unwrap();
    assert!(runs.run(&spec).unwrap_err().contains("its file is missing"));
    spec.on_missing = Some(OnMissingDataset::Skip);
    assert_eq!(runs.run(&spec), Ok(did(8, 0, 1)));
    // It can be read again.
    write(&path, &bytes);
    assert_eq!(runs.run(&spec), Ok(did(8, 1, 1)));
    assert_eq!(runs.run(&spec), Ok(Did { unchanged: true, ..did(9, 0, 0) }));
}

#[test]
fn a_file_whose_size_is_not_recorded_and_changed_is_read() {
    let (mut runs, spec) = Runs::of(&[sources(&[1, 2]), sources(&[3, 4])]);
    runs.run(&spec).unwrap();
    write_table(&runs.fixture.file_of(RUN_A, VISITS[1]), &sources(&[3, 4, 5_000_000_000, 6]));
    assert_eq!(runs.run(&spec), Ok(did(1, 1, 1)));
}

#[test]
fn members_of_zip_files_are_checked_by_its_directory() {
    let mut runs = Runs::new(Fixture::sqlite());
    let spec = spec(RUN_Z);
    let datasets = runs.plan(&spec);
    let count = datasets.len() as u64;
    runs.run_on(&spec, &datasets[..1]).unwrap();
    assert_eq!(runs.run(&spec), Ok(did(1, count - 1, count - 1)));
    assert_eq!(runs.run(&spec), Ok(Did { unchanged: true, ..did(count, 0, 0) }));
    let zip = runs.repository.locate(&datasets[0]).unwrap()[0].place.path().unwrap().to_owned();
    let bytes = fs::read(&zip).unwrap();
    write(&zip, &bytes[..bytes.len() - 30]);
    assert!(runs.run(&spec).unwrap_err().contains("datasets cannot be read"));
}

#[test]
fn what_is_remembered_of_another_file_is_not_used() {
    let (mut runs, spec) = Runs::of(&[sources(&[1, 2]), sources(&[3, 4])]);
    runs.run(&spec).unwrap();
    let last = |path: &Path, rows: u64, memory: &[u8]| {
        let last = Last { path: path.to_owned(), rows, memory: memory.to_vec() };
        runs.extraction(&spec, &runs.plan(&spec), Some(&last)).unwrap().figures["datasets_copied"].clone()
    };
    let memory = &runs.last.as_ref().unwrap().memory;
    let (output, other) = (runs.output(), runs.fixture.folder.path().join("other.parquet"));
    assert_eq!(last(&output, 4, memory), 2);
    assert_eq!(
        (last(&output, 5, memory), last(&output, 4, &memory[1..]), last(&other, 4, memory)),
        (0.into(), 0.into(), 0.into())
    );
    // Other row groups; as many rows in another order of row groups; other columns.
    for tables in [
        vec![sources(&[1, 2, 3, 4])],
        vec![sources(&[1]), sources(&[2, 3, 4])],
        vec![sources(&[1, 2]), sources(&[3]), sources(&[4])],
        vec![
            table(&[("diaSourceId", int64(&[1, 2])), ("name", int64(&[1, 2]))]),
            table(&[("diaSourceId", int64(&[1, 2])), ("name", int64(&[1, 2]))]),
        ],
    ] {
        let mut writer = TableWriter::create(&other, tables[0].schema(), &WriteOptions::default()).unwrap();
        for table in &tables {
            writer.write(table).unwrap();
            writer.end_section().unwrap();
        }
        writer.seal().unwrap().file.publish().unwrap();
        assert_eq!(last(&other, 4, memory), 0, "{tables:?}");
    }
}

/// A change between two runs.
#[derive(Clone, Debug)]
enum Change {
    /// Leaves out datasets, or takes them in again, by their numbers.
    Toggle(Vec<prop::sample::Index>),
    /// Another order, or one twice.
    Move(prop::sample::Index, prop::sample::Index),
    Twice(prop::sample::Index),
    /// Adds ids or removes them.
    Ids(Vec<prop::sample::Index>),
    Strange(i64),
    Filtered(bool),
    Columns(Option<Vec<&'static str>>),
    Compression(bool),
    /// A file goes, or comes again.
    File(prop::sample::Index),
    Damage(prop::sample::Index, u8),
    Forget,
    Nothing,
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    let several = move || prop::collection::vec(index(), 1..4);
    let columns = prop_oneof![
        Just(None),
        Just(Some(vec!["diaSourceId"])),
        Just(Some(vec!["ra", "diaSourceId", "band"])),
        Just(Some(vec!["dec"])),
    ];
    prop_oneof![
        4 => several().prop_map(Change::Toggle),
        1 => (index(), index()).prop_map(|(a, b)| Change::Move(a, b)),
        1 => index().prop_map(Change::Twice),
        6 => several().prop_map(Change::Ids),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1), any::<i64>()].prop_map(Change::Strange),
        1 => any::<bool>().prop_map(Change::Filtered),
        1 => columns.prop_map(Change::Columns),
        1 => any::<bool>().prop_map(Change::Compression),
        2 => index().prop_map(Change::File),
        1 => (index(), any::<u8>()).prop_map(|(at, with)| Change::Damage(at, with)),
        1 => Just(Change::Forget),
        1 => Just(Change::Nothing),
    ]
}

/// The datasets of all kinds, two of them with tables of their own, and some of the ids that are in them.
fn survey_all() -> (Runs, Vec<Dataset>, Vec<i64>) {
    let fixture = Fixture::sqlite();
    fixture.sql("UPDATE file_datastore_records SET file_size = -1");
    let mut runs = Runs::new(fixture);
    let mut spec = spec(NESTED);
    spec.on_missing = Some(OnMissingDataset::Skip);
    let mut datasets = runs.plan(&spec);
    datasets.extend(runs.plan(&crate::fixture::spec(RUN_Z)));
    runs.run_on(&spec, &datasets).unwrap();
    runs.last = None;
    let column = Table::read(&runs.output()).column("diaSourceId");
    let column = arrow::compute::cast(&column, &DataType::Int64).unwrap();
    let ids: Vec<i64> = column.as_any().downcast_ref::<Int64Array>().unwrap().iter().flatten().collect();
    // NULLs, an id many times and in two datasets, and ids above the largest of int64, in several row groups.
    let shared = ids[0];
    let field = |data_type| Arc::new(Schema::new(vec![Field::new("diaSourceId", data_type, true)]));
    let unsigned = |row: u64| match row % 4 {
        0 => None,
        1 => Some(shared.cast_unsigned()),
        2 if row > 20 => Some(u64::MAX - row),
        _ => Some(row),
    };
    let signed = |row: i64| (row % 3 > 0).then_some(if row % 2 == 0 { shared } else { -row });
    let unsigned: ArrayRef = Arc::new((0..40).map(unsigned).collect::<UInt64Array>());
    let signed: ArrayRef = Arc::new((0..40).map(signed).collect::<Int64Array>());
    for (visit, column) in VISITS[..2].iter().zip([unsigned, signed]) {
        let batch = RecordBatch::try_new(field(column.data_type().clone()), vec![column]).unwrap();
        let options = WriteOptions { row_group_rows: 15, ..WriteOptions::default() };
        let mut writer =
            TableWriter::create(&runs.fixture.file_of(RUN_A, *visit), batch.schema(), &options).unwrap();
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
    }
    // Few, so that what was added is removed again.
    let step = ids.len() / 16;
    let mut ids: Vec<i64> = ids.into_iter().step_by(step).collect();
    ids.extend([shared, -30, -7, 0, 7, 30, 31]);
    (runs, datasets, ids)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(6, 200)))]

    /// After any changes an incremental extract writes the bytes of a full one, and says the same.
    #[test]
    fn any_sequence_of_runs_writes_what_full_extracts_write(
        changes in prop::collection::vec(prop::collection::vec(change(), 0..3), 3..9),
        filtered in prop::bool::weighted(0.75),
    ) {
        let (mut runs, all, ids) = survey_all();
        let mut spec = spec(NESTED);
        spec.on_missing = Some(OnMissingDataset::Skip);
        let (mut datasets, mut wanted, mut filtered) = (all.clone(), ids[..ids.len() / 2].to_vec(), filtered);
        let mut away: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for changes in changes {
            for change in changes {
                match change {
                    Change::Toggle(which) => for index in which {
                        let dataset = index.get(&all);
                        match datasets.iter().position(|known| known.id == dataset.id) {
                            Some(at) => drop(datasets.remove(at)),
                            None => datasets.push(dataset.clone()),
                        }
                    },
                    Change::Move(from, to) if !datasets.is_empty() => {
                        let dataset = datasets.remove(from.index(datasets.len()));
                        datasets.insert(to.index(datasets.len() + 1), dataset);
                    }
                    Change::Twice(which) if !datasets.is_empty() => datasets.push(which.get(&datasets).clone()),
                    Change::Ids(which) => for index in which {
                        let id = *index.get(&ids);
                        match wanted.iter().position(|known| *known == id) {
                            Some(at) => drop(wanted.remove(at)),
                            None => wanted.push(id),
                        }
                    },
                    Change::Strange(id) => wanted.push(id),
                    Change::Filtered(is) => filtered = is,
                    Change::Columns(columns) => {
                        spec.columns = columns.map(|columns| columns.iter().map(|name| (*name).to_owned()).collect());
                    }
                    Change::Compression(is) => spec.compression = is.then_some(Compression::None),
                    Change::File(which) => {
                        let place = runs.repository.locate(which.get(&all)).unwrap().into_iter().next();
                        if let Some((path, bytes)) = away.pop() {
                            write(&path, &bytes);
                        } else if let Some(place) = place.and_then(|place| place.place.path().map(Path::to_owned)).filter(|path| path.exists()) {
                            away.push((place.clone(), fs::read(&place).unwrap()));
                            fs::remove_file(&place).unwrap();
                        }
                    }
                    Change::Damage(at, with) => if let Some(last) = &mut runs.last {
                        *at.get_mut(&mut last.memory) ^= with;
                    },
                    Change::Forget => runs.last = None,
                    Change::Move(..) | Change::Twice(_) | Change::Nothing => {}
                }
            }
            spec.filter = filtered.then(|| ids_file(&runs, &wanted));
            // Ids above the largest of int64 are an error unless they are left out.
            let fit = datasets.iter().filter(|dataset| filtered || visit_of(dataset) != VISITS[0]);
            // An error is the same; the last output stays.
            let _ = runs.run_on(&spec, &fit.cloned().collect::<Vec<_>>());
        }
    }
}
