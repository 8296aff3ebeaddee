//! Registries in an unexpected state: they are read where that is safe, else it is said why not and what to do; and what is
//! in the repository stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;

use crate::place::{Place, Said};

const COLLECTION: &str = "u/fixture/clean";
const REGISTRY: &str = "repo/gen3.sqlite3";

/// A folder with a repository in it.
fn repository() -> Place {
    let place = Place::empty();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/butler/repo.tar.gz");
    let status = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(place.path("")).status().unwrap();
    assert!(status.success());
    place
}

fn open(place: &Place) -> Connection {
    Connection::open(place.path(REGISTRY)).unwrap()
}

/// Every file of a folder but those of the data, with its content.
fn content(folder: PathBuf) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn extract(place: &Place) -> Said {
    place.run("extract-catalog", &["o.parquet", "repo", COLLECTION, "--silent"])
}

/// The same; and what is in the repository must be as before.
#[track_caller]
fn extract_only(place: &Place) -> Said {
    let before = content(place.path("repo"));
    let said = extract(place);
    assert!(content(place.path("repo")) == before, "the repository was changed: {}", said.text);
    said
}

/// Copies the registry and some of what is beside it, as they are at this moment, into a repository without a writer.
fn abandoned(from: &Place, suffixes: &[&str]) -> Place {
    let to = repository();
    fs::remove_file(to.path(REGISTRY)).unwrap();
    for suffix in [&[""], suffixes].concat() {
        let name = format!("{REGISTRY}{suffix}");
        to.put(&name, fs::read(from.path(&name)).unwrap());
    }
    to
}

/// A transaction that is too large for memory, so that a part of it is in the file, and not at its end.
fn half_written(place: &Place) -> Connection {
    let writer = open(place);
    writer
        .execute_batch(
            "PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE file_datastore_records SET file_size = file_size + 1;
             CREATE TABLE zz AS SELECT * FROM dataset, dataset_type",
        )
        .unwrap();
    writer
}

#[test]
fn a_journal_that_a_dead_writer_left_is_named_with_what_to_do() {
    let alive = repository();
    let _writer = half_written(&alive);
    let place = abandoned(&alive, &["-journal"]);
    let registry = place.path(REGISTRY);
    extract_only(&place)
        .expect(4)
        .says("a writer was stopped in the middle of a transaction")
        .says(&format!("`{}-journal`", fs::canonicalize(place.path("")).unwrap().join(REGISTRY).display()))
        .says("'PRAGMA quick_check'")
        .does_not_say("readonly");
    // What the message says helps.
    open(&place).query_row("PRAGMA quick_check", [], |_| Ok(())).unwrap();
    assert!(registry.exists() && !place.path(format!("{REGISTRY}-journal")).exists());
    extract_only(&place).expect(0);
}

#[test]
fn a_journal_that_is_used_up_is_no_matter() {
    let place = repository();
    let writer = open(&place);
    writer.execute_batch("PRAGMA journal_mode = PERSIST; CREATE TABLE zz (n)").unwrap();
    drop(writer);
    assert!(place.path(format!("{REGISTRY}-journal")).exists());
    extract_only(&place).expect(0);
}

#[test]
fn a_writer_at_work_is_waited_for() {
    let place = repository();
    let writer = open(&place);
    writer.execute_batch("BEGIN IMMEDIATE; CREATE TABLE zz (n)").unwrap();
    // It has written only its journal so far. (A file that this process opens and closes would end its locks.)
    extract(&place).expect(0);
    writer.execute_batch("COMMIT; BEGIN EXCLUSIVE").unwrap();
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        writer.execute_batch("COMMIT").unwrap();
    });
    extract(&place).expect(0);
    writing.join().unwrap();
}

/// In WAL mode, with sizes of files that are wrong in the log alone: a reader that finds them has read the log.
fn in_wal_mode(place: &Place) -> Connection {
    let writer = open(place);
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.execute_batch("UPDATE file_datastore_records SET file_size = file_size + 1").unwrap();
    assert!(place.path(format!("{REGISTRY}-wal")).metadata().unwrap().len() > 0);
    writer
}

