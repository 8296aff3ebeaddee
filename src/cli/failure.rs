//! How a command ends: the exit codes, and an error with its causes and a hint.

use std::backtrace::BacktraceStatus;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::anyhow;

use super::messages::{UNCHANGED, say};
use super::output;
use super::signals::Signals;
use crate::errors::{self, Class, Classified};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// The work failed.
    Failed,
    /// The command line or the pipeline file is wrong; nothing ran.
    Usage,
    /// `--check` only: work is pending.
    Pending,
    /// A database, a repository, an object store or Slurm could not be reached, and no other stage failed. Stages that do not
    /// need it can have run.
    Unreachable,
    /// A check on an output failed; the last good output is kept.
    CheckFailed,
    /// Another run holds the lock.
    Locked,
    /// Ended by a signal.
    Signal(u8),
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Unreachable => 4,
            Self::CheckFailed => 5,
            Self::Locked => 75,
            Self::Signal(number) => 128 + number,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Unreachable { .. } => Self::Unreachable,
            Class::Usage => Self::Usage,
            Class::Stopped | Class::Transient | Class::Fault => Self::Failed,
        }
    }
}

/// Why a command failed, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
    hint: Option<String>,
}

impl Failure {
    /// A failure with the exit code that it asks for.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// The command line or the pipeline file is wrong.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Usage, error)
    }

    /// The work failed.
    pub fn fault(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Exit::Failed, error)
    }

    /// A failure with the exit code of the error's class.
    pub fn classified(error: impl Classified) -> Self {
        Self::new(error.class().into(), error)
    }

    /// The signal that has come stopped the work before any output was replaced.
    pub fn stopped(signals: &Signals) -> Self {
        let error = anyhow!("stopped by {}", signals.name().unwrap_or("a signal"));
        let exit = signals.received().map_or(Exit::Failed, Exit::Signal);
        Self::new(exit, error).hint(UNCHANGED)
    }

    /// With a line that says what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With a line that says what to do, if it `applies`.
    #[must_use]
    pub fn hint_if(self, applies: bool, hint: impl Into<String>) -> Self {
        if applies { self.hint(hint) } else { self }
    }

    /// What is printed: the error, its causes, the hint; with `reraise` also the backtrace, where one was taken
    /// (`RUST_BACKTRACE=1`).
    #[must_use]
    pub fn text(&self, reraise: bool) -> String {
        let mut text = String::new();
        for (depth, error) in errors::chain(self.error.as_ref()).into_iter().enumerate() {
            let _ = writeln!(text, "{}: {error}", if depth == 0 { "error" } else { "  caused by" });
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  hint: {hint}");
        }
        if reraise {
            let backtrace = self.error.backtrace();
            let _ = match backtrace.status() {
                BacktraceStatus::Captured => writeln!(text, "\nStack backtrace:\n{backtrace}"),
                _ => writeln!(text, "  note: with `RUST_BACKTRACE=1`, a backtrace is printed too"),
            };
        }
        text
    }
}

/// Starts the threads that compute; how many.
///
/// # Errors
/// If they cannot be started.
pub fn threads(jobs: Option<u16>) -> Result<usize, Failure> {
    crate::threads::start(jobs).map_err(|error| {
        let error = anyhow::Error::new(error).context("cannot start the threads; give fewer with `--jobs`");
        Failure::fault(error)
    })
}

/// Runs a command: watches for signals, prints what failed on standard error and returns the exit code.
pub fn finish(reraise: bool, work: impl FnOnce(&Signals) -> Result<Exit, Failure>) -> ExitCode {
    let signals = Signals::watch().map_err(|error| {
        Failure::new(Exit::Failed, anyhow::Error::new(error).context("cannot watch for signals"))
    });
    match signals.and_then(|signals| work(&signals)) {
        Ok(exit) => printed(exit).into(),
        Err(failure) => {
            say(failure.text(reraise));
            failure.exit.into()
        }
    }
}

/// The exit of work that is done: of good work, too, data can be missing on standard output.
fn printed(exit: Exit) -> Exit {
    let Some(error) = output::error() else { return exit };
    let error = anyhow!("{error}").context("cannot write to standard output");
    say(Failure::new(Exit::Failed, error).text(false));
    if matches!(exit, Exit::Done | Exit::Pending) { Exit::Failed } else { exit }
}

/// Prints the help or the mistake that a command line ends with.
#[must_use]
pub fn answer(answer: &clap::Error) -> ExitCode {
    let result = answer.print();
    if answer.use_stderr() {
        return Exit::Usage.into();
    }
    output::is_written(result.and_then(|()| std::io::stdout().flush()));
    printed(Exit::Done).into()
}
