//! Where a stage does its work: inside this process, in a process of its own, or in jobs of Slurm.
//!
//! A process gets a task, a file, and leaves sealed files and a result in a folder of its own. It never publishes. Whether the
//! stage runs, the checks, the publication and the record stay here, so the output is the same with each executor. See
//! `docs/explanation/executors.md`.

mod processes;
mod slurm;
mod task;
mod work;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::durable;
use crate::pipeline::{Executor, SlurmSpec, Stage};
use crate::plan::Graph;
use crate::stages::{Job, Product, Reads, repository_name};

use super::facts::{Observation, Situation};
use super::failure::Failure;
use super::store::Store;
use processes::Process;
use slurm::Rest;
use task::Task;

pub(super) use slurm::Queue;
pub use slurm::{JobCounts, rehearse};
pub use work::{Place, WorkEnd, work};

/// The folder of the tasks, below `.ssp`.
const JOBS: &str = "jobs";

/// The folder of a task. It is removed when its output is published or the stage failed. If this process is killed before, it
/// stays, and the next run takes the result.
pub(super) struct TaskFolder {
    path: PathBuf,
    rest: Rest,
}

impl Drop for TaskFolder {
    fn drop(&mut self) {
        if self.rest == Rest::Remove {
            processes::remove_all(&self.path);
        }
    }
}

/// What a stage made, and the folder from which it comes.
pub(super) struct Made {
    pub product: Product,
    pub folder: Option<TaskFolder>,
}

/// The work of a stage that is to be done.
pub(super) struct Order<'a> {
    pub situation: &'a Situation<'a>,
    pub stage: &'a Stage,
    pub job: &'a Job<'a>,
    pub observation: &'a Observation,
    pub is_forced: bool,
    pub queue: &'a Queue,
    /// Counts from the beginning of the work, not from its submission.
    pub timeout: Option<Duration>,
    /// The log of the stage.
    pub log: PathBuf,
}

impl Order<'_> {
    /// Makes the product of the stage.
    pub(super) fn work(&self, executor: &Executor) -> Result<Made, Failure> {
        match executor {
            Executor::Local => Ok(Made { product: self.stage.work.run(self.job)?, folder: None }),
            Executor::Processes => self.in_a_process(),
            Executor::Slurm(spec) => self.in_slurm(spec),
        }
    }

    /// In a process of its own, or by taking the product of a process that a killed run has started.
    fn in_a_process(&self) -> Result<Made, Failure> {
        let (folder, _) = self.folder(None, |age| age.is_some())?;
        let made = processes::work(self.stage, self.job, &folder.path, self.is_forced);
        // A process that was told to stop has no result.
        let made =
            made.map_err(|failure| if self.job.monitor.is_stopped() { Failure::stopped() } else { failure });
        Ok(Made { product: made?, folder: Some(folder) })
    }

    /// In jobs of Slurm.
    fn in_slurm(&self, spec: &SlurmSpec) -> Result<Made, Failure> {
        let slices = spec.slices_of(self.stage.work.as_ref());
        let (mut folder, task) = self.folder(slices, |age| self.is_forced || age.is_none())?;
        let order = slurm::Order {
            spec,
            queue: self.queue,
            store: self.situation.store,
            pipeline: &self.situation.pipeline.name,
            stage: self.stage,
            folder: &folder.path,
            task: &task,
            slices,
            out: self.job.target,
            monitor: self.job.monitor,
            timeout: self.timeout,
            log: &self.log,
        };
        let products = order.work().map_err(|(failure, rest)| {
            folder.rest = rest;
            failure
        })?;
        let product = match self.stage.work.slices().filter(|_| slices.is_some()) {
            None => products.into_iter().next().unwrap_or_default(),
            Some(sliced) => sliced.merge(self.job, products).map_err(|error| {
                let failure = Failure::from(error);
                // The next run can merge them, if what is wrong passes.
                let may_pass = failure.is_of_the_machine || self.job.monitor.is_stopped();
                folder.rest = if may_pass { Rest::Keep } else { Rest::Remove };
                failure
            })?,
        };
        Ok(Made { product, folder: Some(folder) })
    }

    /// The folder of the task of the stage, and its name. Other tasks of the stage are removed, and this one if what is left of it,
    /// by the age of its submissions, is of no use.
    fn folder(
        &self,
        slices: Option<u32>,
        is_useless: impl Fn(Option<Duration>) -> bool,
    ) -> Result<(TaskFolder, String), Failure> {
        let Self { situation, stage, job, observation, .. } = self;
        let failed = |error: task::Error| Failure::of(&error);
        let sources = &situation.pipeline.sources;
        let butler = sources.butler.as_ref().filter(|_| stage.kind.reads == Reads::Repository);
        let repository = butler.map(|butler| repository_name(sources, &butler.repo));
        let task = Task::of(stage, job, observation, &situation.pipeline.defaults, repository, slices);
        let jobs =
            std::path::absolute(situation.store.path(JOBS)).unwrap_or_else(|_| situation.store.path(JOBS));
        let (name, text) = task.written().map_err(failed)?;
        // Earlier tasks of this stage were for other inputs or settings.
        clear(situation.store, self.queue, |folder, age| {
            let is_useless = folder != name || is_useless(age);
            is_useless && task::stage_of(folder) == Some(stage.name.as_str())
        });
        let path = jobs.join(&name);
        let left = slurm::age(&path);
        if left.is_some() && is_useless(left) {
            // Its jobs could not be cancelled, and may still write into it.
            let message = format!(
                "the jobs of an earlier run of stage `{}` cannot be cancelled now; run again",
                stage.name
            );
            return Err(Failure::saying(message));
        }
        task::write(&path, &text, job.last).map_err(failed)?;
        let folder = TaskFolder { path, rest: Rest::Remove };
        check_target(&folder.path, job.target, stage)?;
        Ok((folder, name))
    }
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

