//! A folder of a user, with a PostgreSQL server if one is asked for, and our programs in an environment of their own.
#![allow(dead_code, reason = "each kind of fault uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use ssp::parquet::write::{TableWriter, WriteOptions};
use ssp::throwaway::ThrowawayOptions;
use tempfile::TempDir;

use crate::support::parquet::lines;
use crate::support::postgres::Server;
pub use crate::support::said::Said;

pub struct Place {
    pub server: Option<Server>,
    pub environment: BTreeMap<String, String>,
    folder: TempDir,
}

/// A collection of the survey's Butler repository.
pub const COLLECTION: &str = "LSSTCam/runs/DRP/FL/w_2025_19/DM-50795";

/// The survey's Butler repository.
pub const SURVEY_BUTLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/survey/butler");

/// An input of a small SSObject table.
pub fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case").join(name)
}

/// `build-ssobject: {...}` with the inputs of the small SSObject table, but for this SSSource.
pub fn build_ssobject(sssource: &Path) -> String {
    let [dia, orbits] = ["dia_sources.parquet", "mpc_orbits.parquet"].map(case);
    let (sssource, dia, orbits) = (sssource.display(), dia.display(), orbits.display());
    format!("build-ssobject: {{sssource: {sssource}, dia_sources: {dia}, mpc_orbits: {orbits}}}")
}

impl Place {
    /// A folder without a server.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        let environment = BTreeMap::from([
            ("HOME".to_owned(), folder.path().join("home").display().to_string()),
            ("TZ".to_owned(), "UTC".to_owned()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        ]);
        Self { server: None, environment, folder }
    }

    /// A folder in an environment whose server does not exist.
    pub fn without_server() -> Self {
        let mut place = Self::empty();
        place.environment.insert("PGHOST".to_owned(), place.path("no-server").display().to_string());
        place
    }

    /// A folder and a server with this SQL run in it; our programs find the server by PGHOST, PGPORT, PGUSER and PGDATABASE.
    pub fn with(sql: &str) -> Self {
        Self::with_server(&ThrowawayOptions::default(), sql)
    }

    /// The same, with these settings of the server, such as `max_connections=6`.
    pub fn with_settings(settings: &[&str], sql: &str) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self::with_server(&ThrowawayOptions { settings, ..ThrowawayOptions::default() }, sql)
    }

    /// The same, with a server of these options.
    pub fn with_server(options: &ThrowawayOptions, sql: &str) -> Self {
        let mut place = Self::empty();
        let server = Server::start(options);
        server.run(sql);
        let params = server.throwaway.params();
        let settings = [
            ("PGHOST", Some(server.throwaway.socket_folder().display().to_string())),
            ("PGPORT", Some(server.throwaway.port().to_string())),
            ("PGUSER", params.user),
            ("PGDATABASE", params.dbname),
        ];
        place
            .environment
            .extend(settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        place.server = Some(server);
        place
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders around it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a Parquet file.
    pub fn table(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let rows = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, values)| (name, values, true)),
        );
        let (rows, path) = (rows.unwrap(), self.path(name));
        let mut writer = TableWriter::create(&path, rows.schema(), &WriteOptions::default()).unwrap();
        writer.write(&rows).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        path
    }

    /// Writes `pipeline.yaml`: version, name, `out_dir: out`, the database of the environment, and these stages.
    pub fn pipeline(&self, stages: &str) -> PathBuf {
        self.pipeline_on("{}", stages)
    }

    /// The same, with a `database` of its own.
    pub fn pipeline_on(&self, database: &str, stages: &str) -> PathBuf {
        let head = "version: 1\nname: field\nout_dir: out\n";
        self.put("pipeline.yaml", format!("{head}database: {database}\nstages:\n{stages}"))
    }

    /// One of our programs, in the folder, with no variable of the user's environment but the path.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin(name));
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command
    }

    pub fn run(&self, program: &str, arguments: &[impl AsRef<OsStr>]) -> Said {
        self.program(program).args(arguments).output().unwrap().into()
    }

    /// `ssp-run` on `pipeline.yaml`.
    pub fn ssp_run(&self, arguments: &[&str]) -> Said {
        self.program("ssp-run").env("SSP_PIPELINE", "pipeline.yaml").args(arguments).output().unwrap().into()
    }

    /// A program that must not wait for what never comes: after 20 s it is killed, and its exit code is 137.
    pub fn soon(&self, program: &str, arguments: &[impl AsRef<OsStr>]) -> Said {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "20"]).arg(assert_cmd::cargo::cargo_bin(program)).args(arguments);
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command.env("SSP_PIPELINE", "pipeline.yaml").output().unwrap().into()
    }

    /// Makes one of each thing that is not a file to write, and a link to it, in a folder; what it is called in messages.
    /// A device needs root: where that is not given, the others stand for it.
    pub fn special_files(&self, folder: &str) -> Vec<(&'static str, &'static str)> {
        let path = |name: &str| self.path(folder).join(name);
        fs::create_dir_all(path("folder")).unwrap();
        UnixListener::bind(path("socket")).unwrap();
        let made = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).current_dir(path("")).output().unwrap().status.success()
        };
        assert!(made("mkfifo", &["fifo"]));
        let mut kinds = vec![("folder", "a folder"), ("socket", "a socket"), ("fifo", "a FIFO")];
        if made("mknod", &["device", "c", "1", "3"]) {
            kinds.push(("device", "a device"));
        }
        for (kind, _) in &kinds {
            symlink(kind, path(&format!("link-to-{kind}"))).unwrap();
        }
        kinds
    }

    /// What each stage of the last run of `pipeline.yaml` came to, with its reasons: `done`, `up_to_date`,
    /// `unchanged data_changed: snapshot`.
    #[track_caller]
    pub fn last_run(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.path("out/.ssp/runs/latest/run.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let stage = |stage: &serde_json::Value| {
            let mut line = text(&stage["status"]);
            for reason in stage["reasons"].as_array().unwrap() {
                line += &format!(" {}: {}", text(&reason["code"]), text(&reason["subject"]));
            }
            (text(&stage["stage"]), line)
        };
        report["stages"].as_array().unwrap().iter().map(stage).collect()
    }

    /// The rows of an output, a line each.
    pub fn rows(&self, name: &str) -> Vec<String> {
        lines(&self.path(name))
    }

    /// Waits until a query returns true.
    #[track_caller]
    pub fn until(&self, question: &str) {
        let began = Instant::now();
        while self.sql(question) != "t" {
            assert!(began.elapsed() < Duration::from_secs(30), "never true: {question}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Runs SQL with psql and returns what it prints, without alignment and headings.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(&self.environment);
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        let output = psql.output().expect("psql is there (on Debian: apt-get install postgresql-client)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}
