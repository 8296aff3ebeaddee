//! The jobs of one task, from their submission to their results.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::durable;
use crate::errors::Class;
use crate::monitor::Monitor;
use crate::pipeline::SlurmSpec;
use crate::regular;
use crate::run::executor::task::{Ended, RESULTS};
use crate::run::failure::Failure;

use super::command;
use super::counts::JobCounts;
use super::job::{Exit, Job, Mark};
use super::queue::{Answer, Queue, Trouble, accounted, detail, tail};
use super::results::{ExecutionName, Found, Listener, results};
use super::slice::{Slice, excluded};
use super::submission::{Request, Resources, Submission, log, name};
use super::verdict::{Again, End, Verdict, verdict};

/// How often the results are looked for.
const POLL: Duration = Duration::from_secs(1);
/// Lines of a job's log that a failure shows.
const LOG_LINES: usize = 20;
/// The submissions of a task.
pub(super) const SUBMITTED: &str = "submitted.json";

/// A task, and what is known of its jobs.
pub(super) struct Watch<'a> {
    pub spec: &'a SlurmSpec,
    pub queue: &'a Queue,
    pub monitor: &'a Monitor,
    pub pipeline: &'a str,
    pub stage: &'a str,
    /// The folder of the task, a whole path, and its name.
    pub folder: &'a Path,
    pub task: &'a str,
    /// Of the output folder.
    pub id: &'a str,
    pub timeout: Option<Duration>,
    pub is_array: bool,
    pub slices: Vec<Slice>,
    pub submissions: Vec<Submission>,
    pub listener: Listener,
    pub trouble: Trouble,
    pub began: Instant,
    /// When the first job began to work.
    pub working: Option<Instant>,
    pub counts: JobCounts,
}

