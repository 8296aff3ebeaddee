//! Where a stage does its work: inside this process, or in a process of its own.
//!
//! A process gets a task, a file, and leaves sealed files and a result in a folder of its own. It never publishes. Whether the
//! stage runs, the checks, the publication and the record stay here, so the output is the same with each executor. See
//! `docs/explanation/executors.md`.

mod execution;
mod task;
mod work;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::pipeline::Stage;
use crate::stages::{Job, Product, Reads, repository_name};

use super::facts::{Observation, Situation};
use super::failure::Failure;
use super::store::Store;
use execution::Execution;
use task::Task;

pub use work::{WorkEnd, work};

/// The folder of the tasks, below `.ssp`.
const JOBS: &str = "jobs";

/// The folder of a task. It is removed when its result was taken: the files are then beside their targets. If this process is
/// killed before, it stays, and the next run takes the result.
struct TaskFolder(PathBuf);

impl Drop for TaskFolder {
    fn drop(&mut self) {
        execution::remove_all(&self.0);
    }
}

/// Makes the product of a stage in this process.
pub(super) fn here(stage: &Stage, job: &Job<'_>) -> Result<Product, Failure> {
    Ok(stage.work.run(job)?)
}

/// Makes the product of a stage in a process of its own, or takes that of a process that a killed run has started.
pub(super) fn in_a_process(
    situation: &Situation<'_>,
    stage: &Stage,
    job: &Job<'_>,
    observation: &Observation,
    is_forced: bool,
) -> Result<Product, Failure> {
    let failed = |error: task::Error| Failure::of(&error);
    let sources = &situation.pipeline.sources;
    let butler = sources.butler.as_ref().filter(|_| stage.kind.reads == Reads::Repository);
    let repository = butler.map(|butler| repository_name(sources, &butler.repo));
    let task = Task::of(stage, job, observation, &situation.pipeline.defaults, repository);
    let jobs = situation.store.path(JOBS);
    let (name, text) = task.written().map_err(failed)?;
    // Earlier tasks of this stage were for other inputs or settings.
    clear(&jobs, |folder| folder != name && task::stage_of(folder) == Some(stage.name.as_str()));
    let folder = jobs.join(&name);
    task::write(&folder, &text, job.last).map_err(failed)?;
    let _task_folder = TaskFolder(folder.clone());
    check_target(&folder, job.target, stage)?;
    let product = |mut execution: Execution| {
        execution.wait(job.monitor);
        execution.product(&stage.name, job.target)
    };
    let earlier = Execution::earlier(&folder).and_then(|mut execution| {
        if is_forced {
            execution.end();
        }
        execution.tell(job.monitor);
        // What failed then may succeed now.
        product(execution).ok().filter(|_| !is_forced)
    });
    let made = match earlier {
        Some(product) => Ok(product),
        None if job.monitor.is_stopped() => Err(Failure::stopped()),
        None => {
            execution::remove(&folder);
            product(Execution::start(&folder, job.threads).map_err(failed)?)
        }
    };
    // A process that was told to stop has no result.
    made.map_err(|failure| if job.monitor.is_stopped() { Failure::stopped() } else { failure })
}

/// Refuses a target that the file of another process could not replace, before that works for hours.
fn check_target(folder: &Path, target: &Path, stage: &Stage) -> Result<(), Failure> {
    let target = durable::target(target).map_err(|error| Failure::of(&error))?;
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable::make_folder(beside).map_err(|error| Failure::of(&error))?;
    durable::check_writable(beside).map_err(|error| Failure::of(&error))?;
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(beside) == device(folder) {
        return Ok(());
    }
    Err(Failure::saying(format!(
        "`{}` is on another file system than `{}`, so the file of another process cannot be put there; write `executor: local` \
         for stage `{}`",
        target.display(),
        folder.display(),
        stage.name
    )))
}

/// Ends the processes that a killed run left, and removes the folders of their tasks.
pub(super) fn clear_all(store: &Store) {
    clear(&store.path(JOBS), |_| true);
}

fn clear(jobs: &Path, is_old: impl Fn(&str) -> bool) {
    // A link leads to folders that are not ours.
    if fs::symlink_metadata(jobs).is_ok_and(|there| !there.is_dir()) {
        return;
    }
    for entry in fs::read_dir(jobs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| task::stage_of(name).is_some() && is_old(name)) {
            let earlier = Execution::earlier(&entry.path());
            if earlier.is_none_or(|mut execution| execution.end()) {
                execution::remove_all(&entry.path());
            }
        }
    }
}
