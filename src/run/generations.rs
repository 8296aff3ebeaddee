//! Generations: the outputs and records of complete nights, kept as hard links in `<out_dir>/.ssp/generations/<run>/`.
//!
//! An output has the same path in a generation as below the output folder, and a record the same as well
//! (`.ssp/stages/<stage>.json`). The link `current` leads to one complete night, always: it is switched in one step. Links change
//! the times of files, so they are made and removed under the lock, when no stage is running.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::digest::Digest;
use crate::durable;
use crate::pipeline::{Stage, StageName};
use crate::plan::{Graph, Record};

use super::Error;
use super::digests::Digests;
use super::history::{find_run, order, runs_in};
use super::parts;
use super::store::{Found, Store};

/// The generations of an output folder.
#[derive(Debug)]
pub struct Generations {
    /// The runs that they are named after, newest first.
    pub runs: Vec<String>,
    store: Store,
}

/// What a generation is.
#[derive(Debug, Serialize)]
pub struct Generation {
    /// The run after which it was kept.
    pub run: String,
    /// Whether `current` leads to it.
    pub current: bool,
    /// How many outputs it has.
    pub outputs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes of the files that have no other name: those that removing it frees.
    pub own_bytes: u64,
    /// The outputs whose files are missing or have another size than when they were kept.
    pub damaged: Vec<String>,
}

impl Generations {
    /// Of an output folder; empty if none was ever kept.
    ///
    /// # Errors
    /// If the folder is there but cannot be read.
    pub fn of(store: &Store) -> Result<Self, Error> {
        let runs = runs_in(&store.path("generations"))?;
        Ok(Self { runs, store: store.clone() })
    }

    /// The folder of a generation.
    #[must_use]
    pub fn folder(&self, run: &str) -> PathBuf {
        self.store.path(&format!("generations/{run}"))
    }

    /// The generation that `current` leads to.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        let link = fs::read_link(self.folder("current")).ok()?;
        self.runs.iter().find(|run| Path::new(run) == link).map(String::as_str)
    }

    /// The generation that is meant: a whole name, the beginning of only one, `latest` or `current`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        match name {
            "current" => self.current(),
            "latest" => self.runs.first().map(String::as_str),
            _ => find_run(&self.runs, name),
        }
    }

    /// The records of a generation, by stage.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn records(&self, run: &str) -> Result<Vec<Record>, Error> {
        self.kept(run).records()
    }

    /// What a generation is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn describe(&self, run: &str) -> Result<Generation, Error> {
        let mut described = Generation {
            run: run.to_owned(),
            current: self.current() == Some(run),
            outputs: 0,
            bytes: 0,
            own_bytes: 0,
            damaged: Vec::new(),
        };
        for output in self.records(run)?.into_iter().filter_map(|record| record.output) {
            let files = parts::files(&output, &self.folder(run).join(&output.path)).unwrap_or_default();
            let files: Vec<_> = files.iter().filter_map(|file| fs::metadata(file).ok()).collect();
            let bytes: u64 = files.iter().map(fs::Metadata::len).sum();
            described.outputs += 1;
            if bytes != output.bytes || files.len() != output.parts.unwrap_or(1) {
                described.damaged.push(output.path.display().to_string());
            }
            described.bytes += bytes;
            let own = files.iter().filter(|file| file.nlink() == 1);
            described.own_bytes += own.map(fs::Metadata::len).sum::<u64>();
        }
        Ok(described)
    }

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

    /// Removes all but the newest `keep` and the current one; which were removed.
    fn prune(&self, keep: usize) -> Result<Vec<String>, Error> {
        let old = self.expendable(keep);
        for run in &old {
            // Half of a generation must not be taken for one.
            let unfinished = durable::unfinished(&self.folder(run));
            durable::rename_folder(&self.folder(run), &unfinished)?;
            durable::remove_folder(&unfinished)?;
        }
        Ok(old)
    }

    /// All but the newest `keep` and the current one.
    #[must_use]
    pub fn expendable(&self, keep: usize) -> Vec<String> {
        let current = self.current();
        self.runs.iter().skip(keep).filter(|run| current != Some(run)).cloned().collect()
    }
}

/// Removes all generations but the newest `keep` and the current one; which were removed. The lock must be held.
///
/// # Errors
/// If one cannot be removed.
pub fn prune(store: &Store, graph: &Graph, keep: usize) -> Result<Vec<String>, Error> {
    let digests = Digests::read(store, false);
    let removed = digests.through(&outputs(graph), || Generations::of(store)?.prune(keep))?;
    digests.write(store)?;
    Ok(removed)
}

/// A generation that was kept.
pub(super) struct Kept {
    /// The run that it is named after: an earlier one if its outputs are the same.
    pub run: String,
    /// How many generations there are.
    pub number: usize,
    /// Whether `current` led elsewhere before.
    pub switched: bool,
}

