//! The other side: does the work of a task in this process, and leaves the result.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::durable;
use crate::environment::Environment;
use crate::errors;
use crate::monitor::{Monitor, Progress};
use crate::run::digests::Identity;
use crate::run::failure::Failure;
use crate::run::observation::changed_since;
use crate::run::session::peak_memory;
use crate::stages::{
    self, ButlerSpec, Handed, Job, Needs, Problems, Product, Slice, SourceSettings, Sources,
};

use super::slurm::{ExecutionName, random};
use super::task::{self, Ended, Error, FILES, RESULT, RESULTS, SAID, Said, Task, VERSION, Worked};

/// How the work on a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkEnd {
    /// A product is there.
    Made,
    /// The stage failed, which the result says.
    Failed,
    /// The work was stopped, and there is no result.
    Stopped,
    /// The folder has no task for this version of the program.
    NoTask,
    /// Another machine may be able to do the work; why this one is not.
    Elsewhere(String),
}

/// Where a process works on a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the folder of an execution, below that of its task.
    Execution(&'a Path),
    /// In a job of Slurm.
    Job {
        /// The folder of the task.
        task: &'a Path,
        /// The number of the submission.
        submission: u32,
        /// A folder of the node for rows that memory does not hold.
        scratch: Option<&'a Path>,
    },
}

/// Says what a run tells of its stages, a line of JSON each.
struct Speaker {
    out: Mutex<Box<dyn Write + Send>>,
    /// How often progress is told.
    pause: Duration,
    advance: Mutex<Advance>,
}

#[derive(Default)]
struct Advance {
    rows: u64,
    bytes: u64,
    told: Option<Instant>,
}

/// How often progress is told to a run on this machine.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is told to one that reads it on a shared file system.
const PAUSE_OF_JOB: Duration = Duration::from_secs(5);
/// How long inputs may take to become visible on a shared file system.
const VISIBLE: Duration = Duration::from_mins(1);
/// How often Slurm may have started a job again.
const MOST_RESTARTS: u32 = 20;

impl Speaker {
    fn new(out: impl Write + Send + 'static, pause: Duration) -> Self {
        Self { out: Mutex::new(Box::new(out)), pause, advance: Mutex::default() }
    }

