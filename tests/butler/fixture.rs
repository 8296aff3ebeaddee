//! Copies of the repositories in `fixtures/butler`, and small changes to them.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use ssp::butler::{Dataset, Repository, Selection};
use ssp::environment::Environment;
use ssp::monitor::Monitor;
use ssp::parquet::read::TableReader;
use ssp::stages::Spec as _;
use ssp::stages::extract::{self, Error, ExtractSpec, FilterSpec};
use ssp::stages::{InputRef, Product};
use tempfile::TempDir;

pub const RUN_A: &str = "LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z";
/// Visits of [`RUN_A`].
pub const VISITS: [i64; 4] = [2_025_071_500_010, 2_025_071_500_011, 2_025_071_500_012, 2_025_071_500_013];
pub const RUN_B: &str = "LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z";
pub const RUN_Z: &str = "LSSTCam/runs/DRP/fixture/zipped";
pub const RUN_O: &str = "u/odd user/run=1, (a+b)~é:x|y%";
pub const TAGGED: &str = "u/fixture/tagged";
pub const CLEAN: &str = "u/fixture/clean";
pub const CHAIN: &str = "LSSTCam/runs/DRP/fixture";
pub const CHAIN_AB: &str = "LSSTCam/runs/DRP/fixture/AB";
pub const NESTED: &str = "LSSTCam/runs/DRP/fixture/nested";
pub const WITHCALIB: &str = "LSSTCam/runs/DRP/fixture/withcalib";
pub const EMPTYCHAIN: &str = "LSSTCam/runs/DRP/fixture/emptychain";
pub const CALIB: &str = "LSSTCam/calib/fixture";

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/butler")
}

/// A repository of its own, in a folder of its own.
pub struct Fixture {
    pub folder: TempDir,
    pub root: PathBuf,
}

/// No environment at all.
pub fn nothing() -> Environment {
    Environment::default()
}

/// An environment of some variables.
pub fn with(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment { variables: variables.collect(), ..Environment::default() }
}

impl Fixture {
    /// The one with a registry in `SQLite`.
    pub fn sqlite() -> Self {
        Self::unpack("repo")
    }

    pub fn unpack(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = fixtures().join(format!("{name}.tar.gz"));
        let status =
            Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(folder.path()).status().unwrap();
        assert!(status.success(), "cannot unpack {}", archive.display());
        let root = folder.path().join(name);
        Self { folder, root }
    }

    /// With the files of some visits replaced by these tables, and what extracts them.
    pub fn of(tables: &[RecordBatch]) -> (Self, ExtractSpec) {
        let fixture = Self::sqlite();
        fixture.sql("UPDATE file_datastore_records SET file_size = -1");
        for (table, visit) in tables.iter().zip(VISITS) {
            write_table(&fixture.file_of(RUN_A, visit), table);
        }
        let condition = Some(format!("visit <= {}", VISITS[tables.len() - 1]));
        (fixture, ExtractSpec { condition, ..spec(RUN_A) })
    }

    pub fn repo(&self) -> &str {
        self.root.to_str().unwrap()
    }

    pub fn open(&self) -> Repository {
        Repository::open(self.repo(), &nothing()).unwrap()
    }

    /// Runs SQL on the `SQLite` registry.
    pub fn sql(&self, sql: &str) {
        let registry = rusqlite::Connection::open(self.root.join("gen3.sqlite3")).unwrap();
        registry.execute_batch(sql).unwrap();
    }

