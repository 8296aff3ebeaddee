//! The real Butler and this program read the same objects of the same store.

use std::fs;
use std::path::Path;
use std::process::Command;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;

use crate::fixture::{CLEAN, Table, write};
use crate::python::python;
use crate::site::{BUCKET, Site, encoded};

/// A run whose name has all that a path can have: the Butler makes a key of it.
const NEW_RUN: &str = "r/5% +é,(1)~=";

#[test]
fn the_real_butler_reads_and_writes_the_same_objects() {
    let site = Site::new();
    // Keys and URIs that have to be encoded, one of each, as they are recorded.
    let datasets = site.fixture.open().datasets(&crate::fixture::selection(CLEAN)).unwrap();
    let mut renamed = Vec::new();
    for (dataset, name) in datasets.iter().zip(["50% off + a b~é.parq", "%41%2F.parq"]) {
        let path = dataset.records[0].path.clone();
        fs::rename(site.bucket.join(&path), site.bucket.join(name)).unwrap();
        renamed.push((path, name));
    }
    let recorded = [renamed[0].1.to_owned(), format!("s3://{BUCKET}/{}", encoded(renamed[1].1))];
    for ((path, _), recorded) in renamed.iter().zip(recorded) {
        site.fixture.sql(&format!(
            "UPDATE file_datastore_records SET path = '{recorded}', checksum = NULL WHERE path = '{path}'"
        ));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/real_s3.py");
    let mut real = Command::new(python());
    real.arg(script).args([site.fixture.repo(), NEW_RUN, CLEAN]);
    real.env_clear().envs(site.variables()).env("AWS_DEFAULT_REGION", "us-east-1");
    real.env("HOME", site.fixture.folder.path());
    let output = real.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for collection in [CLEAN, NEW_RUN] {
        write(&site.fixture.output(), &site.extract(collection, &[]).good());
        let ids = Table::read(&site.fixture.output()).column("diaSourceId");
        let mut ids: Vec<i64> = ids.as_primitive::<Int64Type>().values().to_vec();
        ids.sort_unstable();
        assert!(!ids.is_empty() && serde_json::to_value(ids).unwrap() == found[collection], "{collection}");
        fs::remove_file(site.fixture.output()).unwrap();
    }
}
