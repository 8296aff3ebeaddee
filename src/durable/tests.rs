//! Files before, while and after they are put in place.

use std::os::unix::fs::symlink;

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
    // What a killed process leaves is a temporary file without a lock.
    let left = PendingFile::create(&file("left")).unwrap().seal().unwrap().write_down().unwrap();
    symlink("nowhere", file(&format!(".latest.1{TEMPORARY_SUFFIX}"))).unwrap();
    let pending = PendingFile::create(&file("pending")).unwrap();
    let sealed = PendingFile::create(&file("sealed")).unwrap().seal().unwrap();
    write(&file("target"), b"t").unwrap();
    assert_eq!(sweep(folder.path()).unwrap(), 2);
    assert!(!left.waits());
    pending.seal().unwrap().publish().unwrap();
    sealed.publish().unwrap();
    assert!(["pending", "sealed", "target"].iter().all(|name| file(name).exists()));
}

#[test]
fn a_file_that_is_gone_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("k");
    let kept = PendingFile::create(&target).unwrap().seal().unwrap().write_down().unwrap();
    kept.publish().unwrap();
    // What stands there may be of another time.
    assert!(matches!(kept.publish(), Err(Error::Publish { .. })));
    assert!(target.exists());
}

/// In a folder that many use, a file that waits to be published is not swept by another.
#[test]
fn a_sweep_of_one_target_leaves_those_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let long = |end: &str| format!("{}{end}", "a".repeat(60));
    let names = ["a", "a.b", "b", &long("1"), &long("2")];
    let left = names.map(|name| {
        PendingFile::create(&folder.path().join(name)).unwrap().seal().unwrap().write_down().unwrap()
    });
    for (swept, name) in [("a", 0), (&*long("1"), 3)] {
        assert_eq!(sweep_of(&folder.path().join(swept)).unwrap(), 1);
        assert!(!left[name].waits());
    }
    assert!([1, 2, 4].iter().all(|other| left[*other].waits()));
}

#[test]
fn a_failed_change_says_what_failed_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    assert!(matches!(link(Path::new("x"), &taken), Err(Error::Link { .. })));
    assert!(matches!(remove(&taken), Err(Error::Remove { .. })));
    assert!(matches!(write(&taken, b""), Err(Error::NotAFile { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_is_made_although_a_process_was_killed_while_it_made_one() {
    let folder = tempfile::tempdir().unwrap();
    let latest = folder.path().join("latest");
    let left = folder.path().join(format!(".latest.{}{TEMPORARY_SUFFIX}", std::process::id()));
    symlink("older", &left).unwrap();
    link(Path::new("newer"), &latest).unwrap();
    assert_eq!(fs::read_link(&latest).unwrap(), Path::new("newer"));
    // It may be that of a process with the same number in another container.
    assert!(left.is_symlink());
    assert_eq!(sweep_of(&latest).unwrap(), 1);
    assert!(!left.is_symlink());
}

/// A folder with one of each thing that is not a regular file, and links to them.
fn special_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    for kind in ["folder", "socket", "fifo"] {
        symlink(kind, path(&format!("link-to-{kind}"))).unwrap();
    }
    folder
}

#[test]
fn only_a_regular_file_is_written_to() {
    let folder = special_files();
    for (kind, what) in [("folder", "a folder"), ("socket", "a socket"), ("fifo", "a FIFO")] {
        for name in [kind.to_owned(), format!("link-to-{kind}")] {
            let path = folder.path().join(&name);
            let before = fs::symlink_metadata(&path).unwrap().ino();
            let expected = format!("`{}` is {what}, not a file to write", path.display());
            for error in [
                target(&path).unwrap_err(),
                write(&path, b"").unwrap_err(),
                append(&path).unwrap_err(),
                open_lock(&path).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), expected);
            }
            assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), before);
        }
    }
    // A device of the system is looked at, never written to.
    let error = target(Path::new("/dev/null")).unwrap_err();
    assert_eq!(error.to_string(), "`/dev/null` is a device, not a file to write");
}

#[test]
fn a_link_stays_and_its_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("out")).unwrap();
    fs::create_dir_all(path("big")).unwrap();
    write(&path("big/file"), b"old").unwrap();
    symlink("../big/file", path("out/near")).unwrap();
    symlink("near", path("out/far")).unwrap();
    symlink(path("big/new"), path("out/dangling")).unwrap();
    symlink("big", path("folder")).unwrap();
    for (link, file) in [
        ("out/near", "big/file"),
        ("out/far", "big/file"),
        ("out/dangling", "big/new"),
        ("folder/file", "big/file"),
    ] {
        let pending = PendingFile::create(&path(link)).unwrap();
        let temporary = pending.file.path().parent().unwrap().canonicalize().unwrap();
        assert_eq!(temporary, path("big").canonicalize().unwrap(), "{link}");
        drop(pending);
        write(&path(link), link.as_bytes()).unwrap();
        assert_eq!(fs::read(path(file)).unwrap(), link.as_bytes());
        assert!(link.starts_with("folder") || path(link).is_symlink(), "{link}");
    }
    append(&path("out/far")).unwrap().write_all(b"+").unwrap();
    assert_eq!(fs::read(path("big/file")).unwrap(), b"folder/file+");
}

