//! strace, with which tests kill programs at chosen system calls.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::process::{Command, Stdio};

/// Whether programs may be traced here. If not, the test says so; with CI set it fails.
pub fn may_trace() -> bool {
    let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    let may = traced.is_ok_and(|status| status.success());
    assert!(
        may || std::env::var_os("CI").is_none(),
        "this test needs strace, and the right to trace programs: run `ci/install strace`"
    );
    if !may {
        println!("not tested: programs may not be traced here");
    }
    may
}

/// Runs a command under strace; whether it succeeded.
pub fn strace(run: &Command, options: &[&str]) -> bool {
    let mut traced = Command::new("strace");
    traced.args(options).arg(run.get_program()).args(run.get_args());
    traced.current_dir(run.get_current_dir().expect("the command has a folder"));
    traced.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
