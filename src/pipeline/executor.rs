//! The key `executor`: where a stage does its work. Not a place for how it is done there (see `run::executor`).

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::quantity::{Period, Size};
use crate::stages::Work;

/// Where a stage does its work. The output is the same with each executor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// Inside `ssp-run`.
    #[default]
    Local,
    /// In a process of its own, on the same machine. If the memory of the machine runs out, only this stage fails. If
    /// `ssp-run` is killed, the process continues, and the next run uses its result.
    Processes,
    /// In jobs of Slurm, which all machines of the cluster can do.
    Slurm(Box<SlurmSpec>),
}

/// How jobs are submitted to Slurm. A stage can have some of these keys, and gets the others from the key `executor` of the
/// pipeline file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlurmSpec {
    /// The partition (`--partition`). Default: the partition that Slurm chooses. The same is true for `account` and `qos`.
    pub partition: Option<String>,
    /// The account (`--account`).
    pub account: Option<String>,
    /// The quality of service (`--qos`).
    pub qos: Option<String>,
    /// Cores of each job (`--cpus-per-task`), which are also the threads of the stage. Default: 1.
    #[schemars(range(min = 1, max = 256))]
    pub cpus: Option<u16>,
    /// Memory of each job (`--mem`). Default: the amount that Slurm chooses.
    pub mem: Option<Size>,
    /// Time limit of each job (`--time`), rounded up to minutes. Default: the limit that Slurm chooses.
    pub time: Option<Period>,
    /// If a job used all its memory, `ssp-run` submits it again with twice the memory, but at most with this amount. Default:
    /// the value of `mem`.
    pub mem_max: Option<Size>,
    /// If a job reached its time limit, `ssp-run` submits it again with twice the time, but at most with this time. Default: the
    /// value of `time`.
    pub time_max: Option<Period>,
    /// The number of jobs for the stage: each job works on a part of the objects. Only `build-sssource` can have more than one
    /// job. The output is the same with each number. Default: 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub slices: Option<u32>,
    /// Maximum number of jobs of one submission that work at the same time. Default: no maximum.
    #[schemars(range(min = 1))]
    pub array_limit: Option<u32>,
    /// How often a job is submitted again after an error of the cluster, for example after the loss of a node. Default: 2.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<u32>,
    /// How often `ssp-run` asks Slurm for the states of its jobs, at least `10s`. It asks once for all jobs. Default: `30s`.
    pub poll: Option<Period>,
    /// Maximum time that the jobs of a stage can wait in the queue before the first job starts. Default: no maximum.
    pub queue_timeout: Option<Period>,
    /// The names of the environment variables that the jobs get, in addition to `PATH`, `HOME` and `LANG`.
    pub environment: Option<Vec<String>>,
    /// A folder on the nodes for rows that the memory does not hold, for example `/lscratch/$SLURM_JOB_ID`. The shell of the job
    /// replaces variables. Default: the folder of the task, below `out_dir`.
    pub scratch: Option<String>,
    /// The path of `ssp-run` on the nodes. Default: the path of this program.
    #[schemars(extend("format" = "path"))]
    pub program: Option<PathBuf>,
    /// Further options of `sbatch`, for example `--constraint=zen3`.
    pub options: Option<Vec<String>>,
    /// What happens to the jobs if you stop `ssp-run`. Default: `cancel`.
    pub on_stop: Option<OnStop>,
}

/// What happens to the jobs if `ssp-run` is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// `ssp-run` cancels the jobs.
    #[default]
    Cancel,
    /// The jobs continue, and the next run uses their results.
    Leave,
}

impl Executor {
    /// This executor of a stage, with the settings of the file for what it leaves out.
    pub(super) fn over(self, of_file: &Self) -> Self {
        match (self, of_file) {
            (Self::Slurm(own), Self::Slurm(of_file)) => Self::Slurm(Box::new(own.over(of_file))),
            (own, _) => own,
        }
    }
}

/// Options of `sbatch` that are set already, in their long and short forms.
const SET: [(&str, &str); 13] = [
    ("--chdir", "-D"),
    ("--job-name", "-J"),
    ("--comment", ""),
    ("--output", "-o"),
    ("--error", "-e"),
    ("--array", "-a"),
    ("--dependency", "-d"),
    ("--export", ""),
    ("--requeue", ""),
    ("--no-requeue", ""),
    ("--signal", ""),
    ("--wait", "-W"),
    ("--wrap", ""),
];
/// Options that have keys of their own.
const KEYS: [(&str, &str, &str); 6] = [
    ("--partition", "-p", "partition"),
    ("--account", "-A", "account"),
    ("--qos", "-q", "qos"),
    ("--cpus-per-task", "-c", "cpus"),
    ("--mem", "", "mem"),
    ("--time", "-t", "time"),
];
/// Variables that hold secrets: Slurm shows them to its administrators.
const SECRET: [&str; 4] = ["PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGSSLPASSWORD"];
/// Shorter would be a load on the controller.
const LEAST_POLL: Duration = Duration::from_secs(10);
const USUAL_POLL: Duration = Duration::from_secs(30);
const USUAL_RETRIES: u32 = 2;

