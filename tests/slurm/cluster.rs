//! A Slurm of its own for a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A Slurm that is stopped when it is dropped.
pub struct Cluster(TempDir);

impl Cluster {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further options of the script.
    pub fn with(options: &[&str]) -> Self {
        let cluster = Self(tempfile::Builder::new().prefix("slurm-").tempdir().unwrap());
        let output = cluster.script("start", &[&["--nodes", "2"], options].concat());
        assert!(
            output.status.success(),
            "cannot start Slurm; if it is not installed, run: ci/install slurm\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        cluster
    }

    fn script(&self, action: &str, words: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/one_machine_slurm.sh");
        Command::new("bash").arg(script).arg(action).arg(self.0.path()).args(words).output().unwrap()
    }

    /// Does something to the daemons.
    pub fn act(&self, action: &str, words: &[&str]) {
        let output = self.script(action, words);
        assert!(output.status.success(), "{action}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn conf(&self) -> PathBuf {
        self.0.path().join("slurm.conf")
    }

    /// What a program of Slurm prints. The output of its jobs goes with the cluster.
    pub fn call(&self, program: &str, words: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(words).env("SLURM_CONF", self.conf()).current_dir(self.0.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// The jobs, each with its number, state and comment.
    pub fn jobs(&self) -> Vec<[String; 3]> {
        let text = self.call("squeue", &["--noheader", "--states=all", "--array", "-o", "%i|%T|%k"]);
        let line = |line: &str| {
            let fields: Vec<String> = line.splitn(3, '|').map(str::to_owned).collect();
            fields.try_into().unwrap()
        };
        text.lines().map(line).collect()
    }

    /// The jobs in a state.
    pub fn in_state(&self, state: &str) -> Vec<String> {
        self.jobs().into_iter().filter(|[_, found, _]| found == state).map(|[number, ..]| number).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop", &[]);
    }
}
