//! The programs of Slurm: each is called with a time limit, and what it says is understood.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::errors;
use crate::run::process_group;

/// How long a program may take. A controller that does not answer makes it give up before that.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a program that runs is looked at.
const POLL: Duration = Duration::from_millis(5);
/// What a program says when another attempt can help: the controller does not answer, or has too many jobs for now.
const FOR_NOW: [&str; 14] = [
    "unable to contact slurm controller",
    "timed out",
    "connection refused",
    "connection reset",
    "communication connection failure",
    "resource temporarily unavailable",
    "temporarily disabled",
    "maxsubmit",
    "authentication",
    "munge",
    "incompatible version",
    "zero bytes were transmitted",
    "in standby mode",
    "transport endpoint is not connected",
];

/// Why a program of Slurm did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot start `{program}`: is Slurm installed on this machine?")]
    Start { program: &'static str, source: io::Error },
    #[error("`{program}` did not answer within {} s", LIMIT.as_secs())]
    Late { program: &'static str },
    #[error("`{program}`: {said}")]
    Refused { program: &'static str, said: String },
}

impl Error {
    /// Whether another attempt can help.
    pub(super) fn is_for_now(&self) -> bool {
        match self {
            Self::Start { .. } => false,
            Self::Late { .. } => true,
            Self::Refused { said, .. } => {
                let said = said.to_lowercase();
                FOR_NOW.iter().any(|text| said.contains(text))
            }
        }
    }
}

/// What a program prints when it is called with these words, and `input` on its standard input.
pub(super) fn call(program: &'static str, words: &[String], input: &str) -> Result<String, Error> {
    let start = |source| Error::Start { program, source };
    let mut command = Command::new(program);
    // Its messages are read; a format that the user has chosen for herself is not for us.
    command.env("LC_ALL", "C");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(name);
        }
    }
    let mut child = command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(start)?;
    let (stdout, stderr) = (reader(child.stdout.take()), reader(child.stderr.take()));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let is_good = ended(&mut child).map_err(start)?;
    let text = |reader: JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).trim().to_owned()
    };
    let (printed, said) = (text(stdout), text(stderr));
    match is_good {
        Some(true) => Ok(printed),
        Some(false) => {
            let lines = said.lines().map(|line| line.trim_start_matches(&format!("{program}: ")));
            let said = lines.map(|line| line.trim_start_matches("error: ")).collect::<Vec<_>>().join("; ");
            Err(Error::Refused { program, said: errors::shown(&said) })
        }
        None => Err(Error::Late { program }),
    }
}

/// Whether a variable changes what a program of Slurm does, other than where a user's jobs go.
fn is_foreign(name: &str) -> bool {
    const PLACES: [&str; 5] =
        ["SBATCH_PARTITION", "SBATCH_ACCOUNT", "SBATCH_QOS", "SBATCH_CONSTRAINT", "SBATCH_RESERVATION"];
    let of_programs = ["SQUEUE_", "SCANCEL_", "SBATCH_", "SACCT_"];
    of_programs.iter().any(|of_program| name.starts_with(of_program)) && !PLACES.contains(&name)
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Whether a program ended well; `None` if it had to be ended.
fn ended(child: &mut Child) -> io::Result<Option<bool>> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        thread::sleep(POLL);
    }
    let _ = process_group::signal("KILL", child.id());
    child.wait().map(|_| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(text: &str) -> Result<String, Error> {
        call("/bin/sh", &["-c".to_owned(), text.to_owned()], "input\n")
    }

    #[test]
    fn what_a_program_prints_is_returned_and_what_it_says_is_its_error() {
        assert_eq!(sh("cat; echo other >&2").unwrap(), "input");
        let error =
            sh("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1").unwrap_err();
        assert!(error.is_for_now() && error.to_string().contains("Socket timed out"), "{error}");
        let error = sh("echo 'error: invalid partition specified: x' >&2; exit 1").unwrap_err();
        assert!(!error.is_for_now());
        assert_eq!(error.to_string(), "`/bin/sh`: invalid partition specified: x");
        let error = call("no-such-program", &[], "").unwrap_err();
        assert!(!error.is_for_now() && error.to_string().contains("is Slurm installed"), "{error}");
    }
}
