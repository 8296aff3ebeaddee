//! Beside the real Butler, in Python: other kinds of repository, and `get` on random subsets.
//!
//! These need `.venv` with `fixtures/requirements-butler.txt`, which `ci/install venv` makes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use serde_json::{Value, json};
use ssp::butler::Repository;
use ssp::digest::Digest;
use ssp::stages::extract::{FilterSpec, OnMissingDataset};

use crate::expected::{assert_every_collection_is_among, compare, extracts};
use crate::fixture::{
    CHAIN, CHAIN_AB, Fixture, NESTED, RUN_A, RUN_B, Table, extract_from, fixtures, nothing, spec, write,
};
use crate::python::python;

/// Runs a Python program with the packages of the real Butler.
fn run(program: &Path, args: &[&str]) {
    let output = Command::new(python()).arg(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\nIf a module is missing: `ci/install venv` installs the real Butler"
    );
}

/// The folder of a repository that the real Butler made, with `expected.json`: what it says is in there. Made once for a
/// script, versions of packages and options, as that takes seconds; tests only read it.
fn made(options: &[&str]) -> PathBuf {
    let script = fixtures().join("make_repo.py");
    let versions = fixtures().with_file_name("requirements-butler.txt");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Absolute URIs hold only where they were written.
    let mut made_of = format!("{options:?} {}", target.display()).into_bytes();
    made_of.extend([script.as_path(), &versions].map(|path| fs::read(path).unwrap()).concat());
    let name = format!("butler made by {}", Digest::of(&made_of));
    let folder = target.join(name);
    fs::create_dir_all(&folder).unwrap();
    // Tests run in processes of their own; one of them makes it.
    let lock = File::options().create(true).append(true).open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.join("done").exists() {
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (repo, expected) = (path("re po"), path("expected.json"));
        run(&script, &[&["--out", &repo, "--expected", &expected], options].concat());
        write(&folder.join("done"), b"");
    }
    folder
}

fn made_repository_is_read_as_expected(options: &[&str]) {
    let made = made(options);
    let expected: Value =
        serde_json::from_str(&fs::read_to_string(made.join("expected.json")).unwrap()).unwrap();
    let fixture = Fixture { root: made.join("re po"), folder: tempfile::tempdir().unwrap() };
    let repository = Repository::open(fixture.repo(), &nothing()).unwrap();
    compare(&repository, &expected, fixture.repo());
    assert_every_collection_is_among(&expected, &fixture);
    extracts(&repository, &expected, &fixture);
}

#[test]
fn real_chained_datastores_are_read_as_expected() {
    made_repository_is_read_as_expected(&["--chained"]);
}

#[test]
fn real_absolute_uris_are_read_as_expected() {
    made_repository_is_read_as_expected(&["--direct"]);
}

#[test]
fn real_chained_datastores_with_absolute_uris_are_read_as_expected() {
    made_repository_is_read_as_expected(&["--chained", "--direct"]);
}

/// A sequence of numbers that looks random and is always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn some<T: Clone>(&mut self, of: &[T], one_in: usize) -> Vec<T> {
        of.iter().filter(|_| self.below(one_in) == 0).cloned().collect()
    }
}

/// All values of an integer column, as `int64`.
fn integers(column: &ArrayRef) -> Vec<i64> {
    match column.data_type() {
        DataType::UInt64 => column
            .as_primitive::<UInt64Type>()
            .values()
            .iter()
            .map(|id| i64::try_from(*id).unwrap())
            .collect(),
        _ => column.as_primitive::<Int64Type>().iter().flatten().collect(),
    }
}

