//! A table read in pieces by several connections is the same file, byte for byte.

use std::path::Path;

use ssp::digest::Digest;
use ssp::monitor::Monitor;
use ssp::postgres::{SessionOptions, Snapshot};
use ssp::stages::Spec as _;
use ssp::stages::export;
use ssp::stages::export::ExportSpec;

use crate::support::postgres::{Server, sql};

/// A table of some 40 MB, ten pieces, with holes, rows that moved, and NULLs.
const TABLE: &str = "CREATE TABLE t (n int NOT NULL, a text, b numeric, c interval);
    INSERT INTO t SELECT n, CASE WHEN n % 7 > 0 THEN md5(n::text) || repeat('x', 240) END, n / 8.0, n * interval '1 s' FROM generate_series(1, 120000) AS n;
    DELETE FROM t WHERE n BETWEEN 20000 AND 35000 OR n % 1000 = 0;
    UPDATE t SET a = 'moved ' || n WHERE n % 500 = 1;
    CREATE VIEW v AS SELECT * FROM t; CREATE INDEX i ON t (n); ANALYZE t;";

fn digest(
    snapshot: &Snapshot,
    out: &Path,
    spec: &ExportSpec,
    readers: usize,
    block_size: usize,
) -> (Digest, u64) {
    let export = spec.checked().unwrap().with_block_size(block_size);
    let product = export::run(&export, snapshot, readers, out, &Monitor::default()).unwrap();
    (product.files[0].file.digest(), product.figures["connections"].as_u64().unwrap())
}

#[test]
fn pieces_together_are_the_whole() {
    let server = Server::with(TABLE);
    let out = server.path("t.parquet");
    let snapshot =
        Snapshot::open(&server.target(), &SessionOptions { connections: 3, ..SessionOptions::default() })
            .unwrap();
    let table = ExportSpec { table: Some("t".into()), ..ExportSpec::default() };
    for (spec, splits) in [
        (table, true),
        (sql("SELECT * FROM t"), true),
        (sql("SELECT n, c FROM public.t AS u WHERE u.n % 3 = 0 -- thirds"), true),
        (
            ExportSpec {
                row_group_size: Some(12_345),
                ..sql("SELECT a, n FROM t WHERE a IS NOT NULL OR n < 5")
            },
            true,
        ),
        (sql("SELECT n FROM t WHERE n = 7"), false),
        (sql("SELECT * FROM t ORDER BY n"), false),
        (sql("SELECT * FROM v"), false),
        (sql("SELECT count(*) FROM t"), false),
        (sql("SELECT n, row_number() OVER () FROM t"), false),
        (sql("SELECT n, generate_series(1, 2) FROM t WHERE n < 1000"), false),
        (sql("SELECT n, (SELECT max(n) FROM t) AS m FROM t"), false),
    ] {
        let (expected, connections) = digest(&snapshot, &out, &spec, 1, 1 << 20);
        assert_eq!(connections, 1);
        for (readers, block_size) in [(2, 1 << 20), (3, 4096), (1, 8 << 20)] {
            let (found, connections) = digest(&snapshot, &out, &spec, readers, block_size);
            assert_eq!(found, expected, "{spec:?} {readers} {block_size}");
            assert_eq!(connections, if splits { readers as u64 } else { 1 }, "{spec:?}");
        }
    }
}

#[test]
fn threads_do_not_change_the_file() {
    let server = Server::with(TABLE);
    let snapshot = server.snapshot();
    let digests: Vec<Digest> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                digest(&snapshot, &server.path("t.parquet"), &sql("SELECT * FROM t"), 2, 1 << 20).0
            })
        })
        .collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    // A file says nothing of when and where it was made.
    let elsewhere =
        digest(&server.snapshot(), &server.path("folder/u.parquet"), &sql("SELECT * FROM t"), 1, 1 << 20).0;
    assert_eq!(elsewhere, digests[0]);
}
