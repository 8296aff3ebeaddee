//! A fault of our own while rows come.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ssp::monitor::{Monitor, Progress};
use ssp::stages::Spec as _;
use ssp::stages::export::run;

use crate::support::postgres::{Server, sql};

struct Faulty;

impl Progress for Faulty {
    fn expect(&self, _rows: u64) {
        panic!("no reason at all");
    }
}

#[test]
fn an_export_that_panics_ends_and_leaves_nothing() {
    let server = Server::with("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) AS n; ANALYZE t;");
    let export = sql("SELECT * FROM t").checked().unwrap();
    let (snapshot, out) = (server.snapshot(), server.path("t.parquet"));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run(&export, &snapshot, 1, &out, &Monitor::default().with_progress(Arc::new(Faulty))).map(drop)
    }));
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"no reason at all"));
    assert!(!out.exists());
}
