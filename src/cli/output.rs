//! Data on standard output. A reader that has gone away, as in `| head -1`, ends no command; any other error fails it.

use std::io::{self, ErrorKind, Write as _};
use std::sync::OnceLock;

/// The first error of standard output in this process.
static ERROR: OnceLock<io::Error> = OnceLock::new();

/// Prints data.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    is_written(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Whether standard output took the data. If not, [`error`] says why.
pub(super) fn is_written(result: io::Result<()>) -> bool {
    let Err(error) = result else { return true };
    if error.kind() != ErrorKind::BrokenPipe {
        // The first error is the one to tell of.
        let _ = ERROR.set(error);
    }
    false
}

/// Why data is missing on standard output, if it is.
pub(super) fn error() -> Option<&'static io::Error> {
    ERROR.get()
}
