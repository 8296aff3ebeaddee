//! A Butler repository whose files are in an S3 server, behind a proxy that makes faults.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use assert_cmd::cargo::CommandCargoExt as _;
use ssp::throwaway::S3;

use crate::fixture::{Fixture, RUN_A, int64, write_table};
use crate::proxy::Proxy;

pub const BUCKET: &str = "butler-files";

/// A repository, its files in a bucket.
pub struct Site {
    pub fixture: Fixture,
    pub s3: S3,
    pub proxy: Proxy,
    pub bucket: PathBuf,
}

impl Site {
    /// The files of the fixture's repository in a bucket; its registry stays where it is.
    pub fn new() -> Self {
        let site = Self::empty();
        site.move_to_bucket();
        site
    }

    /// A repository with its files on this machine, beside an empty bucket.
    pub fn empty() -> Self {
        let fixture = Fixture::sqlite();
        let folder = fixture.folder.path().join("s3");
        std::fs::create_dir(&folder).unwrap();
        let s3 = S3::start(&folder).unwrap();
        let bucket = s3.make_bucket(BUCKET).unwrap();
        let proxy = Proxy::start(s3.address());
        Self { fixture, s3, proxy, bucket }
    }

    /// Moves the files of the repository into the bucket, and says so in its configuration.
    pub fn move_to_bucket(&self) {
        move_files(&self.fixture.root, &self.bucket);
        self.fixture.edit_config("  root: <butlerRoot>\n", &format!("  root: s3://{BUCKET}/\n"));
    }

    /// The variables that say where the server is, and with which key it is asked.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("S3_ENDPOINT_URL", self.proxy.endpoint()),
            ("AWS_ACCESS_KEY_ID", self.s3.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.s3.secret().to_owned()),
        ]
    }

    /// Extracts a collection with the program, by words after its output, repository and collection.
    pub fn extract(&self, collection: &str, words: &[&str]) -> Extracted {
        self.extract_with(&self.variables(), self.fixture.repo(), collection, words)
    }

    pub fn extract_with(
        &self,
        variables: &[(&'static str, String)],
        repo: &str,
        collection: &str,
        words: &[&str],
    ) -> Extracted {
        let mut command = Command::cargo_bin("extract-catalog").unwrap();
        command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.fixture.folder.path());
        command.args(["out.parquet", repo, collection]).args(words);
        if !words.contains(&"--on-missing") {
            // A dataset of the fixture is registered and not there.
            command.args(["--on-missing", "skip"]);
        }
        Extracted::of(&command.output().unwrap(), &self.fixture.output())
    }
}

/// How a program ended.
#[derive(Debug, PartialEq)]
pub struct Extracted {
    pub code: Option<i32>,
    pub text: String,
    /// The bytes of the output, if there is one.
    pub bytes: Option<Vec<u8>>,
}

impl Extracted {
    fn of(output: &Output, file: &Path) -> Self {
        let text = [&output.stdout[..], &output.stderr].concat();
        let bytes = std::fs::read(file).ok();
        if bytes.is_some() {
            std::fs::remove_file(file).unwrap();
        }
        Self { code: output.status.code(), text: String::from_utf8(text).unwrap(), bytes }
    }

    /// The bytes of the output, of a program that succeeded.
    #[track_caller]
    pub fn good(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.bytes.expect("an output")
    }

    /// What was said by a program that failed with this code, left no output and told no secret.
    #[track_caller]
    pub fn failed(self, code: i32, site: &Site) -> String {
        assert_eq!((self.code, self.bytes.is_some()), (Some(code), false), "{}", self.text);
        assert!(!self.text.contains(site.s3.secret()) && !self.text.contains("hunter2"), "{}", self.text);
        self.text
    }
}

/// Moves the files of a repository, but for its configuration and registry.
pub fn move_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::rename(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// A file of ids for `--filter-ids`, which are in its column `id`.
pub fn write_ids(site: &Site, ids: &[i64]) -> String {
    site.fixture.ids_file(int64(ids)).to_str().unwrap().to_owned()
}

/// Replaces a small file by one of many rows; a few of these have ids that are asked for.
pub fn enlarge(fixture: &Fixture) -> u64 {
    let path = fixture.file_of(RUN_A, 2_025_071_500_012);
    write_table(&path, &rows(0..200_000));
    record_size(fixture, &path)
}

/// Rows with the ids 1,000,000, 1,000,003 and so on.
pub fn rows(range: std::ops::Range<i64>) -> RecordBatch {
    let ids = Int64Array::from_iter_values(range.clone().map(|row| 1_000_000 + row * 3));
    let id = ("diaSourceId".to_owned(), Arc::new(ids) as ArrayRef, false);
    let further = (0..8).map(|column| {
        let values = range.clone().map(|row| ((row * 7919 + column) % 10_007) as f64 / 7.0);
        (format!("extra{column}"), Arc::new(Float64Array::from_iter_values(values)) as ArrayRef, true)
    });
    RecordBatch::try_from_iter_with_nullable(std::iter::once(id).chain(further)).unwrap()
}

/// Writes the size of a file into the registry.
pub fn record_size(fixture: &Fixture, path: &Path) -> u64 {
    let size = std::fs::metadata(path).unwrap().len();
    let name = path.file_name().unwrap().to_str().unwrap();
    fixture.sql(&format!("UPDATE file_datastore_records SET file_size = {size} WHERE path LIKE '%/{name}'"));
    size
}

/// A text with every byte percent-encoded.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}
