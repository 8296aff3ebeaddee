//! `ssp-run demo`: its nights, its server, and the folders that it may use.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::said::Streams;
use crate::site::put;

/// A folder for demos that the server's user can enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    command.arg("demo").args(arguments).current_dir(folder);
    command
}

fn demo(folder: &Path, arguments: &[&str]) -> Streams {
    command(folder, arguments).output().unwrap().into()
}

fn psql(host: &Path, sql: &str) -> Option<String> {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-U", "ssp", "-c", sql, "-h"]).arg(host).arg("mpc_sbn");
    let output = psql.output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the socket is put aside")]
fn the_second_night_is_loaded_once_by_a_server_that_stays_until_it_is_stopped() {
    let folder = open_folder();
    let server = folder.path().join("demo/postgres");
    let count = || psql(&server, "SELECT count(*) FROM obs_sbn").unwrap();
    let first = demo(folder.path(), &["--keep-running"]).expect(0);
    first.says("demo --stop --dir demo\n").says("  a second night ");
    // The line for `ssp-run` works as it is printed.
    let typed = first.stderr.split("run the pipeline ").nth(1).unwrap();
    let typed = &typed[..typed.find("  stop it").unwrap()];
    let mut shell = Command::new("sh");
    let said = Streams::from(shell.args(["-c", typed]).current_dir(folder.path()).output().unwrap());
    said.expect(0).says("7 up to date");
    assert_eq!(count(), "792");
    for line in first.stderr.lines().filter(|line| !line.contains("ssp-run") && !line.contains("/tmp")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let second = demo(folder.path(), &["--night", "2"]).expect(0);
    for part in [
        "using its running database server",
        "5 done, 2 unchanged",
        "predicted        474",
        "41 objects; the",
    ] {
        second.says(part);
    }
    assert_eq!(count(), "795");
    demo(folder.path(), &["--night", "2"]).says("night 2 was loaded before").says("7 up to date");
    assert_eq!(count(), "795");

    // It stays at the second night, and says so.
    let first = demo(folder.path(), &["--night", "1"]).expect(0);
    let part = "night 2: this demo has it already; for night 1, name a new folder with --dir\n";
    assert!(first.stderr.contains(part) && !first.stderr.contains("a second night"), "{}", first.stderr);

    // A running server that does not answer is left alone.
    let (socket, aside) = (server.join(".s.PGSQL.5432"), server.join("aside"));
    fs::rename(&socket, &aside).unwrap();
    let busy = demo(folder.path(), &[]);
    fs::rename(&aside, &socket).unwrap();
    let busy = busy.expect(75);
    busy.says("another demo is running in this folder");
    assert!(!busy.stderr.contains("remove"), "{}", busy.stderr);

    // A copy does not talk to the server of the original, and does not stop it.
    let copied = Command::new("cp").args(["-a", "demo", "copy"]).current_dir(folder.path()).status().unwrap();
    assert!(copied.success());
    for arguments in [&["--dir", "copy"][..], &["--dir", "copy", "--stop"]] {
        demo(folder.path(), arguments)
            .expect(1)
            .says("is a copy of")
            .says("copy/postgres`: the demo makes it again");
    }
    // A server that is killed starts again with its data.
    let pid = fs::read_to_string(server.join("data/postmaster.pid")).unwrap();
    let killed = Command::new("kill").args(["-9", pid.lines().next().unwrap()]).status().unwrap();
    assert!(killed.success());
    demo(folder.path(), &["--keep-running"]).expect(0);
    assert_eq!(count(), "795");
    demo(folder.path(), &["--stop"]).says("stopped the database server");
    assert_eq!(psql(&server, "SELECT 1"), None);
    demo(folder.path(), &["--stop"]).says("no database server is running");
}

#[test]
fn of_two_demos_in_a_folder_the_second_leaves_the_first_alone() {
    let folder = open_folder();
    let start = || command(folder.path(), &[]).stderr(Stdio::piped()).spawn().unwrap();
    let both = [start(), start()].map(|child| Streams::from(child.wait_with_output().unwrap()));
    let mut codes = both.each_ref().map(|said| said.code);
    codes.sort();
    assert_eq!(codes, [Some(0), Some(75)], "{}{}", both[0].stderr, both[1].stderr);
    let second = both.iter().find(|said| said.code == Some(75)).unwrap();
    second.says("another demo is running in this folder");
    assert!(!second.stderr.contains("remove"), "{}", second.stderr);
}

#[test]
fn only_a_demo_that_can_be_read_can_be_stopped() {
    let folder = open_folder();
    for name in ["nothing", "empty"] {
        fs::create_dir_all(folder.path().join("empty")).unwrap();
        demo(folder.path(), &["--stop", "--dir", name])
            .expect(2)
            .says(&format!("there is no demo in folder `{name}`"));
    }
    fs::create_dir_all(folder.path().join("mine/pipelines")).unwrap();
    put(&folder.path().join("mine/pipelines/demo.yaml"), b"");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for private in ["mine", "mine/pipelines"] {
        let mode = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path().join(private), permissions).unwrap();
        };
        mode(0o000);
        let mut command = command(folder.path(), &["--stop", "--dir", "mine"]);
        if is_root {
            // Root may read anywhere.
            command.uid(65_534);
        }
        let said = Streams::from(command.output().unwrap());
        mode(0o755);
        let said = said.expect(1);
        assert!(said.stderr.to_lowercase().contains("permission denied"), "{}", said.stderr);
    }
}

#[test]
fn a_demo_leaves_other_folders_alone_and_shows_why_its_server_does_not_start() {
    let folder = open_folder();
    fs::create_dir_all(folder.path().join("mine/pipelines")).unwrap();
    put(&folder.path().join("mine/pipelines/demo.yaml"), b"mine");
    demo(folder.path(), &["--dir", "mine"])
        .expect(2)
        .says("folder `mine` has files that are not of a demo, such as `pipelines`");
    assert_eq!(fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);

    fs::create_dir(folder.path().join("empty")).unwrap();
    let said = demo(folder.path(), &["--dir", "empty", "--night", "2", "-q"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    // What a copy to another version of PostgreSQL looks like.
    let version = folder.path().join("empty/postgres/data/PG_VERSION");
    put(&version, b"8.4\n");
    let said = demo(folder.path(), &["--dir", "empty"]).expect(1);
    for part in [
        "its log says:\n",
        "FATAL:  database files are incompatible with server",
        "empty/postgres`: the demo makes it again",
    ] {
        said.says(part);
    }
}
