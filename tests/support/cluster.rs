//! Clusters that are made once and copied for each test, which takes a tenth of the time that making one does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use ssp::throwaway::{Throwaway, ThrowawayOptions};

/// Puts the data of a stopped server into `folder`: a copy of the cluster of that name, which `fill` makes at first.
pub fn copy(name: &str, folder: &Path, fill: impl FnOnce(&Throwaway)) {
    fs::create_dir_all(folder).expect("a writable folder");
    let copied = Command::new("cp").arg("-a").arg(template(name, fill).join("data")).arg(folder).status();
    assert!(copied.is_ok_and(|status| status.success()), "the template of the data can be copied");
}

#[expect(clippy::disallowed_methods, reason = "a test marks what it has made")]
fn template(name: &str, fill: impl FnOnce(&Throwaway)) -> PathBuf {
    let version = Command::new("pg_config").arg("--version").output().map(|output| output.stdout);
    let version = String::from_utf8(version.unwrap_or_default()).unwrap_or_default();
    let name = format!("{name} {}", version.trim()).replace(['/', ' '], "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a writable target folder");
    let lock = File::options()
        .create(true)
        .append(true)
        .open(folder.join("lock"))
        .expect("a writable target folder");
    // Tests run in processes of their own; one of them makes it.
    lock.lock().expect("the folder of templates can be locked");
    if !folder.join("done").exists() {
        let _ = fs::remove_dir_all(folder.join("data"));
        let options = ThrowawayOptions { keep: true, ..ThrowawayOptions::default() };
        let server = Throwaway::start_with(&folder, &options)
            .unwrap_or_else(|error| panic!("the tests need a PostgreSQL server: {error}"));
        fill(&server);
        server.stop();
        fs::write(folder.join("done"), "").expect("a writable target folder");
    }
    folder
}
