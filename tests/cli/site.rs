//! A site to test on: a throwaway PostgreSQL with the survey's tables, the survey's Butler repository, a pipeline file,
//! and `ssp-run` in an environment of its own.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use ssp::digest::Digest;
use ssp::throwaway::Throwaway;

use crate::cluster;
use crate::said::Streams;
use crate::wait::eventually;

pub const DATABASE: &str = "mpc_sbn";

pub struct Site {
    // Dropped first, so that the server has stopped before its folder goes.
    server: RefCell<Option<Throwaway>>,
    environment: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

pub fn survey() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/survey")
}

impl Site {
    /// The demo pipeline on the survey.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let survey_sql = survey().join("mpc_sbn.sql");
        let digest = Digest::of(&fs::read(&survey_sql).unwrap()).short();
        let data = folder.path().join("postgres");
        cluster::copy(&format!("survey {digest}"), &data, |server| {
            let load = folder.path().join("load.sql");
            let survey_sql = survey_sql.display();
            let text = format!("CREATE DATABASE {DATABASE};\n\\connect {DATABASE}\n\\i '{survey_sql}'\n");
            put(&load, text.as_bytes());
            server.load(&load).unwrap();
        });
        let server = Throwaway::start(&data, true).unwrap();
        let environment = BTreeMap::from([
            ("HOME".to_owned(), folder.path().display().to_string()),
            ("TZ".to_owned(), "UTC".to_owned()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("PGHOST".to_owned(), server.socket_folder().display().to_string()),
            ("PGPORT".to_owned(), server.port().to_string()),
            ("PGUSER".to_owned(), server.params().user.unwrap()),
        ]);
        let site = Self { server: RefCell::new(Some(server)), environment, folder };
        copy(&survey().join("butler"), &site.path("butler"));
        fs::create_dir(site.path("pipelines")).unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml");
        put(&site.path("pipelines/demo.yaml"), &fs::read(demo).unwrap());
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Stops the server as an administrator does, and starts it again.
    pub fn restart_postgres(&self) {
        let mut server = self.server.borrow_mut();
        *server = None;
        *server = Some(Throwaway::start(&self.path("postgres"), true).unwrap());
    }

    /// Waits until a query of a run is at work on the server.
    pub fn wait_for_query(&self, text: &str) {
        let active = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{text}%' AND state = 'active' \
             AND pid <> pg_backend_pid()"
        );
        eventually("the query", || self.sql(&active).trim() != "0");
    }

    /// Lets the stage `ssobject` read SSSource from a file that comes from elsewhere, and says which.
    pub fn with_sssource_from_elsewhere(&self) -> PathBuf {
        let path = self.path("inputs/sssource.parquet");
        fs::create_dir(path.parent().unwrap()).unwrap();
        put(&path, &fs::read(survey().join("sssource.parquet")).unwrap());
        self.edit("      sssource: sssource\n", "      sssource: inputs/sssource.parquet\n");
        path
    }

