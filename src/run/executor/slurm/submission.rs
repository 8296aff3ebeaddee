//! What `sbatch` is told: the resources of a job, its name and comment, and its script.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::pipeline::SlurmSpec;
use crate::run::failure::Failure;
use crate::{durable, regular};

use super::command::{self, call};
use super::job::Mark;

/// Variables that every job gets.
const VARIABLES: [&str; 3] = ["PATH", "HOME", "LANG"];
/// How long before its time limit a job is told to end.
const NOTICE: Duration = Duration::from_mins(1);

/// The submissions of a task, which are written down before Slurm hears of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Submissions {
    /// The name of the pipeline: two pipelines can have one output folder.
    pub pipeline: String,
    pub list: Vec<Submission>,
}

impl Submissions {
    /// Those of a task; none if it has none.
    pub(super) fn read(task: &Path) -> Self {
        let text = regular::read(&task.join(SUBMITTED)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes them down.
    pub(super) fn write(&self, task: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Failure::of(&error))?;
        durable::write(&task.join(SUBMITTED), &text).map_err(|error| Failure::of(&error))
    }
}

/// The file of the submissions of a task.
pub(super) const SUBMITTED: &str = "submitted.json";

/// Jobs that were submitted together, one for each of some slices.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Submission {
    pub number: u32,
    pub nonce: String,
    pub slices: Vec<u32>,
    /// The number of the job; `None` if it is not known whether Slurm has taken it.
    pub job: Option<String>,
}

/// What a job may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resources {
    /// \[MiB\]
    pub mem: Option<u64>,
    /// \[min\]
    pub time: Option<u64>,
}

impl Resources {
    pub(super) fn of(spec: &SlurmSpec) -> Self {
        Self { mem: spec.mem.map(|mem| mebibytes(mem.0)), time: spec.time.map(|time| minutes(time.0)) }
    }

    /// With twice the memory, as far as that is allowed.
    pub(super) fn with_more_memory(self, spec: &SlurmSpec) -> Option<Self> {
        let most = mebibytes(spec.mem_max.or(spec.mem)?.0);
        let mem = self.mem.filter(|mem| *mem < most)?;
        Some(Self { mem: Some((2 * mem).min(most)), ..self })
    }

    /// With twice the time, as far as that is allowed.
    pub(super) fn with_more_time(self, spec: &SlurmSpec) -> Option<Self> {
        let most = minutes(spec.time_max.or(spec.time)?.0);
        let time = self.time.filter(|time| *time < most)?;
        Some(Self { time: Some((2 * time).min(most)), ..self })
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn minutes(time: Duration) -> u64 {
    time.as_secs().div_ceil(60)
}

/// One submission, as `sbatch` is told of it.
pub(super) struct Request<'a> {
    pub spec: &'a SlurmSpec,
    pub resources: Resources,
    pub mark: &'a Mark,
    pub pipeline: &'a str,
    pub stage: &'a str,
    /// The folder of the task, a whole path.
    pub folder: &'a Path,
    /// The slices, and whether they are all of a task that has only one.
    pub slices: &'a [u32],
    pub is_array: bool,
    /// Nodes that could not do the work.
    pub excluded: Vec<String>,
}

impl Request<'_> {
    /// Submits it; the number of the job.
    pub(super) fn submit(&self) -> Result<String, command::Error> {
        let mut words = vec!["--parsable".to_owned()];
        words.extend(self.words());
        let printed = call("sbatch", &words, &self.script())?;
        // `12;cluster`
        Ok(printed.lines().last().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned())
    }

    /// The options, without those that say what is to be printed.
    pub(super) fn words(&self) -> Vec<String> {
        let Self { spec, resources, .. } = self;
        let names = VARIABLES.into_iter().chain(spec.environment.iter().flatten().map(String::as_str));
        let mut words = vec![
            format!("--job-name={}", name(self.pipeline, self.stage)),
            format!("--comment={}", self.mark),
            format!("--export={}", names.collect::<Vec<_>>().join(",")),
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            "--nodes=1".to_owned(),
            "--ntasks=1".to_owned(),
            format!("--output={}", log(self.folder, self.mark.submission, self.is_array.then_some("%a"))),
            format!("--cpus-per-task={}", spec.cpus.unwrap_or(1)),
        ];
        let mut add = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| format!("--{name}={value}")));
        };
        add("partition", spec.partition.clone());
        add("account", spec.account.clone());
        add("qos", spec.qos.clone());
        add("mem", resources.mem.map(|mem| format!("{mem}M")));
        add("time", resources.time.map(|time| time.to_string()));
        add(
            "signal",
            resources.time.map(|time| {
                // A job of one minute would be told at once.
                let notice = NOTICE.min(Duration::from_secs(15 * time));
                format!("B:TERM@{}", notice.as_secs())
            }),
        );
        add("exclude", (!self.excluded.is_empty()).then(|| self.excluded.join(",")));
        add(
            "array",
            self.is_array.then(|| {
                let limit = spec.array_limit.map_or_else(String::new, |limit| format!("%{limit}"));
                ranges(self.slices) + &limit
            }),
        );
        words.extend(spec.options.iter().flatten().cloned());
        words
    }

    /// The script of the job. The program takes the place of the shell, so that signals reach it.
    pub(super) fn script(&self) -> String {
        let program = match &self.spec.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ssp-run")),
        };
        // Its variables are for the shell on the node.
        let scratch =
            self.spec.scratch.as_ref().map_or_else(String::new, |path| format!(" --scratch \"{path}\""));
        format!(
            "#!/bin/sh\nexec {} work {} --submission {} -j {}{scratch}\n",
            quoted(&program),
            quoted(self.folder),
            self.mark.submission,
            self.spec.cpus.unwrap_or(1)
        )
    }
}

