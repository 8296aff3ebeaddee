//! Commands that are run when a run has ended. A hook that fails is a warning: it changes nothing of the run.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable;
use crate::pipeline::spec::{HookCommand, HooksSpec};

use super::events::{RunReport, RunStatus};

/// How long a hook may take unless the pipeline file says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a hook that runs is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Runs the hook for how a run ended, if there is one; what went wrong with it. What it prints is in
/// `hook-on_success.log` or `hook-on_failure.log` in the run's folder.
pub fn call(hooks: &HooksSpec, report: &RunReport, root: &Path, folder: &Path) -> Option<String> {
    let (name, hook) = match report.status {
        RunStatus::Done => ("on_success", hooks.on_success.as_ref()?),
        _ => ("on_failure", hooks.on_failure.as_ref()?),
    };
    let log = folder.join(format!("hook-{name}.log"));
    let timeout = hooks.timeout.map_or(TIMEOUT, |period| period.0);
    let failed = match attempt(hook, report, root, &log, timeout) {
        Ok(None) => return None,
        Ok(Some(failed)) => failed,
        Err(error) => error.to_string(),
    };
    Some(format!("hook `{name}`: {failed}; what it printed is in `{}`", log.display()))
}

fn attempt(
    hook: &HookCommand,
    report: &RunReport,
    root: &Path,
    log: &Path,
    timeout: Duration,
) -> io::Result<Option<String>> {
    let json = serde_json::to_vec_pretty(report)?;
    let output: File = durable::append(log).map_err(io::Error::other)?;
    // An empty root is the folder that we are in.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let mut child = command(hook)
        .current_dir(root)
        .env("SSP_RUN", &report.run)
        .env("SSP_STATUS", report.status.name())
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let stdin = child.stdin.take();
    // A hook that does not read its input must not hold us up, nor one that reads it slowly.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&json)));
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!status.success()).then(|| format!("it ended with {status}")));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(Some(format!("it was ended after {} s", timeout.as_secs())));
        }
        thread::sleep(POLL);
    }
}

fn command(hook: &HookCommand) -> Command {
    match hook {
        HookCommand::Shell(text) => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", text]);
            command
        }
        HookCommand::Program(words) => {
            let mut command = Command::new(words.first().map_or("", String::as_str));
            command.args(words.iter().skip(1));
            command
        }
    }
}
