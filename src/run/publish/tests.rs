//! Publications that are cut short, and what the next start finishes.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

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
        output: Some(Output {
            path: stage.into(),
            bytes: file.bytes(),
            rows: 1,
            digest: file.digest(),
            parts: None,
        }),
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
    Publication { files: vec![file], datasets: Some(vec!["x".to_owned()]), ..Publication::of(record) }
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
        let items = ["a", "b"].map(|stage| file_written_down(&store, stage));
        let intent = written_down(&store, items.into());
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
    written_down(&store, vec![file_written_down(&store, "a")]);
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

/// An output of parts, the number of its parts as the content.
fn of_parts(store: &Store, number: usize) -> Publication {
    let file = |part| sealed(&parts::target(store.out_dir(), "a"), format!("{number} {part}").as_bytes());
    let parts = parts::named((0..number).map(file).collect());
    let digest = parts::digest(parts.iter().map(|(name, file)| (name.clone(), file.digest())));
    let output = Output { path: "a".into(), bytes: 3, rows: 1, digest, parts: Some(number) };
    let record = record("a", &parts[0].1);
    Publication { parts, ..Publication::of(Record { output: Some(output), ..record }) }
}

fn contents(folder: &Path) -> Vec<String> {
    let files = parts::list(folder).unwrap();
    files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// Killed after the folder, the intent, the link, or the record: the old output or the new one, and the next start finishes it
/// if there is an intent. A folder that no intent names is kept until the next start but one.
#[test]
fn a_publication_of_parts_is_all_or_none() {
    for cut in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        publish(&store, "a", vec![of_parts(&store, 2)]).unwrap();
        let out = folder.path().join("a");
        assert!(out.is_symlink() && contents(&out) == ["2 0", "2 1"]);
        let items = vec![of_parts_written_down(&store, 3)];
        let intent = Intent { items, generation: None, current: None };
        if cut > 0 {
            store.write_json("publish/a.json", &intent).unwrap();
        }
        if cut > 1 {
            intent.items[0].link.as_ref().unwrap().publish(store.out_dir()).unwrap();
        }
        if cut > 2 {
            store.write_record(&intent.items[0].record).unwrap();
        }
        assert_eq!(contents(&out).len(), if cut > 1 { 3 } else { 2 }, "cut {cut}");
        let rolled = roll_forward(&store).unwrap();
        assert_eq!(rolled.finished.len(), usize::from(cut > 0), "cut {cut}");
        let Found::Record(record) = store.record(&"a".into()) else { panic!("no record") };
        let output = record.output.unwrap();
        assert_eq!(output.parts, Some(if cut > 0 { 3 } else { 2 }), "cut {cut}");
        assert_eq!(parts::digest_of_output(&output, &out).unwrap(), output.digest, "cut {cut}");
        assert_eq!(fs::read_dir(store.path("publish")).unwrap().count(), 0);
        let folders = || {
            fs::read_dir(store.path("parts")).unwrap().filter(|found| found.as_ref().unwrap().path().is_dir())
        };
        for expected in [2, 1] {
            assert_eq!(parts::clear(store.out_dir(), &store.recorded()), Vec::<String>::new());
            assert_eq!(folders().count(), expected, "cut {cut}");
        }
        assert_eq!(parts::digest_of_output(&output, &out).unwrap(), output.digest, "cut {cut}");
    }
}

/// What another program put there is not replaced, and no folder of parts is lost.
#[test]
fn a_link_is_put_in_place_of_a_link_only() {
    for content in [None, Some(b"mine")] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let out = folder.path().join("a");
        match content {
            None => fs::create_dir(&out).unwrap(),
            Some(bytes) => fs::write(&out, bytes).unwrap(),
        }
        let error = publish(&store, "a", vec![of_parts(&store, 2)]).unwrap_err().to_string();
        assert!(error.contains("must become a link to the folder of the parts"), "{error}");
        assert!(out.is_dir() || fs::read(&out).unwrap() == b"mine");
        assert!(matches!(store.record(&"a".into()), Found::Nothing));
        assert!(roll_forward(&store).unwrap().finished.is_empty());
    }
}

/// Another link at `out` is not ours, and a renamed one is a name of the folder.
#[test]
fn parts_that_a_record_or_a_renamed_link_names_are_kept() {
    for renamed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        for number in [2, 3] {
            publish(&store, "a", vec![of_parts(&store, number)]).unwrap();
            let out = folder.path().join("a");
            if renamed && number == 2 {
                fs::rename(&out, folder.path().join("monday")).unwrap();
            } else if !renamed && number == 3 {
                fs::remove_file(&out).unwrap();
                std::os::unix::fs::symlink("/tmp", &out).unwrap();
            }
        }
        (0..3).for_each(|_| assert!(parts::clear(store.out_dir(), &store.recorded()).is_empty()));
        let entries = fs::read_dir(store.path("parts")).unwrap().map(|entry| entry.unwrap().path());
        let mut kept: Vec<usize> =
            entries.filter(|path| path.is_dir()).map(|path| contents(&path).len()).collect();
        kept.sort_unstable();
        assert_eq!(kept, if renamed { vec![2, 3] } else { vec![3] });
    }
}

