//! One run at a time per output folder: an advisory lock that the kernel holds and that dies with the process.
//!
//! The file's content does not lock: it tells people who holds the lock, and which stages are running. What a killed run
//! leaves there tells the next one which stages it had started.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::monitor::Monitor;
use crate::pipeline::StageName;
use crate::regular;

use super::Error;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// Its process.
    pub pid: u32,
    /// The machine that it runs on.
    pub host: String,
    /// When it began.
    pub since: DateTime<Utc>,
    /// The stages that are running.
    pub stages: Vec<StageName>,
}

impl Holder {
    /// This process, for a run.
    #[must_use]
    pub fn this_process(run: &str, since: DateTime<Utc>) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            run: run.to_owned(),
            pid: std::process::id(),
            host: host.trim().to_owned(),
            since,
            stages: Vec::new(),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let age = Utc::now().signed_duration_since(self.since).num_seconds().max(0);
        write!(f, "run {} (process {} on {}, for {age} s", self.run, self.pid, self.host)?;
        if !self.stages.is_empty() {
            let names: Vec<&str> = self.stages.iter().map(StageName::as_str).collect();
            write!(f, ", at {}", names.join(", "))?;
        }
        f.write_str(")")
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// What a run that was killed left in the file.
    pub left_behind: Option<Holder>,
}

/// How often a wait for the lock looks again.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait for those who only ask whether the lock is held.
const PATIENCE: Duration = Duration::from_secs(10);

impl Lock {
    /// Takes the lock of a folder, waiting up to `timeout` for another run to end.
    ///
    /// # Errors
    /// [`Error::Locked`] if another run still holds it; [`Error::Interrupted`] if the monitor is stopped while this one waits;
    /// [`Error::Write`] if the file cannot be opened; [`Error::Lock`] if it cannot be locked.
    pub fn take(path: &Path, timeout: Duration, monitor: &Monitor) -> Result<Self, Error> {
        let failed = |source| Error::Lock { path: path.to_owned(), source };
        let file = durable::open_lock(path)?;
        let deadline = Instant::now() + timeout;
        let patience = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if monitor.is_stopped() => return Err(Error::Interrupted),
                // Who asks whether it is held shares it for a moment; a run does not share it.
                Err(TryLockError::WouldBlock)
                    if Instant::now() < patience && file.try_lock_shared().is_ok() =>
                {
                    file.unlock().map_err(failed)?;
                    thread::sleep(POLL / 10);
                }
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { lock: path.to_owned(), holder: holder(path) });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let left_behind = holder(path);
        Ok(Self { file, path: path.to_owned(), left_behind })
    }

    /// Whether the lock is held by this run, or by one that did not say who it is.
    #[must_use]
    pub fn may_be_held_by(path: &Path, run: &str) -> bool {
        is_held(path) && holder(path).is_none_or(|holder| holder.run == run)
    }

    /// The run that holds the lock of a folder, if it is held and the run is named there.
    #[must_use]
    pub fn holder(path: &Path) -> Option<Holder> {
        if is_held(path) { holder(path) } else { None }
    }

    /// Tells others who holds the lock.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tell(&mut self, holder: &Holder) -> Result<(), Error> {
        let text = serde_json::to_string(holder)
            .map_err(|source| Error::Json { name: "lock".to_owned(), source })?;
        self.set(&text)
    }

    /// Lets go of the lock after a run that ended by itself.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn release(mut self) -> Result<(), Error> {
        self.set("")
    }

    /// In one write, over all that the file held: a process that is killed meanwhile leaves the old content or the new.
    fn set(&mut self, text: &str) -> Result<(), Error> {
        let mut write = || -> io::Result<()> {
            let before = usize::try_from(self.file.metadata()?.len()).unwrap_or(0);
            self.file.rewind()?;
            self.file.write_all(format!("{text:before$}").as_bytes())?;
            self.file.set_len(text.len() as u64)
        };
        write().map_err(|source| Error::Lock { path: self.path.clone(), source })
    }
}

fn is_held(path: &Path) -> bool {
    let would_block = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    regular::open(path).is_ok_and(would_block)
}

fn holder(path: &Path) -> Option<Holder> {
    serde_json::from_str(&regular::read_to_string(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".ssp/lock");
        let mut first = Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap();
        let mut holder = Holder::this_process("20260302T061500Z", Utc::now());
        holder.stages = vec!["obs_sbn".into()];
        first.tell(&holder).unwrap();
        let error = Lock::take(&path, Duration::from_millis(150), &Monitor::default()).unwrap_err();
        assert!(matches!(&error, Error::Locked { holder: Some(h), .. } if *h == holder), "{error}");
        first.release().unwrap();
        assert!(Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap().left_behind.is_none());
    }

    #[test]
    fn who_asks_whether_it_is_held_refuses_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        drop(Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap());
        let probe = File::open(&path).unwrap();
        probe.try_lock_shared().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(POLL * 3);
                drop(probe);
            });
            Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap();
        });
    }

    #[test]
    fn a_killed_run_leaves_its_stages_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut first = Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap();
        let mut holder = Holder::this_process("r", Utc::now());
        holder.stages = vec!["a".into()];
        first.tell(&holder).unwrap();
        // The kernel lets go when the process ends: here, when the file is closed.
        drop(first);
        assert_eq!(Lock::take(&path, Duration::ZERO, &Monitor::default()).unwrap().left_behind, Some(holder));
    }
}