    fn say(&self, said: &Said) {
        if let Ok(mut line) = serde_json::to_string(said) {
            line.push('\n');
            // The run that listened may be gone, and need not be told.
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// Tells the rest.
    fn flush(&self) {
        let advance = std::mem::take(&mut *self.advance.lock().unwrap_or_else(PoisonError::into_inner));
        self.say(&Said::Advance { rows: advance.rows, bytes: advance.bytes });
    }
}

impl Progress for Speaker {
    fn warn(&self, message: &str) {
        self.say(&Said::Warn(message.to_owned()));
    }

    fn expect(&self, rows: u64) {
        self.say(&Said::Expect(rows));
    }

    fn advance(&self, rows: u64, bytes: u64) {
        let mut advance = self.advance.lock().unwrap_or_else(PoisonError::into_inner);
        advance.rows += rows;
        advance.bytes += bytes;
        if advance.told.is_none_or(|told| told.elapsed() >= self.pause) {
            self.say(&Said::Advance { rows: advance.rows, bytes: advance.bytes });
            *advance = Advance { told: Some(Instant::now()), ..Advance::default() };
        }
    }
}

/// What an execution of a task is.
struct Execution {
    folder: PathBuf,
    result: PathBuf,
    slice: u32,
    /// How often Slurm has started the job again.
    restart: u32,
    is_job: bool,
    scratch: Option<PathBuf>,
}

impl Execution {
    /// Makes the folder of a job's execution; another one is there already.
    fn at(place: Place<'_>, environment: &Environment) -> Result<Self, Failure> {
        let number = |name: &str| environment.variables.get(name).and_then(|text| text.parse::<u32>().ok());
        match place {
            Place::Execution(folder) => Ok(Self {
                folder: folder.to_owned(),
                result: folder.join(RESULT),
                slice: 0,
                restart: 0,
                is_job: false,
                scratch: None,
            }),
            Place::Job { task, submission, scratch } => {
                let slice = number("SLURM_ARRAY_TASK_ID").unwrap_or(0);
                let restart = number("SLURM_RESTART_COUNT").unwrap_or(0);
                let name = ExecutionName { slice, submission, restart, random: random() };
                let folder = task.join(name.to_string());
                durable::new_folder(&folder)
                    .map_err(|source| Failure::of(&Error::Folder { path: folder.clone(), source }))?;
                let result = task.join(RESULTS).join(format!("{name}.json"));
                let scratch = scratch.map(Path::to_owned);
                Ok(Self { folder, result, slice, restart, is_job: true, scratch })
            }
        }
    }

    fn speaker(&self) -> Speaker {
        let said = self.is_job.then(|| durable::append(&self.folder.join(SAID)).ok()).flatten();
        match said {
            Some(said) => Speaker::new(said, PAUSE_OF_JOB),
            None => Speaker::new(std::io::stdout(), PAUSE),
        }
    }
}

/// Does the work of a task, and leaves the result.
///
/// # Errors
/// If the result cannot be written.
pub fn work(
    place: Place<'_>,
    threads: NonZeroUsize,
    environment: &Environment,
    monitor: &Monitor,
) -> Result<WorkEnd, crate::run::Error> {
    let began = Instant::now();
    let variable = |name: &str| environment.variables.get(name).cloned();
    let folder = match place {
        Place::Execution(folder) => folder.parent().unwrap_or(folder),
        Place::Job { task, .. } => task,
    };
    let task = match (task::read(folder), place) {
        (Ok(task), _) if task.version == VERSION => task,
        (Err(error), Place::Job { .. }) => {
            return Ok(WorkEnd::Elsewhere(format!(
                "this node cannot see the task: {}",
                errors::chain(&error).join(": ")
            )));
        }
        _ => return Ok(WorkEnd::NoTask),
    };
    let execution = match Execution::at(place, environment) {
        Ok(execution) => execution,
        Err(failure) => return Ok(WorkEnd::Elsewhere(failure.errors.join(": "))),
    };
    let speaker = Arc::new(execution.speaker());
    speaker.say(&Said::Process(std::process::id()));
    let monitor = monitor.with_progress(Arc::clone(&speaker) as _);
    if let Some(path) = execution.is_job.then(|| unseen(&task, &monitor)).flatten() {
        let message = format!(
            "input `{}` was changed after the job was submitted, or this node cannot see it",
            path.display()
        );
        return Ok(WorkEnd::Elsewhere(message));
    }
    let made = if execution.restart > MOST_RESTARTS {
        Ok(Err(Failure::saying(format!("Slurm has started the job again {MOST_RESTARTS} times"))))
    } else {
        errors::caught(|| make(&task, &execution, threads, environment, &monitor))
    };
    let made = made.unwrap_or_else(|panic| {
        let message = format!("this is a fault in ssp, please report it: a panic: {panic}");
        Err(Failure::saying(message))
    });
    if monitor.is_stopped() {
        return Ok(WorkEnd::Stopped);
    }
    speaker.flush();
    let handed = made.and_then(|product| {
        Handed::leave(product, &execution.folder.join(FILES)).map_err(|error| Failure::of(&error))
    });
    let (ended, end) = match handed {
        Ok(handed) => (Ended::Made(Box::new(handed)), WorkEnd::Made),
        Err(failure) if execution.is_job && failure.is_of_the_machine => {
            return Ok(WorkEnd::Elsewhere(failure.errors.join(": ")));
        }
        Err(Failure { errors, class, .. }) => (Ended::Failed { errors, class }, WorkEnd::Failed),
    };
    let id = variable("SLURM_ARRAY_JOB_ID")
        .map(|number| format!("{number}_{}", execution.slice))
        .or_else(|| variable("SLURM_JOB_ID"));
    let worked = Worked {
        ended,
        seconds: began.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory(),
        job: id.filter(|_| execution.is_job),
        node: variable("SLURMD_NODENAME").filter(|_| execution.is_job),
    };
    let text = serde_json::to_vec_pretty(&worked)
        .map_err(|source| crate::run::Error::Json { name: RESULT.to_owned(), source })?;
    durable::write(&execution.result, &text)?;
    Ok(end)
}

/// The first input that does not look as it did, after some time in which a shared file system may show it.
fn unseen<'t>(task: &'t Task, monitor: &Monitor) -> Option<&'t Path> {
    let deadline = Instant::now() + VISIBLE;
    let differs =
        |(path, then): &&(PathBuf, Identity)| !Identity::of(path).is_ok_and(|now| now.looks_like(then));
    loop {
        let (path, _) = task.seen.iter().find(differs)?;
        if Instant::now() >= deadline || !monitor.sleep(Duration::from_secs(1)) {
            return Some(path);
        }
    }
}

fn make(
    task: &Task,
    execution: &Execution,
    threads: NonZeroUsize,
    environment: &Environment,
    monitor: &Monitor,
) -> Result<Product, Failure> {
    // In a job, they were looked at.
    if let Some(path) = changed_since(&task.seen).filter(|_| !execution.is_job) {
        let message = format!(
            "input `{}` was changed before stage `{}` could read it; run again",
            path.display(),
            task.stage
        );
        return Err(Failure::saying(message));
    }
    let mut problems = Problems::default();
    let kind = stages::kind(&task.kind);
    let checked = kind.and_then(|kind| kind.read(task.part.clone(), &task.defaults, &mut problems));
    let Some(checked) = checked.filter(|_| problems.list.is_empty()) else {
        return Err(Failure::saying(format!("the task of stage `{}` cannot be understood", task.stage)));
    };
    let settings = SourceSettings {
        butler: task.repository.clone().map(|repo| ButlerSpec { repo }),
        ..SourceSettings::default()
    };
    let needs = Needs { snapshot: false, tables: Vec::new(), repository: task.repository.is_some() };
    let sources =
        Sources::open_unless_stopped(monitor, &settings, needs, environment)?.ok_or_else(Failure::stopped)?;
    let files = execution.folder.join(FILES);
    durable::make_folder(&files)
        .map_err(|source| Failure::of(&Error::Folder { path: files.clone(), source }))?;
    let job = Job {
        sources: &sources,
        inputs: &task.inputs,
        datasets: task.datasets.as_ref(),
        target: &files.join(task.out.file_name().unwrap_or_default()),
        in_parts: task.in_parts,
        scratch: execution.scratch.as_deref(),
        last: task.last.as_ref(),
        threads,
        monitor,
        within: None,
    };
    let Some(of) = task.slices else { return Ok(checked.work.run(&job)?) };
    let not_sliced = || Failure::saying(format!("stage `{}` cannot work in slices", task.stage));
    let sliced = checked.work.slices().ok_or_else(not_sliced)?;
    Ok(sliced.run_slice(&job, Slice { number: execution.slice, of })?)
}
