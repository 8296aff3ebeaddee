//! Publication of outputs with their records: all of a group or none, whenever the process is killed.
//!
//! The files are safe on disk before an intent names them; the intent is safe before the first rename; it goes when the
//! last record is written. [`roll_forward`] finishes what an intent names.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{self, SealedFile};
use crate::plan::Record;

use super::Error;
use super::store::Store;

/// One output to publish.
pub struct Publication {
    /// The file, if it differs from what stands there already.
    pub file: Option<SealedFile>,
    /// The record that goes with it.
    pub record: Record,
    /// For extracts: the datasets that were read.
    pub datasets: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct Intent {
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    temporary: Option<PathBuf>,
    record: Record,
    datasets: Option<Vec<String>>,
}

/// Publishes outputs and their records, all or none.
///
/// # Errors
/// If something cannot be written. If that happens before the intent is safe, nothing was published; after it, the next
/// start finishes the publication.
pub fn publish(store: &Store, name: &str, publications: Vec<Publication>) -> Result<Vec<Record>, Error> {
    let mut items = Vec::with_capacity(publications.len());
    for Publication { file, record, datasets } in publications {
        let temporary = file.map(|file| file.keep().and_then(|path| absolute(&path))).transpose()?;
        items.push(Item { temporary, record, datasets });
    }
    let intent = Intent { items };
    let path = format!("publish/{name}.json");
    if let Err(error) = store.write_json(&path, &intent) {
        // An intent that could not be made safe may be there: without this, the next run would look for files that are gone.
        durable::remove(&store.path(&path))?;
        for temporary in intent.items.iter().filter_map(|item| item.temporary.as_deref()) {
            durable::remove(temporary)?;
        }
        return Err(error);
    }
    finish(store, &intent)?;
    durable::remove(&store.path(&path))?;
    Ok(intent.items.into_iter().map(|item| item.record).collect())
}

/// Finishes the publications that a killed run had written down; the stages whose outputs were put in place.
///
/// # Errors
/// If something cannot be read or written.
pub fn roll_forward(store: &Store) -> Result<Vec<Record>, Error> {
    let folder = store.path("publish");
    let mut finished = Vec::new();
    for path in files(&folder)? {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        // Intents are written atomically: one that cannot be read is not ours, and nothing was renamed for it.
        if let Ok(intent) = serde_json::from_slice::<Intent>(&text) {
            finish(store, &intent)?;
            finished.extend(intent.items.into_iter().map(|item| item.record));
        }
        durable::remove(&path)?;
    }
    Ok(finished)
}

/// Removes what killed runs left in the folders of outputs and records.
///
/// # Errors
/// If a folder cannot be read or a file cannot be removed.
pub fn sweep<'a>(store: &Store, outputs: impl Iterator<Item = &'a Path>) -> Result<usize, Error> {
    let mut folders: Vec<PathBuf> = outputs.filter_map(Path::parent).map(Path::to_owned).collect();
    folders.extend(["", "stages", "publish", "runs"].map(|name| store.path(name)));
    folders.extend(files(&store.path("runs"))?);
    folders.sort();
    folders.dedup();
    let mut removed = 0;
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        removed += durable::sweep(&folder).map_err(|source| Error::Read { path: folder, source })?;
    }
    Ok(removed)
}

fn finish(store: &Store, intent: &Intent) -> Result<(), Error> {
    for item in &intent.items {
        if let Some(temporary) = &item.temporary {
            durable::publish_written_down(temporary, &store.out_dir().join(&item.record.output.path))?;
        }
    }
    for item in &intent.items {
        if let Some(datasets) = &item.datasets {
            store.write_datasets(&item.record.stage, datasets)?;
        }
        store.write_record(&item.record)?;
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, durable::Error> {
    std::path::absolute(path).map_err(|source| durable::Error::Publish { target: path.to_owned(), source })
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
    use crate::plan::{Key, Output, RECORD_FORMAT};
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
            output: Output {
                path: file.target().file_name().unwrap().into(),
                bytes: file.bytes(),
                rows: 1,
                digest: file.digest(),
            },
            generation: None,
            seconds: 0.0,
            figures: serde_json::Map::new(),
            version: String::new(),
        }
    }

    fn publication(out_dir: &Path, stage: &str) -> Publication {
        let file = sealed(&out_dir.join(stage), stage.as_bytes());
        let record = record(stage, &file);
        Publication { file: Some(file), record, datasets: Some(vec!["x".to_owned()]) }
    }

    #[test]
    fn a_group_is_published_with_its_records() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        publish(&store, "g", vec![publication(folder.path(), "a"), publication(folder.path(), "b")]).unwrap();
        for stage in ["a", "b"] {
            assert_eq!(fs::read(folder.path().join(stage)).unwrap(), stage.as_bytes());
            assert!(matches!(store.record(&stage.into()).unwrap(), Found::Record(_)));
            assert_eq!(store.datasets(&stage.into()), Some(vec!["x".to_owned()]));
        }
        assert!(roll_forward(&store).unwrap().is_empty());
    }

    /// Killed after the intent, after the first rename, after the first record: the next start finishes all of it.
    #[test]
    fn a_publication_that_was_cut_short_is_finished() {
        for cut in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path());
            fs::write(folder.path().join("a"), b"old").unwrap();
            let items = ["a", "b"].map(|stage| {
                let Publication { file, record, datasets } = publication(folder.path(), stage);
                Item { temporary: Some(file.unwrap().keep().unwrap()), record, datasets }
            });
            let intent = Intent { items: items.into() };
            store.write_json("publish/g.json", &intent).unwrap();
            if cut > 0 {
                fs::rename(intent.items[0].temporary.as_ref().unwrap(), folder.path().join("a")).unwrap();
            }
            if cut > 1 {
                store.write_record(&intent.items[0].record).unwrap();
            }
            assert_eq!(roll_forward(&store).unwrap().len(), 2);
            sweep(&store, [folder.path().join("a")].iter().map(PathBuf::as_path)).unwrap();
            for stage in ["a", "b"] {
                assert_eq!(fs::read(folder.path().join(stage)).unwrap(), stage.as_bytes(), "cut {cut}");
                assert!(matches!(store.record(&stage.into()).unwrap(), Found::Record(_)), "cut {cut}");
            }
            assert_eq!(fs::read_dir(store.path("publish")).unwrap().count(), 0);
        }
    }

    #[test]
    fn an_unreadable_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let stage = "a".into();
        fs::create_dir_all(store.path("stages")).unwrap();
        for text in ["", "{", "[]", "{\"format\": 99}", "{\"format\": 1}", "\u{0}\u{1}"] {
            fs::write(store.record_path(&stage), text).unwrap();
            assert!(matches!(store.record(&stage).unwrap(), Found::Unreadable(_)), "{text:?}");
        }
        fs::write(store.record_path(&stage), [0xff, 0xfe]).unwrap();
        assert!(matches!(store.record(&stage).unwrap(), Found::Unreadable(_)));
    }

    proptest::proptest! {
        /// Whatever stands where a record should be: no panic, and no error but that it cannot be used.
        #[test]
        fn any_bytes_are_a_record_or_are_not(cut in 0usize..600, bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path());
            let Publication { record, .. } = publication(folder.path(), "a");
            let good = serde_json::to_vec_pretty(&record).unwrap();
            let mangled = [&good[..cut.min(good.len())], &bytes, &good[cut.min(good.len())..]].concat();
            fs::create_dir_all(store.path("stages")).unwrap();
            fs::write(store.record_path(&"a".into()), mangled).unwrap();
            proptest::prop_assert!(store.record(&"a".into()).is_ok());
        }
    }
}
