//! Publication of outputs with their records: all of a group or none, whenever the process is killed.
//!
//! The files are safe on disk before an intent names them; the intent is safe before the first rename; it goes when the
//! last record is written. [`roll_forward`] finishes what an intent names.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, SealedFile, WrittenDown};
use crate::plan::Record;
use crate::regular::{self, special};

use super::Error;
use super::executor::TaskFolder;
use super::store::Store;

/// One output to publish.
pub(super) struct Publication {
    /// The files, if they differ from what is there already.
    pub files: Vec<SealedFile>,
    /// What the stage remembers of its output.
    pub memory: Option<SealedFile>,
    /// The record that goes with it.
    pub record: Record,
    /// The datasets that were read.
    pub datasets: Option<Vec<String>>,
    /// The folder of the task, if the work was done elsewhere.
    pub folder: Option<TaskFolder>,
}

#[derive(Serialize, Deserialize)]
struct Intent {
    items: Vec<Item>,
    /// The generation that `current` is to lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    #[serde(default)]
    files: Vec<WrittenDown>,
    /// As earlier versions wrote it.
    #[serde(default, skip_serializing)]
    file: Option<WrittenDown>,
    record: Record,
    datasets: Option<Vec<String>>,
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
    for Publication { files, memory, record, datasets, .. } in publications {
        let files = files.into_iter().chain(memory).map(SealedFile::write_down).collect::<Result<_, _>>()?;
        items.push(Item { files, file: None, record, datasets });
    }
    write_and_finish(store, name, Intent { items, current: None })
}

/// An output of a generation that is to be put back.
pub(super) struct Restoration {
    /// The file, if another one stands in its place.
    pub file: Option<WrittenDown>,
    /// The record that goes with it.
    pub record: Record,
    /// The datasets that were read.
    pub datasets: Option<Vec<String>>,
}

/// Puts outputs and records of a generation back, all or none, and lets `current` lead to it if it is named.
///
/// # Errors
/// As of [`publish`].
pub(super) fn restore(
    store: &Store,
    restorations: Vec<Restoration>,
    current: Option<String>,
) -> Result<(), Error> {
    let item = |Restoration { file, record, datasets }: Restoration| Item {
        files: file.into_iter().collect(),
        file: None,
        record,
        datasets,
    };
    let items = restorations.into_iter().map(item).collect();
    write_and_finish(store, "rollback", Intent { items, current }).map(drop)
}

