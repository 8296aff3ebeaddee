//! The jobs of all stages of a run, as Slurm sees them: one question for all, not more often than is polite.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::run::Error as RunError;
use crate::run::store::Store;
use crate::{durable, regular};

use super::command::{self, call};
use super::job::{Detail, Job, Mark};

/// How long a controller may be silent before its jobs are given up.
const PATIENCE: Duration = Duration::from_mins(30);
/// The longest pause between two questions to a controller that is silent.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);
/// Jobs that one call cancels.
const AT_ONCE: usize = 100;

/// The queue of Slurm, as a run sees it.
#[derive(Debug, Default)]
pub(in crate::run) struct Queue {
    id: Mutex<Option<String>>,
    asked: Mutex<Asked>,
    /// Tasks that may have left further jobs.
    doubtful: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Asked {
    answer: Option<Answer>,
    trouble: Trouble,
}

/// What Slurm answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// When it was asked.
    pub at: Instant,
    pub jobs: Arc<Vec<Job>>,
}

/// A controller that does not answer.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
    next: Option<Instant>,
    pause: Duration,
}

impl Trouble {
    /// Takes note of an error; whether it is time to give up.
    pub(super) fn is_too_long(&mut self) -> bool {
        let now = Instant::now();
        self.pause = (2 * self.pause).clamp(Duration::from_secs(1), LONGEST_PAUSE);
        self.next = Some(now + self.pause);
        now.duration_since(*self.since.get_or_insert(now)) >= PATIENCE
    }

    /// Whether it is too early for another attempt.
    pub(super) fn is_pausing(&self) -> bool {
        self.next.is_some_and(|next| Instant::now() < next)
    }
}

impl Queue {
    /// The id of an output folder, by which its jobs are known among those of others. It is made once.
    pub(super) fn id(&self, store: &Store) -> Result<String, RunError> {
        let mut known = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &*known {
            return Ok(id.clone());
        }
        let path = store.path("id");
        let found = regular::read_to_string(&path).ok().map(|text| text.trim().to_owned());
        let id = if let Some(id) = found.filter(|id| is_id(id)) {
            id
        } else {
            let id = random();
            durable::write(&path, format!("{id}\n").as_bytes())?;
            id
        };
        *known = Some(id.clone());
        Ok(id)
    }

    /// The jobs, as they were at most this time ago. `None` while the controller does not answer.
    ///
    /// # Errors
    /// If it has not answered for half an hour, or never will.
    pub(super) fn jobs(&self, age: Duration) -> Result<Option<Answer>, command::Error> {
        let mut asked = self.asked();
        if let Some(answer) = asked.answer.as_ref().filter(|answer| answer.at.elapsed() < age) {
            return Ok(Some(answer.clone()));
        }
        if asked.trouble.is_pausing() {
            return Ok(None);
        }
        let at = Instant::now();
        match call("squeue", &Job::QUESTION.map(str::to_owned), "") {
            Ok(text) => {
                let jobs = Arc::new(text.lines().filter_map(Job::read).collect());
                *asked = Asked { answer: Some(Answer { at, jobs }), trouble: Trouble::default() };
                Ok(asked.answer.clone())
            }
            Err(error) if error.is_for_now() && !asked.trouble.is_too_long() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the jobs that `is_unwanted` of those that wait or work now; how many.
    pub(super) fn cancel(&self, is_unwanted: impl Fn(&Job) -> bool) -> Result<usize, command::Error> {
        let Some(answer) = self.jobs(Duration::ZERO)? else {
            return Err(command::Error::Late { program: "squeue" });
        };
        let ids: Vec<String> =
            answer.jobs.iter().filter(|job| !job.is_over() && is_unwanted(job)).map(Job::id).collect();
        for some in ids.chunks(AT_ONCE) {
            call("scancel", some, "")?;
        }
        Ok(ids.len())
    }

    /// Takes note that a task may leave further jobs.
    pub(super) fn doubt(&self, task: &str) {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner).insert(task.to_owned());
    }

    /// Cancels what tasks that are done have left: a controller that lost its last seconds queues jobs again that have ended.
    pub(in crate::run) fn clear(&self, store: &Store) {
        let doubtful = std::mem::take(&mut *self.doubtful.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(id) = self.id(store).ok().filter(|_| !doubtful.is_empty()) else { return };
        // It is only tidiness.
        let _ = self.cancel(|job| {
            Mark::read(&job.comment).is_some_and(|mark| mark.id == id && doubtful.contains(&mark.task))
        });
    }
}

/// How a job ended, if the controller still knows.
pub(super) fn detail(job: &Job) -> Option<Detail> {
    let words = ["-o", "show", "job", &job.id()].map(str::to_owned);
    Some(Detail::read(&call("scontrol", &words, "").ok()?))
}

/// What the accounting knows of a job that the controller has forgotten. Many sites have none.
pub(super) fn accounted(id: &str) -> Option<Job> {
    let words = ["-n", "-P", "-X", "-j", id, "--format=State,ExitCode,NodeList"].map(str::to_owned);
    let text = call("sacct", &words, "").ok()?;
    Job::of_accounting(id, text.lines().next()?)
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// 16 hexadecimal digits.
pub(in crate::run::executor) fn random() -> String {
    let mut bytes = [0; 8];
    // It never fails where processes can be started.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// The last lines of a log.
pub(super) fn tail(path: &Path, most: usize) -> Vec<String> {
    let text = regular::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| crate::errors::shown(line)).collect()
}
