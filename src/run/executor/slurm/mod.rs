//! Stages as jobs of Slurm, by its programs `sbatch`, `squeue`, `scontrol` and `scancel`.
//!
//! What a job made is known by the result that it leaves, not by what Slurm says of it. A job is known by its comment, not by its
//! number. See `docs/explanation/executors.md`.

mod command;
mod counts;
mod job;
mod queue;
mod results;
mod slice;
mod submission;
mod submit;
mod verdict;
mod watch;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::durable;
use crate::monitor::Monitor;
use crate::pipeline::{OnStop, SlurmSpec, Stage};
use crate::run::Error as RunError;
use crate::run::failure::Failure;
use crate::run::store::Store;
use crate::run::tail::tail;
use crate::run::words::{period, size};
use crate::stages::Product;

use command::call;
use job::Mark;
use results::{Found, Listener};
use slice::Slice;
use submission::{Request, Resources, SUBMITTED, Submissions};
use watch::{POLL, Watch};

pub use counts::JobCounts;
pub(in crate::run) use queue::Queue;
pub(super) use queue::random;
pub(super) use results::ExecutionName;

use super::task::{Ended, FILES, Worked};

/// Lines of a job's log that are kept in the log of the stage.
const KEPT_LINES: usize = 200;
/// Tasks that no stage has asked for during this time are removed.
const OLD: Duration = Duration::from_hours(24 * 7);

/// How the folder of an unfinished task is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It is removed.
    Remove,
    /// The next run takes up what is there.
    Keep,
}

/// A task that is worked on by jobs.
pub(super) struct Order<'a> {
    pub spec: &'a SlurmSpec,
    pub queue: &'a Queue,
    pub store: &'a Store,
    pub pipeline: &'a str,
    pub stage: &'a Stage,
    /// The folder of the task, and its name.
    pub folder: &'a Path,
    pub task: &'a str,
    pub slices: Option<u32>,
    /// The file that the output is to become.
    pub out: &'a Path,
    pub monitor: &'a Monitor,
    pub timeout: Option<Duration>,
    /// The log of the stage.
    pub log: &'a Path,
}

impl Order<'_> {
    /// Whether each slice has a job of its own in an array.
    fn is_array(&self) -> bool {
        self.slices.is_some()
    }

    /// Makes the products of the slices, in order.
    pub(super) fn work(&self) -> Result<Vec<Product>, (Failure, Rest)> {
        let failed = |error: &RunError| (Failure::of(error), Rest::Remove);
        let id = self.queue.id(self.store).map_err(|error| failed(&error))?;
        for folder in ["logs", super::task::RESULTS] {
            let path = self.folder.join(folder);
            durable::make_folder(&path)
                .map_err(|source| failed(&RunError::Folder { path: path.clone(), source }))?;
        }
        if self.folder.to_string_lossy().contains('\\') {
            let message = "Slurm cannot write logs into a folder with `\\` in its path: move `out_dir`";
            return Err((Failure::saying(message.to_owned()), Rest::Remove));
        }
        let count = self.slices.unwrap_or(1);
        let mut watch = Watch {
            order: self,
            id: &id,
            slices: (0..count).map(|_| Slice::new(Resources::of(self.spec))).collect(),
            submissions: Submissions { pipeline: self.pipeline.to_owned(), list: Vec::new() },
            unsure: None,
            looked: None,
            listener: Listener::default(),
            trouble: queue::Trouble::default(),
            began: Instant::now(),
            working: None,
            counts: JobCounts::default(),
        };
        watch.attach();
        let waited = loop {
            if let Err(failure) = watch.wait() {
                break Err(failure);
            }
            // A result that cannot be used is made again.
            if let Some(done) = self.take(&mut watch).transpose() {
                break done;
            }
        };
        waited.map_err(|failure| {
            let is_left =
                self.monitor.outermost_reason().is_some() && self.spec.on_stop == Some(OnStop::Leave);
            watch.take_results();
            let has_results = watch.slices.iter().any(|slice| matches!(slice.outcome, Some(Ok(_))));
            self.keep_logs(&watch.logs());
            if is_left {
                self.monitor.warn("the jobs in Slurm continue, and the next run uses their results");
            }
            // The next run knows jobs by the folder of their task.
            let is_kept = is_left || !watch.cancel() || self.is_array() && has_results;
            if is_kept {
                self.queue.doubt(self.task, false);
            }
            (failure, if is_kept { Rest::Keep } else { Rest::Remove })
        })
    }

    /// The products of all slices; `None` if one cannot be used and is to be made again.
    fn take(&self, watch: &mut Watch<'_>) -> Result<Option<Vec<Product>>, Failure> {
        if let Some(failure) = watch.take_failure() {
            return Err(failure);
        }
        watch.compare();
        let mut products = Vec::with_capacity(watch.slices.len());
        let mut lines = Vec::new();
        for index in 0..watch.slices.len() {
            let Some(Ok(Found { name, worked })) = watch.slices[index].outcome.take() else { continue };
            lines.push(said(index, self.is_array(), &worked));
            let files = self.folder.join(name.to_string()).join(FILES);
            let has_failed = match &worked.ended {
                Ended::Failed { .. } => true,
                // A shared file system can show a result before the files.
                Ended::Made(handed) if watch.slices[index].is_too_soon(handed.is_in(&files)) => {
                    let is_working = self.monitor.sleep(POLL);
                    watch.take_results();
                    return if is_working { Ok(None) } else { Err(Failure::stopped()) };
                }
                Ended::Made(_) => false,
            };
            match worked.ended.product(&files, &self.target(&files)) {
                Ok(product) => products.push(product),
                Err(failure) if has_failed => return Err(failure),
                Err(failure) => {
                    let why = failure.errors.join(": ");
                    self.monitor.warn(&format!("the result of a job cannot be used: {why}"));
                    watch.discard(&name);
                    if !watch.retry(index) {
                        return Err(failure);
                    }
                }
            }
        }
        if products.len() < watch.slices.len() {
            // What was taken is taken again.
            watch.take_results();
            return Ok(None);
        }
        self.keep_logs(&[lines, watch.logs()].concat());
        Ok(Some(products))
    }

    /// Where the file of a job goes: in place of the output, or, for a slice, where it is.
    fn target(&self, files: &Path) -> PathBuf {
        if self.is_array() {
            files.join(self.out.file_name().unwrap_or_default())
        } else {
            self.out.to_owned()
        }
    }

    /// Adds lines to the log of the stage.
    fn keep_logs(&self, lines: &[String]) {
        // A log that cannot be written must not fail a stage.
        if let Ok(mut file) = durable::append(self.log) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let _ = file.write_all(text.as_bytes());
        }
    }
}