/// Keeps the outputs as a generation named after a run, unless one has the same outputs, and switches `current`
/// to it. Removes all but the newest `keep`. The text says why there is nothing whole to keep.
pub(super) fn keep(
    store: &Store,
    graph: &Graph,
    digests: &Digests,
    run: &str,
    keep: usize,
) -> Result<Result<Kept, String>, Error> {
    let records = match whole(store, graph, digests) {
        Ok(records) => records,
        Err(why) => return Ok(Err(why)),
    };
    digests.through(&outputs(graph), || {
        remove_unfinished(store)?;
        let generations = Generations::of(store)?;
        let digests_of = |records: &[Record]| -> BTreeMap<PathBuf, Digest> {
            let outputs = records.iter().filter_map(|record| record.output.as_ref());
            outputs.map(|output| (output.path.clone(), output.digest)).collect()
        };
        let wanted = digests_of(&records);
        let is_same = |run: &&String| {
            generations.records(run).is_ok_and(|kept| {
                digests_of(&kept) == wanted
                    && kept.iter().all(|record| is_intact(store, &generations.folder(run), record))
            })
        };
        let run = if let Some(same) = generations.runs.iter().find(is_same) {
            same.clone()
        } else {
            link_all(store, &generations.folder(run), &records)?;
            run.to_owned()
        };
        let switched = generations.current() != Some(&run);
        if switched {
            durable::link(run.as_ref(), &generations.folder("current"))?;
        }
        Generations::of(store)?.prune(keep)?;
        Ok(Ok(Kept { run, number: Generations::of(store)?.runs.len(), switched }))
    })
}

/// Whether the file of a generation is the one of its record. What is also the output is known to be.
fn is_intact(store: &Store, folder: &Path, record: &Record) -> bool {
    record.output.as_ref().is_none_or(|output| {
        let kept = folder.join(&output.path);
        parts::are_same_files(output, &kept, &store.out_dir().join(&output.path))
            || parts::digest_of_output(output, &kept).is_ok_and(|digest| digest == output.digest)
    })
}

/// Makes the folder of a generation, whole or not at all.
fn link_all(store: &Store, folder: &Path, records: &[Record]) -> Result<(), Error> {
    let unfinished = durable::unfinished(folder);
    let kept = Store::new(&unfinished);
    for record in records {
        if let Some(output) = &record.output {
            let (path, kept) = (store.out_dir().join(&output.path), unfinished.join(&output.path));
            let files = parts::files(output, &path);
            for file in files.map_err(|source| Error::Read { path: path.clone(), source })? {
                let name =
                    if output.parts.is_some() { kept.join(parts::name_of(&file)) } else { kept.clone() };
                durable::second_name(&file, &name)?;
            }
        }
        durable::second_name(&store.record_path(&record.stage), &kept.record_path(&record.stage))?;
        let datasets = store.datasets_path(&record.stage);
        if datasets.exists() {
            durable::second_name(&datasets, &kept.datasets_path(&record.stage))?;
        }
    }
    Ok(durable::rename_folder(&unfinished, folder)?)
}

/// Removes what a killed process left while it made or removed a generation.
fn remove_unfinished(store: &Store) -> Result<(), Error> {
    let folder = store.path("generations");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(durable::TEMPORARY_SUFFIX) && entry.path().is_dir() {
            durable::remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// The records of all stages, if their outputs stand and were made from each other; else why not.
fn whole(store: &Store, graph: &Graph, digests: &Digests) -> Result<Vec<Record>, String> {
    let mut records = Vec::with_capacity(graph.len());
    let mut made: HashMap<&str, Digest> = HashMap::new();
    let mut snapshot: Option<(&str, String)> = None;
    for stage in graph.ids().map(|id| graph.stage(id)) {
        let name = &stage.name;
        let Found::Record(record) = store.record(name) else {
            return Err(format!("`{name}` has no output yet"));
        };
        match (&record.output, &stage.out) {
            (Some(output), Some(out))
                if store.out_dir().join(&output.path) == *out && output.parts.is_some() == stage.in_parts =>
            {
                if !digests.of_output(output, out).is_ok_and(|(digest, _)| digest == output.digest) {
                    return Err(format!("the output of `{name}` is not the one that its run wrote"));
                }
                made.insert(name.as_str(), output.digest);
            }
            (None, None) => {}
            _ => return Err(format!("`{name}` has no output yet")),
        }
        if let Some(other) = record.outdated_input(stage, |name| made.get(name).copied()) {
            return Err(format!("`{name}` was made from an earlier output of `{other}`"));
        }
        if let Some(generation) = &record.generation {
            let (first, shown) = snapshot.get_or_insert_with(|| (name.as_str(), generation.snapshot.clone()));
            if *shown != generation.snapshot {
                return Err(format!("`{name}` and `{first}` were read from different snapshots"));
            }
        }
        records.push(*record);
    }
    Ok(records)
}

/// The files that the stages make, and the parts that there are.
pub(super) fn outputs(graph: &Graph) -> Vec<PathBuf> {
    let files = |stage: &Stage| {
        let out = stage.out.clone()?;
        Some(if stage.in_parts { parts::list(&out).unwrap_or_default() } else { vec![out] })
    };
    graph.ids().filter_map(|id| files(graph.stage(id))).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_before_a_run_is_older() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        for run in ["20260301T061500Z", "20260302T061500Z-10", "20260302T061500Z-2"] {
            fs::create_dir_all(store.path(&format!("generations/{run}"))).unwrap();
        }
        let kept = Generations::of(&store).unwrap();
        assert_eq!(kept.before("20260302T061500Z-10"), Some("20260302T061500Z-2"));
        assert_eq!(kept.before("20260302T061500Z-3"), Some("20260302T061500Z-2"));
        assert_eq!(kept.before("20260301T061500Z"), None);
        // No record is there, neither then nor now.
        assert_eq!(kept.newest_other(&store, &[&"a".into()]), None);
    }
}
