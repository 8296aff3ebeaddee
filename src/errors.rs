//! Errors and panics as lines of text. Not a place for errors themselves.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::secrets::shown;

/// The error and its causes, outermost first, without those that say what the one before them already said, and without
/// secrets: the server's messages quote the query.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = shown(&error.to_string());
        if !lines.last().is_some_and(|said| said.ends_with(&text)) {
            lines.push(text);
        }
        next = error.source();
    }
    lines
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
    fn a_panic_becomes_its_message() {
        let index = std::hint::black_box(3);
        assert_eq!(quietly(|| [1, 2, 3][index - 1]), Ok(3));
        let message = quietly(|| [1, 2, 3][index]).unwrap_err();
        assert_eq!(message, "index out of bounds: the len is 3 but the index is 3");
        assert_eq!(quietly(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(caught(|| panic::panic_any(7)), Err::<(), _>("a panic".to_owned()));
    }
}
