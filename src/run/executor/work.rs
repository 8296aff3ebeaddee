//! The other side: does the work of a task in this process, and leaves the result.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::durable;
use crate::environment::Environment;
use crate::errors;
use crate::monitor::{Monitor, Progress};
use crate::run::failure::Failure;
use crate::run::observation::changed_since;
use crate::stages::{self, ButlerSpec, Handed, Job, Needs, Problems, Product, SourceSettings, Sources};

use super::task::{self, Ended, Error, FILES, RESULT, Said, Task, VERSION};

/// How the work on a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkEnd {
    /// A product is there.
    Made,
    /// The stage failed, which the result says.
    Failed,
    /// The work was stopped, and there is no result.
    Stopped,
    /// The folder has no task for this version of the program.
    NoTask,
}

/// Says on standard output what a run tells of its stages.
#[derive(Default)]
struct Speaker(Mutex<Advance>);

#[derive(Default)]
struct Advance {
    rows: u64,
    bytes: u64,
    told: Option<Instant>,
}

/// How often progress is told.
const PAUSE: Duration = Duration::from_millis(200);

fn say(said: &Said) {
    if let Ok(line) = serde_json::to_string(said) {
        // Whoever listened may be gone, and need not be told.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

impl Speaker {
    /// Tells the rest.
    fn flush(&self) {
        let advance = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        say(&Said::Advance { rows: advance.rows, bytes: advance.bytes });
    }
}

impl Progress for Speaker {
    fn warn(&self, message: &str) {
        say(&Said::Warn(message.to_owned()));
    }

    fn expect(&self, rows: u64) {
        say(&Said::Expect(rows));
    }

    fn advance(&self, rows: u64, bytes: u64) {
        let mut advance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        advance.rows += rows;
        advance.bytes += bytes;
        if advance.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            say(&Said::Advance { rows: advance.rows, bytes: advance.bytes });
            *advance = Advance { told: Some(Instant::now()), ..Advance::default() };
        }
    }
}

/// Does the work of the task that `folder`, that of an execution, is for.
///
/// # Errors
/// If the result cannot be written.
pub fn work(
    folder: &Path,
    threads: NonZeroUsize,
    environment: &Environment,
    monitor: &Monitor,
) -> Result<WorkEnd, crate::run::Error> {
    say(&Said::Process(std::process::id()));
    let Some(task) = folder.parent().and_then(|parent| task::read(parent).ok()) else {
        return Ok(WorkEnd::NoTask);
    };
    if task.version != VERSION {
        return Ok(WorkEnd::NoTask);
    }
    let speaker = Arc::new(Speaker::default());
    let progress: Arc<dyn Progress> = Arc::clone(&speaker) as _;
    let monitor = monitor.with_progress(progress);
    let made = errors::caught(|| make(&task, folder, threads, environment, &monitor));
    let made = made.unwrap_or_else(|panic| {
        let message = format!("this is a fault in ssp, please report it: a panic: {panic}");
        Err(Failure::saying(message))
    });
    if monitor.is_stopped() {
        return Ok(WorkEnd::Stopped);
    }
    speaker.flush();
    let handed = made
        .and_then(|product| Handed::leave(product, &folder.join(FILES)).map_err(|error| Failure::of(&error)));
    let (ended, end) = match handed {
        Ok(handed) => (Ended::Made(Box::new(handed)), WorkEnd::Made),
        Err(Failure { errors, class, .. }) => (Ended::Failed { errors, class }, WorkEnd::Failed),
    };
    let text = serde_json::to_vec_pretty(&ended)
        .map_err(|source| crate::run::Error::Json { name: RESULT.to_owned(), source })?;
    durable::write(&folder.join(RESULT), &text)?;
    Ok(end)
}

fn make(
    task: &Task,
    folder: &Path,
    threads: NonZeroUsize,
    environment: &Environment,
    monitor: &Monitor,
) -> Result<Product, Failure> {
    if let Some(path) = changed_since(&task.seen) {
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
    let stopped = || Failure::stopped();
    let sources =
        Sources::open_unless_stopped(monitor, &settings, needs, environment)?.ok_or_else(stopped)?;
    let files = folder.join(FILES);
    durable::make_folder(&files)
        .map_err(|source| Failure::of(&Error::Folder { path: files.clone(), source }))?;
    let job = Job {
        sources: &sources,
        inputs: &task.inputs,
        datasets: task.datasets.as_ref(),
        target: &files.join(task.out.file_name().unwrap_or_default()),
        in_parts: task.in_parts,
        last: task.last.as_ref(),
        threads,
        monitor,
    };
    Ok(checked.work.run(&job)?)
}
