//! What to do about a job that has no result: a pure function of what Slurm says. See the table in
//! `docs/explanation/executors.md`.

use std::time::Duration;

use super::job::{Exit, Job, State};

/// How long a result and its files may take to become visible on a shared file system.
pub(super) const VISIBLE: Duration = Duration::from_mins(2);
/// How long a job may be unknown: a controller that was started again has to hear of it from its node.
const UNKNOWN: Duration = Duration::from_mins(5);

/// Reasons of waiting that seldom pass, or parts of them.
const NEVER: [&str; 9] = [
    "PartitionConfig",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "PartitionInactive",
    "BadConstraints",
    "InvalidAccount",
    "InvalidQOS",
    "NotAllowed",
    "PerJob",
];

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    /// To wait, and to tell people why.
    Warn(String),
    /// To submit again.
    Again(Again, String),
    /// The stage fails.
    Fail(String),
}

/// Why and how a job is submitted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It counts as a try.
    Try,
    /// It counts as a try, and the job is cancelled first: it would wait for ever.
    Cancelled,
    /// It counts as a try, and if it happens twice on a node, another node.
    Elsewhere,
    /// It does not count.
    Free,
    /// With more memory, if there is more.
    Memory,
    /// With more time, if there is more.
    Time,
}

/// What is known of the end of a job, beside its state.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    pub exit: Option<Exit>,
    /// Whether its log says that it used more memory than it may.
    pub over_memory: bool,
    /// Whether it worked about as long as it may.
    pub at_limit: bool,
}

