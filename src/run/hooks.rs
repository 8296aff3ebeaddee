//! Commands that are run when a run has ended, or a stage has delivered. A hook that fails is a warning: it changes nothing of the run.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable;
use crate::errors;
use crate::monitor::Monitor;
use crate::pipeline::spec::{HookCommand, HooksSpec};
use crate::quantity::Period;

use super::events::{RunReport, RunStatus};
use super::process_group;

/// How long a hook may take unless the pipeline file says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a hook that runs is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Runs the hook for how a run ended, if there is one; what went wrong with it. What it prints is in
/// `hook-on_success.log` or `hook-on_failure.log` in the run's folder. A monitor that is stopped while the hook
/// runs ends it.
pub(super) fn call(
    hooks: &HooksSpec,
    report: &RunReport,
    root: &Path,
    folder: &Path,
    monitor: &Monitor,
) -> Option<String> {
    let (name, hook) = match report.status {
        RunStatus::Done => ("on_success", hooks.on_success.as_ref()?),
        _ => ("on_failure", hooks.on_failure.as_ref()?),
    };
    let input = match serde_json::to_vec_pretty(report) {
        Ok(json) => json,
        Err(error) => return Some(format!("hook `{name}`: {error}")),
    };
    let environment = &[("SSP_RUN", report.run.as_str()), ("SSP_STATUS", &report.status.to_string())];
    Call { name, hook, input, environment, root, folder, timeout: hooks.timeout }.run(monitor)
}

/// A hook that is to be run.
pub(super) struct Call<'a> {
    /// Its key in the pipeline file.
    pub name: &'static str,
    pub hook: &'a HookCommand,
    /// What it gets on standard input.
    pub input: Vec<u8>,
    pub environment: &'a [(&'a str, &'a str)],
    /// The folder that it runs in.
    pub root: &'a Path,
    /// The folder of its log.
    pub folder: &'a Path,
    pub timeout: Option<Period>,
}

impl Call<'_> {
    /// Runs the hook; what went wrong with it.
    pub(super) fn run(self, monitor: &Monitor) -> Option<String> {
        let (name, log) = (self.name, self.folder.join(format!("hook-{}.log", self.name)));
        let timeout = self.timeout.map_or(TIMEOUT, |period| period.0);
        let failed = match start(self, &log).and_then(|child| watch(child, timeout, monitor)) {
            Ok(None) => return None,
            Ok(Some(failed)) => failed,
            Err(error) => errors::chain(&error).join(": "),
        };
        Some(format!("hook `{name}`: {failed}; its output is in `{}`", log.display()))
    }
}

/// Starts a hook as the first of a process group of its own, so that all that it starts can be ended with it.
fn start(Call { hook, input, environment, root, .. }: Call<'_>, log: &Path) -> io::Result<Child> {
    let output = durable::append(log).map_err(io::Error::other)?;
    // An empty root is the folder that we are in.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let words = match hook {
        HookCommand::Shell(text) => vec!["/bin/sh", "-c", text.as_str()],
        HookCommand::Program(words) => words.iter().map(String::as_str).collect(),
    };
    let program = words.first().copied().unwrap_or_default();
    let mut child = Command::new(program)
        .args(words.iter().skip(1))
        .current_dir(root)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run `{program}`: {error}")))?;
    let stdin = child.stdin.take();
    // A hook that does not read its input must not hold us up, nor one that reads it slowly.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    Ok(child)
}

/// Waits for the end of a hook, or ends it; what went wrong.
fn watch(mut child: Child, timeout: Duration, monitor: &Monitor) -> io::Result<Option<String>> {
    let deadline = Instant::now() + timeout;
    // A run that was told to stop still tells so with its hook.
    let stopped_before = monitor.is_stopped();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!status.success()).then(|| format!("it ended with {status}")));
        }
        let late = Instant::now() >= deadline;
        if late || !stopped_before && monitor.is_stopped() {
            end_group(&mut child)?;
            let why = if late { format!("after {} s", timeout.as_secs()) } else { "by a signal".to_owned() };
            return Ok(Some(format!("it was stopped {why}")));
        }
        thread::sleep(POLL);
    }
}

/// Ends a hook and all that it started. Its process is waited for last: until then no other process gets the group's number.
fn end_group(child: &mut Child) -> io::Result<()> {
    let killed = process_group::signal("KILL", child.id());
    child.kill()?;
    child.wait()?;
    match killed? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!(
            "processes that it started may still be running: `{}` ended with {status}",
            process_group::command("KILL", child.id())
        ))),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let program = HookCommand::Program(vec!["no-such-program".to_owned(), "a".to_owned()]);
        let hooks = HooksSpec { on_failure: Some(program), ..HooksSpec::default() };
        let report = RunReport::new("r", "p", chrono::Utc::now());
        let said = call(&hooks, &report, folder.path(), folder.path(), &Monitor::default()).unwrap();
        let expected = "hook `on_failure`: cannot run `no-such-program`: No such file or directory";
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_named_with_its_cause() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path(), folder.path().join("run"));
        std::fs::write(&file, b"").unwrap();
        let hooks =
            HooksSpec { on_failure: Some(HookCommand::Shell("true".to_owned())), ..HooksSpec::default() };
        let report = RunReport::new("r", "p", chrono::Utc::now());
        let said = call(&hooks, &report, root, &file, &Monitor::default()).unwrap();
        let log = file.join("hook-on_failure.log");
        let (log, file) = (log.display(), file.display());
        let expected =
            format!("hook `on_failure`: cannot write to `{log}`: `{file}` is a file, not a folder; ");
        assert!(said.starts_with(&expected), "{said}");
    }
}