/// The log of a job. Slurm replaces `%` and a letter.
pub(super) fn log(folder: &Path, submission: u32, index: Option<&str>) -> String {
    let index = index.map_or_else(String::new, |index| format!("_{index}"));
    let folder = folder.display().to_string().replace('%', "%%");
    format!("{folder}/logs/{submission}{index}.log")
}

/// A path for a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// The name of the jobs of a stage, for people: without special characters.
pub(super) fn name(pipeline: &str, stage: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    format!("ssp-{}-{stage}", pipeline.chars().map(plain).collect::<String>())
}

/// `0-3,7`, for numbers in order.
fn ranges(numbers: &[u32]) -> String {
    let mut text = String::new();
    for run in numbers.chunk_by(|a, b| *b == a + 1) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Period, Size};

    #[test]
    fn resources_grow_up_to_their_limit() {
        let spec = SlurmSpec {
            mem: Some(Size(3 << 30)),
            mem_max: Some(Size(8 << 30)),
            time: Some(Period(Duration::from_secs(61))),
            ..SlurmSpec::default()
        };
        let first = Resources::of(&spec);
        assert_eq!(first, Resources { mem: Some(3 << 10), time: Some(2) });
        let second = first.with_more_memory(&spec).unwrap();
        let third = second.with_more_memory(&spec).unwrap();
        assert_eq!((second.mem, third.mem), (Some(6 << 10), Some(8 << 10)));
        assert_eq!(third.with_more_memory(&spec), None);
        // Without `time_max` there is no more time.
        assert_eq!(first.with_more_time(&spec), None);
        assert_eq!(Resources::default().with_more_memory(&SlurmSpec::default()), None);
    }

    #[test]
    fn sbatch_is_told_all_that_was_asked_for() {
        let spec = SlurmSpec {
            partition: Some("milano".to_owned()),
            account: Some("rubin:production".to_owned()),
            cpus: Some(16),
            mem: Some(Size(1 << 30)),
            time: Some(Period(Duration::from_mins(1))),
            array_limit: Some(4),
            environment: Some(vec!["BUTLER_REPO".to_owned()]),
            scratch: Some("/lscratch/$SLURM_JOB_ID".to_owned()),
            program: Some("/shared/it's/ssp-run".into()),
            options: Some(vec!["--constraint=zen3".to_owned()]),
            ..SlurmSpec::default()
        };
        let mark = Mark { id: "i".to_owned(), task: "t".to_owned(), submission: 2, nonce: "n".to_owned() };
        let request = Request {
            spec: &spec,
            resources: Resources::of(&spec),
            mark: &mark,
            pipeline: "the night",
            stage: "s",
            folder: Path::new("/a 100%/t"),
            slices: &[0, 1, 2, 5, 7, 8],
            is_array: true,
            excluded: vec!["node1".to_owned()],
        };
        let words = request.words();
        for word in [
            "--job-name=ssp-the_night-s",
            "--comment=ssp1:i:t:2:n",
            "--export=PATH,HOME,LANG,BUTLER_REPO",
            "--output=/a 100%%/t/logs/2_%a.log",
            "--partition=milano",
            "--account=rubin:production",
            "--cpus-per-task=16",
            "--mem=1024M",
            "--time=1",
            "--signal=B:TERM@15",
            "--exclude=node1",
            "--array=0-2,5,7-8%4",
            "--constraint=zen3",
        ] {
            assert!(words.iter().any(|found| found == word), "{word}: {words:?}");
        }
        let script = "#!/bin/sh\nexec '/shared/it'\\''s/ssp-run' work '/a 100%/t' --submission 2 -j 16 \
                      --scratch \"/lscratch/$SLURM_JOB_ID\"\n";
        assert_eq!(request.script(), script);
    }
}