impl SlurmSpec {
    fn over(self, other: &Self) -> Self {
        Self {
            partition: self.partition.or_else(|| other.partition.clone()),
            account: self.account.or_else(|| other.account.clone()),
            qos: self.qos.or_else(|| other.qos.clone()),
            cpus: self.cpus.or(other.cpus),
            mem: self.mem.or(other.mem),
            time: self.time.or(other.time),
            mem_max: self.mem_max.or(other.mem_max),
            time_max: self.time_max.or(other.time_max),
            slices: self.slices.or(other.slices),
            array_limit: self.array_limit.or(other.array_limit),
            retries: self.retries.or(other.retries),
            poll: self.poll.or(other.poll),
            queue_timeout: self.queue_timeout.or(other.queue_timeout),
            environment: self.environment.or_else(|| other.environment.clone()),
            scratch: self.scratch.or_else(|| other.scratch.clone()),
            program: self.program.or_else(|| other.program.clone()),
            options: self.options.or_else(|| other.options.clone()),
            on_stop: self.on_stop.or(other.on_stop),
        }
    }

    /// Into how many slices the work of a stage is cut, if it is.
    #[must_use]
    pub fn slices_of(&self, work: &dyn Work) -> Option<u32> {
        self.slices.filter(|slices| *slices > 1 && work.slices().is_some())
    }

    /// How often the states of the jobs are asked for.
    #[must_use]
    pub fn poll(&self) -> Duration {
        self.poll.map_or(USUAL_POLL, |poll| poll.0)
    }

    /// How often a job is submitted again.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.retries.unwrap_or(USUAL_RETRIES)
    }

    /// What is wrong: the key, and the message.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut mistake = |key, message: String| found.push((key, message));
        for (key, text) in [("partition", &self.partition), ("account", &self.account), ("qos", &self.qos)] {
            if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
                mistake(key, format!("`{key}` is empty: write a name, or remove `{key}`"));
            }
        }
        if self.poll() < LEAST_POLL {
            mistake("poll", "`poll` must be at least 10s: Slurm answers everybody on the cluster".to_owned());
        }
        if self.mem_max.zip(self.mem).is_some_and(|(most, mem)| most.0 < mem.0) {
            mistake("mem_max", "`mem_max` is less than `mem`".to_owned());
        }
        if self.time_max.zip(self.time).is_some_and(|(most, time)| most < time) {
            mistake("time_max", "`time_max` is less than `time`".to_owned());
        }
        for (key, most, first) in [
            ("mem_max", self.mem_max.is_some(), self.mem.is_some()),
            ("time_max", self.time_max.is_some(), self.time.is_some()),
        ] {
            if most && !first {
                let base = key.trim_end_matches("_max");
                mistake(key, format!("`{key}` needs `{base}`: the amount to begin with"));
            }
        }
        for (key, time) in [("time", self.time), ("queue_timeout", self.queue_timeout)] {
            if time.is_some_and(|time| time.0.is_zero()) {
                mistake(key, format!("`{key}` is zero: write a longer time, such as 1h, or remove `{key}`"));
            }
        }
        if self.program.as_deref().is_some_and(|path| !path.is_absolute()) {
            mistake("program", "`program` must be a whole path, such as `/shared/bin/ssp-run`".to_owned());
        }
        let is_of_shell = |c: char| !(c.is_alphanumeric() || "/._-+$ ".contains(c));
        if self.scratch.as_deref().is_some_and(|path| path.is_empty() || path.contains(is_of_shell)) {
            let message =
                "`scratch` must be a path of letters, digits and `/._-+`, with variables as `$NAME`";
            mistake("scratch", message.to_owned());
        }
        for name in self.environment.iter().flatten() {
            if SECRET.contains(&name.as_str()) {
                let message = format!(
                    "`{name}` holds a secret, and Slurm shows the environment of a job to others: put the secret into a file, \
                     such as `~/.pgpass`"
                );
                mistake("environment", message);
            } else if !is_variable(name) {
                mistake("environment", format!("`{name}` is not the name of a variable"));
            }
        }
        for option in self.options.iter().flatten() {
            if let Some(message) = mistake_of_option(option) {
                mistake("options", message);
            }
        }
        found
    }
}

