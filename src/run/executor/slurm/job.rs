//! A job of Slurm: what `squeue`, `scontrol` and `sacct` say of it. A pure reader of text.

use std::fmt;

/// How the comment of our jobs begins: the name of its form.
const FORM: &str = "ssp1";

/// What tells our jobs from those of others, and from each other: the comment of a job. The number of a job does not, because
/// a controller that lost its last seconds gives numbers again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Of the output folder.
    pub id: String,
    /// The name of the task's folder.
    pub task: String,
    pub submission: u32,
    /// Another one for each submission: their numbers begin again when a task does.
    pub nonce: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM}:{}:{}:{}:{}", self.id, self.task, self.submission, self.nonce)
    }
}

impl Mark {
    pub(super) fn read(comment: &str) -> Option<Self> {
        let [FORM, id, task, submission, nonce] = comment.split(':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let [id, task, nonce] = [id, task, nonce].map(str::to_owned);
        Some(Self { id, task, submission: submission.parse().ok()?, nonce })
    }
}

/// A job, or an element of an array of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub number: String,
    /// Its place in the array.
    pub index: Option<u32>,
    pub state: State,
    pub reason: String,
    pub node: String,
    pub name: String,
    pub comment: String,
    /// If that is known from the start.
    pub exit: Option<Exit>,
}

/// The exit code of a job, and the signal that ended it.
pub(super) type Exit = (i32, i32);

/// The states of jobs, as far as they differ for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    /// At work, or about to be, or about to end.
    Running,
    Completed,
    Failed,
    OutOfMemory,
    Timeout,
    Cancelled,
    Preempted,
    /// The node failed, or did not start.
    NodeFail,
    /// One that we do not know, as Slurm calls it.
    Other,
}

impl State {
    fn read(text: &str) -> Self {
        // `CANCELLED by 1000`
        match text.split(' ').next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                Self::Pending
            }
            "RUNNING" | "CONFIGURING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING"
            | "STAGE_OUT" | "RESIZING" => Self::Running,
            "COMPLETED" => Self::Completed,
            "FAILED" => Self::Failed,
            "OUT_OF_MEMORY" => Self::OutOfMemory,
            "TIMEOUT" | "DEADLINE" => Self::Timeout,
            "CANCELLED" | "REVOKED" => Self::Cancelled,
            "PREEMPTED" => Self::Preempted,
            "NODE_FAIL" | "BOOT_FAIL" => Self::NodeFail,
            _ => Self::Other,
        }
    }
}

impl Job {
    /// What `squeue` is asked. The comment is last: it can have any character.
    pub(super) const QUESTION: [&'static str; 6] =
        ["--noheader", "--me", "--states=all", "--array", "-o", "%F|%K|%T|%r|%N|%j|%k"];

    pub(super) fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim().splitn(7, '|').collect();
        let [number, index, state, reason, node, name, comment] = fields[..] else { return None };
        Some(Self {
            number: number.to_owned(),
            index: index.parse().ok(),
            state: State::read(state),
            reason: reason.to_owned(),
            node: node.to_owned(),
            name: name.to_owned(),
            comment: comment.to_owned(),
            exit: None,
        })
    }

    /// What `sacct` is asked, before the numbers of jobs.
    pub(super) const ACCOUNTING: [&'static str; 5] =
        ["-n", "-P", "-X", "--format=JobID,State,ExitCode,NodeList,JobName", "-j"];

    /// From a line of `sacct`.
    pub(super) fn of_accounting(line: &str) -> Option<Self> {
        let [id, state, exit, node, name] = line.trim().splitn(5, '|').collect::<Vec<_>>()[..] else {
            return None;
        };
        let (number, index) =
            id.split_once('_').map_or((id, None), |(number, index)| (number, index.parse().ok()));
        Some(Self {
            number: number.to_owned(),
            index,
            state: State::read(state),
            reason: String::new(),
            node: node.to_owned(),
            name: name.to_owned(),
            comment: String::new(),
            exit: exit_code(exit),
        })
    }

    /// As Slurm's programs take it.
    pub(super) fn id(&self) -> String {
        self.index.map_or_else(|| self.number.clone(), |index| format!("{}_{index}", self.number))
    }

    /// Whether it has ended for good.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Pending | State::Running)
    }
}

/// What `scontrol` says of the end of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Detail {
    pub exit: Option<Exit>,
    /// How long it worked, and may work \[s\].
    pub worked: Option<u64>,
    pub limit: Option<u64>,
}

impl Detail {
    /// From a line of `scontrol -o show job`.
    pub(super) fn read(line: &str) -> Self {
        let value = |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        Self {
            exit: value("ExitCode").and_then(exit_code),
            worked: value("RunTime").and_then(seconds),
            limit: value("TimeLimit").and_then(seconds),
        }
    }
}

/// `1-02:03:04`.
fn seconds(text: &str) -> Option<u64> {
    let (days, time) = text.split_once('-').unwrap_or(("0", text));
    let [hours, minutes, seconds] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    Some(((number(days)? * 24 + number(hours)?) * 60 + number(minutes)?) * 60 + number(seconds)?)
}

fn exit_code(text: &str) -> Option<Exit> {
    let (code, signal) = text.split_once(':')?;
    Some((code.parse().ok()?, signal.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_squeue_are_read() {
        let job = Job::read(
            "12|3|PENDING|launch failed requeued held|node1|ssp-a-b|ssp1:0123456789abcdef:a-b-c:2:77",
        )
        .unwrap();
        assert_eq!((job.id(), job.state, job.is_over()), ("12_3".to_owned(), State::Pending, false));
        assert_eq!(job.reason, "launch failed requeued held");
        let mark = Mark::read(&job.comment).unwrap();
        assert_eq!((mark.task.as_str(), mark.submission), ("a-b-c", 2));
        assert_eq!(mark.to_string(), job.comment);
        let job = Job::read("7|N/A|CANCELLED by 0|None|n|wrap|a|b").unwrap();
        assert_eq!((job.id(), job.comment.as_str(), job.is_over()), ("7".to_owned(), "a|b", true));
        for comment in
            ["(null)", "", "ssp1:a:b", "ssp1:a:b:1", "ssp1:a:b:x:c", "ssp1:a:b:1:c:d", "ssp2:a:b:1:c"]
        {
            assert_eq!(Mark::read(comment), None, "{comment}");
        }
        assert!(Job::read("").is_none() && Job::read("slurm_load_jobs error").is_none());
    }

    #[test]
    fn ends_are_read() {
        let line =
            "JobId=5 JobState=FAILED ExitCode=75:0 RunTime=00:01:05 TimeLimit=1-00:00:00 NodeList=node2";
        let expected = Detail { exit: Some((75, 0)), worked: Some(65), limit: Some(86_400) };
        assert_eq!(Detail::read(line), expected);
        assert_eq!(Detail::read("RunTime=00:00:00 TimeLimit=UNLIMITED").limit, None);
        assert_eq!(Detail::read("slurm_load_jobs error: Invalid job id specified"), Detail::default());
        let job = Job::of_accounting("5_1|CANCELLED by 1000|0:15|node1|a|b").unwrap();
        assert_eq!((job.id(), job.state, job.exit), ("5_1".to_owned(), State::Cancelled, Some((0, 15))));
        assert_eq!(job.name, "a|b");
    }
}
