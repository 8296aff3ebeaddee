//! With which generation outputs are compared. Not a place for keeping or removing generations.

use super::generations::Generations;
use super::history::order;
use super::store::{Found, Store};
use crate::pipeline::StageName;

impl Generations {
    /// The records of a generation, and its outputs beside them.
    pub(crate) fn kept(&self, run: &str) -> Store {
        Store::new(&self.folder(run))
    }

    /// The newest generation from before a run.
    pub(super) fn before(&self, run: &str) -> Option<&str> {
        self.runs.iter().map(String::as_str).find(|kept| order(kept) < order(run))
    }

    /// The newest generation in which an output of these stages is not the current one.
    pub(crate) fn newest_other(&self, current: &Store, stages: &[&StageName]) -> Option<&str> {
        let digest = |store: &Store, stage: &StageName| match store.record(stage) {
            Found::Record(record) => record.output.map(|output| output.digest),
            _ => None,
        };
        let differs = |run: &&str| {
            let then = self.kept(run);
            stages.iter().any(|stage| digest(&then, stage) != digest(current, stage))
        };
        self.runs.iter().map(String::as_str).find(differs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_before_a_run_is_older() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        for run in ["20260301T061500Z", "20260302T061500Z-10", "20260302T061500Z-2"] {
            std::fs::create_dir_all(store.path(&format!("generations/{run}"))).unwrap();
        }
        let kept = Generations::of(&store).unwrap();
        assert_eq!(kept.before("20260302T061500Z-10"), Some("20260302T061500Z-2"));
        assert_eq!(kept.before("20260302T061500Z-3"), Some("20260302T061500Z-2"));
        assert_eq!(kept.before("20260301T061500Z"), None);
        // No record is there, neither then nor now.
        assert_eq!(kept.newest_other(&store, &[&"a".into()]), None);
    }
}
