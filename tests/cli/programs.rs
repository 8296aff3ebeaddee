//! The five programs are one, which acts by the name it is started with.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

const SSP_RUN: &str = env!("CARGO_BIN_EXE_ssp-run");
const LAUNCHERS: [(&str, &str); 4] = [
    ("fast-export", env!("CARGO_BIN_EXE_fast-export")),
    ("extract-catalog", env!("CARGO_BIN_EXE_extract-catalog")),
    ("ssp-build-sssource", env!("CARGO_BIN_EXE_ssp-build-sssource")),
    ("ssp-build-ssobject", env!("CARGO_BIN_EXE_ssp-build-ssobject")),
];

fn version(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.arg("--version").output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn a_link_a_name_and_a_launcher_are_the_program() {
    let folder = tempfile::tempdir().unwrap();
    for (name, launcher) in LAUNCHERS {
        let expected = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        let link = folder.path().join(name);
        symlink(SSP_RUN, &link).unwrap();
        assert_eq!(version(Command::new(&link)), expected);
        for started_as in [name.to_owned(), format!("/elsewhere/{name}")] {
            let mut command = Command::new(SSP_RUN);
            command.arg0(started_as);
            assert_eq!(version(command), expected);
        }
        assert_eq!(version(Command::new(launcher)), expected);
        // By its own name a launcher is found through a link with any other.
        let other = folder.path().join(format!("{name}-today"));
        symlink(launcher, &other).unwrap();
        assert_eq!(version(Command::new(&other)), expected);
    }
}

#[test]
fn by_any_other_name_it_is_ssp_run() {
    for started_as in ["ssp-run", "exe", "ssp", "fast-export.old", "", "x/"] {
        let mut command = Command::new(SSP_RUN);
        command.arg0(started_as);
        assert_eq!(version(command), format!("ssp-run {}\n", env!("CARGO_PKG_VERSION")), "{started_as}");
    }
    let mut command = Command::new(SSP_RUN);
    command.arg0(OsStr::from_bytes(b"fast-export\xff"));
    assert!(version(command).starts_with("ssp-run "));
}

#[test]
fn a_launcher_passes_on_arguments_and_exit_code_as_they_are() {
    let Output { status, stderr, .. } =
        Command::new(LAUNCHERS[0].1).args(["--sql", "", "--no-such-flag"]).output().unwrap();
    let direct =
        Command::new(SSP_RUN).arg0("fast-export").args(["--sql", "", "--no-such-flag"]).output().unwrap();
    assert_eq!((status.code(), stderr), (Some(2), direct.stderr));
    let argument = OsStr::from_bytes(b"caf\xe9.yaml");
    let said = Command::new(LAUNCHERS[3].1).arg(argument).args(["b", "c", "--output", "d"]).output().unwrap();
    let direct = Command::new(SSP_RUN)
        .arg0("ssp-build-ssobject")
        .arg(argument)
        .args(["b", "c", "--output", "d"])
        .output()
        .unwrap();
    assert_eq!((said.status.code(), said.stderr), (direct.status.code(), direct.stderr));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a launcher is put where nothing else is")]
fn a_launcher_alone_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("extract-catalog");
    fs::copy(Path::new(LAUNCHERS[1].1), &alone).unwrap();
    let Output { status, stdout, stderr } = Command::new(&alone).arg("--help").output().unwrap();
    let ssp_run = alone.canonicalize().unwrap().with_file_name("ssp-run");
    assert_eq!((status.code(), stdout.len()), (Some(1), 0));
    assert_eq!(
        String::from_utf8(stderr).unwrap(),
        format!(
            "error: extract-catalog is a part of {}, which cannot be started\n  caused by: No such file or directory (os \
             error 2)\n  hint: install the programs again, all into one folder\n",
            ssp_run.display()
        )
    );
}
