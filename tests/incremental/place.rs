//! A server with a table of many small cells, and pipelines that export it: one incrementally, one in full each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use ssp::environment::Environment;
use ssp::postgres::Target;
use ssp::throwaway::{Throwaway, ThrowawayOptions};

use crate::cluster;

/// A table of some 40 pages, in cells of 2.
pub const TABLE: &str = "CREATE TABLE t (id int, v text, m numeric, pad text);
    INSERT INTO t SELECT n, 'v' || n, n / 7.0, repeat('x', 150) FROM generate_series(1, 1500) n;";
pub const EXPORT: &str = "t: {export: {table: t, cell_pages: 2}, out: t.parquet}";

pub struct Place {
    // Dropped first, so that the server has stopped before its folder goes.
    server: RefCell<Option<Throwaway>>,
    options: ThrowawayOptions,
    user: RefCell<String>,
    database: RefCell<String>,
    folder: tempfile::TempDir,
}

/// What the export of a stage came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Came {
    pub status: String,
    pub figures: BTreeMap<String, Value>,
    pub warnings: Vec<String>,
}

impl Came {
    fn number(&self, name: &str) -> Option<u64> {
        self.figures.get(name)?.as_u64()
    }

    /// How many cells were read and how many were not; `None` if the export was not by cells.
    pub fn cells(&self) -> Option<(u64, u64)> {
        let read = self.number("cells_read")?;
        Some((read, self.number("cells")? - read))
    }

    /// Why it was not incremental, or why all cells were read.
    pub fn why(&self) -> &str {
        let names = ["not_incremental", "cells_read_because", "cells_not_remembered"];
        names.iter().find_map(|name| self.figures.get(*name)?.as_str()).unwrap_or("")
    }
}

impl Place {
    /// A server that has run this SQL, and a pipeline with these stages.
    pub fn with(sql: &str, stages: &[&str]) -> Self {
        Self::with_settings(sql, stages, &[])
    }

    pub fn with_settings(sql: &str, stages: &[&str], settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let options = ThrowawayOptions { keep: true, settings, ..ThrowawayOptions::default() };
        cluster::copy("cluster", &folder.path().join("server"), |_| ());
        let place = Self {
            server: RefCell::new(None),
            options,
            user: RefCell::new("ssp".to_owned()),
            database: RefCell::new("postgres".to_owned()),
            folder,
        };
        place.start();
        place.sql(sql);
        place.pipeline(stages);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&self) {
        let server = Throwaway::start_with(&self.path("server"), &self.options);
        *self.server.borrow_mut() =
            Some(server.unwrap_or_else(|error| panic!("the tests need a PostgreSQL server: {error}")));
    }

    /// Stops the server as an administrator does.
    pub fn stop(&self) {
        *self.server.borrow_mut() = None;
    }

    /// Where its clients find the server.
    pub fn address(&self) -> (String, u16) {
        let server = self.server.borrow();
        let server = server.as_ref().expect("the server runs");
        (server.socket_folder().display().to_string(), server.port())
    }

    /// How the library connects to the server.
    pub fn target(&self) -> Target {
        let server = self.server.borrow();
        let server = server.as_ref().expect("the server runs");
        Target::resolve(&server.params(), &Environment::default()).unwrap()
    }

    /// Connects to another database from now on.
    pub fn in_database(&self, name: &str) {
        name.clone_into(&mut self.database.borrow_mut());
    }

    /// Connects as another user from now on.
    pub fn as_user(&self, user: &str) {
        user.clone_into(&mut self.user.borrow_mut());
    }

    /// Uses another server from now on, and returns the one before.
    pub fn switch(&self, server: Throwaway) -> Throwaway {
        self.server.borrow_mut().replace(server).expect("a server runs")
    }

