//! Disks that are full or read-only, and folders of other users.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::site::Site;

/// A user without rights, and its group: `nobody`.
const NOBODY: u32 = 65534;

/// Starts a program in a mount namespace of its own, in which it may mount things.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    command
}

/// Runs a shell script in such a namespace.
fn in_namespace(site: &Site, script: &str) -> String {
    let allowed = unshare().arg("true").output().expect("unshare is there (Debian's util-linux)");
    assert!(
        allowed.status.success(),
        "this machine allows no mount namespaces: set the sysctl kernel.unprivileged_userns_clone to 1 and \
         kernel.apparmor_restrict_unprivileged_userns to 0, or give the container CAP_SYS_ADMIN ({})",
        String::from_utf8_lossy(&allowed.stderr).trim()
    );
    let mut command = unshare();
    command.args(["sh", "-eu", "-c", script]);
    command.current_dir(site.path("")).env_clear().env("SSP_RUN", env!("CARGO_BIN_EXE_ssp-run"));
    command.env("PATH", std::env::var("PATH").unwrap()).env("PIPELINE", "pipelines/demo.yaml");
    let output = command.envs(site.connection()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "the script failed: {said}");
    said
}

/// What each of two runs left, on a disk that is made unfit for the second, and fit again for a third.
fn script(spoil: &str, restore: &str) -> String {
    format!(
        "mkdir data; mount -t tmpfs -o size=2m tmpfs data\n\
         $SSP_RUN -q $PIPELINE; cd data; sha256sum *.parquet > ../before; cd ..\n\
         {spoil}\n\
         code=0; $SSP_RUN -q --force $PIPELINE || code=$?; echo \"code $code\"\n\
         cd data; sha256sum --quiet -c ../before; cd ..; echo \"good outputs stand\"\n\
         {restore}\n\
         echo \"left $(find data -name '*.ssp-tmp' | wc -l)\"\n\
         code=0; $SSP_RUN -q --force $PIPELINE || code=$?; echo \"then $code\"\n\
         cd data; sha256sum --quiet -c ../before; echo \"the same bytes\""
    )
}

#[test]
#[ignore = "needs mount namespaces; `make test` runs it where they are allowed"]
fn a_full_disk_fails_the_run_and_nothing_else() {
    let site = Site::new();
    let said = in_namespace(
        &site,
        &script(
            "dd if=/dev/zero of=data/fill bs=1k count=4k 2>/dev/null || true; truncate -s -20k data/fill",
            "rm data/fill",
        ),
    );
    assert!(said.contains("code 1\n"), "{said}");
    assert!(said.contains("No space left on device") && !said.contains("External"), "{said}");
    assert!(said.contains("good outputs stand\nleft 0\nthen 0\nthe same bytes\n"), "{said}");
}

#[test]
#[ignore = "needs mount namespaces; `make test` runs it where they are allowed"]
fn a_disk_that_cannot_be_written_to_at_all_fails_the_run_and_nothing_else() {
    let site = Site::new();
    let said = in_namespace(&site, &script("mount -o remount,ro data", "mount -o remount,rw data"));
    assert!(said.contains("code 1\n"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(said.contains("good outputs stand\nleft 0\nthen 0\nthe same bytes\n"), "{said}");
}

#[test]
fn an_output_folder_of_another_user_is_an_error_that_names_it() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    let data = site.path("data");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = site.command(&["-q", "--force"]);
    if is_root {
        // Root may write anywhere: another user tries.
        fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    } else {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(data.join(".ssp"), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Permission denied") && said.contains("data/.ssp"), "{said}");
    if is_root {
        // The folder is theirs now, but a record is not.
        chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    } else {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(data.join(".ssp"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(site.outputs() == good);
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
}
