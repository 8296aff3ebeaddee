//! One slice of a task: the job that works on it, and how often that was tried.

use std::time::{Duration, Instant};

use crate::pipeline::SlurmSpec;
use crate::run::failure::Failure;
use crate::run::pause::pause;

use super::job::Job;
use super::results::Found;
use super::submission::Resources;
use super::verdict::{Again, End, VISIBLE};

/// A slice of a task.
pub(super) struct Slice {
    /// The submission that is to make its result; `None` before the first.
    pub submission: Option<u32>,
    /// When that was submitted, or taken up.
    pub since: Instant,
    /// When it is to be submitted again, if it is.
    pub again: Option<Instant>,
    pub resources: Resources,
    pub tries: u32,
    /// The nodes that could not do the work.
    pub nodes: Vec<String>,
    /// Its job, as it was when it was last seen.
    pub job: Option<Job>,
    /// Since when the job is over, or unknown, and how it ended.
    pub quiet: Option<(Instant, End)>,
    pub is_warned: bool,
    pub outcome: Option<Result<Found, Failure>>,
    /// Since when the files of its result are not to be seen.
    missing: Option<Instant>,
}

impl Slice {
    pub(super) fn new(resources: Resources) -> Self {
        let now = Instant::now();
        Self {
            submission: None,
            since: now,
            again: Some(now),
            resources,
            tries: 0,
            nodes: Vec::new(),
            job: None,
            quiet: None,
            is_warned: false,
            outcome: None,
            missing: None,
        }
    }

    /// How long its job has been over or unknown.
    pub(super) fn quiet_for(&self) -> Duration {
        self.quiet.map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    pub(super) fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// Whether the files of its result, which are there or not, may still become visible.
    pub(super) fn is_too_soon(&mut self, is_there: bool) -> bool {
        let since = self.missing.unwrap_or_else(Instant::now);
        // The next result has a time of its own.
        self.missing = (!is_there && since.elapsed() < VISIBLE).then_some(since);
        self.missing.is_some()
    }

    /// Whether a job is to be submitted for it now.
    pub(super) fn is_due(&self) -> bool {
        self.is_open() && self.again.is_some_and(|again| Instant::now() >= again)
    }

    /// Takes note of a submission that is to make its result.
    pub(super) fn submitted(&mut self, number: u32) {
        (self.submission, self.since, self.again) = (Some(number), Instant::now(), None);
        (self.job, self.quiet, self.is_warned) = (None, None, false);
    }

    /// Has it submitted again, after a pause; `None` if it was tried often enough, or may have no more.
    pub(super) fn again(&mut self, how: Again, spec: &SlurmSpec) -> Option<()> {
        match how {
            Again::Try | Again::Cancelled | Again::Elsewhere => {
                if self.tries >= spec.retries() {
                    return None;
                }
                self.tries += 1;
            }
            Again::Free => {}
            Again::Memory => self.resources = self.resources.with_more_memory(spec)?,
            Again::Time => self.resources = self.resources.with_more_time(spec)?,
        }
        if how == Again::Elsewhere {
            self.nodes.extend(self.job.as_ref().map(|job| job.node.clone()));
        }
        self.again = Some(Instant::now() + pause(self.tries.saturating_sub(1)));
        Some(())
    }
}

/// The nodes that failed at least twice.
pub(super) fn excluded(slices: &[Slice]) -> Vec<String> {
    let mut nodes: Vec<&str> = slices.iter().flat_map(|slice| &slice.nodes).map(String::as_str).collect();
    nodes.sort_unstable();
    let twice = nodes.chunk_by(|a, b| a == b).filter(|same| same.len() >= 2 && !same[0].is_empty());
    twice.map(|same| same[0].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_tried_as_often_as_allowed_and_a_preemption_does_not_count() {
        let spec = SlurmSpec { retries: Some(2), ..SlurmSpec::default() };
        let mut slice = Slice::new(Resources::default());
        for _ in 0..10 {
            assert!(slice.again(Again::Free, &spec).is_some());
        }
        assert!(slice.again(Again::Try, &spec).is_some() && slice.again(Again::Cancelled, &spec).is_some());
        assert!(slice.again(Again::Elsewhere, &spec).is_none());
        assert!(slice.again(Again::Memory, &spec).is_none());
    }

    #[test]
    fn the_files_of_each_result_have_the_whole_time_to_become_visible() {
        let mut slice = Slice::new(Resources::default());
        for is_there in [true, false] {
            assert!(slice.is_too_soon(false));
            slice.missing = Instant::now().checked_sub(VISIBLE);
            assert!(!slice.is_too_soon(is_there));
        }
        assert!(slice.is_too_soon(false));
    }

    #[test]
    fn a_node_that_fails_twice_is_excluded() {
        let node = |names: &[&str]| Slice {
            nodes: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Slice::new(Resources::default())
        };
        assert_eq!(excluded(&[node(&["a", "b"]), node(&["b", "", ""])]), ["b"]);
    }
}
