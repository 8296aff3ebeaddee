//! The jobs of all stages of a run, as Slurm sees them: one question for all, not more often than is polite.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
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
/// Questions that come within this time are one.
pub(super) const TOGETHER: Duration = Duration::from_secs(1);
/// Jobs that one call cancels.
const AT_ONCE: usize = 100;

/// The queue of Slurm, as a run sees it.
#[derive(Debug, Default)]
pub(in crate::run) struct Queue {
    id: Mutex<Option<String>>,
    asked: Mutex<Asked>,
    /// Tasks that may have left further jobs.
    doubtful: Mutex<BTreeSet<String>>,
    has_no_accounting: AtomicBool,
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
    /// The id of an output folder, by which its jobs are known among those of others. It is made once; the copy of a folder
    /// gets another one.
    pub(super) fn id(&self, store: &Store) -> Result<String, RunError> {
        let mut known = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &*known {
            return Ok(id.clone());
        }
        let path = store.path("id");
        let folder = store.path("");
        let inode =
            std::fs::metadata(&folder).map_err(|source| RunError::Read { path: folder, source })?.ino();
        let text = regular::read_to_string(&path).unwrap_or_default();
        let found = text.split_once(' ').filter(|(id, of)| is_random(id) && of.trim() == inode.to_string());
        let id = if let Some((id, _)) = found {
            id.to_owned()
        } else {
            let id = random();
            durable::write(&path, format!("{id} {inode}\n").as_bytes())?;
            id
        };
        *known = Some(id.clone());
        Ok(id)
    }

    /// The jobs, as they were at most this time before this call. `None` while the controller does not answer.
    ///
    /// # Errors
    /// If it has not answered for half an hour, or there is no Slurm.
    pub(super) fn jobs(&self, age: Duration) -> Result<Option<Answer>, command::Error> {
        let oldest = Instant::now().checked_sub(age);
        let mut asked = self.asked();
        if let Some(answer) =
            asked.answer.as_ref().filter(|answer| oldest.is_none_or(|oldest| answer.at >= oldest))
        {
            return Ok(Some(answer.clone()));
        }
        if asked.trouble.is_pausing() {
            return Ok(None);
        }
        match ask() {
            Ok(answer) => {
                *asked = Asked { answer: Some(answer.clone()), trouble: Trouble::default() };
                Ok(Some(answer))
            }
            // Any error may pass: results need no answer.
            Err(error) if !matches!(error, command::Error::Start { .. }) && !asked.trouble.is_too_long() => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels the jobs that `is_unwanted` of those that wait or work now. An answer after `since`, the last submission, will do.
    ///
    /// # Errors
    /// If it is not certain that they are cancelled.
    pub(super) fn cancel(
        &self,
        since: Instant,
        is_unwanted: impl Fn(&Job) -> bool,
    ) -> Result<(), command::Error> {
        // Many stages that are stopped together need one answer.
        let oldest = Instant::now().checked_sub(TOGETHER).map_or(since, |oldest| oldest.max(since));
        let answer = {
            let mut asked = self.asked();
            match asked.answer.as_ref().filter(|answer| answer.at >= oldest) {
                Some(answer) => answer.clone(),
                None => asked.answer.insert(ask()?).clone(),
            }
        };
        let ids: Vec<String> =
            answer.jobs.iter().filter(|job| !job.is_over() && is_unwanted(job)).map(Job::id).collect();
        ids.chunks(AT_ONCE).try_for_each(|some| call("scancel", some, "").map(drop))
    }

    /// Takes note that a task may leave further jobs, or that what it leaves is wanted.
    pub(super) fn doubt(&self, task: &str, is_doubtful: bool) {
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        if is_doubtful {
            doubtful.insert(task.to_owned());
        } else {
            doubtful.remove(task);
        }
    }

    /// Cancels what tasks that are done have left: a controller that lost its last seconds queues jobs again that have ended.
    pub(in crate::run) fn clear(&self, store: &Store) {
        let doubtful = std::mem::take(&mut *self.doubtful.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(id) = self.id(store).ok().filter(|_| !doubtful.is_empty()) else { return };
        // It is only tidiness.
        let _ = self.cancel(Instant::now(), |job| {
            Mark::read(&job.comment).is_some_and(|mark| mark.id == id && doubtful.contains(&mark.task))
        });
    }

    /// What the accounting knows of the ends of jobs that the controller has forgotten. Many sites have none.
    pub(super) fn accounted(&self, ids: &[String]) -> Vec<Job> {
        if ids.is_empty() || self.has_no_accounting.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let words = Job::ACCOUNTING.iter().map(|word| (*word).to_owned()).chain([ids.join(",")]);
        let found = call("sacct", &words.collect::<Vec<_>>(), "");
        self.has_no_accounting.store(found.is_err(), Ordering::Relaxed);
        // A job that works in its books only was lost.
        found.unwrap_or_default().lines().filter_map(Job::of_accounting).filter(Job::is_over).collect()
    }
}

/// Asks Slurm for all jobs of this user.
fn ask() -> Result<Answer, command::Error> {
    let at = Instant::now();
    let text = call("squeue", &Job::QUESTION.map(str::to_owned), "")?;
    Ok(Answer { at, jobs: Arc::new(text.lines().filter_map(Job::read).collect()) })
}

/// How a job ended, if the controller still knows.
pub(super) fn detail(job: &Job) -> Option<Detail> {
    let words = ["-o", "show", "job", &job.id()].map(str::to_owned);
    Some(Detail::read(&call("scontrol", &words, "").ok()?))
}

/// Whether a text may be one of [`random`].
pub(super) fn is_random(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// 16 hexadecimal digits.
pub(in crate::run::executor) fn random() -> String {
    let mut bytes = [0; 8];
    // It never fails where processes can be started.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}
