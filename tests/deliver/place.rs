//! A pipeline that delivers, the S3 server that it delivers to, and what must be true of every delivery at any time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::Value;
use ssp::digest::Digest;
use ssp::parquet::write::{TableWriter, WriteOptions};
use ssp::throwaway::S3;
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::said::Said;

pub struct Place {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

/// What is under a prefix.
#[derive(Debug)]
pub struct Delivery {
    pub folder: PathBuf,
    /// `None` if it is not complete.
    pub manifest: Option<Value>,
    /// The objects, by their keys below the prefix.
    pub objects: BTreeMap<String, Vec<u8>>,
}

impl Delivery {
    pub fn id(&self) -> String {
        let claim: Value = serde_json::from_slice(&self.objects["_delivery.json"]).unwrap();
        claim["id"].as_str().unwrap().to_owned()
    }
}

impl Place {
    /// A pipeline with a stage `ppdb` that delivers a small table and one of two parts, to a URL or path.
    pub fn new(to: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = std::env::var("PATH").unwrap();
        let home = folder.path().display().to_string();
        let environment = BTreeMap::from([
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), home),
            ("TZ".to_owned(), "UTC".to_owned()),
        ]);
        let place = Self { folder, environment };
        place.table("in/small.parquet", 10, 1);
        place.table("in/parts/a.parquet", 20, 2);
        place.table("in/parts/b.parquet", 30, 3);
        place.pipeline(to, "{Small: in/small.parquet, Parts: in/parts/}", "");
        place
    }

    /// The same, to a bucket of this server, which is reached through the proxy.
    pub fn with_s3(s3: &S3, proxy: &Proxy) -> Self {
        s3.make_bucket("bucket").unwrap();
        let mut place = Self::new("s3://bucket/out/${run}/");
        for (name, value) in [
            ("S3_ENDPOINT_URL", proxy.endpoint()),
            ("AWS_ACCESS_KEY_ID", s3.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", s3.secret().to_owned()),
        ] {
            place.environment.insert(name.to_owned(), value);
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the pipeline file; `more` are further lines of the stage. The hook appends the URL of each delivery to `told`.
    pub fn pipeline(&self, to: &str, tables: &str, more: &str) {
        self.write(
            "p.yaml",
            &format!(
                "version: 1\nname: nightly\nout_dir: data\n\
                hooks: {{on_delivered: 'cat > manifest.json; echo \"$SSP_RUN $SSP_STAGE $SSP_DELIVERY\" >> told'}}\n\
                stages:\n  ppdb:\n    deliver:\n      tables: {tables}\n      to: {to}\n{more}"
            ),
        );
    }

    /// Changes the pipeline file.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("p.yaml")).unwrap();
        assert!(text.contains(from), "the pipeline has no {from:?}");
        self.write("p.yaml", &text.replace(from, to));
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes a table that cannot be compressed.
    pub fn table(&self, name: &str, rows: i64, seed: i64) {
        let mut state = seed.cast_unsigned();
        let mut random = || {
            // xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.cast_signed()
        };
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|_| random())));
        let batch = RecordBatch::try_from_iter([("value", column)]).unwrap();
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let mut writer =
            TableWriter::create(&self.path(name), batch.schema(), &WriteOptions::default()).unwrap();
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.args(words).current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// The lines of the hook: the run, the stage and the URL of each delivery.
    pub fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("told")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What the stage keeps for the case of a kill.
    pub fn state(&self) -> PathBuf {
        self.path("data/.ssp/deliveries/ppdb.json")
    }

    /// All records, as one text.
    pub fn records(&self) -> String {
        let mut text = String::new();
        files(&self.path("data/.ssp"), &mut |file| {
            text += &String::from_utf8_lossy(&fs::read(file).unwrap_or_default());
        });
        text
    }
}

fn files(folder: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { files(&entry.path(), each) } else { each(&entry.path()) }
    }
}

/// The deliveries below a folder, in the order of their times. In any case a manifest has all its objects, with the right
/// size and checksum.
#[track_caller]
pub fn deliveries(folder: &Path) -> Vec<Delivery> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.into_iter().map(|folder| delivery(&folder)).filter(|found| !found.objects.is_empty()).collect()
}

#[track_caller]
fn delivery(folder: &Path) -> Delivery {
    let mut objects = BTreeMap::new();
    files(folder, &mut |file| {
        let name = file.strip_prefix(folder).unwrap().display().to_string();
        // The server keeps notes in hidden files.
        if !name.rsplit('/').next().unwrap().starts_with('.') {
            objects.insert(name, fs::read(file).unwrap());
        }
    });
    let manifest: Option<Value> =
        objects.get("manifest.json").map(|text| serde_json::from_slice(text).unwrap());
    let mut named = vec!["_delivery.json".to_owned(), "manifest.json".to_owned()];
    for table in manifest.iter().flat_map(|manifest| manifest["tables"].as_array().unwrap()) {
        for object in table["objects"].as_array().unwrap() {
            let name = object["object"].as_str().unwrap();
            let bytes = objects.get(name).unwrap_or_else(|| panic!("{} lacks {name}", folder.display()));
            assert_eq!(bytes.len() as u64, object["bytes"].as_u64().unwrap(), "{name}");
            assert_eq!(Digest::of(bytes).to_string(), object["blake3"], "{name}");
            named.push(name.to_owned());
        }
    }
    if manifest.is_some() {
        named.sort();
        assert_eq!(objects.keys().cloned().collect::<Vec<_>>(), named);
    }
    Delivery { folder: folder.to_owned(), manifest, objects }
}

/// The only delivery below a folder, which is complete.
#[track_caller]
pub fn only(folder: &Path) -> (Delivery, Value) {
    let [delivery] = deliveries(folder).try_into().unwrap_or_else(|all| panic!("{all:?}"));
    let manifest = delivery.manifest.clone().expect("a manifest");
    (delivery, manifest)
}