    /// Changes the pipeline file.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.path("pipelines/demo.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the pipeline has no {from:?}");
        put(&path, text.replace(from, to).as_bytes());
    }

    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(&self.environment).args([
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            DATABASE,
            "-c",
            sql,
        ]);
        let output = psql.output().expect("psql is there (on Debian: apt-get install postgresql-client)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The environment variables that say where the database is.
    pub fn connection(&self) -> impl Iterator<Item = (&String, &String)> {
        self.environment.iter().filter(|(name, _)| name.starts_with("PG"))
    }

    /// What psql needs to find the database.
    pub fn psql_arguments(&self) -> String {
        let [host, port, user] = ["PGHOST", "PGPORT", "PGUSER"].map(|name| &self.environment[name]);
        format!("-h {host} -p {port} -U {user} -d {DATABASE}")
    }

    /// `ssp-run` on the pipeline, from the site's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        command.env("SSP_PIPELINE", "pipelines/demo.yaml").args(arguments);
        command
    }

    pub fn ssp_run(&self, arguments: &[&str]) -> Streams {
        let said = Streams::from(self.command(arguments).output().unwrap());
        // A path differs from run to run.
        let plain = |text: &str| text.replace(&self.folder.path().display().to_string(), "SITE");
        Streams { code: said.code, stdout: plain(&said.stdout), stderr: plain(&said.stderr) }
    }

    /// `ssp-run` with the folder of a server that does not exist.
    pub fn without_server(&self, arguments: &[&str]) -> Streams {
        self.command(arguments).env("PGHOST", self.path("nowhere")).output().unwrap().into()
    }

    /// `ssp-run` while the server cannot be reached, which is not restarted for that.
    #[expect(clippy::disallowed_methods, reason = "the socket is put aside")]
    pub fn offline(&self, arguments: &[&str]) -> Streams {
        let socket = Path::new(&self.environment["PGHOST"]).join(".s.PGSQL.5432");
        let aside = socket.with_extension("aside");
        fs::rename(&socket, &aside).unwrap();
        let said = self.ssp_run(arguments);
        fs::rename(&aside, &socket).unwrap();
        said
    }

    /// The id of the last run.
    pub fn last_id(&self) -> String {
        fs::read_link(self.path("data/.ssp/runs/latest")).unwrap().display().to_string()
    }

    /// The report of the last run.
    pub fn last_report(&self) -> Value {
        let text = fs::read_to_string(self.path("data/.ssp/runs/latest/run.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// What each stage of the last run came to, with its reasons: `dia_sources: done (input_changed: obs_sbn)`.
    pub fn last_run(&self) -> Vec<String> {
        let report = self.last_report();
        let stages = report["stages"].as_array().unwrap().iter();
        let line = |stage: &Value| {
            let reasons: Vec<String> = stage["reasons"].as_array().unwrap().iter().map(reason).collect();
            let reasons =
                if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
            format!("{}: {}{reasons}", stage["stage"].as_str().unwrap(), stage["status"].as_str().unwrap())
        };
        stages.map(line).collect()
    }

    /// Only the stages of the last run that did something.
    pub fn worked(&self) -> Vec<String> {
        self.last_run().into_iter().filter(|line| !line.ends_with(": up_to_date")).collect()
    }

    /// The bytes of all outputs, by name.
    pub fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        files_in(&self.path("data"))
    }

    /// What a reader finds through the link to the current generation.
    pub fn through_current(&self) -> BTreeMap<String, Vec<u8>> {
        files_in(&self.path("data/.ssp/generations/current"))
    }

    /// Every temporary file below the site's data.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = files_below(&self.path("data"));
        found.retain(|path| path.to_string_lossy().ends_with(".ssp-tmp"));
        found
    }
}

fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file());
    files.map(|path| (path.file_name().unwrap().display().to_string(), fs::read(&path).unwrap())).collect()
}

/// All that is below a folder, but for folders. Links are not followed.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.is_symlink() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The files below a folder that hold a text.
pub fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = files_below(folder);
    found.retain(|path| {
        let bytes = if path.is_symlink() { Vec::new() } else { fs::read(path).unwrap() };
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    });
    found
}

fn reason(reason: &Value) -> String {
    match reason["subject"].as_str() {
        Some(subject) => format!("{}: {subject}", reason["code"].as_str().unwrap()),
        None => reason["code"].as_str().unwrap().to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
pub fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Replaces times, sizes in seconds, run ids, snapshots, positions and digests, which differ from run to run.
pub fn with_redactions(check: impl FnOnce()) {
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        filters => vec![
            // Where the lines on the snapshot break depends on the path of its socket.
            (r"\n {9,10}(\S)", " $1"),
            (r"\d{8}T\d{6}Z(-\d+)?", "RUN"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "MOMENT"),
            (r"after \d+\.\d{3} s", "after SECONDS"),
            (r"\d\d:\d\d:\d\d", "TIME"),
            (r"\d{4}-\d\d-\d\d", "DAY"),
            (r"DAY \d\d:\d\d UTC", "DAY TIME UTC"),
            (r"snapshot \d+:\d+:[\d,]*", "snapshot SNAPSHOT"),
            (r"\d+:\d+:[\d,]* -> \d+:\d+:[\d,]*", "SNAPSHOT -> SNAPSHOT"),
            (r" at [0-9A-F]+/[0-9A-F]+", " at LSN"),
            (r" +\d+\.\ds", " SECONDS"),
            (r" +[\d.]+ k?B", " SIZE"),
            // Which of the two depends on how much of the answer had come.
            (r"the server cannot return the rows of the query", "the server cannot run the query"),
            (r"process \d+ on \S+, for \d+ s", "process PID on HOST, for AGE"),
            (r"SITE/postgres\S*", "SOCKET"),
            (r"port \d+", "port PORT"),
        ],
    }, { check() });
}