    /// Puts another text in the place of one in `butler.yaml`.
    pub fn edit_config(&self, from: &str, to: &str) {
        let path = self.root.join("butler.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        write(&path, text.replace(from, to).as_bytes());
    }

    /// The file of a dataset of the default type.
    pub fn file_of(&self, run: &str, visit: i64) -> PathBuf {
        let datasets = self.open().datasets(&selection(run)).unwrap();
        let dataset = datasets.iter().find(|dataset| visit_of(dataset) == visit).unwrap();
        self.root.join(&dataset.records[0].path)
    }

    pub fn output(&self) -> PathBuf {
        self.folder.path().join("out.parquet")
    }

    /// A file with a column `id`.
    pub fn ids_file(&self, ids: ArrayRef) -> PathBuf {
        let path = self.folder.path().join("ids.parquet");
        write_table(&path, &table(&[("id", ids)]));
        path
    }

    /// Extracts and reads back.
    pub fn extract(&self, spec: &ExtractSpec) -> Result<(Product, Table), Error> {
        extract_from(&self.open(), spec, &self.output())
    }
}

/// What a file holds.
pub struct Table {
    pub reader: TableReader,
    pub batches: Vec<RecordBatch>,
}

impl Table {
    pub fn read(path: &Path) -> Self {
        let reader = TableReader::open(path).unwrap();
        let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let batches = reader.batches(&names, None, 1 << 20).unwrap().map(Result::unwrap).collect();
        Self { reader, batches }
    }

    pub fn metadata(&self, key: &str) -> Option<String> {
        self.reader.metadata().find(|(found, _)| *found == key).map(|(_, value)| value.to_owned())
    }

    /// All rows of a column, in order.
    pub fn column(&self, name: &str) -> ArrayRef {
        let parts: Vec<_> =
            self.batches.iter().map(|batch| batch.column_by_name(name).unwrap().as_ref()).collect();
        if parts.is_empty() {
            let field = self.reader.schema().field_with_name(name).unwrap();
            return arrow::array::new_empty_array(field.data_type());
        }
        arrow::compute::concat(&parts).unwrap()
    }
}

pub fn extract_from(
    repository: &Repository,
    spec: &ExtractSpec,
    output: &Path,
) -> Result<(Product, Table), Error> {
    extract_with_jobs(repository, spec, output, 2)
}

pub fn extract_with_jobs(
    repository: &Repository,
    spec: &ExtractSpec,
    output: &Path,
    jobs: usize,
) -> Result<(Product, Table), Error> {
    let extract = spec.checked().unwrap();
    let datasets = extract::plan(&extract, repository)?;
    let ids = spec.filter.as_ref().map(|filter| Path::new(&filter.ids.0));
    let jobs = NonZeroUsize::new(jobs).unwrap();
    let product = extract::run(&extract, &datasets, repository, ids, jobs, output, &Monitor::default())?;
    let table = Table::read(product.files[0].file.temporary());
    Ok((product, table))
}

/// Everything of a collection.
pub fn spec(collection: &str) -> ExtractSpec {
    serde_json::from_value(serde_json::json!({ "collection": collection })).unwrap()
}

pub fn filter(ids: &Path, column: &str) -> FilterSpec {
    FilterSpec { ids: InputRef(ids.to_str().unwrap().to_owned()), column: column.to_owned(), target: None }
}

pub fn selection(collection: &str) -> Selection {
    Selection {
        collections: vec![collection.to_owned()],
        dataset_type: "dia_source_visit".to_owned(),
        ..Selection::default()
    }
}

pub fn visit_of(dataset: &Dataset) -> i64 {
    let visit = dataset.data_id.values.iter().find(|(name, _)| &**name == "visit");
    match visit {
        Some((_, ssp::butler::DataValue::Integer(visit))) => *visit,
        other => panic!("no visit: {other:?}"),
    }
}

/// A table whose values may be NULL.
pub fn table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, array)| (*name, array.clone(), true)))
        .unwrap()
}

pub fn int64(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Writes a file for a test.
pub fn write(path: &Path, bytes: &[u8]) {
    ssp::durable::write(path, bytes).unwrap();
}

/// Writes a Parquet file for a test.
pub fn write_table(path: &Path, batch: &RecordBatch) {
    let options = ssp::parquet::write::WriteOptions::default();
    let mut writer = ssp::parquet::write::TableWriter::create(path, batch.schema(), &options).unwrap();
    writer.write(batch).unwrap();
    writer.seal().unwrap().file.publish().unwrap();
}