#[test]
fn a_registry_in_wal_mode_is_read_and_no_file_is_made_beside_it() {
    let place = repository();
    let writer = open(&place);
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(writer);
    extract_only(&place).expect(0);
    // An empty log, such as a reader leaves.
    place.put(&format!("{REGISTRY}-wal"), "");
    extract_only(&place).expect(0);
}

#[test]
fn the_log_of_a_writer_in_wal_mode_is_read_whether_it_lives_or_not() {
    let alive = repository();
    let writer = in_wal_mode(&alive);
    extract(&alive).expect(1).says("were recorded");
    writer.execute_batch("UPDATE file_datastore_records SET file_size = file_size - 1").unwrap();
    extract(&alive).expect(0);
    writer.execute_batch("UPDATE file_datastore_records SET file_size = file_size + 1").unwrap();
    let dead = abandoned(&alive, &["-wal", "-shm"]);
    extract_only(&dead).expect(1).says("were recorded");
}

#[test]
fn a_log_without_its_index_is_named_with_what_to_do() {
    let alive = repository();
    let _writer = in_wal_mode(&alive);
    let place = abandoned(&alive, &["-wal"]);
    extract_only(&place)
        .expect(4)
        .says("a writer that did not close properly left `")
        .says("'PRAGMA wal_checkpoint(TRUNCATE)'");
    open(&place).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    extract_only(&place).expect(1).says("were recorded");
}

#[test]
fn a_log_beside_a_registry_that_is_not_in_wal_mode_is_named_and_no_file_is_made() {
    let alive = repository();
    let restored = fs::read(alive.path(REGISTRY)).unwrap();
    let _writer = in_wal_mode(&alive);
    for suffixes in [&["-wal"][..], &["-wal", "-shm"]] {
        let place = abandoned(&alive, suffixes);
        place.put(REGISTRY, &restored);
        extract_only(&place)
            .expect(4)
            .says("the registry is not in WAL mode, but `")
            .says("gen3.sqlite3-wal` from another copy is next to it")
            .does_not_say("Error code");
        // What the message says helps.
        for suffix in suffixes {
            fs::remove_file(place.path(format!("{REGISTRY}{suffix}"))).unwrap();
        }
        extract_only(&place).expect(0);
    }
    let place = repository();
    place.put(&format!("{REGISTRY}-wal"), "of another program");
    extract_only(&place).expect(4).says("from another copy is next to it");
    // SQLite takes an empty one for none.
    place.put(&format!("{REGISTRY}-wal"), "");
    extract_only(&place).expect(0);
}

#[test]
fn what_is_no_registry_is_said_to_be_none() {
    let place = repository();
    let whole = fs::read(place.path(REGISTRY)).unwrap();
    for (content, said) in [
        (&b""[..], "the file is empty"),
        (b"x", "not a SQLite database, or it is encrypted"),
        (&[7; 4096], "not a SQLite database, or it is encrypted"),
        (&whole[..whole.len() / 2], "the database is damaged, or only a part of it was copied"),
    ] {
        place.put(REGISTRY, content);
        extract_only(&place).expect(4).says("cannot open the registry").says(said);
    }
    fs::remove_file(place.path(REGISTRY)).unwrap();
    open(&place).execute_batch("CREATE TABLE notes (n)").unwrap();
    extract_only(&place)
        .expect(4)
        .says("the database of `repo` is not a Butler registry, because it has no table `butler_attributes`")
        .does_not_say("no such table");
    fs::remove_file(place.path(REGISTRY)).unwrap();
    extract_only(&place).expect(4).says("No such file or directory");
    fs::create_dir(place.path(REGISTRY)).unwrap();
    extract_only(&place).expect(4).says("it is not a file");
}

#[test]
fn a_repository_may_be_in_a_folder_of_any_name() {
    let place = repository();
    let odd = place.path("100%41 a?b#c");
    fs::create_dir(&odd).unwrap();
    fs::rename(place.path("repo"), odd.join("repo")).unwrap();
    place.run("extract-catalog", &["o.parquet", "100%41 a?b#c/repo", COLLECTION, "-s"]).expect(0);
}
