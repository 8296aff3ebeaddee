//! Files before, while and after they are put in place.

use super::*;

#[test]
fn target_is_untouched_until_published() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a/b.parquet");
    write(&target, b"old").unwrap();
    let mut pending = PendingFile::create(&target).unwrap();
    pending.write_all(b"new").unwrap();
    let sealed = pending.seal().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"old");
    assert_eq!((sealed.bytes(), sealed.digest()), (3, Digest::of(b"new")));
    sealed.publish().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"new");
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn dropping_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("x");
    let mut pending = PendingFile::create(&target).unwrap();
    pending.write_all(b"half").unwrap();
    drop(pending);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn sweep_removes_what_a_killed_process_left_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    // What a killed process leaves is a temporary file that nobody holds.
    let left = PendingFile::create(&file("left")).unwrap().seal().unwrap().keep().unwrap();
    std::os::unix::fs::symlink("nowhere", file(&format!(".latest.1{TEMPORARY_SUFFIX}"))).unwrap();
    let pending = PendingFile::create(&file("pending")).unwrap();
    let sealed = PendingFile::create(&file("sealed")).unwrap().seal().unwrap();
    write(&file("target"), b"t").unwrap();
    assert_eq!(sweep(folder.path()).unwrap(), 2);
    assert!(!left.exists());
    pending.seal().unwrap().publish().unwrap();
    sealed.publish().unwrap();
    assert!(["pending", "sealed", "target"].iter().all(|name| file(name).exists()));
}

#[test]
fn what_was_published_before_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("k");
    let kept = PendingFile::create(&target).unwrap().seal().unwrap().keep().unwrap();
    publish_written_down(&kept, &target).unwrap();
    publish_written_down(&kept, &target).unwrap();
    assert!(target.exists());
}

#[test]
fn a_failed_change_says_what_failed_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    assert!(matches!(link(Path::new("x"), &taken), Err(Error::Link { .. })));
    assert!(matches!(remove(&taken), Err(Error::Remove { .. })));
    assert!(matches!(write(&taken, b""), Err(Error::Publish { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_is_made_although_a_process_was_killed_while_it_made_one() {
    let folder = tempfile::tempdir().unwrap();
    let latest = folder.path().join("latest");
    let left = folder.path().join(format!(".latest.{}{TEMPORARY_SUFFIX}", std::process::id()));
    std::os::unix::fs::symlink("older", &left).unwrap();
    link(Path::new("newer"), &latest).unwrap();
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("newer"));
    assert!(fs::symlink_metadata(&left).is_err());
}
