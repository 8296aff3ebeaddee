//! A pipeline without a database, and the process that works on one of its stages.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::said::Said;

/// Three stages: `filtered` needs `dia_sources`, and `ssobject` needs no other stage.
pub const PIPELINE: &str = "
version: 1
name: processes
out_dir: data
executor: processes
butler: {repo: repo}
stages:
  dia_sources:
    extract: {collection: u/fixture/clean}
    out: dia_sources.parquet
  ssobject:
    build-ssobject: {sssource: case/sssource.parquet, dia_sources: case/dia_sources.parquet, mpc_orbits: case/mpc_orbits.parquet}
    out: ssobject.parquet
  filtered:
    extract: {collection: u/fixture/clean, filter: {ids: dia_sources, column: diaSourceId}}
    out: filtered.parquet
";

pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let archive = fixtures.join("butler/repo.tar.gz");
        let tar = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
        assert!(tar.success());
        let folder = Self(folder);
        fs::create_dir(folder.path("case")).unwrap();
        for name in ["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"] {
            fs::copy(fixtures.join("ssobject_case").join(name), folder.path("case").join(name)).unwrap();
        }
        folder.write(PIPELINE);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, pipeline: &str) {
        fs::write(self.path("pipeline.yaml"), pipeline).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.current_dir(self.0.path()).env_clear().arg("pipeline.yaml").args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// The outputs that there are, with their bytes.
    pub fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.path("data")).into_iter().flatten().flatten();
        let files = files.filter(|file| file.file_type().unwrap().is_file());
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }

    /// What is left of tasks.
    pub fn tasks(&self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(self.path("data/.ssp/jobs")).into_iter().flatten().flatten();
        tasks.map(|task| task.path()).collect()
    }

    /// Starts a run, and stops (as SIGSTOP does) the process of its first stage as soon as that has one, before its result is
    /// there; the run, and the process.
    pub fn stopped_at_work(&self, arguments: &[&str]) -> (Child, u32) {
        for _ in 0..20 {
            let _ = fs::remove_dir_all(self.path("data"));
            let run = self.command(arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while Instant::now() < deadline {
                if let Some(process) = self.process().filter(|process| signal("STOP", *process)) {
                    if !self.has_result() {
                        return (run, process);
                    }
                    signal("CONT", process);
                    break;
                }
            }
            assert!(run.wait_with_output().unwrap().status.success());
        }
        panic!("the process of a stage was never caught at work");
    }

    /// Kills a run while the process of its first stage is at work and has no result; that process, stopped.
    pub fn orphan(&self) -> u32 {
        for _ in 0..20 {
            let (mut run, process) = self.stopped_at_work(&[]);
            run.kill().unwrap();
            run.wait().unwrap();
            // The kernel lets a stopped process continue when its parent has ended.
            if signal("STOP", process) && !self.has_result() && is_alive(process) {
                return process;
            }
        }
        panic!("the process of a stage was never caught at work");
    }

    fn has_result(&self) -> bool {
        self.tasks().iter().any(|task| task.join("execution/result.json").exists())
    }

    /// The process that works on a task.
    pub fn process(&self) -> Option<u32> {
        let said = |task: &PathBuf| fs::read_to_string(task.join("execution/said")).ok();
        let number = |said: String| said.strip_prefix("{\"process\":")?.split('}').next()?.parse().ok();
        self.tasks().iter().filter_map(said).find_map(number)
    }
}

/// Sends a signal to a process; whether there is one.
pub fn signal(name: &str, process: u32) -> bool {
    let kill = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
    kill.unwrap().success()
}

/// Whether a process is there and has not ended.
pub fn is_alive(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}