impl Watch<'_> {
    /// Takes up what an earlier run has submitted, if there is something.
    pub(super) fn attach(&mut self) -> Result<(), Failure> {
        let text = regular::read(&self.folder.join(SUBMITTED)).unwrap_or_default();
        self.submissions = serde_json::from_slice(&text).unwrap_or_default();
        if self.submissions.is_empty() {
            return Ok(());
        }
        // What failed then may succeed now.
        for found in results(self.folder, |_| true) {
            if matches!(found.worked.ended, Ended::Failed { .. }) {
                self.discard(&found.name);
            }
        }
        self.take_results();
        let open = self.slices.iter().filter(|slice| slice.is_open()).count();
        let taken = self.slices.len() - open;
        if taken > 0 {
            let words = if taken == 1 { "1 result".to_owned() } else { format!("{taken} results") };
            self.monitor.warn(&format!("takes {words} of jobs that an earlier run has submitted"));
        }
        let Some(answer) = self.ask(Duration::ZERO)?.filter(|_| open > 0) else { return Ok(()) };
        let mut jobs = Vec::new();
        for index in 0..self.slices.len() {
            let submission = self.submissions.iter().rfind(|one| one.slices.contains(&number(index)));
            let Some(submission) = submission.map(|one| one.number).filter(|_| self.slices[index].is_open())
            else {
                continue;
            };
            self.slices[index].submission = Some(submission);
            if let Some(job) = self.job(index, &answer).filter(|job| !job.is_over()) {
                jobs.push(job.id());
                self.slices[index].submitted(submission);
            }
        }
        if let [first, more @ ..] = jobs.as_slice() {
            let others = if more.is_empty() { String::new() } else { format!(" and {} others", more.len()) };
            self.monitor.warn(&format!("waits for job {first}{others}, which an earlier run has submitted"));
        }
        Ok(())
    }

    /// Waits until each slice has a result or a failure.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        while self.slices.iter().any(Slice::is_open) {
            self.submit()?;
            self.listen();
            self.take_results();
            if self.monitor.is_stopped() || self.is_late() {
                return Err(Failure::stopped());
            }
            self.check_wait()?;
            if self.slices.iter().any(Slice::is_open) {
                self.look(self.spec.poll())?;
            }
            self.counts.write(self.folder, &self.slices);
            if !self.monitor.sleep(POLL) {
                return Err(Failure::stopped());
            }
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        self.timeout.zip(self.working).is_some_and(|(timeout, since)| since.elapsed() >= timeout)
    }

    fn check_wait(&mut self) -> Result<(), Failure> {
        let late = self.spec.queue_timeout.filter(|most| self.began.elapsed() >= most.0);
        if late.is_some() && self.working.is_none() {
            // What is known may be old.
            self.look(Duration::ZERO)?;
        }
        let late = late.filter(|_| self.working.is_none());
        late.map_or(Ok(()), |most| {
            let message = format!(
                "the jobs of stage `{}` waited in the queue of Slurm for longer than `queue_timeout`, {most}",
                self.stage
            );
            Err(Failure::saying(message))
        })
    }

    /// Cancels all jobs of the task.
    pub(super) fn cancel(&self) {
        let done = self.queue.cancel(|job| {
            Mark::read(&job.comment).map_or_else(
                || self.submissions.iter().any(|one| self.is_unmarked(job, one)),
                |mark| mark.id == self.id && mark.task == self.task,
            )
        });
        if let Err(error) = done {
            let why = crate::errors::chain(&error).join(": ");
            let message = format!(
                "the jobs may still be in the queue of Slurm: {why}; to cancel them, run: scancel --name={}",
                name(self.pipeline, self.stage)
            );
            self.monitor.warn(&message);
        }
    }

    /// Removes the result of an execution, which is not to be taken.
    pub(super) fn discard(&self, name: &ExecutionName) {
        let _ = durable::remove(&self.folder.join(RESULTS).join(format!("{name}.json")));
    }

    /// Takes the results that are new.
    pub(super) fn take_results(&mut self) {
        let count = self.slices.len();
        let slices = &mut self.slices;
        let is_new =
            |slice: u32| slices.get(slice as usize).is_some_and(Slice::is_open) && (slice as usize) < count;
        for found in results(self.folder, |name| is_new(name.slice)) {
            let Some(slice) = slices.get_mut(found.name.slice as usize).filter(|slice| slice.is_open())
            else {
                continue;
            };
            slice.outcome = Some(Ok(found));
            self.working.get_or_insert_with(Instant::now);
        }
    }

    fn listen(&mut self) {
        let slices = &self.slices;
        let is_open = |slice: u32| slices.get(slice as usize).is_some_and(Slice::is_open);
        for heard in self.listener.listen(self.folder, self.monitor, is_open) {
            let slice = &mut self.slices[heard.slice as usize];
            if slice.submission == Some(heard.submission) {
                self.working.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Asks Slurm, unless it was asked a short time ago; `None` while it does not answer.
    fn ask(&self, age: Duration) -> Result<Option<Answer>, Failure> {
        self.queue.jobs(age).map_err(|error| failure(&error))
    }

    /// Looks at the jobs of the slices without a result.
    fn look(&mut self, age: Duration) -> Result<(), Failure> {
        let Some(answer) = self.ask(age)? else { return Ok(()) };
        for index in 0..self.slices.len() {
            let slice = &self.slices[index];
            if !slice.is_open() || slice.again.is_some() || answer.at < slice.since {
                continue;
            }
            let job = self.job(index, &answer).cloned();
            self.judge(index, job);
        }
        Ok(())
    }

    /// Does what is to be done about a slice without a result.
    fn judge(&mut self, index: usize, job: Option<Job>) {
        if job.as_ref().is_some_and(|job| job.state == super::job::State::Running) {
            self.working.get_or_insert_with(Instant::now);
        }
        let job = job.or_else(|| self.forgotten(index));
        let slice = &mut self.slices[index];
        if job.as_ref().is_some_and(|job| !job.is_over()) {
            slice.quiet = None;
        } else if slice.quiet.is_none() {
            let end = job
                .as_ref()
                .map(|job| end_of(job, &log_of(self.folder, slice, self.is_array.then_some(index))));
            self.slices[index].quiet = Some((Instant::now(), end.unwrap_or_default()));
            // It may have left its result since the last look.
            self.take_results();
        }
        let slice = &mut self.slices[index];
        slice.job.clone_from(&job);
        if !slice.is_open() {
            return;
        }
        let (since, end) = slice.quiet.unwrap_or((Instant::now(), End::default()));
        let who = who(slice, self.is_array.then_some(index));
        match verdict(job.as_ref(), end, since.elapsed()) {
            Verdict::Wait => {}
            Verdict::Warn(why) => {
                if !std::mem::replace(&mut slice.is_warned, true) {
                    self.monitor.warn(&format!("{who}: {why}"));
                }
            }
            Verdict::Fail(why) => self.fail(index, &format!("{who}: {why}"), &[]),
            Verdict::Again(how, why) => {
                if how == Again::Cancelled {
                    let _ = self.queue.cancel(|other| Some(other) == job.as_ref());
                }
                self.queue.doubt(self.task);
                if slice.again(how, self.spec).is_some() {
                    self.monitor.warn(&format!("{who}: {why}; ssp-run submits it again"));
                } else {
                    let advice = advice(how, slice, self.spec);
                    self.fail(index, &format!("{who}: {why}"), &advice);
                }
            }
        }
    }

    /// The job of a slice that Slurm has forgotten, if the accounting knows it.
    fn forgotten(&self, index: usize) -> Option<Job> {
        let slice = &self.slices[index];
        let submission = self.submissions.iter().find(|one| Some(one.number) == slice.submission)?;
        let number = submission.job.as_ref()?;
        accounted(&if self.is_array { format!("{number}_{index}") } else { number.clone() })
    }

    fn fail(&mut self, index: usize, why: &str, more: &[String]) {
        let slice = &mut self.slices[index];
        let mut errors = vec![why.to_owned()];
        errors.extend_from_slice(more);
        errors
            .extend(tail(Path::new(&log_of(self.folder, slice, self.is_array.then_some(index))), LOG_LINES));
        slice.outcome = Some(Err(Failure::lines(errors)));
    }

    /// The job of a slice, by its mark.
    fn job<'j>(&self, index: usize, answer: &'j Answer) -> Option<&'j Job> {
        let number = self.slices[index].submission?;
        let mark = self.mark(number);
        let submission = self.submissions.iter().find(|one| one.number == number);
        let place = self.is_array.then(|| self::number(index));
        let own = answer.jobs.iter().filter(|job| {
            let is_own = match Mark::read(&job.comment) {
                Some(found) => found == mark,
                None => submission.is_some_and(|submission| self.is_unmarked(job, submission)),
            };
            is_own && job.index == place
        });
        // One that a controller has forgotten can be there a second time.
        own.min_by_key(|job| job.is_over())
    }

    /// Whether a job without our comment is that of a submission: some sites replace the comment.
    fn is_unmarked(&self, job: &Job, submission: &Submission) -> bool {
        submission.job.as_ref() == Some(&job.number) && job.name == name(self.pipeline, self.stage)
    }

    fn mark(&self, submission: u32) -> Mark {
        Mark { id: self.id.to_owned(), task: self.task.to_owned(), submission }
    }

    /// Submits the slices that are due, those with the same resources together.
    fn submit(&mut self) -> Result<(), Failure> {
        if self.trouble.is_pausing() {
            return Ok(());
        }
        let mut due: BTreeMap<Resources, Vec<u32>> = BTreeMap::new();
        for (index, slice) in self.slices.iter().enumerate().filter(|(_, slice)| slice.is_due()) {
            due.entry(slice.resources).or_default().push(number(index));
        }
        for (resources, slices) in due {
            let next = self.submissions.last().map_or(1, |last| last.number + 1);
            self.submissions.push(Submission { number: next, slices: slices.clone(), job: None });
            self.write_submissions()?;
            let mark = self.mark(next);
            let request = Request {
                spec: self.spec,
                resources,
                mark: &mark,
                pipeline: self.pipeline,
                stage: self.stage,
                folder: self.folder,
                slices: &slices,
                is_array: self.is_array,
                excluded: excluded(&self.slices),
            };
            match request.submit() {
                Ok(job) => self.submitted(Some(job)),
                Err(error) if error.is_for_now() => {
                    if self.trouble.is_too_long() {
                        return Err(failure(&error));
                    }
                    self.monitor.warn(&format!("{error}; ssp-run tries again"));
                    // It may have submitted all the same.
                    match self.ask(Duration::ZERO)? {
                        Some(answer)
                            if answer
                                .jobs
                                .iter()
                                .any(|job| Mark::read(&job.comment).as_ref() == Some(&mark)) =>
                        {
                            self.submitted(None);
                        }
                        _ => {
                            self.queue.doubt(self.task);
                            return Ok(());
                        }
                    }
                }
                Err(error) => {
                    let why = crate::errors::chain(&error).join(": ");
                    for slice in slices {
                        self.slices[slice as usize].outcome = Some(Err(Failure::saying(format!(
                            "Slurm does not take the job of stage `{}`: {why}",
                            self.stage
                        ))));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes note that Slurm has the last submission.
    fn submitted(&mut self, job: Option<String>) {
        self.trouble = Trouble::default();
        let Some(last) = self.submissions.last_mut() else { return };
        last.job = job;
        for slice in &last.slices {
            self.slices[*slice as usize].submitted(last.number);
        }
        // The number of the job is only for people, and for sites that replace comments.
        let _ = self.write_submissions();
    }

    fn write_submissions(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(&self.submissions).map_err(|error| Failure::of(&error))?;
        durable::write(&self.folder.join(SUBMITTED), &text).map_err(|error| Failure::of(&error))
    }

    /// The first failure, if a slice failed.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        let failed = self.slices.iter_mut().find(|slice| matches!(slice.outcome, Some(Err(_))))?;
        failed.outcome.take()?.err()
    }

    /// Has a slice made again whose result cannot be used; `false` if that was tried often enough.
    pub(super) fn retry(&mut self, index: usize) -> bool {
        let slice = &mut self.slices[index];
        slice.outcome = None;
        slice.again(Again::Try, self.spec).is_some()
    }

    /// Compares the results of each slice: two that differ are a fault.
    pub(super) fn compare(&self) {
        let taken: Vec<&Found> =
            self.slices.iter().filter_map(|slice| slice.outcome.as_ref()?.as_ref().ok()).collect();
        let differs = |other: &Found| {
            let taken = taken.iter().find(|found| found.name.slice == other.name.slice);
            taken.is_some_and(
                |taken| matches!((taken.digests(), other.digests()), (Some(a), Some(b)) if a != b),
            )
        };
        if results(self.folder, |_| true).iter().any(differs) {
            self.monitor.warn(&format!(
                "two jobs of stage `{}` made different bytes of the same inputs: this is a fault in ssp, please report it",
                self.stage
            ));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "there are at most 10,000 slices")]
fn number(index: usize) -> u32 {
    index as u32
}

/// The name of a job for people.
fn who(slice: &Slice, index: Option<usize>) -> String {
    let job = slice.job.as_ref().map_or_else(|| "the job".to_owned(), |job| format!("job {}", job.id()));
    let node = slice.job.as_ref().map(|job| &job.node).filter(|node| !node.is_empty());
    let node = node.map_or_else(String::new, |node| format!(" on {node}"));
    let slice = index.map_or_else(String::new, |index| format!(" of slice {index}"));
    format!("{job}{slice}{node}")
}

fn log_of(folder: &Path, slice: &Slice, index: Option<usize>) -> String {
    let index = index.map(|index| index.to_string());
    log(folder, slice.submission.unwrap_or_default(), index.as_deref()).replace("%%", "%")
}

/// How a job ended.
fn end_of(job: &Job, log: &str) -> End {
    /// What the daemon of a node writes into the log of a job that it ends.
    const OVER: &str = "exceeded memory limit";
    let exit: Option<Exit> = job.exit.or_else(|| detail(job)?.exit);
    let over_memory =
        tail(Path::new(log), LOG_LINES).iter().any(|line| line.contains(OVER) || line.contains("oom_kill"));
    End { exit, over_memory }
}

/// What to do about a job that may have no more.
fn advice(how: Again, slice: &Slice, spec: &SlurmSpec) -> Vec<String> {
    let line = match how {
        Again::Memory => match slice.resources.mem {
            Some(mem) => format!("the job had {mem} MiB: raise `mem` or `mem_max` of `executor`"),
            None => "write `mem` and `mem_max` into `executor`, so that ssp-run can give the job more memory"
                .to_owned(),
        },
        Again::Time => match slice.resources.time {
            Some(time) => format!("the job had {time} min: raise `time` or `time_max` of `executor`"),
            None => "write `time` and `time_max` into `executor`, so that ssp-run can give the job more time"
                .to_owned(),
        },
        _ => format!("it was submitted {} times, as `retries` allows", spec.retries() + 1),
    };
    vec![line]
}

/// The failure of a stage whose controller is gone.
fn failure(error: &command::Error) -> Failure {
    let class = if error.is_for_now() { Class::Unreachable { for_now: false } } else { Class::Fault };
    Failure { class, ..Failure::of(error) }
}