    /// A program of the server, as the owner of its data.
    pub fn owned(&self, program: &str) -> Command {
        use std::os::unix::fs::MetadataExt as _;
        use std::os::unix::process::CommandExt as _;
        let bin = Command::new("pg_config").arg("--bindir").output().unwrap();
        let mut command =
            Command::new(Path::new(String::from_utf8(bin.stdout).unwrap().trim()).join(program));
        let data = fs::metadata(self.path("server/data")).unwrap();
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(data.uid()).gid(data.gid());
        }
        command.current_dir("/");
        command
    }

    /// Waits until the server answers again.
    pub fn wait(&self) {
        self.wait_for("SELECT true");
    }

    /// Waits until a query says yes.
    pub fn wait_for(&self, query: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.try_sql(query).as_deref().map(str::trim) != Ok("t") {
            assert!(Instant::now() < deadline, "never: {query}");
            sleep(Duration::from_millis(20));
        }
    }

    pub fn pipeline(&self, stages: &[&str]) {
        let stages: String = stages.iter().flat_map(|stage| ["  ", stage, "\n"]).collect();
        let text = format!(
            "version: 1\nname: p\nout_dir: ${{env:DATA}}\ndatabase: {{connections: 2}}\nstages:\n{stages}"
        );
        put(&self.path("p.yaml"), text.as_bytes());
    }

    fn environment(&self) -> BTreeMap<&'static str, String> {
        let server = self.server.borrow();
        let server = server.as_ref().expect("the server runs");
        BTreeMap::from([
            ("HOME", self.folder.path().display().to_string()),
            ("PATH", std::env::var("PATH").unwrap()),
            ("PGHOST", server.socket_folder().display().to_string()),
            ("PGPORT", server.port().to_string()),
            ("PGUSER", self.user.borrow().clone()),
            ("PGDATABASE", self.database.borrow().clone()),
        ])
    }

    pub fn psql(&self) -> Command {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(self.environment()).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        psql
    }

    /// Runs SQL as psql does: each statement is a transaction of its own.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let mut psql = self.psql();
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql is there (on Debian: apt-get install postgresql-client)");
        psql.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        let output = psql.wait_with_output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).unwrap())
    }

    /// `ssp-run` with its data in a folder of this name.
    pub fn program(&self, data: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.current_dir(self.folder.path()).env_clear().envs(self.environment());
        command.env("DATA", self.path(data));
        command
    }

    /// [`Self::program`] on the pipeline.
    pub fn command(&self, data: &str, arguments: &[&str]) -> Command {
        let mut command = self.program(data);
        command.arg("p.yaml").args(arguments);
        command
    }

    /// Runs the pipeline, which must succeed, and returns what it said.
    pub fn run(&self, data: &str, arguments: &[&str]) -> String {
        let output = self.command(data, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said + &String::from_utf8_lossy(&output.stdout)
    }

    /// What the last run of a stage came to.
    pub fn came(&self, data: &str, stage: &str) -> Came {
        let text = fs::read_to_string(self.path(data).join(".ssp/runs/latest/run.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        let found =
            report["stages"].as_array().unwrap().iter().find(|found| found["stage"] == stage).unwrap();
        let warnings = found["warnings"].as_array().into_iter().flatten();
        let figures = found["figures"].as_object().into_iter().flatten();
        Came {
            status: found["status"].as_str().unwrap().to_owned(),
            figures: figures.map(|(name, value)| (name.clone(), value.clone())).collect(),
            warnings: warnings.map(|text| text.as_str().unwrap().to_owned()).collect(),
        }
    }

    /// The bytes of an output.
    pub fn bytes(&self, data: &str, stage: &str) -> Vec<u8> {
        fs::read(self.path(data).join(format!("{stage}.parquet"))).unwrap()
    }

    /// Runs incrementally and in full: the bytes and the warnings must be the same. What the incremental run came to.
    pub fn both(&self, stage: &str) -> Came {
        self.run("data", &["-q"]);
        self.run("full", &["-q", "--full"]);
        let (came, full) = (self.came("data", stage), self.came("full", stage));
        assert!(self.bytes("data", stage) == self.bytes("full", stage), "{came:?}\n{full:?}");
        assert!(came.status == "up_to_date" || came.warnings == full.warnings, "{came:?}\n{full:?}");
        came
    }

    /// A session that stays open and is told what to do.
    pub fn session(&self) -> Session {
        let psql = self.psql().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        Session(psql.unwrap())
    }
}

/// An open session, ended when it is dropped.
pub struct Session(Child);

impl Session {
    /// Runs SQL and waits for its end.
    pub fn sql(&mut self, sql: &str) {
        use std::io::BufRead as _;
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(format!("{sql};\nSELECT 'done';\n").as_bytes()).unwrap();
        let stdout = std::io::BufReader::new(self.0.stdout.as_mut().unwrap());
        for line in stdout.lines() {
            if line.unwrap() == "done" {
                return;
            }
        }
        panic!("the session ended: {sql}");
    }

    /// Runs SQL and ends the session, when the server has.
    pub fn end(mut self, sql: &str) {
        self.send(sql);
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }

    /// Sends SQL and does not wait.
    pub fn send(&mut self, sql: &str) {
        self.0.stdin.as_mut().unwrap().write_all(format!("{sql};\n").as_bytes()).unwrap();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
pub fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}