/// What to do about a job without a result. `quiet` is how long it has been as it is: over, or unknown.
pub(super) fn verdict(job: Option<&Job>, end: End, quiet: Duration) -> Verdict {
    let Some(job) = job else {
        if quiet < UNKNOWN {
            return Verdict::Wait;
        }
        return Verdict::Again(Again::Try, "Slurm does not know the job any more".to_owned());
    };
    let again = |how, why: &str| Verdict::Again(how, why.to_owned());
    match job.state {
        State::Pending => match job.reason.as_str() {
            reason if reason.contains("launch failed") => {
                again(Again::Cancelled, "Slurm could not start the job, and holds it")
            }
            "JobHeldUser" | "JobHeldAdmin" => {
                Verdict::Warn("the job is held: it waits until a user runs `scontrol release`".to_owned())
            }
            reason if NEVER.iter().any(|never| reason.contains(never)) => {
                Verdict::Warn(format!("Slurm may never start the job: {reason}"))
            }
            _ => Verdict::Wait,
        },
        State::Running => Verdict::Wait,
        State::Cancelled => Verdict::Fail("the job was cancelled, and not by ssp-run".to_owned()),
        State::Preempted => again(Again::Free, "another job took the place of the job"),
        State::NodeFail => again(Again::Try, "the node of the job failed"),
        State::OutOfMemory => again(Again::Memory, "the job used more memory than it may"),
        State::Timeout => again(Again::Time, "the job reached its time limit"),
        State::Completed | State::Failed | State::Other => match end.exit {
            _ if end.over_memory => again(Again::Memory, "the job used more memory than it may"),
            Some((75, _)) => again(Again::Elsewhere, "the node could not do the work"),
            // Slurm tells it to end shortly before its time limit: it does, or is ended by the signal.
            Some((143, _) | (0, 15)) if end.at_limit => again(Again::Time, "the job reached its time limit"),
            Some((2, 0)) => Verdict::Fail("the program of the job is not this version of ssp-run".to_owned()),
            Some((126 | 127, 0)) => again(Again::Elsewhere, "the node cannot start the program of the job"),
            // The daemon of the node says so.
            Some((0, 53)) => again(Again::Elsewhere, "the node cannot write into the folder of the task"),
            // What it has written may not be visible yet.
            Some((0 | 1, 0)) | None if quiet < VISIBLE => Verdict::Wait,
            Some((code, signal)) => Verdict::Again(
                Again::Try,
                format!("the job ended without a result (exit code {code}, signal {signal})"),
            ),
            None => again(Again::Try, "the job ended without a result"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: State, reason: &str) -> Job {
        let line = format!("1|N/A|RUNNING|{reason}|node1|name|comment");
        Job { state, ..Job::read(&line).unwrap() }
    }

    /// How a job is submitted again, right away and after a long time.
    fn twice(job: Option<&Job>, end: End) -> [Option<Again>; 2] {
        [Duration::ZERO, Duration::from_hours(1)].map(|quiet| match verdict(job, end, quiet) {
            Verdict::Again(how, _) => Some(how),
            _ => None,
        })
    }

    #[test]
    fn each_end_has_its_answer() {
        let end = |exit| End { exit: Some(exit), ..End::default() };
        let cases = [
            (State::Completed, end((0, 0)), [None, Some(Again::Try)]),
            // Its result says why it failed, once it can be seen.
            (State::Failed, end((1, 0)), [None, Some(Again::Try)]),
            (State::Failed, end((75, 0)), [Some(Again::Elsewhere); 2]),
            (State::Failed, end((0, 9)), [Some(Again::Try); 2]),
            (State::Failed, end((127, 0)), [Some(Again::Elsewhere); 2]),
            (State::Failed, end((0, 53)), [Some(Again::Elsewhere); 2]),
            (State::Failed, End { over_memory: true, ..end((0, 9)) }, [Some(Again::Memory); 2]),
            (State::OutOfMemory, end((0, 125)), [Some(Again::Memory); 2]),
            (State::Timeout, end((0, 15)), [Some(Again::Time); 2]),
            (State::Failed, End { at_limit: true, ..end((143, 0)) }, [Some(Again::Time); 2]),
            (State::Failed, End { at_limit: true, ..end((0, 15)) }, [Some(Again::Time); 2]),
            // The node shut down, for example.
            (State::Failed, end((143, 0)), [Some(Again::Try); 2]),
            (State::NodeFail, end((0, 0)), [Some(Again::Try); 2]),
            (State::Preempted, end((0, 0)), [Some(Again::Free); 2]),
            (State::Other, End::default(), [None, Some(Again::Try)]),
            (State::Pending, End::default(), [None; 2]),
            (State::Running, End::default(), [None; 2]),
        ];
        for (state, end, expected) in cases {
            assert_eq!(twice(Some(&job(state, "None")), end), expected, "{state:?} {end:?}");
        }
        assert_eq!(twice(None, End::default()), [None, Some(Again::Try)]);
    }

    #[test]
    fn a_job_that_waits_is_left_alone_unless_it_would_wait_for_ever() {
        let pending =
            |reason| verdict(Some(&job(State::Pending, reason)), End::default(), Duration::from_hours(9));
        for reason in ["Resources", "Priority", "BeginTime", "None", "ReqNodeNotAvail"] {
            assert_eq!(pending(reason), Verdict::Wait, "{reason}");
        }
        for reason in
            ["JobHeldUser", "JobHeldAdmin", "PartitionConfig", "QOSMaxCpuPerJobLimit", "AccountNotAllowed"]
        {
            assert!(matches!(pending(reason), Verdict::Warn(_)), "{reason}");
        }
        assert!(matches!(pending("launch failed requeued held"), Verdict::Again(Again::Cancelled, _)));
    }

    #[test]
    fn what_will_not_get_better_fails() {
        let cancelled = verdict(Some(&job(State::Cancelled, "None")), End::default(), Duration::ZERO);
        assert_eq!(cancelled, Verdict::Fail("the job was cancelled, and not by ssp-run".to_owned()));
        let end = End { exit: Some((2, 0)), ..End::default() };
        assert!(matches!(verdict(Some(&job(State::Failed, "")), end, Duration::ZERO), Verdict::Fail(_)));
    }
}
