//! What is said to people on standard error, by the programs and, a line each, by the lower layers.

use std::fmt::Display;
use std::io::Write as _;

use tracing::level_filters::LevelFilter;

/// Prints warnings, such as of a password file that others can read, on standard error.
pub(super) fn to_standard_error() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        // It would say so on standard error too, and panic.
        .log_internal_errors(false)
        .finish();
    // One that was set before, as by a test, stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The hint where an output would replace what must stay.
pub(super) const OTHER_OUTPUT: &str = "name another output";

/// The hint where a signal stopped the work.
pub(super) const UNCHANGED: &str = "no output was replaced; run the same command again";

/// Prints a text on standard error as it is. One that is closed must not end the work.
pub(super) fn say(text: impl Display) {
    let _ = write!(std::io::stderr(), "{text}");
}
