//! Publication of outputs with their records: all of a group or none, whenever the process is killed.
//!
//! The files are safe on disk before an intent names them; the intent is safe before the first rename; it goes when the
//! last record is written. [`roll_forward`] finishes what an intent names.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, FolderLink, SealedFile, WrittenDown};
use crate::errors;
use crate::plan::Record;
use crate::regular::{self, special};

use super::Error;
use super::executor::TaskFolder;
use super::parts;
use super::store::{Store, entries};

/// One output to publish.
pub(super) struct Publication {
    /// The files, if they differ from what is there already.
    pub files: Vec<SealedFile>,
    /// The files of an output of parts, each with its name, if they differ from what is there already.
    pub parts: Vec<(String, SealedFile)>,
    /// What the stage remembers of its output.
    pub memory: Option<SealedFile>,
    /// The record that goes with it.
    pub record: Record,
    /// The datasets that were read.
    pub datasets: Option<Vec<String>>,
    /// The folder of the task, if the work was done elsewhere.
    pub folder: Option<TaskFolder>,
}

impl Publication {
    /// A record alone.
    pub(super) fn of(record: Record) -> Self {
        Self { files: Vec::new(), parts: Vec::new(), memory: None, record, datasets: None, folder: None }
    }
}

#[derive(Serialize, Deserialize)]
struct Intent {
    items: Vec<Item>,
    /// The generation that is put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
    /// The generation that `current` is to lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
}

/// One output and its record, as an intent names them.
#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    #[serde(default)]
    files: Vec<WrittenDown>,
    /// As earlier versions wrote it.
    #[serde(default, skip_serializing)]
    file: Option<WrittenDown>,
    /// The link of an output of parts. The folder that it is to lead to is there before the intent is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<FolderLink>,
    record: Record,
    datasets: Option<Vec<String>>,
}

impl Item {
    /// With the files or the link, if others are in their place.
    pub(super) fn new(
        files: Vec<WrittenDown>,
        link: Option<FolderLink>,
        record: Record,
        datasets: Option<Vec<String>>,
    ) -> Self {
        Self { files, file: None, link, record, datasets }
    }

    /// Removes the temporary names of what is not to be put in place.
    pub(super) fn discard(&self, store: &Store) -> Result<(), Error> {
        self.files.iter().try_for_each(WrittenDown::discard)?;
        Ok(self.link.iter().try_for_each(|link| link.discard(store.out_dir()))?)
    }
}

/// Publishes outputs and their records, all or none.
///
/// # Errors
/// If something cannot be written. If that happens before the intent is safe, nothing was published; after it, the next
/// start finishes the publication.
pub(super) fn publish(
    store: &Store,
    name: &str,
    publications: Vec<Publication>,
) -> Result<Vec<Record>, Error> {
    let mut items = Vec::with_capacity(publications.len());
    for Publication { files, parts, memory, record, datasets, .. } in publications {
        let output = record.output.as_ref().filter(|_| !parts.is_empty());
        let link = output
            .map(|output| parts::write_down(store.out_dir(), &output.path, output.digest, parts))
            .transpose()?;
        let files = files.into_iter().chain(memory).map(SealedFile::write_down).collect::<Result<_, _>>()?;
        items.push(Item::new(files, link, record, datasets));
    }
    write_and_finish(store, name, Intent { items, generation: None, current: None })
}

/// Puts outputs and records of a generation back, all or none, and lets `current` lead to it if it is put back as a whole.
pub(super) fn restore(store: &Store, items: Vec<Item>, generation: &str, whole: bool) -> Result<(), Error> {
    let current = whole.then(|| generation.to_owned());
    let intent = Intent { items, generation: Some(generation.to_owned()), current };
    write_and_finish(store, "rollback", intent).map(drop)
}

fn write_and_finish(store: &Store, name: &str, intent: Intent) -> Result<Vec<Record>, Error> {
    let path = format!("publish/{name}.json");
    if let Err(error) = store.write_json(&path, &intent) {
        // An intent that could not be made safe may be there: without this, the next run would look for files that are gone.
        let gone = durable::remove(&store.path(&path)).is_ok() || !store.path(&path).is_file();
        if gone {
            intent.items.iter().try_for_each(|item| item.discard(store))?;
        }
        return Err(error);
    }
    finish(store, &intent)?;
    durable::remove(&store.path(&path))?;
    Ok(intent.items.into_iter().map(|item| item.record).collect())
}

/// What was found where publications are written down.
#[derive(Debug, Default)]
pub(super) struct RolledForward {
    /// The records of the stages whose outputs were put in place.
    pub finished: Vec<Record>,
    /// What has the name of an intent and cannot be one, or cannot be finished, each with what to do.
    pub ignored: Vec<String>,
    /// The rollback that was finished.
    pub rollback: Option<FinishedRollback>,
}

/// A rollback that a killed command had begun, and that was finished.
#[derive(Debug)]
pub(super) struct FinishedRollback {
    /// The generation.
    pub generation: String,
    /// Whether all of it was put back.
    pub whole: bool,
    /// The records that were put back.
    pub records: Vec<Record>,
}