fn random_case(random: &mut Random, fixture: &Fixture) -> Value {
    let collection = [RUN_A, RUN_B, CHAIN, CHAIN_AB, NESTED][random.below(5)];
    let visits: Vec<i64> =
        (0..6).map(|n| 2_025_071_500_010 + n).chain((0..6).map(|n| 2_025_071_600_101 + n)).collect();
    let mut all = spec(collection);
    all.on_missing = Some(OnMissingDataset::Skip);
    let (_, table) = fixture.extract(&all).unwrap();
    let target = ["diaSourceId", "diaSourceId", "ssObjectId", "detector"][random.below(4)];
    let known = match target {
        "detector" => vec![10, 42, 150],
        name => integers(&table.column(name)),
    };
    // Neighbours too: they must not match.
    let mut ids: Vec<i64> = random.some(&known, 7);
    ids.extend(random.some(&known, 7).iter().map(|id| id + 1));
    ids.push(-1);
    let names: Vec<String> =
        table.reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    let columns = random.some(&names, 3);
    let choose = |whether: usize, value: Value| if whether == 0 { Value::Null } else { value };
    json!({
        "collection": collection,
        "find_first": random.below(2) == 0,
        "visits": random.some(&visits, 2),
        "target": target,
        "ids": choose(random.below(4), json!(ids)),
        "columns": choose(if columns.is_empty() { 0 } else { random.below(2) }, json!(columns)),
    })
}

fn ours(case: &Value, fixture: &Fixture) -> Option<Table> {
    let texts = |value: &Value| -> Option<Vec<String>> { serde_json::from_value(value.clone()).unwrap() };
    let mut spec = spec(case["collection"].as_str().unwrap());
    spec.find_first = case["find_first"].as_bool();
    spec.on_missing = Some(OnMissingDataset::Skip);
    spec.columns = texts(&case["columns"]);
    let visits: Vec<String> = case["visits"].as_array().unwrap().iter().map(ToString::to_string).collect();
    spec.condition = Some(format!("visit IN ({})", visits.join(", ")));
    if let Some(ids) = case["ids"].as_array() {
        let path = fixture.ids_file(Arc::new(ids.iter().map(Value::as_i64).collect::<Int64Array>()));
        let target = case["target"].as_str().map(str::to_owned);
        let ids = path.to_str().unwrap().to_owned();
        spec.filter = Some(FilterSpec { ids: ssp::stages::InputRef(ids), column: "id".to_owned(), target });
    }
    match extract_from(&fixture.open(), &spec, &fixture.output()) {
        Ok((_, table)) => Some(table),
        // Of what was chosen, nothing can be read.
        Err(
            ssp::stages::extract::Error::Unreadable { .. } | ssp::stages::extract::Error::NoDatasets { .. },
        ) => None,
        Err(error) => panic!("{case}: {error}"),
    }
}

#[test]
fn real_get_returns_the_same_rows_of_random_subsets() {
    const CASES: usize = 60;
    let fixture = Fixture::sqlite();
    let mut random = Random(20_250_715);
    let mut cases = Vec::new();
    let mut tables = Vec::new();
    while cases.len() < CASES {
        let case = random_case(&mut random, &fixture);
        if case["visits"].as_array().unwrap().is_empty() {
            continue;
        }
        if let Some(table) = ours(&case, &fixture) {
            cases.push(case);
            tables.push(table);
        }
    }
    let file = fixture.folder.path().join("cases.json");
    write(&file, serde_json::to_string(&cases).unwrap().as_bytes());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/butler/real_get.py");
    let out = fixture.folder.path().to_str().unwrap();
    run(&program, &[fixture.repo(), file.to_str().unwrap(), out]);
    let mut rows = 0;
    for (number, (case, ours)) in cases.iter().zip(&tables).enumerate() {
        let theirs = Table::read(&fixture.folder.path().join(format!("{number}.parquet")));
        assert_eq!(ours.reader.schema().fields(), theirs.reader.schema().fields(), "{case}");
        assert_eq!(ours.reader.rows(), theirs.reader.rows(), "{case}");
        let whole = |table: &Table| match table.batches.first() {
            Some(first) => concat_batches(&first.schema(), &table.batches).unwrap(),
            None => RecordBatch::new_empty(ours.reader.schema().clone()),
        };
        let (a, b) = (whole(ours), whole(&theirs));
        for column in 0..a.num_columns() {
            assert_eq!(
                a.column(column).to_data(),
                b.column(column).to_data(),
                "{case}: {}",
                a.schema().field(column)
            );
        }
        rows += a.num_rows();
    }
    assert!(rows > 1_000, "{rows} rows are too few to tell");
}
