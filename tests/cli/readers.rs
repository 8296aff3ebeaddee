//! The outputs read back by pyarrow, DuckDB and Polars, against what psql says of the tables and what the fixture script
//! put into the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::said::Said;
use crate::site::Site;

/// The Python that has the readers: `.venv`, or `$SSP_PYTHON`.
pub fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("SSP_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "there is no {}: run `ci/install venv`", python.display());
    python
}

#[test]
fn every_reader_sees_what_is_in_the_tables_and_the_repository() {
    let site = Site::new();
    // The survey's own SSSource leaves out detections on purpose.
    site.with_sssource_from_elsewhere();
    site.ssp_run(&["-q"]).expect(0);
    let compare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/compare.py");
    let mut command = Command::new(python());
    command.arg(compare).arg("--data").arg(site.path("data"));
    command.args(["--dsn-args", &site.psql_arguments(), "--station", "X05"]);
    Said::from(command.output().unwrap()).expect(0).says(", 0 differences");
}