fn write_and_finish(store: &Store, name: &str, intent: Intent) -> Result<Vec<Record>, Error> {
    let path = format!("publish/{name}.json");
    if let Err(error) = store.write_json(&path, &intent) {
        // An intent that could not be made safe may be there: without this, the next run would look for files that are gone.
        let gone = durable::remove(&store.path(&path)).is_ok() || !store.path(&path).is_file();
        for file in intent.items.iter().flat_map(|item| &item.files).filter(|_| gone) {
            file.discard()?;
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
    /// What has the name of an intent and cannot be one, each with what to do.
    pub ignored: Vec<String>,
}

/// Finishes the publications that a killed run had written down.
///
/// # Errors
/// If something cannot be read or written.
pub(super) fn roll_forward(store: &Store) -> Result<RolledForward, Error> {
    let folder = store.path("publish");
    let mut rolled = RolledForward::default();
    for path in files(&folder)? {
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
            // What is gone was put in place before the crash.
            for item in &mut intent.items {
                item.files.extend(item.file.take());
                item.files.retain(WrittenDown::waits);
            }
            finish(store, &intent)?;
            rolled.finished.extend(intent.items.into_iter().map(|item| item.record));
        }
        durable::remove(&path)?;
    }
    Ok(rolled)
}

/// Removes what killed runs left in the folders of outputs and records. Where an output leads elsewhere, others may write
/// too: only what was left of this output is removed there.
///
/// # Errors
/// If a folder cannot be read or a file cannot be removed.
pub(super) fn sweep<'a>(store: &Store, outputs: impl Iterator<Item = &'a Path>) -> Result<usize, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { path, source }
    };
    let mut removed = 0;
    let mut folders: Vec<PathBuf> = ["", "stages", "publish", "runs"].map(|name| store.path(name)).into();
    folders.extend(files(&store.path("runs"))?);
    let out_dir = fs::canonicalize(store.out_dir()).unwrap_or_else(|_| store.out_dir().to_owned());
    // An output that cannot be written has left no file, and its stage reports it.
    for target in outputs.filter_map(|out| durable::target(out).ok()) {
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

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::io::Write as _;

    use chrono::Utc;

    use super::*;
    use crate::durable::PendingFile;
    use crate::key::Key;
    use crate::plan::{Output, RECORD_FORMAT};
    use crate::run::Found;

    fn sealed(target: &Path, bytes: &[u8]) -> SealedFile {
        let mut pending = PendingFile::create(target).unwrap();
        pending.write_all(bytes).unwrap();
        pending.seal().unwrap()
    }

    fn record(stage: &str, file: &SealedFile) -> Record {
        Record {
            format: RECORD_FORMAT,
            stage: stage.into(),
            kind: "export".to_owned(),
            run: "r".to_owned(),
            finished: Utc::now(),
            written_by: "r".to_owned(),
            key: Key::default(),
            output: Some(Output { path: stage.into(), bytes: file.bytes(), rows: 1, digest: file.digest() }),
            generation: None,
            seconds: 0.0,
            figures: serde_json::Map::new(),
            checks: Vec::new(),
            version: String::new(),
        }
    }

    fn publication(out_dir: &Path, stage: &str) -> Publication {
        let file = sealed(&out_dir.join(stage), stage.as_bytes());
        let record = record(stage, &file);
        Publication {
            files: vec![file],
            memory: None,
            record,
            datasets: Some(vec!["x".to_owned()]),
            folder: None,
        }
    }

    #[test]
    fn a_group_is_published_with_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        publish(&store, "g", vec![publication(folder.path(), "a"), publication(folder.path(), "b")]).unwrap();
        for stage in ["a", "b"] {
            assert_eq!(fs::read(folder.path().join(stage)).unwrap(), stage.as_bytes());
            assert!(matches!(store.record(&stage.into()), Found::Record(_)));
            assert_eq!(store.datasets(&stage.into()), Some(vec!["x".to_owned()]));
        }
        assert!(roll_forward(&store).unwrap().finished.is_empty());
    }

    /// Killed after the intent, after the first rename, after the first record: the next start finishes all of it.
    #[test]
    fn a_publication_that_was_cut_short_is_finished() {
        for cut in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path());
            fs::write(folder.path().join("a"), b"old").unwrap();
            let items = ["a", "b"].map(|stage| {
                let Publication { files, record, datasets, .. } = publication(folder.path(), stage);
                Item {
                    files: files.into_iter().map(|file| file.write_down().unwrap()).collect(),
                    file: None,
                    record,
                    datasets,
                }
            });
            let intent = Intent { items: items.into(), current: None };
            store.write_json("publish/g.json", &intent).unwrap();
            if cut > 0 {
                intent.items[0].files[0].publish().unwrap();
            }
            if cut > 1 {
                store.write_record(&intent.items[0].record).unwrap();
            }
            assert_eq!(roll_forward(&store).unwrap().finished.len(), 2);
            sweep(&store, [folder.path().join("a")].iter().map(PathBuf::as_path)).unwrap();
            for stage in ["a", "b"] {
                assert_eq!(fs::read(folder.path().join(stage)).unwrap(), stage.as_bytes(), "cut {cut}");
                assert!(matches!(store.record(&stage.into()), Found::Record(_)), "cut {cut}");
            }
            assert_eq!(fs::read_dir(store.path("publish")).unwrap().count(), 0);
        }
    }

    /// The temporary file is beside the file that the link led to; a link that is changed meanwhile changes nothing.
    #[test]
    fn a_publication_through_a_link_is_finished_where_the_link_led() {
        let [folder, big] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let store = Store::new(folder.path());
        let link = folder.path().join("a");
        std::os::unix::fs::symlink(big.path().join("real"), &link).unwrap();
        let Publication { mut files, record, .. } = publication(folder.path(), "a");
        let item =
            Item { files: vec![files.remove(0).write_down().unwrap()], file: None, record, datasets: None };
        store.write_json("publish/g.json", &Intent { items: vec![item], current: None }).unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(big.path().join("other"), &link).unwrap();
        fs::write(big.path().join(".other.x.ssp-tmp"), b"left").unwrap();
        // Of another program that uses this folder.
        fs::write(big.path().join(".others.x.ssp-tmp"), b"waits").unwrap();
        assert_eq!(roll_forward(&store).unwrap().finished.len(), 1);
        sweep(&store, std::iter::once(link.as_path())).unwrap();
        let found = fs::read_dir(big.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut found: Vec<_> = found.collect();
        found.sort();
        assert_eq!(found, [".others.x.ssp-tmp", "real"]);
        assert_eq!(fs::read(big.path().join("real")).unwrap(), b"a");
        assert!(link.is_symlink());
    }

    #[test]
    fn an_unreadable_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let stage = "a".into();
        fs::create_dir_all(store.path("stages")).unwrap();
        for text in ["", "{", "[]", "{\"format\": 99}", "{\"format\": 1}", "\u{0}\u{1}"] {
            fs::write(store.record_path(&stage), text).unwrap();
            assert!(matches!(store.record(&stage), Found::Unreadable(_)), "{text:?}");
        }
        fs::write(store.record_path(&stage), [0xff, 0xfe]).unwrap();
        assert!(matches!(store.record(&stage), Found::Unreadable(_)));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(crate::cases::cases(64, 256)))]

        /// Whatever stands where a record should be: no panic.
        #[test]
        fn any_bytes_are_a_record_or_are_not(cut in 0usize..600, bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path());
            let Publication { record, .. } = publication(folder.path(), "a");
            let good = serde_json::to_vec_pretty(&record).unwrap();
            let mangled = [&good[..cut.min(good.len())], &bytes, &good[cut.min(good.len())..]].concat();
            fs::create_dir_all(store.path("stages")).unwrap();
            fs::write(store.record_path(&"a".into()), mangled).unwrap();
            let _ = store.record(&"a".into());
        }
    }
}
