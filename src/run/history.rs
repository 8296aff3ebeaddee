//! What earlier runs left, newest first, and which of it may go.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;

use super::Error;
use super::events::{RunReport, RunStatus, StageReport};
use super::lock::Lock;
use super::store::{Store, entries};

/// The runs of an output folder.
#[derive(Debug)]
pub struct History {
    /// Their ids, newest first.
    pub runs: Vec<String>,
    store: Store,
}

impl History {
    /// Of an output folder; empty if nothing was ever run.
    ///
    /// # Errors
    /// If the folder is there but cannot be read.
    pub fn of(store: &Store) -> Result<Self, Error> {
        store.check()?;
        let runs = runs_in(&store.path("runs"))?;
        Ok(Self { runs, store: store.clone() })
    }

    /// The folder of a run.
    #[must_use]
    pub fn folder(&self, run: &str) -> PathBuf {
        self.store.path(&format!("runs/{run}"))
    }

    /// How a run ended; nothing if it left no report, or one that cannot be read.
    #[must_use]
    pub fn report(&self, run: &str) -> Option<RunReport> {
        let read = || self.store.read_json::<RunReport>(&format!("runs/{run}/run.json"));
        let report = read()?;
        if report.status != RunStatus::Running || Lock::may_be_held_by(&self.store.path("lock"), run) {
            return Some(report);
        }
        // It may have ended in between.
        let mut report = read()?;
        if report.status == RunStatus::Running {
            report.status = RunStatus::Killed;
        }
        Some(report)
    }

    /// The reports of all runs, newest first.
    pub fn reports(&self) -> impl Iterator<Item = RunReport> {
        self.runs.iter().filter_map(|run| self.report(run))
    }

    /// The run that is meant: a whole id, the beginning of only one, or `latest`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        if name == "latest" {
            // What the link says: with a clock that was set back, the newest id need not be the last run's.
            let link = fs::read_link(self.store.path("runs/latest")).ok();
            let linked = self.runs.iter().find(|run| link.as_deref() == Some(Path::new(run.as_str())));
            return linked.or(self.runs.first()).map(String::as_str);
        }
        find_run(&self.runs, name)
    }

    /// The run that first made an output of a stage with this digest.
    #[must_use]
    pub fn made(&self, stage: &str, digest: &str) -> Option<String> {
        let made =
            |report: &StageReport| report.stage.as_str() == stage && report.digest.as_deref() == Some(digest);
        let mut reports = self.runs.iter().rev().filter_map(|run| self.report(run));
        reports.find(|report| report.stages.iter().any(made)).map(|report| report.run)
    }

    /// The runs that may go: all but the newest `keep` and those that wrote a current output.
    #[must_use]
    pub fn expendable(&self, keep: usize, standing: &BTreeSet<String>) -> Vec<&str> {
        let old = self.runs.iter().skip(keep.max(1));
        old.filter(|run| !standing.contains(*run)).map(String::as_str).collect()
    }
}

/// The runs that folders are named after, newest first; none if the folder around them is not there. Another folder, such as
/// `latest` after a copy that followed links, is not a run.
pub(super) fn runs_in(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut runs = Vec::new();
    for entry in entries(folder)? {
        let is_folder = entry.file_type().map_err(failed)?.is_dir();
        runs.extend(entry.file_name().into_string().ok().filter(|name| is_folder && is_run(name)));
    }
    // A second run of the same second has a number behind it: `...Z-2` is later than `...Z`.
    runs.sort_by(|a, b| order(b).cmp(&order(a)));
    Ok(runs)
}

/// The run of a whole id, or of the beginning of only one.
pub(super) fn find_run<'a>(runs: &'a [String], name: &str) -> Option<&'a str> {
    let mut fit = runs.iter().filter(|run| fits(run, name));
    match (runs.iter().find(|run| *run == name), fit.next(), fit.next()) {
        (Some(exact), _, _) | (None, Some(exact), None) => Some(exact),
        _ => None,
    }
}

/// Whether the id of a run begins with a name. The empty name, of a variable that is not set, names no run.
pub(crate) fn fits(run: &str, name: &str) -> bool {
    !name.is_empty() && run.starts_with(name)
}

/// Whether a name is that of a run: its time in UTC, such as `20260302T061500Z`, with a number behind it if need be.
fn is_run(name: &str) -> bool {
    let (time, number) = name.split_once('-').unwrap_or((name, "2"));
    time_of(time).is_some() && number.parse::<u32>().is_ok()
}

/// The time in the name of a run.
pub(super) fn time_of(run: &str) -> Option<NaiveDateTime> {
    let time = run.split_once('-').map_or(run, |(time, _)| time);
    NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ").ok()
}

/// What runs are sorted by: the time in the name and the number behind it.
pub(super) fn order(run: &str) -> (&str, u32) {
    match run.split_once("Z-") {
        Some((time, number)) => (time, number.parse().unwrap_or(0)),
        None => (run.strip_suffix('Z').unwrap_or(run), 1),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    #[test]
    fn runs_are_in_order_and_found_by_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert!(History::of(&store).unwrap().runs.is_empty());
        for run in ["20260301T061500Z", "20260302T061500Z-10", "20260302T061500Z", "20260302T061500Z-2"] {
            fs::create_dir_all(store.path(&format!("runs/{run}"))).unwrap();
        }
        fs::write(store.path("runs/notes.txt"), b"").unwrap();
        for other in ["latest", "old", "20260303T061500Z-copy", "20260303"] {
            fs::create_dir(store.path(&format!("runs/{other}"))).unwrap();
        }
        let history = History::of(&store).unwrap();
        assert_eq!(
            history.runs,
            ["20260302T061500Z-10", "20260302T061500Z-2", "20260302T061500Z", "20260301T061500Z"]
        );
        assert_eq!(history.find("latest"), Some("20260302T061500Z-10"));
        fs::remove_dir(store.path("runs/latest")).unwrap();
        crate::durable::link("20260301T061500Z".as_ref(), &store.path("runs/latest")).unwrap();
        assert_eq!(history.find("latest"), Some("20260301T061500Z"));
        assert_eq!(history.find("20260302T061500Z"), Some("20260302T061500Z"));
        assert_eq!(history.find("20260301"), Some("20260301T061500Z"));
        assert_eq!((history.find("20260302"), history.find("x")), (None, None));
        let one = &history.runs[..1];
        assert_eq!((find_run(one, ""), find_run(one, "2")), (None, Some("20260302T061500Z-10")));
        let standing = BTreeSet::from(["20260301T061500Z".to_owned()]);
        assert_eq!(history.expendable(1, &standing), ["20260302T061500Z-2", "20260302T061500Z"]);
        assert_eq!(history.expendable(0, &BTreeSet::new()).len(), 3);
    }
}
