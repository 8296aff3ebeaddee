//! What errors mean, and errors and panics as lines of text. Not a place for errors themselves.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use serde::{Deserialize, Serialize};

pub(crate) use crate::secrets::shown;

/// What an error means for a run and for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Class {
    /// The work was stopped.
    Stopped,
    /// A connection was lost, or the server lacked something for a moment: another attempt can help.
    Transient,
    /// A database or repository cannot be reached.
    Unreachable {
        /// Whether another attempt can help.
        for_now: bool,
    },
    /// The command line or the pipeline file asks for something that cannot be done.
    Usage,
    /// Anything else.
    Fault,
}

impl Class {
    /// Whether another attempt can help.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Transient | Self::Unreachable { for_now: true })
    }
}

/// An error that knows what it means.
pub trait Classified: Error + Send + Sync + 'static {
    /// What the error means.
    fn class(&self) -> Class;

    /// The key of the stage's part of the pipeline file that the error is about, if it is about one.
    fn key(&self) -> Option<&'static str> {
        None
    }

    /// Whether the work was stopped.
    fn is_stopped(&self) -> bool {
        self.class() == Class::Stopped
    }

    /// Whether another attempt can help.
    fn is_transient(&self) -> bool {
        self.class().may_pass()
    }

    /// Whether a database or repository cannot be reached.
    fn is_unreachable(&self) -> bool {
        matches!(self.class(), Class::Unreachable { .. })
    }
}

/// The error and its causes, outermost first, without those that say what the one before them already said, and without
/// secrets: the server's messages quote the query. Where a limit of the system was reached, with what to do.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = shown(&error.to_string());
        if !lines.last().is_some_and(|said| said.ends_with(&text)) {
            lines.push(text);
        }
        if let (Some(line), Some(advice)) = (lines.last_mut(), error.downcast_ref().and_then(advice)) {
            *line += &format!("; {advice}");
        }
        next = error.source();
    }
    lines
}

/// Whether an error is of this machine or its disks, so that another machine may succeed.
#[must_use]
pub fn is_of_the_machine(error: &(dyn Error + 'static)) -> bool {
    /// `EIO`, which has no kind.
    const INPUT_OUTPUT: i32 = 5;
    const KINDS: [io::ErrorKind; 4] = [
        io::ErrorKind::StorageFull,
        io::ErrorKind::StaleNetworkFileHandle,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::TimedOut,
    ];
    let is_one =
        |error: &io::Error| KINDS.contains(&error.kind()) || error.raw_os_error() == Some(INPUT_OUTPUT);
    error.downcast_ref().is_some_and(is_one) || error.source().is_some_and(is_of_the_machine)
}

/// What to do about a limit of the system that was reached.
fn advice(error: &io::Error) -> Option<&'static str> {
    /// `EMFILE`, which has no kind. An error that names a path beside it has no number, either.
    const TOO_MANY_OPEN_FILES: &str = "(os error 24)";
    match error.kind() {
        io::ErrorKind::StorageFull => Some("free space on this file system"),
        io::ErrorKind::QuotaExceeded => Some("free space, or get a larger disk quota on this file system"),
        io::ErrorKind::FileTooLarge => Some(
            "raise the limit on the size of a file (`ulimit -f`), or write to a file system that has larger files",
        ),
        _ if error.to_string().contains(TOO_MANY_OPEN_FILES) => {
            Some("raise the limit on open files (`ulimit -n`)")
        }
        _ => None,
    }
}

/// What `work` returns, or the message of its panic, which then is not printed.
///
/// For libraries that panic on damaged data where an error is due, with nothing of `work`'s used after a panic.
///
/// # Errors
/// The message of the panic.
pub fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    thread_local!(static QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                print(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = caught(work);
    QUIET.set(before);
    result
}

/// What `work` returns, or the message of its panic, which is printed too.
///
/// # Errors
/// The message of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_reached_is_said_with_what_to_do_once() {
        let said = |code| chain(&io::Error::from_raw_os_error(code)).concat();
        assert_eq!(said(28), "No space left on device (os error 28); free space on this file system");
        assert!(
            said(122).starts_with("Disk quota exceeded (os error 122); free space, or get"),
            "{}",
            said(122)
        );
        assert!(said(27).starts_with("File too large (os error 27); raise the limit"), "{}", said(27));
        assert!(
            said(24).ends_with("(os error 24); raise the limit on open files (`ulimit -n`)"),
            "{}",
            said(24)
        );
        assert_eq!(said(2), "No such file or directory (os error 2)");
    }

    #[test]
    fn a_panic_becomes_its_message() {
        let index = std::hint::black_box(3);
        assert_eq!(quietly(|| [1, 2, 3][index - 1]), Ok(3));
        let message = quietly(|| [1, 2, 3][index]).unwrap_err();
        assert_eq!(message, "index out of bounds: the len is 3 but the index is 3");
        assert_eq!(quietly(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(caught(|| panic::panic_any(7)), Err::<(), _>("a panic".to_owned()));
    }
}
