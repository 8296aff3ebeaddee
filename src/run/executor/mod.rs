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
use crate::errors::Class;
use crate::pipeline::Stage;
use crate::stages::{self, Job, Product, repository_name};

use super::facts::{Observation, Situation};
use super::failure::Failure;
use super::store::Store;
use execution::{Execution, NoProduct};
use task::Task;

pub use work::{WorkEnd, work};

/// The folder of the tasks, below `.ssp`.
const JOBS: &str = "jobs";

/// The folder of a task. It is removed when the stage has ended here: the output is in its place, or the stage failed. If this
/// process is killed, it stays, and the next run takes the result.
pub(super) struct TaskFolder(PathBuf);

impl Drop for TaskFolder {
    fn drop(&mut self) {
        // What cannot be removed is removed by a later run.
        let _ = durable::remove_folder(&self.0);
    }
}

/// A product, and the folder of the task that its files lie in, if there is one.
type Made = Result<(Product, Option<TaskFolder>), Failure>;

/// Makes the product of a stage in this process.
pub(super) fn here(stage: &Stage, job: &Job<'_>) -> Made {
    let failed = |error: stages::Error| Failure { class: error.class(), ..Failure::of(&error) };
    Ok((stage.work.run(job).map_err(failed)?, None))
}

/// Makes the product of a stage in a process of its own, or takes that of a process that a killed run has started.
pub(super) fn in_a_process(
    situation: &Situation<'_>,
    stage: &Stage,
    job: &Job<'_>,
    observation: &Observation,
) -> Made {
    let failed = |error: task::Error| Failure::of(&error);
    let sources = &situation.pipeline.sources;
    let repository = sources.butler.as_ref().map(|butler| repository_name(sources, &butler.repo));
    let task = Task::of(stage, job, observation, &situation.pipeline.defaults, repository);
    let jobs = situation.store.path(JOBS);
    let (name, text) = task.written().map_err(failed)?;
    // Tasks of earlier inputs or settings of this stage are of no interest any more.
    clear(&jobs, |folder| folder != name && task::stage_of(folder) == Some(stage.name.as_str()));
    let folder = jobs.join(&name);
    task::write(&folder, &text, job.last).map_err(failed)?;
    let task_folder = TaskFolder(folder.clone());
    if !on_one_file_system(&folder, job.target) {
        let message = format!(
            "`{}` is on another file system than the records in `{}`, so the file of another process cannot be put there; \
             write `executor: local` for stage `{}`",
            job.target.display(),
            jobs.display(),
            stage.name
        );
        return Err(Failure::saying(message));
    }
    let waited = |mut execution: Execution| {
        execution.wait(job.monitor);
        execution.product(&stage.name, job.target)
    };
    let mut made = Execution::earlier(&folder).map(waited);
    if !matches!(made, Some(Ok(_) | Err(NoProduct::Failed(_)))) && !job.monitor.is_stopped() {
        execution::remove(&folder);
        made = Some(waited(Execution::start(&folder, job.threads).map_err(failed)?));
    }
    // A process that was told to stop has no result.
    let stopped = || Failure { class: Class::Stopped, ..Failure::saying("stopped".to_owned()) };
    match made {
        Some(Ok(product)) => Ok((product, Some(task_folder))),
        Some(Err(no_product)) if !job.monitor.is_stopped() => Err(no_product.failure()),
        _ => Err(stopped()),
    }
}

/// Whether a file of the folder can be put in place of the target by a rename.
fn on_one_file_system(folder: &Path, target: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let target = durable::target(target).unwrap_or_else(|_| target.to_owned());
    let there = target.parent().and_then(device);
    there.is_none() || there == device(folder)
}

/// Ends the processes that a killed run left, and removes the folders of their tasks.
pub(super) fn clear_all(store: &Store) {
    clear(&store.path(JOBS), |_| true);
}

fn clear(jobs: &Path, is_old: impl Fn(&str) -> bool) {
    let folders = fs::read_dir(jobs).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_name().to_str().is_none_or(&is_old)) {
        if let Some(mut execution) = Execution::earlier(&folder.path()) {
            execution.end();
        }
        let _ = durable::remove_folder(&folder.path());
    }
}
