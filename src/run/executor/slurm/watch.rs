//! The jobs of one task, while they are waited for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::durable;
use crate::errors::Class;
use crate::pipeline::SlurmSpec;
use crate::run::executor::task::RESULTS;
use crate::run::failure::Failure;
use crate::run::tail::tail;

use super::Order;
use super::command;
use super::counts::JobCounts;
use super::job::{Job, State};
use super::queue::{Answer, Trouble, detail};
use super::results::{ExecutionName, Found, Listener, results};
use super::slice::Slice;
use super::submission::{Submissions, log};
use super::verdict::{Again, End, Verdict, verdict};

/// How often the results are looked for.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// Lines of a job's log that a failure shows.
const LOG_LINES: usize = 20;
/// A job that worked this long less than its limit was ended for that \[s\].
const NEAR_LIMIT: u64 = 120;

/// A task, and what is known of its jobs.
pub(super) struct Watch<'a> {
    pub order: &'a Order<'a>,
    /// Of the output folder.
    pub id: &'a str,
    pub slices: Vec<Slice>,
    pub submissions: Submissions,
    pub unsure: Option<Unsure>,
    /// When the answer was asked for that was looked at last.
    pub looked: Option<Instant>,
    pub listener: Listener,
    pub trouble: Trouble,
    pub began: Instant,
    /// When the first job began to work.
    pub working: Option<Instant>,
    pub counts: JobCounts,
}

/// Submissions that Slurm may have or not: it did not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsure {
    /// An answer after this is needed.
    pub since: Instant,
    /// Whether this run has submitted them.
    pub is_own: bool,
}

