//! Signals to a process and all that it started.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// The command that sends a signal to the group of a process.
pub(super) fn command(signal: &str, leader: u32) -> String {
    format!("kill -s {signal} -- -{leader}")
}

/// Sends a signal, such as `TERM`, to the group of a process.
pub(super) fn signal(signal: &str, leader: u32) -> io::Result<ExitStatus> {
    Command::new("/bin/sh").args(["-c", &command(signal, leader)]).stderr(Stdio::null()).status()
}
