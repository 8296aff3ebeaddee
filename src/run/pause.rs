//! The pauses before what failed is tried again.

use std::time::Duration;

/// How long to wait before another attempt: 1 s, twice as long each time, at most a minute.
pub(super) fn pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.min(6)).min(Duration::from_mins(1))
}