impl Watch<'_> {
    /// Waits until each slice has a result or a failure.
    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        loop {
            self.take_results();
            if !self.slices.iter().any(Slice::is_open) {
                return Ok(());
            }
            self.submit()?;
            if !self.slices.iter().any(Slice::is_open) {
                continue;
            }
            self.listen();
            if self.order.monitor.is_stopped() || self.is_late() {
                return Err(Failure::stopped());
            }
            self.check_wait()?;
            self.look(self.order.spec.poll())?;
            self.counts.write(self.order.folder, &self.slices);
            if !self.order.monitor.sleep(POLL) {
                return Err(Failure::stopped());
            }
        }
    }

    fn is_late(&self) -> bool {
        self.order.timeout.zip(self.working).is_some_and(|(timeout, since)| since.elapsed() >= timeout)
    }

    fn check_wait(&mut self) -> Result<(), Failure> {
        let late = self.order.spec.queue_timeout.filter(|most| self.began.elapsed() >= most.0);
        if late.is_some() && self.working.is_none() {
            // What is known may be old.
            self.look(Duration::ZERO)?;
        }
        let late = late.filter(|_| self.working.is_none());
        late.map_or(Ok(()), |most| {
            let message = format!(
                "the jobs of stage `{}` waited in the queue of Slurm for longer than `queue_timeout`, {most}",
                self.order.stage.name
            );
            Err(Failure::saying(message))
        })
    }

    /// Removes the result of an execution, which is not to be taken.
    pub(super) fn discard(&self, name: &ExecutionName) {
        let _ = durable::remove(&self.order.folder.join(RESULTS).join(format!("{name}.json")));
    }

    /// Takes the results that are new.
    pub(super) fn take_results(&mut self) {
        let slices = &mut self.slices;
        let is_new = |name: &ExecutionName| slices.get(name.slice as usize).is_some_and(Slice::is_open);
        for found in results(self.order.folder, is_new) {
            let slice = &mut slices[found.name.slice as usize];
            // Two jobs can have done the same slice.
            if slice.is_open() {
                slice.outcome = Some(Ok(found));
                self.working.get_or_insert_with(Instant::now);
            }
        }
    }

    fn listen(&mut self) {
        let slices = &self.slices;
        let is_open = |slice: u32| slices.get(slice as usize).is_some_and(Slice::is_open);
        for name in self.listener.listen(self.order.folder, self.order.monitor, is_open) {
            if slices[name.slice as usize].submission == Some(name.submission) {
                self.working.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Asks Slurm, unless it was asked a short time ago; `None` while it does not answer.
    pub(super) fn ask(&self, age: Duration) -> Result<Option<Answer>, Failure> {
        self.order.queue.jobs(age).map_err(|error| failure(&error))
    }

    /// Looks at the jobs of the slices without a result.
    fn look(&mut self, age: Duration) -> Result<(), Failure> {
        let is_watched = |slice: &Slice| slice.is_open() && slice.again.is_none();
        let Some(answer) = self.ask(age)? else { return Ok(()) };
        let is_new = self.looked.replace(answer.at) != Some(answer.at);
        if is_new {
            self.see(&answer, is_watched);
        }
        for index in 0..self.slices.len() {
            if is_watched(&self.slices[index]) && answer.at >= self.slices[index].since {
                self.judge(index);
            }
        }
        Ok(())
    }

    /// Takes note of what Slurm says of the jobs.
    fn see(&mut self, answer: &Answer, is_watched: impl Fn(&Slice) -> bool) {
        let watched: Vec<usize> = (0..self.slices.len())
            .filter(|index| is_watched(&self.slices[*index]) && answer.at >= self.slices[*index].since)
            .collect();
        let job = |index: usize| self.job_of(self.slices[index].submission?, index, answer).cloned();
        let mut jobs: Vec<Option<Job>> = watched.iter().map(|index| job(*index)).collect();
        let id = |index: usize| {
            let submission = self.slices[index].submission?;
            let number = self.submissions.list.iter().find(|one| one.number == submission)?.job.as_ref()?;
            Some(if self.order.is_array() { format!("{number}_{index}") } else { number.clone() })
        };
        let forgotten = watched.iter().zip(&jobs).filter(|(_, job)| job.is_none());
        let ids: Vec<String> = forgotten.filter_map(|(index, _)| id(*index)).collect();
        for found in self.order.queue.accounted(&ids) {
            let place = watched.iter().position(|index| id(*index).as_deref() == Some(&found.id()));
            if let Some(place) = place.filter(|_| {
                found.name == super::submission::name(self.order.pipeline, self.order.stage.name.as_str())
            }) {
                jobs[place].get_or_insert(found);
            }
        }
        for (index, job) in watched.into_iter().zip(jobs) {
            if job.as_ref().is_some_and(|job| job.state == State::Running) {
                self.working.get_or_insert_with(Instant::now);
            }
            let log = self.log_of(index);
            let slice = &mut self.slices[index];
            let is_as_before = slice.job.is_some() == job.is_some();
            slice.quiet = match &job {
                Some(job) if !job.is_over() => None,
                _ => slice.quiet.filter(|_| is_as_before).or_else(|| {
                    let end = job.as_ref().map(|job| end_of(job, &log));
                    Some((Instant::now(), end.unwrap_or_default()))
                }),
            };
            slice.job = job;
        }
        // They may have left their results since the last look.
        self.take_results();
    }

    /// Does what is to be done about a slice without a result.
    fn judge(&mut self, index: usize) {
        let log = self.log_of(index);
        let slice = &mut self.slices[index];
        if !slice.is_open() {
            return;
        }
        let who = who(slice, self.order.is_array().then_some(index));
        let end = slice.quiet.map(|(_, end)| end).unwrap_or_default();
        match verdict(slice.job.as_ref(), end, slice.quiet_for()) {
            Verdict::Wait => {}
            Verdict::Warn(why) => {
                if !std::mem::replace(&mut slice.is_warned, true) {
                    self.order.monitor.warn(&format!("{who}: {why}"));
                }
            }
            Verdict::Fail(why) => self.fail(index, vec![format!("{who}: {why}")]),
            Verdict::Again(how, why) => {
                let last = tail(&log, 1).pop().map_or_else(String::new, |line| format!(" (its log: {line})"));
                let job = slice.job.clone();
                let is_again = slice.again(how, self.order.spec).is_some();
                let advice = advice(how, slice, self.order.spec);
                if let Some(job) = job.filter(|_| how == Again::Cancelled) {
                    self.cancel_one(&job);
                }
                self.order.queue.doubt(self.order.task, true);
                if is_again {
                    self.order.monitor.warn(&format!("{who}: {why}; ssp-run submits it again{last}"));
                } else {
                    self.fail(index, vec![format!("{who}: {why}"), advice]);
                }
            }
        }
    }

    fn fail(&mut self, index: usize, mut errors: Vec<String>) {
        errors.extend(tail(&self.log_of(index), LOG_LINES));
        self.slices[index].outcome = Some(Err(Failure::lines(errors)));
    }

    /// The log of the last job of a slice.
    fn log_of(&self, index: usize) -> PathBuf {
        let submission = self.slices[index].submission.unwrap_or_default();
        let index = self.order.is_array().then(|| index.to_string());
        log(self.order.folder, submission, index.as_deref()).replace("%%", "%").into()
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
        slice.again(Again::Try, self.order.spec).is_some()
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
        if results(self.order.folder, |_| true).iter().any(differs) {
            self.order.monitor.warn(&format!(
                "two jobs of stage `{}` made different bytes of the same inputs: this is a fault in ssp, please report it",
                self.order.stage.name
            ));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "there are at most 10,000 slices")]
pub(super) fn number(index: usize) -> u32 {
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

/// How a job ended.
fn end_of(job: &Job, log: &Path) -> End {
    /// What the daemon of a node writes into the log of a job that it ends.
    const OVER: [&str; 2] = ["exceeded memory limit", "oom_kill"];
    let detail = detail(job).unwrap_or_default();
    let at_limit =
        detail.worked.zip(detail.limit).is_some_and(|(worked, limit)| worked + NEAR_LIMIT >= limit);
    let is_over = |line: &String| OVER.iter().any(|over| line.contains(over));
    End { exit: job.exit.or(detail.exit), over_memory: tail(log, LOG_LINES).iter().any(is_over), at_limit }
}

/// What to do about a job that may have no more.
fn advice(how: Again, slice: &Slice, spec: &SlurmSpec) -> String {
    match how {
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
    }
}

/// The failure of a stage whose controller is gone.
pub(super) fn failure(error: &command::Error) -> Failure {
    let class = if error.is_for_now() { Class::Unreachable { for_now: false } } else { Class::Fault };
    Failure { class, ..Failure::of(error) }
}
