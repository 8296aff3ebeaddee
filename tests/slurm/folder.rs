//! A pipeline whose stages are jobs, and the programs that these jobs can be made to start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::said::Said;
use crate::wait::eventually;

/// Three stages: `filtered` needs `dia_sources`, and `ssobject` needs no other stage.
const HEAD: &str = "version: 1\nname: a night\nout_dir: data\nbutler: {repo: repo}\n";
const SSOBJECT: &str = "  ssobject:
    build-ssobject: {sssource: case/sssource.parquet, dia_sources: case/dia_sources.parquet, mpc_orbits: case/mpc_orbits.parquet}
    out: ssobject.parquet
";
const EXTRACTS: &str = "  dia_sources:
    extract: {collection: u/fixture/clean}
    out: dia_sources.parquet
  filtered:
    extract: {collection: u/fixture/clean, filter: {ids: dia_sources, column: diaSourceId}}
    out: filtered.parquet
";
const PROGRAM: &str = env!("CARGO_BIN_EXE_ssp-run");

pub struct Folder<'a> {
    cluster: &'a Cluster,
    folder: TempDir,
}

impl<'a> Folder<'a> {
    /// With one stage, `ssobject`, and these settings of Slurm beside `poll: 10s`.
    pub fn one(cluster: &'a Cluster, settings: &str) -> Self {
        Self::with(cluster, settings, SSOBJECT)
    }

    pub fn three(cluster: &'a Cluster, settings: &str) -> Self {
        Self::with(cluster, settings, &[EXTRACTS, SSOBJECT].concat())
    }

    pub fn with(cluster: &'a Cluster, settings: &str, stages: &str) -> Self {
        let folder = Self { cluster, folder: tempfile::tempdir().unwrap() };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let archive = fixtures.join("butler/repo.tar.gz");
        let tar =
            Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(folder.path("")).status().unwrap();
        assert!(tar.success());
        fs::create_dir(folder.path("case")).unwrap();
        for name in ["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"] {
            fs::copy(fixtures.join("ssobject_case").join(name), folder.path("case").join(name)).unwrap();
        }
        let comma = if settings.is_empty() { "" } else { ", " };
        let executor = format!("executor: {{slurm: {{poll: 10s, mem: 300M{comma}{settings}}}}}\nstages:\n");
        fs::write(folder.path("pipeline.yaml"), [HEAD, &executor, stages].concat()).unwrap();
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a part of the pipeline file.
    pub fn edit(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.path("pipeline.yaml")).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(self.path("pipeline.yaml"), text.replacen(old, new, 1)).unwrap();
    }

    /// Lets the jobs start a script instead of `ssp-run`; in it, `work` becomes `ssp-run`.
    pub fn script(&self, lines: &str) {
        let path = self.path("program");
        let text = format!("#!/bin/sh\nwork() {{ exec {PROGRAM} \"$@\"; }}\n{lines}\n");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.edit("poll: 10s", &format!("poll: 10s, program: {}", path.display()));
    }

    /// Puts a script before a program of Slurm, which `real` is in it.
    pub fn before(&self, program: &str, lines: &str) {
        let path = self.path("bin").join(program);
        fs::create_dir_all(self.path("bin")).unwrap();
        let folder = self.folder.path().display();
        let real = format!("real() {{ PATH=${{PATH#*:}} exec {program} \"$@\"; }}");
        fs::write(&path, format!("#!/bin/sh\ncd {folder}\n{real}\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The jobs begin to work when the file `go` is there.
    pub fn wait_for_go(&self) {
        self.script("while [ ! -e go ]; do sleep 0.05; done\nwork \"$@\"");
    }

    pub fn go(&self) {
        fs::write(self.path("go"), b"").unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.path("")).env_clear().env("SLURM_CONF", self.cluster.conf());
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).arg("pipeline.yaml").args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.start(arguments))
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts a run and kills it when a job is in this state.
    pub fn killed_when(&self, state: &str) {
        let mut run = self.start(&[]);
        eventually("a job has the state", || !self.cluster.in_state(state).is_empty());
        run.kill().unwrap();
        run.wait().unwrap();
        assert_eq!(self.tasks().len(), 1);
    }

    /// Kills a run whose job then ends by itself, with a result that no run has taken.
    pub fn left_with_a_result(&self) {
        self.wait_for_go();
        self.killed_when("RUNNING");
        self.go();
        eventually("the job has ended", || self.results() == 1);
    }

    /// The record of a stage, without times and the run's id.
    pub fn record(&self, stage: &str) -> Value {
        let text = fs::read_to_string(self.path(&format!("data/.ssp/stages/{stage}.json"))).unwrap();
        let mut record: Value = serde_json::from_str(&text).unwrap();
        for name in ["run", "finished", "seconds", "written_by"] {
            record.as_object_mut().unwrap().remove(name).unwrap();
        }
        record
    }

    /// The outputs that there are, with their bytes.
    pub fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.path("data")).into_iter().flatten().flatten();
        let files = files.filter(|file| file.file_type().unwrap().is_file());
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }

    /// The outputs of a run on this machine, which are then removed.
    pub fn local(&self) -> BTreeMap<String, Vec<u8>> {
        self.run(&["--executor", "local", "-q"]).expect(0);
        let outputs = self.outputs();
        fs::remove_dir_all(self.path("data")).unwrap();
        outputs
    }

    /// The folders of tasks.
    pub fn tasks(&self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(self.path("data/.ssp/jobs")).into_iter().flatten().flatten();
        tasks.map(|task| task.path()).collect()
    }

    /// The files of the only job of the only task.
    pub fn files(&self) -> PathBuf {
        let mut entries = fs::read_dir(&self.tasks()[0]).unwrap().map(|entry| entry.unwrap().path());
        let is_execution = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("0.1.");
        entries.find(is_execution).unwrap().join("files")
    }

    /// How many results the jobs have left.
    pub fn results(&self) -> usize {
        let results = self.tasks().into_iter().filter_map(|task| fs::read_dir(task.join("results")).ok());
        results
            .flatten()
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .count()
    }
}

pub fn said(run: Child) -> Said {
    run.wait_with_output().unwrap().into()
}

/// Sends a signal to a process.
pub fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap().success());
}
