//! One process that works on a task, seen from the run: it is started, or was by a run that was killed, and waited for.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead as _, BufReader};
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable;
use crate::errors::Class;
use crate::monitor::{Monitor, POLL};
use crate::pipeline::StageName;
use crate::regular;
use crate::run::failure::Failure;
use crate::stages::Product;

use super::task::{Ended, Error, FILES, RESULT, Said};

/// Held by the process for as long as it lives: it is its standard input.
const LOCK: &str = "lock";
/// What it says while it works, a line of JSON each.
const SAID: &str = "said";
/// Its standard error.
const LOG: &str = "log";
/// How long a process may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of its log that a failure shows.
const LOG_LINES: usize = 20;
/// Makes the process the first to be ended when the memory of the machine runs out, and becomes it. It outlives a terminal that
/// is closed: only its run ends it.
const SHELL: &str = r#"trap '' HUP; echo 500 2>/dev/null >/proc/self/oom_score_adj; exec "$0" "$@""#;

/// Why there is no product.
pub(super) enum NoProduct {
    /// The stage failed, and would again.
    Failed(Failure),
    /// There is no result, or it is not whole.
    NoResult(Failure),
}

/// Removes what a process left that cannot be used.
pub(super) fn remove(task: &Path) {
    // If it cannot be removed, no other process can be started, which is told then.
    let _ = durable::remove_folder(&folder_of(task));
}

fn folder_of(task: &Path) -> PathBuf {
    task.join("execution")
}

impl NoProduct {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::NoResult(Failure::of(error))
    }

    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) | Self::NoResult(failure) => failure,
        }
    }
}

/// A process that works on a task, or has.
pub(super) struct Execution {
    folder: PathBuf,
    /// `None` if an earlier run started it.
    child: Option<Child>,
    process: Option<u32>,
    said: Option<BufReader<File>>,
    /// A line that is not whole.
    line: String,
    status: Option<ExitStatus>,
}

impl Execution {
    /// Starts a process for the task of a folder.
    pub(super) fn start(task: &Path, threads: NonZeroUsize) -> Result<Self, Error> {
        let folder = folder_of(task);
        durable::new_folder(&folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
        let lock = durable::open_lock(&folder.join(LOCK))?;
        lock.lock().map_err(Error::Start)?;
        let (said, log) = (durable::append(&folder.join(SAID))?, durable::append(&folder.join(LOG))?);
        let program = std::env::current_exe().map_err(Error::Start)?;
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
        let process = Some(child.id());
        Ok(Self { child: Some(child), process, ..Self::of(folder) })
    }

    /// The process that a run that was killed had started for a task, if it works or has a result.
    pub(super) fn earlier(task: &Path) -> Option<Self> {
        let mut execution = Self::of(folder_of(task));
        if execution.is_running() || execution.folder.join(RESULT).exists() {
            execution.listen(None);
            return Some(execution);
        }
        None
    }

    fn of(folder: PathBuf) -> Self {
        Self { folder, child: None, process: None, said: None, line: String::new(), status: None }
    }

    fn is_running(&self) -> bool {
        let Ok(lock) = regular::open(&self.folder.join(LOCK)) else { return false };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Waits for the end of the process, and tells the monitor what it says. It is told to end when the monitor is stopped.
    pub(super) fn wait(&mut self, monitor: &Monitor) {
        if self.child.is_none() {
            // Again from the beginning: what an earlier run was told, this one was not.
            self.said = None;
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
    }

    /// Ends the process: by SIGTERM, as a run is ended, and by SIGKILL if that takes too long.
    pub(super) fn end(&mut self) {
        for (signal, patience) in [("TERM", GRACE), ("KILL", GRACE)] {
            let since = Instant::now();
            while self.is_running() && since.elapsed() < patience {
                self.listen(None);
                if let Some(process) = self.process {
                    let kill = format!("kill -s {signal} -- -{process}");
                    let _ = Command::new("/bin/sh").args(["-c", &kill]).stderr(Stdio::null()).status();
                }
                thread::sleep(POLL);
            }
        }
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
                (Ok(Said::Process(process)), _) => self.process = Some(process),
                (Ok(Said::Expect(rows)), Some(monitor)) => monitor.expect(rows),
                (Ok(Said::Advance { rows, bytes }), Some(monitor)) => monitor.advance(rows, bytes),
                (Ok(Said::Warn(message)), Some(monitor)) => monitor.warn(&message),
                _ => {}
            }
        }
    }

    /// What the process made, its files to be published as `target`, or why it made nothing.
    pub(super) fn product(&self, stage: &StageName, target: &Path) -> Result<Product, NoProduct> {
        let result = regular::read(&self.folder.join(RESULT));
        let result = result.map_err(|_| NoProduct::NoResult(self.no_result(stage)))?;
        match serde_json::from_slice(&result).map_err(|error| NoProduct::of(&error))? {
            Ended::Made(handed) => {
                handed.take(&self.folder.join(FILES), target).map_err(|error| NoProduct::of(&error))
            }
            Ended::Failed { errors, class } => {
                Err(NoProduct::Failed(Failure { errors, check: false, class }))
            }
        }
    }

    /// The failure of a process that ended before it could say why, with the end of its log.
    fn no_result(&self, stage: &StageName) -> Failure {
        let how = match self.status {
            Some(status) => format!(": {status}"),
            None => String::new(),
        };
        let mut errors = vec![format!("the process of stage `{stage}` ended without a result{how}")];
        if self.status.is_none_or(|status| status.code().is_none_or(|code| code > 128)) {
            let hint = "the system ends a process with SIGKILL when the memory of the machine runs out";
            errors.push(hint.to_owned());
        }
        let log = regular::open(&self.folder.join(LOG)).map(BufReader::new);
        let lines: io::Result<Vec<String>> = log.and_then(|log| log.lines().collect());
        let lines = lines.unwrap_or_default();
        errors.extend(lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).cloned());
        Failure { errors, check: false, class: Class::Fault }
    }
}