/// Finishes the publications that a killed run had written down.
pub(super) fn roll_forward(store: &Store) -> Result<RolledForward, Error> {
    let mut rolled = RolledForward::default();
    for path in entries(&store.path("publish"))?.iter().map(DirEntry::path) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let failed = |source| Error::Read { path: path.clone(), source };
        // An intent is a file that we wrote; a link is followed by none.
        if let Some(what) = special(fs::symlink_metadata(&path).map_err(failed)?.file_type()) {
            let path = path.display();
            rolled
                .ignored
                .push(format!("`{path}` is {what}, not a record of a run, and is ignored; remove it"));
            continue;
        }
        let text = regular::read(&path).map_err(failed)?;
        // Intents are written atomically: one that cannot be read is not ours, and nothing was renamed for it.
        if let Ok(mut intent) = serde_json::from_slice::<Intent>(&text) {
            for item in &mut intent.items {
                item.files.extend(item.file.take());
            }
            rolled.ignored.extend(drop_unfinishable(store, &mut intent)?);
            // What is gone was put in place before the crash.
            intent.items.iter_mut().for_each(|item| item.files.retain(WrittenDown::waits));
            finish(store, &intent)?;
            if let Some(generation) = intent.generation.filter(|_| !intent.items.is_empty()) {
                let whole = intent.current.is_some();
                let records = intent.items.iter().map(|item| item.record.clone()).collect();
                rolled.rollback = Some(FinishedRollback { generation, whole, records });
            }
            rolled.finished.extend(intent.items.into_iter().map(|item| item.record));
        }
        durable::remove(&path)?;
    }
    Ok(rolled)
}

/// Drops from an intent what cannot be finished: all of it if nothing of it was put in place; else only links to folders that
/// are gone, with their records. The texts say what was dropped; a sweep removes its temporary names.
///
/// # Errors
/// [`Error::Blocked`] if something is in the way of a link, and another output of the intent was put in place.
fn drop_unfinishable(store: &Store, intent: &mut Intent) -> Result<Vec<String>, Error> {
    let base = store.out_dir();
    let is_gone = |item: &Item| item.link.as_ref().is_some_and(|link| !link.can_lead(base));
    let blocked = |item: &Item| item.link.as_ref().and_then(|link| link.check(base).err());
    let blocks = intent.items.iter().find_map(blocked);
    if blocks.is_none() && !intent.items.iter().any(is_gone) {
        return Ok(Vec::new());
    }
    let is_put = |item: &Item| {
        let link = item.link.as_ref();
        link.is_some_and(|link| link.is_put(base)) || !item.files.iter().all(WrittenDown::waits)
    };
    let dropped: Vec<Item> = if intent.items.iter().any(is_put) {
        if let Some(source) = blocks {
            return Err(Error::Blocked(source));
        }
        intent.items.extract_if(.., |item| is_gone(item)).collect()
    } else {
        intent.items.drain(..).collect()
    };
    intent.current = None;
    let why = blocks.map_or_else(
        || "the folder of the new parts is gone".to_owned(),
        |error| errors::chain(&error).join(": "),
    );
    let said = |item: &Item| {
        let Record { stage, run, .. } = &item.record;
        format!("dropped the publication of `{stage}` that run {run} had begun: {why}")
    };
    Ok(dropped.iter().map(said).collect())
}

/// Removes what killed runs left in the folders of outputs and records. Where an output leads elsewhere, others may write
/// too: only what was left of this output is removed there.
pub(super) fn sweep<'a>(store: &Store, outputs: impl Iterator<Item = &'a Path>) -> Result<usize, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut removed = 0;
    let mut folders: Vec<PathBuf> =
        ["", "stages", "publish", "runs", "parts", "generations", "deliveries", "deliveries/notices"]
            .map(|name| store.path(name))
            .into();
    folders.extend(entries(&store.path("runs"))?.iter().map(DirEntry::path));
    let out_dir = fs::canonicalize(store.out_dir()).unwrap_or_else(|_| store.out_dir().to_owned());
    // An output that cannot be written has left no file, and its stage reports it. The temporary name of the link of an output
    // of parts is beside that.
    let target = |out: &Path| {
        durable::target(out).ok().or_else(|| fs::symlink_metadata(out).is_ok().then(|| out.to_owned()))
    };
    for target in outputs.filter_map(target) {
        let folder = target.parent().unwrap_or(Path::new("")).to_owned();
        if fs::canonicalize(&folder).is_ok_and(|folder| folder.starts_with(&out_dir)) {
            folders.push(folder);
        } else {
            removed += durable::sweep_of(&target).map_err(failed(&folder))?;
        }
    }
    folders.sort();
    folders.dedup();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        removed += durable::sweep(&folder).map_err(failed(&folder))?;
    }
    Ok(removed)
}

fn finish(store: &Store, intent: &Intent) -> Result<(), Error> {
    for item in &intent.items {
        for file in &item.files {
            file.publish()?;
        }
        if let Some(link) = &item.link {
            link.publish(store.out_dir())?;
        }
    }
    for item in &intent.items {
        if let Some(datasets) = &item.datasets {
            store.write_datasets(&item.record.stage, datasets)?;
        }
        store.write_record(&item.record)?;
    }
    if let Some(run) = &intent.current {
        durable::link(run.as_ref(), &store.path("generations/current"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