/// The output of parts that a run is to publish, written down in an intent.
fn of_parts_written_down(store: &Store, number: usize) -> Item {
    let Publication { parts, record, .. } = of_parts(store, number);
    let digest = record.output.as_ref().unwrap().digest;
    let link = parts::write_down(store.out_dir(), Path::new("a"), digest, parts).unwrap();
    Item::new(Vec::new(), Some(link), record, None)
}

fn written_down(store: &Store, items: Vec<Item>) -> Intent {
    let intent = Intent { items, generation: None, current: None };
    store.write_json("publish/g.json", &intent).unwrap();
    intent
}

fn file_written_down(store: &Store, stage: &str) -> Item {
    let Publication { files, record, datasets, .. } = publication(store.out_dir(), stage);
    let files = files.into_iter().map(|file| file.write_down().unwrap()).collect();
    Item::new(files, None, record, datasets)
}

/// No name can be made in `/proc`: that is found before a file of the group is replaced.
#[test]
fn a_link_that_cannot_be_made_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    std::os::unix::fs::symlink("/proc", folder.path().join("deep")).unwrap();
    let mut of_parts = of_parts(&store, 2);
    of_parts.record.output.as_mut().unwrap().path = "deep/a".into();
    publish(&store, "g", vec![publication(folder.path(), "b"), of_parts]).unwrap_err();
    assert!(!folder.path().join("b").exists());
    assert!(roll_forward(&store).unwrap().finished.is_empty());
}

/// The link is made beside its place before it is written down, and again if a sweep removed it.
#[test]
fn the_temporary_name_of_a_link_is_renamed() {
    for swept in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let item = of_parts_written_down(&store, 2);
        let count = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count(), 2);
        assert_eq!(if swept { durable::sweep(folder.path()).unwrap() } else { 1 }, 1);
        item.link.as_ref().unwrap().publish(store.out_dir()).unwrap();
        assert_eq!(contents(&folder.path().join("a")), ["2 0", "2 1"]);
        assert_eq!(count(), 2);
        // One that a killed run left.
        drop(of_parts_written_down(&store, 2));
        assert_eq!(count(), 3);
        sweep(&store, [folder.path().join("a")].iter().map(PathBuf::as_path)).unwrap();
        assert_eq!(count(), 2);
    }
}

#[test]
fn a_copy_of_an_intent_leaves_the_original_alone() {
    let [original, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for parts_too in [false, true] {
        let store = Store::new(original.path());
        written_down(&store, vec![of_parts_written_down(&store, 2)]);
        let copied = Store::new(&copy.path().join(parts_too.to_string()));
        for name in ["publish", "parts"].into_iter().take(1 + usize::from(parts_too)) {
            fs::create_dir_all(copied.path("")).unwrap();
            let mut cp = std::process::Command::new("cp");
            assert!(cp.arg("-a").args([store.path(name), copied.path(name)]).status().unwrap().success());
        }
        let rolled = roll_forward(&copied).unwrap();
        assert!(!original.path().join("a").is_symlink());
        // Without its folder, the link is not put, and its record is not written.
        assert_eq!((rolled.finished.len(), rolled.ignored.len()), if parts_too { (1, 0) } else { (0, 1) });
        assert_eq!(copied.out_dir().join("a").is_dir(), parts_too);
        assert_eq!(matches!(copied.record(&"a".into()), Found::Record(_)), parts_too);
    }
}

/// Nothing of the intent was put in place: it is dropped. Something was: a person must move the thing away.
#[test]
fn a_blocked_link_stops_later_runs_only_after_something_was_put_in_place() {
    for put in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let items = vec![file_written_down(&store, "b"), of_parts_written_down(&store, 2)];
        let intent = written_down(&store, items);
        fs::create_dir(folder.path().join("a")).unwrap();
        if put {
            intent.items[0].files[0].publish().unwrap();
            let error = errors::chain(&roll_forward(&store).unwrap_err()).join(": ");
            assert!(error.contains("move away what is in the way"), "{error}");
            fs::remove_dir(folder.path().join("a")).unwrap();
            assert_eq!(roll_forward(&store).unwrap().finished.len(), 2);
            assert_eq!(contents(&folder.path().join("a")), ["2 0", "2 1"]);
        } else {
            let rolled = roll_forward(&store).unwrap();
            assert_eq!((rolled.finished.len(), rolled.ignored.len()), (0, 2), "{:?}", rolled.ignored);
            assert!(rolled.ignored[1].contains("is a folder"), "{:?}", rolled.ignored);
            sweep(&store, ["a", "b"].map(|name| folder.path().join(name)).iter().map(PathBuf::as_path))
                .unwrap();
            let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut left: Vec<_> = left.collect();
            left.sort();
            assert_eq!(left, [".ssp", "a"]);
            assert!(matches!(store.record(&"b".into()), Found::Nothing));
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
        assert!(matches!(store.record(&stage), Found::Unreadable(_)), "{text:?}");
    }
    fs::write(store.record_path(&stage), [0xff, 0xfe]).unwrap();
    assert!(matches!(store.record(&stage), Found::Unreadable(_)));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(crate::cases::cases(64, 256)))]

    /// Any bytes in place of a record: no panic.
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