/// Ends the processes that a killed run left, and removes the folders of their tasks. Jobs of Slurm are left to the stage that
/// has submitted them, unless it is `done`, or no pipeline of this name has it any more.
pub(super) fn clear_all(store: &Store, pipeline: &str, graph: &Graph, done: &[&str], queue: &Queue) {
    clear(store, queue, |folder, age| {
        let Some(age) = age else { return true };
        let stage = task::stage_of(folder).unwrap_or_default();
        let is_lost =
            graph.find(stage).is_none() && slurm::pipeline_of(&store.path(JOBS).join(folder)) == pipeline;
        is_lost || slurm::is_old(age) || done.contains(&stage)
    });
    queue.clear(store);
}

/// Removes the folders of tasks that are old, by their names and the ages of their submissions.
fn clear(store: &Store, queue: &Queue, is_old: impl Fn(&str, Option<Duration>) -> bool) {
    let jobs = store.path(JOBS);
    // A link leads to folders that are not ours.
    if fs::symlink_metadata(&jobs).is_ok_and(|there| !there.is_dir()) {
        return;
    }
    for entry in fs::read_dir(jobs).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| task::stage_of(name).is_some()) else { continue };
        let age = slurm::age(&path);
        if !is_old(name, age) {
            continue;
        }
        let is_over = match age {
            Some(_) => slurm::cancel(queue, store, name),
            None => Process::earlier(&path).is_none_or(|mut process| process.end()),
        };
        if is_over {
            processes::remove_all(&path);
        }
    }
}

/// How the jobs of the stages stand, by the names of the stages.
#[must_use]
pub fn job_counts(store: &Store) -> Vec<(String, JobCounts)> {
    let entries = fs::read_dir(store.path(JOBS)).into_iter().flatten().flatten();
    let mut found: Vec<(String, JobCounts)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            Some((task::stage_of(name.to_str()?)?.to_owned(), JobCounts::read(&entry.path())?))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}