fn is_variable(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_word) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// What is wrong with a further option of `sbatch`.
fn mistake_of_option(option: &str) -> Option<String> {
    let word = option.split(['=', ' ']).next().unwrap_or_default();
    if word.trim_start_matches('-').is_empty() || !word.starts_with('-') {
        return Some(format!("`{option}` is not an option of sbatch: options begin with `-`"));
    }
    // Slurm takes each beginning of a name that only one option has, and a value right behind a letter.
    let is = |long: &str, short: &str| {
        if word.starts_with("--") {
            long.starts_with(word) && word.len() >= 5 || long == word
        } else {
            !short.is_empty() && word.starts_with(short)
        }
    };
    if let Some((_, _, key)) = KEYS.iter().find(|(long, short, _)| is(long, short)) {
        return Some(format!("`{word}` has a key of its own: write `{key}`"));
    }
    let is_set = SET.iter().any(|(long, short)| is(long, short));
    is_set.then(|| format!("`{word}` is set by ssp-run itself: remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(spec: &SlurmSpec) -> Vec<String> {
        spec.mistakes().into_iter().map(|(_, message)| message).collect()
    }

    fn said_of_option(option: &str) -> Vec<String> {
        said(&SlurmSpec { options: Some(vec![option.to_owned()]), ..SlurmSpec::default() })
    }

    #[test]
    fn a_stage_has_its_own_settings_and_those_of_the_file() {
        let slurm = |spec| Executor::Slurm(Box::new(spec));
        let of_file = slurm(SlurmSpec { cpus: Some(2), mem: Some(Size(1 << 30)), ..SlurmSpec::default() });
        let own = slurm(SlurmSpec { cpus: Some(16), retries: Some(0), ..SlurmSpec::default() });
        let expected =
            SlurmSpec { cpus: Some(16), mem: Some(Size(1 << 30)), retries: Some(0), ..SlurmSpec::default() };
        assert_eq!(own.clone().over(&of_file), slurm(expected));
        assert_eq!(own.clone().over(&Executor::Local), own);
        assert_eq!(Executor::Local.over(&of_file), Executor::Local);
    }

    #[test]
    fn options_that_are_set_already_are_refused_in_each_form() {
        for option in
            ["--array=3", "-a 3", "-J x", "--job-name=x", "--wrap=true", "--no-requeue", "--expo=ALL"]
        {
            assert!(said_of_option(option).concat().contains("is set by ssp-run itself"), "{option}");
        }
        for (option, key) in
            [("-p x", "partition"), ("--partition=x", "partition"), ("-c4", "cpus"), ("--mem=1G", "mem")]
        {
            assert!(said_of_option(option).concat().contains(&format!("write `{key}`")), "{option}");
        }
        for option in ["--constraint=zen3", "--exclusive", "--nice=10", "-x node1", "--mem-bind=local"] {
            assert_eq!(said_of_option(option), Vec::<String>::new());
        }
        assert!(said_of_option("true").concat().contains("is not an option of sbatch"));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let cases = [
            (
                SlurmSpec { poll: Some(Period(Duration::from_secs(9))), ..SlurmSpec::default() },
                "at least 10s",
            ),
            (
                SlurmSpec { mem: Some(Size(2)), mem_max: Some(Size(1)), ..SlurmSpec::default() },
                "less than `mem`",
            ),
            (SlurmSpec { mem_max: Some(Size(1)), ..SlurmSpec::default() }, "`mem_max` needs `mem`"),
            (SlurmSpec { environment: names(&["PGPASSWORD"]), ..SlurmSpec::default() }, "holds a secret"),
            (
                SlurmSpec { environment: names(&["A=b"]), ..SlurmSpec::default() },
                "not the name of a variable",
            ),
            (
                SlurmSpec { scratch: Some("/tmp/$(id)".to_owned()), ..SlurmSpec::default() },
                "`scratch` must be a path",
            ),
            (SlurmSpec { program: Some("ssp-run".into()), ..SlurmSpec::default() }, "a whole path"),
            (SlurmSpec { partition: Some(String::new()), ..SlurmSpec::default() }, "`partition` is empty"),
        ];
        for (spec, expected) in cases {
            let said = said(&spec);
            assert!(said.len() == 1 && said[0].contains(expected), "{said:?}");
        }
        assert_eq!(said(&SlurmSpec::default()), Vec::<String>::new());
    }
}