/// Where a slice was worked on, and what that took.
fn said(index: usize, is_array: bool, worked: &Worked) -> String {
    let mut text = if is_array { format!("slice {index}: ") } else { String::new() };
    let job = worked.job.as_deref().unwrap_or("?");
    let _ = write!(text, "Slurm job {job} on {}", worked.node.as_deref().unwrap_or("?"));
    let _ = write!(text, ", {}", period(worked.seconds));
    if let Some(bytes) = worked.peak_memory_bytes {
        let _ = write!(text, ", peak memory {}", size(bytes));
    }
    text
}

impl Watch<'_> {
    /// The last lines of the logs of all jobs.
    fn logs(&self) -> Vec<String> {
        let folder = self.order.folder.join("logs");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let lines: Vec<String> = paths.iter().flat_map(|path| tail(path, KEPT_LINES)).collect();
        lines[lines.len().saturating_sub(KEPT_LINES)..].to_vec()
    }
}

/// Whether the folder of a task is of jobs, and how old their last submission is.
pub(super) fn age(folder: &Path) -> Option<Duration> {
    let changed = std::fs::metadata(folder.join(SUBMITTED)).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(changed).unwrap_or_default())
}

/// Whether a task is so old that it is removed.
pub(super) fn is_old(age: Duration) -> bool {
    age >= OLD
}

/// The name of the pipeline that has submitted the jobs of a task.
pub(super) fn pipeline_of(folder: &Path) -> String {
    Submissions::read(folder).pipeline
}

/// Cancels the jobs of a task that no stage waits for; whether that is certain.
pub(super) fn cancel(queue: &Queue, store: &Store, task: &str) -> bool {
    let Ok(id) = queue.id(store) else { return false };
    let is_its = |mark: Mark| mark.id == id && mark.task == task;
    queue.cancel(Instant::now(), |job| Mark::read(&job.comment).is_some_and(is_its)).is_ok()
}

/// Asks Slurm whether it would take the jobs of a stage.
///
/// # Errors
/// Why it would not.
pub fn rehearse(
    spec: &SlurmSpec,
    slices: Option<u32>,
    pipeline: &str,
    stage: &str,
    store: &Store,
) -> Result<(), RunError> {
    let mark = Mark { id: "test".to_owned(), task: stage.to_owned(), submission: 0, nonce: String::new() };
    let slices: Vec<u32> = (0..slices.unwrap_or(1)).collect();
    let request = Request {
        spec,
        resources: Resources::of(spec),
        mark: &mark,
        pipeline,
        stage,
        folder: store.out_dir(),
        slices: &slices,
        is_array: slices.len() > 1,
        excluded: Vec::new(),
    };
    let mut words = vec!["--test-only".to_owned()];
    words.extend(request.words());
    call("sbatch", &words, &request.script()).map(drop).map_err(|error| RunError::Slurm(Box::new(error)))
}
