//! Numbers and states as people read them. Not a place for colours, or for what is counted.

use std::time::Duration;

use super::events::{StageReport, StageStatus};

pub(crate) use crate::quantity::thousands;

/// `up to date`.
pub(crate) fn state(status: StageStatus) -> &'static str {
    match status {
        StageStatus::UpToDate => "up to date",
        StageStatus::Unchanged => "unchanged",
        StageStatus::Done => "done",
        StageStatus::Failed => "failed",
        StageStatus::Blocked => "blocked",
        StageStatus::Cancelled => "cancelled",
    }
}

/// `2 done, 1 up to date`; nothing of no stages.
pub(crate) fn counts(stages: &[StageReport]) -> String {
    let count = |status| stages.iter().filter(|stage| stage.status == status).count();
    let counted = StageStatus::ALL.map(|status| (count(status), state(status)));
    let said = counted.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    said.collect::<Vec<_>>().join(", ")
}

/// `1 stage`, `2 stages`.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// `310 MB`, in powers of 1,000.
pub(crate) fn size(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if number >= 999.5 {
            (number, unit) = (number / 1000.0, larger);
        }
    }
    let digits = usize::from(number < 9.95 && unit != "B");
    format!("{number:.digits$} {unit}")
}

/// `2m11s`.
pub(crate) fn period(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1}s");
    }
    let whole = Duration::try_from_secs_f64(seconds.round()).unwrap_or(Duration::MAX).as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 12, 999, 1_000, 1_466_201].map(thousands), ["0", "12", "999", "1,000", "1,466,201"]);
        assert_eq!(
            [0, 999, 1_000, 9_960, 310_400_000].map(size),
            ["0 B", "999 B", "1.0 kB", "10 kB", "310 MB"]
        );
        // A record can say anything.
        assert_eq!([-1.0, f64::MAX].map(period), ["-1.0s", "5124095576030431h00m"]);
        assert_eq!([0.04, 9.94, 37.2, 131.0, 7260.0].map(period), ["0.0s", "9.9s", "37s", "2m11s", "2h01m"]);
    }
}
