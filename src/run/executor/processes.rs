//! A stage in a process of its own, on this machine: it is started, or was by a run that was killed, and waited for.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable;
use crate::errors;
use crate::monitor::{Monitor, POLL};
use crate::pipeline::{Stage, StageName};
use crate::regular;
use crate::run::failure::Failure;
use crate::run::process_group;
use crate::run::tail::tail;
use crate::stages::{Job, Product};

use super::task::{Error, FILES, RESULT, SAID, Said, Worked};

/// Held by the process for as long as it lives: it is its standard input.
const LOCK: &str = "lock";
/// Its standard error.
const LOG: &str = "log";
/// Exit codes above this are of signals.
const SIGNALS: i32 = 128;
/// Signals that come within this time are for all processes.
const ONE_EVENT: Duration = Duration::from_secs(1);
/// What the kernel sends when memory runs out.
const SIGKILL: i32 = 9;
/// How long a process may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of its log that a failure shows.
const LOG_LINES: usize = 20;
/// Makes the process the first to be ended when the memory of the machine runs out, and becomes it. It outlives a terminal that
/// is closed: only its run ends it.
const SHELL: &str = r#"trap '' HUP; echo 500 2>/dev/null >/proc/self/oom_score_adj; exec "$0" "$@""#;

/// Makes the product of a stage whose task is in `folder`.
pub(super) fn work(stage: &Stage, job: &Job<'_>, folder: &Path, is_forced: bool) -> Result<Product, Failure> {
    let product = |mut process: Process| {
        process.wait(job.monitor);
        process.product(&stage.name, job.target)
    };
    let earlier = Process::earlier(folder).and_then(|mut process| {
        if is_forced {
            process.end();
        }
        process.tell(job.monitor);
        // What failed then may succeed now.
        product(process).ok().filter(|_| !is_forced)
    });
    match earlier {
        Some(product) => Ok(product),
        None if job.monitor.is_stopped() => Err(Failure::stopped()),
        None => {
            remove_all(&folder_of(folder));
            let started = Process::start(folder, job.threads).map_err(|error| Failure::of(&error))?;
            product(started)
        }
    }
}

/// Removes a folder, or what is in its place. If that fails, a later run tries again, or says what is in the way.
pub(super) fn remove_all(path: &Path) {
    let _ = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => durable::remove_folder(path),
        _ => durable::remove(path),
    };
}

fn folder_of(task: &Path) -> PathBuf {
    task.join("execution")
}

