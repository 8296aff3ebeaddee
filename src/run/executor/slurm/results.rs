//! What the jobs of a task have left in its folder: results, and what they say while they work.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::digest::Digest;
use crate::errors::shown;
use crate::monitor::Monitor;
use crate::regular;

use crate::run::executor::task::{Ended, RESULTS, SAID, Said, Worked};

use super::queue::is_random;

/// The name of an execution: the slice, the submission, how often Slurm had restarted the job, and a random number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::run::executor) struct ExecutionName {
    pub slice: u32,
    pub submission: u32,
    pub restart: u32,
    pub random: String,
}

impl ExecutionName {
    pub(in crate::run::executor) fn read(text: &str) -> Option<Self> {
        let [slice, submission, restart, random] = text.split('.').collect::<Vec<_>>()[..] else {
            return None;
        };
        let number = |text: &str| text.parse().ok();
        let random = is_random(random).then(|| random.to_owned())?;
        Some(Self {
            slice: number(slice)?,
            submission: number(submission)?,
            restart: number(restart)?,
            random,
        })
    }
}

impl std::fmt::Display for ExecutionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.{}", self.slice, self.submission, self.restart, self.random)
    }
}

/// A result that a job has left.
pub(super) struct Found {
    pub name: ExecutionName,
    pub worked: Worked,
}

/// The names in a folder that are those of executions; none if it cannot be read.
fn names(folder: &Path, ending: &str) -> Vec<ExecutionName> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<ExecutionName> = entries
        .filter_map(|entry| ExecutionName::read(entry.file_name().to_str()?.strip_suffix(ending)?))
        .collect();
    names.sort();
    names
}

/// The results that `is_new`, in the order of their names. What cannot be read is no result.
pub(super) fn results(task: &Path, is_new: impl Fn(&ExecutionName) -> bool) -> Vec<Found> {
    let folder = task.join(RESULTS);
    let new = names(&folder, ".json").into_iter().filter(|name| is_new(name));
    new.filter_map(|name| {
        let text = regular::read(&folder.join(format!("{name}.json"))).ok()?;
        Some(Found { worked: serde_json::from_slice(&text).ok()?, name })
    })
    .collect()
}

impl Found {
    /// The digests of what was made, to compare two results of one slice.
    pub(super) fn digests(&self) -> Option<Vec<Digest>> {
        match &self.worked.ended {
            Ended::Made(handed) => Some(handed.digests()),
            Ended::Failed { .. } => None,
        }
    }
}

/// Reads what the executions of a task say while they work.
#[derive(Default)]
pub(super) struct Listener {
    open: BTreeMap<ExecutionName, Voice>,
}

#[derive(Default)]
struct Voice {
    /// The bytes that were read. The file is opened again each time: thousands may work, and a shared file system shows what
    /// is new to those who open a file.
    read: u64,
    rows: u64,
    bytes: u64,
    expected: u64,
}

impl Listener {
    /// Tells the monitor what is new of the slices that are `open`; their executions that have begun.
    pub(super) fn listen(
        &mut self,
        task: &Path,
        monitor: &Monitor,
        is_open: impl Fn(u32) -> bool,
    ) -> Vec<ExecutionName> {
        let mut begun = Vec::new();
        for name in names(task, "").into_iter().filter(|name| is_open(name.slice)) {
            let path = task.join(name.to_string()).join(SAID);
            let before = self.done(name.slice);
            let voice = self.open.entry(name.clone()).or_default();
            for said in voice.hear(&path) {
                match said {
                    Said::Expect(rows) => voice.expected += rows,
                    Said::Advance { rows, bytes } => {
                        voice.rows += rows;
                        voice.bytes += bytes;
                    }
                    Said::Warn(message) => monitor.warn(&shown(&message)),
                    Said::Process(_) => {}
                }
            }
            let now = self.done(name.slice);
            // A job that begins again is not ahead of the one before it for a while.
            monitor.expect(now.2.saturating_sub(before.2));
            monitor.advance(now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            begun.push(name);
        }
        begun
    }

    /// The most that any execution of a slice has done.
    fn done(&self, slice: u32) -> (u64, u64, u64) {
        let own = self.open.iter().filter(|(name, _)| name.slice == slice).map(|(_, voice)| voice);
        own.fold((0, 0, 0), |most, voice| {
            (most.0.max(voice.rows), most.1.max(voice.bytes), most.2.max(voice.expected))
        })
    }
}

impl Voice {
    /// The whole lines that are new.
    fn hear(&mut self, path: &Path) -> Vec<Said> {
        let mut text = Vec::new();
        let read = regular::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut text)
        });
        let whole =
            text.iter().rposition(|byte| *byte == b'\n').filter(|_| read.is_ok()).map_or(0, |end| end + 1);
        self.read += whole as u64;
        text[..whole]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_executions_round_trip_and_others_are_none() {
        let text = "3.1.0.0123456789abcdef";
        assert_eq!(ExecutionName::read(text).unwrap().to_string(), text);
        for text in
            ["3.1.0", "3.1.0.xyz", "a.1.0.0123456789abcdef", "execution", ".3.1.0.0123456789abcdef.tmp"]
        {
            assert_eq!(ExecutionName::read(text), None, "{text}");
        }
    }
}
