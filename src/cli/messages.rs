//! Messages of the lower layers, for people: on standard error, a line each.

use tracing::level_filters::LevelFilter;

/// Prints warnings, such as of a password file that others can read, on standard error.
pub fn to_standard_error() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .finish();
    // Somebody who set one before, such as a test, keeps it.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