/// A process that works on a task, or has.
pub(super) struct Process {
    folder: PathBuf,
    /// `None` if an earlier run started it.
    child: Option<Child>,
    pid: Option<u32>,
    said: Option<BufReader<File>>,
    /// A line that is not whole.
    line: String,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a process for the task of a folder.
    fn start(task: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let folder = folder_of(task);
        durable::new_folder(&folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
        let lock = durable::open_lock(&folder.join(LOCK))?;
        lock.lock().map_err(Error::Start)?;
        let (said, log) = (durable::append(&folder.join(SAID))?, durable::append(&folder.join(LOG))?);
        // The program that runs, also if another one has its name by now.
        let own = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let named = std::env::current_exe().map_err(Error::Start)?;
        let program = if own.exists() && !durable::is_same_file(&own, &named) { own } else { named };
        let child = Command::new("/bin/sh")
            .args(["-c", SHELL])
            .arg(program)
            .arg("work")
            .arg(&folder)
            .args(["-j", &threads.to_string()])
            .stdin(lock)
            .stdout(said)
            .stderr(log)
            // A Ctrl-C is for the run, which then ends its processes.
            .process_group(0)
            .spawn()
            .map_err(Error::Start)?;
        let pid = Some(child.id());
        Ok(Self { child: Some(child), pid, ..Self::of(folder) })
    }

    /// The process that a run that was killed had started for a task, if it works or has a result.
    pub(super) fn earlier(task: &Path) -> Option<Self> {
        let mut process = Self::of(folder_of(task));
        if process.is_running() || process.folder.join(RESULT).exists() {
            process.listen(None);
            return Some(process);
        }
        None
    }

    fn of(folder: PathBuf) -> Self {
        Self { folder, child: None, pid: None, said: None, line: String::new(), status: None }
    }

    /// Says that there is a process, which is not news of a stage that runs as usual.
    fn tell(&self, monitor: &Monitor) {
        if let Some(pid) = self.pid.filter(|_| self.is_running()) {
            monitor.warn(&format!("waits for process {pid}, which a run that was killed has started"));
        }
    }

    fn is_running(&self) -> bool {
        match regular::open(&self.folder.join(LOCK)) {
            Ok(lock) => matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)),
            // If it cannot be seen, it must not be started again beside itself.
            Err(error) => self.child.is_some() && error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Whether a process is the one that holds the lock: another machine may have one of the same number.
    fn is_ours(&self, pid: u32) -> bool {
        let identity = |path: &Path| fs::metadata(path).map(|there| (there.dev(), there.ino())).ok();
        let lock = identity(&self.folder.join(LOCK));
        lock.is_some() && identity(&PathBuf::from(format!("/proc/{pid}/fd/0"))) == lock
    }

    /// Waits for the end of the process, and tells the monitor what it says. It is told to end when the monitor is stopped.
    fn wait(&mut self, monitor: &Monitor) {
        if self.child.is_none() {
            // Again from the beginning: what an earlier run was told, this one was not.
            self.said = None;
            self.line.clear();
        }
        loop {
            let is_running = self.is_running();
            self.listen(Some(monitor));
            if !is_running {
                break;
            }
            if monitor.is_stopped() {
                self.end();
                break;
            }
            thread::sleep(POLL);
        }
        self.status = self.child.as_mut().and_then(|child| child.wait().ok());
        // A signal to all processes may reach this one first.
        let was_told = self.status.is_some_and(|status| status.code().is_some_and(|code| code > SIGNALS));
        let since = Instant::now();
        while was_told && !monitor.is_stopped() && since.elapsed() < ONE_EVENT {
            thread::sleep(POLL);
        }
    }

    /// Ends the process: by SIGTERM, as a run is ended, and by SIGKILL if that takes too long. Whether it has ended: one of
    /// another machine cannot be told.
    pub(super) fn end(&mut self) -> bool {
        for signal in ["TERM", "KILL"] {
            let since = Instant::now();
            let mut is_told = false;
            while self.is_running() && since.elapsed() < GRACE {
                self.listen(None);
                // Once: a second signal ends it at once.
                if let Some(pid) = self.pid.filter(|_| !is_told) {
                    if !self.is_ours(pid) {
                        return !self.is_running();
                    }
                    let _ = process_group::signal(signal, pid);
                    is_told = true;
                }
                thread::sleep(POLL);
            }
        }
        !self.is_running()
    }

    /// Reads what the process has said since the last time.
    fn listen(&mut self, monitor: Option<&Monitor>) {
        if self.said.is_none() {
            self.said = regular::open(&self.folder.join(SAID)).ok().map(BufReader::new);
        }
        let Some(said) = &mut self.said else { return };
        while said.read_line(&mut self.line).is_ok_and(|count| count > 0) && self.line.ends_with('\n') {
            let found = serde_json::from_str::<Said>(&self.line);
            self.line.clear();
            match (found, monitor) {
                (Ok(Said::Process(pid)), _) => self.pid = Some(pid),
                (Ok(Said::Expect(rows)), Some(monitor)) => monitor.expect(rows),
                (Ok(Said::Advance { rows, bytes }), Some(monitor)) => monitor.advance(rows, bytes),
                (Ok(Said::Warn(message)), Some(monitor)) => monitor.warn(&errors::shown(&message)),
                _ => {}
            }
        }
    }

    /// What the process made, its files to be published as `target`, or why it made nothing.
    fn product(&self, stage: &StageName, target: &Path) -> Result<Product, Failure> {
        let files = self.folder.join(FILES);
        let path = self.folder.join(RESULT);
        let result = regular::read(&path).map_err(|_| self.no_result(stage))?;
        let worked: Worked =
            serde_json::from_slice(&result).map_err(|source| Failure::of(&Error::Form { path, source }))?;
        worked.ended.product(&files, target)
    }

    /// The failure of a process that ended before it could say why, with the end of its log.
    fn no_result(&self, stage: &StageName) -> Failure {
        let how = self.status.map_or_else(String::new, |status| format!(": {status}"));
        let mut errors = vec![format!("the process of stage `{stage}` ended without a result{how}")];
        if self.status.is_none_or(|status| status.signal() == Some(SIGKILL)) {
            let hint = "the system ends a process with SIGKILL when the memory of the machine runs out";
            errors.push(hint.to_owned());
        }
        errors.extend(tail(&self.folder.join(LOG), LOG_LINES));
        Failure::lines(errors)
    }
}
