//! The submissions of a task: what an earlier run has submitted is taken up, what is missing is submitted.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::errors;
use crate::run::executor::task::Ended;
use crate::run::failure::Failure;

use super::job::{Job, Mark};
use super::queue::{Answer, TOGETHER, random};
use super::results::results;
use super::slice::excluded;
use super::submission::{Request, Resources, Submission, Submissions, name};
use super::watch::{Unsure, Watch, failure, number};

impl Watch<'_> {
    /// Takes the results of an earlier run, if it has left some.
    pub(super) fn attach(&mut self) {
        let found = Submissions::read(self.order.folder);
        self.submissions.list = found.list;
        if self.submissions.list.is_empty() {
            return;
        }
        // What failed then may succeed now.
        for found in results(self.order.folder, |_| true) {
            if matches!(found.worked.ended, Ended::Failed { .. }) {
                self.discard(&found.name);
            }
        }
        self.take_results();
        let open = self.slices.iter().filter(|slice| slice.is_open()).count();
        let taken = self.slices.len() - open;
        if taken > 0 {
            let words = if taken == 1 { "1 result".to_owned() } else { format!("{taken} results") };
            self.order.monitor.warn(&format!("takes {words} of jobs that an earlier run has submitted"));
        }
        if open > 0 {
            self.unsure = Some(Unsure { since: Instant::now(), is_own: false });
        }
    }

    /// Finds the jobs of unsure submissions. Until then, no more jobs are submitted.
    pub(super) fn find(&mut self) -> Result<(), Failure> {
        let Some(Unsure { since, is_own }) = self.unsure else { return Ok(()) };
        let age = if is_own { since.elapsed() } else { TOGETHER };
        let Some(answer) = self.ask(age)? else { return Ok(()) };
        self.unsure = None;
        let mut jobs = Vec::new();
        for index in 0..self.slices.len() {
            if !self.slices[index].is_due() {
                continue;
            }
            let Some(last) = self.submissions.list.iter().rfind(|one| one.slices.contains(&number(index)))
            else {
                continue;
            };
            let last = last.number;
            // A job of an earlier run that is over and has no result is done again.
            if let Some(job) = self.job_of(last, index, &answer).filter(|job| is_own || !job.is_over()) {
                jobs.push(job.id());
                self.slices[index].submitted(last);
            }
        }
        if let ([first, more @ ..], false) = (jobs.as_slice(), is_own) {
            let others = if more.is_empty() { String::new() } else { format!(" and {} others", more.len()) };
            self.order
                .monitor
                .warn(&format!("waits for job {first}{others}, which an earlier run has submitted"));
        }
        Ok(())
    }

    /// The job of a slice in a submission, by its mark.
    pub(super) fn job_of<'j>(&self, submission: u32, index: usize, answer: &'j Answer) -> Option<&'j Job> {
        let submission = self.submissions.list.iter().find(|one| one.number == submission)?;
        let mark = self.mark(submission);
        let place = self.order.is_array().then(|| number(index));
        let own = answer.jobs.iter().filter(|job| {
            let is_own = match Mark::read(&job.comment) {
                Some(found) => found == mark,
                None => self.is_unmarked(job, submission),
            };
            is_own && job.index == place
        });
        // One that a controller has forgotten can be there a second time.
        own.min_by_key(|job| job.is_over())
    }

    /// Whether a job without our comment is that of a submission: some sites replace the comment.
    fn is_unmarked(&self, job: &Job, submission: &Submission) -> bool {
        submission.job.as_ref() == Some(&job.number)
            && job.name == name(self.order.pipeline, self.order.stage.name.as_str())
    }

    fn mark(&self, submission: &Submission) -> Mark {
        Mark {
            id: self.id.to_owned(),
            task: self.order.task.to_owned(),
            submission: submission.number,
            nonce: submission.nonce.clone(),
        }
    }

    /// Submits the slices that are due, those with the same resources together.
    pub(super) fn submit(&mut self) -> Result<(), Failure> {
        self.find()?;
        if self.unsure.is_some() || self.trouble.is_pausing() {
            return Ok(());
        }
        let mut due: BTreeMap<Resources, Vec<u32>> = BTreeMap::new();
        for (index, slice) in self.slices.iter().enumerate().filter(|(_, slice)| slice.is_due()) {
            due.entry(slice.resources).or_default().push(number(index));
        }
        for (resources, slices) in due {
            let next = self.submissions.list.last().map_or(1, |last| last.number + 1);
            let submission = Submission { number: next, nonce: random(), slices, job: None };
            let mark = self.mark(&submission);
            self.submissions.list.push(submission.clone());
            self.submissions.write(self.order.folder)?;
            let request = Request {
                spec: self.order.spec,
                resources,
                mark: &mark,
                pipeline: self.order.pipeline,
                stage: self.order.stage.name.as_str(),
                folder: self.order.folder,
                slices: &submission.slices,
                is_array: self.order.is_array(),
                excluded: excluded(&self.slices),
            };
            match request.submit() {
                Ok(job) => self.submitted(job),
                Err(error) if error.is_for_now() => {
                    if self.trouble.is_too_long() {
                        return Err(failure(&error));
                    }
                    self.order.monitor.warn(&format!("{error}; ssp-run tries again"));
                    // It may have submitted all the same.
                    self.unsure = Some(Unsure { since: Instant::now(), is_own: true });
                    self.order.queue.doubt(self.order.task, true);
                    return Ok(());
                }
                // No other node is left.
                Err(_) if !request.excluded.is_empty() => {
                    self.slices.iter_mut().for_each(|slice| slice.nodes.clear());
                }
                Err(error) => {
                    // Slurm does not have it.
                    self.submissions.list.pop();
                    let why = errors::chain(&error).join(": ");
                    let message =
                        format!("Slurm does not take the job of stage `{}`: {why}", self.order.stage.name);
                    for slice in submission.slices {
                        self.slices[slice as usize].outcome = Some(Err(Failure::saying(message.clone())));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes note that Slurm has the last submission.
    fn submitted(&mut self, job: String) {
        self.trouble = super::queue::Trouble::default();
        let Some(last) = self.submissions.list.last_mut() else { return };
        last.job = Some(job);
        for slice in &last.slices {
            self.slices[*slice as usize].submitted(last.number);
        }
        // The number of the job is only for people, and for sites that replace comments.
        let _ = self.submissions.write(self.order.folder);
    }

    /// Cancels all jobs of the task; whether that is certain.
    pub(super) fn cancel(&self) -> bool {
        if self.submissions.list.is_empty() {
            return true;
        }
        let since = self.slices.iter().map(|slice| slice.since).max().unwrap_or_else(Instant::now);
        let done = self.order.queue.cancel(since, |job| {
            Mark::read(&job.comment).map_or_else(
                || self.submissions.list.iter().any(|one| self.is_unmarked(job, one)),
                |mark| mark.id == self.id && mark.task == self.order.task,
            )
        });
        if let Err(error) = &done {
            let why = errors::chain(error).join(": ");
            let numbers: Vec<&str> =
                self.submissions.list.iter().filter_map(|one| one.job.as_deref()).collect();
            let advice = if numbers.is_empty() {
                "squeue --me".to_owned()
            } else {
                format!("scancel {}", numbers.join(" "))
            };
            self.order.monitor.warn(&format!(
                "the jobs may still be in the queue of Slurm: {why}; the next run cancels them or uses them; to cancel them now, \
                 run: {advice}"
            ));
        }
        done.is_ok()
    }

    /// Cancels one job.
    pub(super) fn cancel_one(&self, job: &Job) {
        let _ = self
            .order
            .queue
            .cancel(Instant::now(), |other| other.id() == job.id() && other.comment == job.comment);
    }
}
