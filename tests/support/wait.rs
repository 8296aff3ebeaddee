//! Waiting for what other processes do.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Waits until a condition holds; fails after a minute.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10));
    }
}
