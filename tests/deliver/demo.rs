//! `ssp-run demo --delivery`: the demo's last stage delivers to an S3 server of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// Runs the demo in a folder; what it said.
fn demo(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::cargo_bin("ssp-run").unwrap();
    command.args(["demo", "--dir"]).arg(folder).args(words);
    // What is set for another store must have no effect.
    command.env("AWS_PROFILE", "of-another-store").env("S3_ENDPOINT_URL", "http://127.0.0.1:9");
    command.env("AWS_REGION", OsStr::from_bytes(b"\xff"));
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// The manifests in the demo's bucket, in the order of the deliveries.
fn manifests(folder: &Path) -> Vec<Value> {
    let mut folders: Vec<_> =
        fs::read_dir(folder.join("s3/products")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    let read = |folder: &std::path::PathBuf| {
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
    };
    folders.iter().map(read).collect()
}

#[test]
fn the_demo_delivers_each_night_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let said = demo(&folder, &["--delivery"]);
    assert!(said.contains("delivered to s3://products/"), "{said}");
    let first = manifests(&folder);
    let tables = first[0]["tables"].as_array().unwrap();
    let names: Vec<&str> = tables.iter().filter_map(|table| table["name"].as_str()).collect();
    assert_eq!((first.len(), names), (1, vec!["SSObject", "SSSource", "mpc_orbits"]), "{first:?}");
    // The stage stays in the pipeline file; the same tables are not delivered again.
    let said = demo(&folder, &[]);
    assert!(said.contains("up to date") && manifests(&folder) == first, "{said}");
    demo(&folder, &["--night", "2"]);
    let both = manifests(&folder);
    assert!(both.len() == 2 && both[0] == first[0] && both[1]["tables"] != both[0]["tables"]);
}