#[test]
fn a_link_that_leads_nowhere_is_refused_and_no_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    symlink("unmounted/file", path("dead")).unwrap();
    symlink("two", path("one")).unwrap();
    symlink("one", path("two")).unwrap();
    let error = target(&path("dead")).unwrap_err();
    let file = path("unmounted/file");
    let (dead, file) = (path("dead"), file.display());
    let expected = format!(
        "`{}` is a link to `{file}`, and the folder of that file does not exist; make the folder or remove the link",
        dead.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(write(&dead, b"").is_err() && !path("unmounted").exists());
    let error = target(&path("one")).unwrap_err();
    assert!(matches!(&error, Error::Look { source, .. } if source.to_string().contains("symbolic links")));
}

#[test]
fn what_is_not_the_name_of_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, b"").unwrap();
    for name in ["", "missing/", "missing/.."] {
        let error = target(Path::new(name)).unwrap_err();
        assert_eq!(error.to_string(), format!("`{name}` does not name a file"));
    }
    assert!(matches!(target(&folder.path().join("a/..")), Err(Error::NoName { .. })));
    for name in ["~", "~/a", "~me/a", "~a"] {
        assert!(matches!(target(Path::new(name)), Err(Error::Home { .. })), "{name}");
    }
    assert!(target(Path::new("./~/a")).is_ok() && target(Path::new("a~/~a")).is_ok());
    assert!(make_folder(Path::new("~/a")).is_err() && !Path::new("~").exists());
    // A file where a folder should be is named, however deep the path is.
    for error in [target(&file.join("a/b")).err(), write(&file.join("a/b"), b"").err()] {
        let cause = std::error::Error::source(error.as_ref().unwrap()).unwrap().to_string();
        assert_eq!(cause, format!("`{}` is a file, not a folder", file.display()));
    }
    symlink("nowhere", folder.path().join("link")).unwrap();
    let error = make_folder(&folder.path().join("link/a")).unwrap_err().to_string();
    assert!(error.ends_with("link` is a link to a folder that does not exist"), "{error}");
}

#[test]
fn a_name_may_be_as_long_as_the_file_system_allows() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let not_utf8 = std::ffi::OsStr::from_bytes(b"\xff\xfe.parquet");
    for name in ["a".repeat(255).as_ref(), "\u{20ac}".repeat(85).as_ref(), not_utf8] {
        let path = folder.path().join(name);
        write(&path, b"1").unwrap();
        assert!(publication::set_aside(&path).unwrap().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().file_name(), name);
        remove(&path).unwrap();
    }
    let error = target(&folder.path().join("a".repeat(256))).unwrap_err();
    assert!(matches!(&error, Error::Look { source, .. } if source.kind() == io::ErrorKind::InvalidFilename));
}

#[test]
fn what_took_the_place_of_a_target_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    for kind in ["a folder", "a FIFO", "a link"] {
        let sealed = PendingFile::create(&target).unwrap().seal().unwrap();
        match kind {
            "a folder" => fs::create_dir(&target).unwrap(),
            "a link" => symlink("elsewhere", &target).unwrap(),
            _ => assert!(std::process::Command::new("mkfifo").arg(&target).status().unwrap().success()),
        }
        let error = sealed.publish().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, format!("it is {kind} now, not a file"));
        let left = fs::symlink_metadata(&target).unwrap();
        assert!(!left.is_file());
        if left.is_dir() { fs::remove_dir(&target) } else { fs::remove_file(&target) }.unwrap();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_sweep_takes_only_files_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = |kind: &str| folder.path().join(format!(".{kind}.1{TEMPORARY_SUFFIX}"));
    fs::create_dir(path("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    // To open what this one leads to would block.
    symlink(path("fifo"), path("link")).unwrap();
    assert_eq!(sweep(folder.path()).unwrap(), 1);
    assert!(path("folder").is_dir() && path("fifo").exists() && !path("link").exists());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "another process writes")]
fn a_file_that_another_process_sealed_is_published_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let [part, target] = ["part", "out.parquet"].map(|name| folder.path().join(name));
    let digest = Digest::of(b"rows");
    let sealed = || SealedFile::with_name(&part, &target, digest);
    assert!(matches!(sealed().unwrap_err(), Error::Link { link, .. } if link == target));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::write(&part, b"rows").unwrap();
    let file = sealed().unwrap();
    assert_eq!((file.bytes(), file.digest(), file.target()), (4, digest, target.as_path()));
    file.publish().unwrap();
    // Its first name stays, so that nothing is lost if this process is killed before.
    assert_eq!((fs::read(&target).unwrap().as_slice(), part.exists()), (&b"rows"[..], true));
    fs::remove_file(&part).unwrap();
    fs::write(&part, b"others").unwrap();
    drop(sealed().unwrap());
    assert_eq!(fs::read(&target).unwrap(), b"rows");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "another process writes")]
fn a_file_is_copied_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [part, copied] = ["part", "copy"].map(|name| folder.path().join(name));
    assert!(copy(&part, &copied).is_err() && !copied.exists());
    fs::write(&part, b"rows").unwrap();
    copy(&part, &copied).unwrap();
    assert_eq!(fs::read(&copied).unwrap(), b"rows");
    assert_eq!(copy(&part, &copied).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&copied).unwrap(), b"rows");
}
