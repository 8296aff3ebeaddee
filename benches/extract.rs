//! Times what an extract does before it reads a file: which of 10,000 datasets there are, and how ids are looked up.
//!
//! The registry is that of `fixtures/butler`, with rows inserted. Goal: under 0.3 s for 10,000 datasets.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ssp::butler::ids::IdSet;
use ssp::butler::{Repository, Selection};
use ssp::environment::Environment;

const DATASETS: i64 = 10_000;
const RUN: &str = "LSSTCam/runs/DRP/fixture/w_2025_30/20250801T010203Z";

/// Inserts visits, and a dataset for each, into the run of the fixture.
fn insert(registry: &Path) {
    let registry = rusqlite::Connection::open(registry).expect("the fixture's registry");
    let sql = format!(
        "BEGIN;
         CREATE TEMP TABLE new AS
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {DATASETS})
             SELECT n, printf('%032x', n) AS id, 3000000000000 + n AS visit, t.id AS kind, c.collection_id AS run
             FROM n, dataset_type t, collection c WHERE t.name = 'dia_source_visit' AND c.name = '{RUN}';
         INSERT INTO visit (instrument, id, day_obs, physical_filter, name)
             SELECT 'LSSTCam', visit, 20250715, 'r_57', visit FROM new;
         INSERT INTO dataset (id, dataset_type_id, ingest_date, run_id) SELECT id, kind, 0, run FROM new;
         INSERT INTO dataset_tags_00000001 (dataset_type_id, dataset_id, collection_id, instrument, visit)
             SELECT kind, id, run, 'LSSTCam', visit FROM new;
         INSERT INTO file_datastore_records (dataset_id, path, formatter, storage_class, component, file_size)
             SELECT id, '{RUN}/dia_source_visit/20250715/r/r_57/' || visit || '/dia_source_visit_' || visit || '.parq',
                 'lsst.daf.butler.formatters.parquet.ParquetFormatter', 'ArrowAstropy', '__NULL_STRING__', 1
             FROM new;
         COMMIT;"
    );
    registry.execute_batch(&sql).expect("rows like those of the fixture");
}

fn enumerate(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/butler/repo.tar.gz");
    let status = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(folder.path()).status();
    assert!(status.expect("tar").success());
    insert(&folder.path().join("repo/gen3.sqlite3"));
    let repo = folder.path().join("repo").to_string_lossy().into_owned();
    let selection = Selection {
        collections: vec!["LSSTCam/runs/DRP/fixture/nested".to_owned()],
        dataset_type: "dia_source_visit".to_owned(),
        ..Selection::default()
    };
    let mut group = criterion.benchmark_group("registry");
    group.throughput(Throughput::Elements(DATASETS.unsigned_abs()));
    group.bench_function("open and enumerate 10,000 datasets", |bencher| {
        bencher.iter(|| {
            let repository = Repository::open(&repo, &Environment::default()).expect("the fixture");
            let datasets = repository.datasets(&selection).expect("datasets");
            assert_eq!(datasets.len(), 10_017);
            datasets
        });
    });
    group.finish();
}

/// Ids like those of `DiaSource`: visit by visit, each a cluster of its own.
fn ids(count: i64, offset: i64) -> Vec<i64> {
    (0..count).map(|n| 600_000_000_000_000_000 + n / 50 * 10_000_000_000 + n % 50 * 7_919 + offset).collect()
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ids");
    for count in [1_000, 1_000_000] {
        let all = ids(count, 0);
        group.throughput(Throughput::Elements(all.len() as u64));
        group.bench_function(format!("make a set of {count}"), |bencher| {
            bencher.iter_batched(|| all.clone(), IdSet::new, BatchSize::LargeInput);
        });
        let set = IdSet::new(all);
        // A third of them are in the set, if it is large enough.
        let asked = (0..20_000).zip(ids(20_000, 0)).map(|(n, id)| id + n % 3);
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(asked));
        group.throughput(Throughput::Elements(20_000));
        group.bench_function(format!("ask {count} for 20,000"), |bencher| {
            bencher.iter(|| black_box(set.matches(&column)));
        });
    }
    group.finish();
}

criterion_group!(benches, enumerate, look_up);
criterion_main!(benches);
