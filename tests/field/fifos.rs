//! What is not a regular file is never opened to read it: a FIFO would block for ever.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::place::{Place, build_ssobject, case};

/// A pipeline that ran once.
fn ran() -> Place {
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    place.pipeline(
        "  a: {export: {table: t}, out: a.parquet}\n  b: {build-ssobject: {sssource: no/, mpc_orbits: no/}, out: b.parquet}\n",
    );
    place.ssp_run(&["-q", "--stage", "a"]).expect(0);
    place
}

fn fifo(place: &Place, name: &str) -> PathBuf {
    let path = place.path(name);
    let _ = fs::remove_file(&path);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

const COMMANDS: [&[&str]; 7] = [
    &["--stage", "a", "-n"],
    &["--stage", "a", "--check"],
    &["explain", "a"],
    &["status"],
    &["history"],
    &["log"],
    &["gc"],
];

#[test]
fn digests_that_cannot_be_read_are_read_again_from_the_files() {
    let place = ran();
    let path = fifo(&place, "out/.ssp/digests.json");
    for command in COMMANDS {
        place.soon("ssp-run", command).expect(0);
    }
    let said = place.soon("ssp-run", &["--stage", "a"]).expect(0);
    said.says("digests of files could not be saved").says("digests.json` is a FIFO, not a file to write");
    // So through a link.
    fs::rename(&path, place.path("ff")).unwrap();
    symlink("../../ff", &path).unwrap();
    place.soon("ssp-run", &["--stage", "a", "-n"]).expect(0);
    place.soon("ssp-run", &["--stage", "a"]).expect(0).says("is a FIFO");
}

#[test]
fn a_lock_that_is_a_fifo_is_refused_and_held_by_none() {
    let place = ran();
    fifo(&place, "out/.ssp/lock");
    for command in COMMANDS.iter().filter(|command| command[0] != "gc") {
        place.soon("ssp-run", command).expect(0).does_not_say("running");
    }
    place.soon("ssp-run", &["gc"]).expect(1).says("lock` is a FIFO, not a file to write");
    place.soon("ssp-run", &["--stage", "a"]).expect(1).says("lock` is a FIFO, not a file to write");
}

/// What has the name of an intent and is not a file is not ours: a run continues without it and leaves it.
#[test]
fn what_is_not_a_file_among_the_publications_is_ignored() {
    let place = ran();
    let publish = place.path("out/.ssp/publish");
    let kinds = place.special_files("out/.ssp/publish");
    symlink("nowhere", publish.join("dead")).unwrap();
    let mut all = vec![("dead".to_owned(), "a link")];
    for (kind, what) in kinds {
        all.extend([(kind.to_owned(), what), (format!("link-to-{kind}"), "a link")]);
    }
    for (name, _) in &all {
        fs::rename(publish.join(name), publish.join(format!("{name}.json"))).unwrap();
    }
    let mut said = place.soon("ssp-run", &["--stage", "a"]).expect(0);
    for (name, what) in &all {
        said = said.says(&format!("warning `out/.ssp/publish/{name}.json` is {what}, not a record of a run"));
        assert!(publish.join(format!("{name}.json")).symlink_metadata().is_ok());
    }
}

/// One record must not stop the stages that have others.
#[test]
fn a_record_that_is_not_a_file_fails_its_stage_alone() {
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    let build = build_ssobject(&case("sssource.parquet"));
    place.pipeline(&format!(
        "  a: {{export: {{table: t}}, out: a.parquet}}\n  b: {{{build}, out: b.parquet}}\n  \
         c: {{{build}, out: c.parquet}}\n"
    ));
    place.ssp_run(&["-q"]).expect(0);
    let good = fs::read(place.path("out/b.parquet")).unwrap();
    let path = place.path("out/.ssp/stages/b.json");
    let record = fs::read(&path).unwrap();
    let kinds = place.special_files("special");
    for (kind, what) in kinds {
        fs::remove_file(&path).unwrap();
        fs::rename(place.path("special").join(kind), &path).unwrap();
        place.soon("ssp-run", &["-n"]).expect(0);
        place.soon("ssp-run", &["gc"]).expect(0);
        let status = place.soon("ssp-run", &["status"]).text;
        let status = status.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected =
            format!("its record cannot be read, so the stage runs again: it is {what}, not a file");
        assert!(status.contains(&expected), "{status}");
        place
            .soon("ssp-run", &["--force"])
            .expect(1)
            .says(&format!("`out/.ssp/stages/b.json` is {what}, not a file to write"))
            .says("1 failed");
        let last = place.last_run();
        assert!(last["a"].starts_with("unchanged") && last["c"].starts_with("unchanged"), "{last:?}");
        assert!(last["b"].starts_with("failed"), "{last:?}");
        assert_eq!(fs::read_dir(place.path("out/.ssp/publish")).unwrap().count(), 0);
        if fs::remove_file(&path).is_err() {
            fs::remove_dir(&path).unwrap();
        }
        fs::write(&path, &record).unwrap();
    }
    assert_eq!(fs::read(place.path("out/b.parquet")).unwrap(), good);
    place.soon("ssp-run", &["--check", "--stage", "b"]).expect(0);
}

#[test]
fn a_folder_of_records_that_is_something_else_is_refused_with_what_to_do() {
    let place = ran();
    for name in ["stages", "publish", "runs"] {
        let (folder, kept) = (place.path("out/.ssp").join(name), place.path(name));
        let put_there: [&dyn Fn(); 3] =
            [&|| fs::write(&folder, "").unwrap(), &|| symlink("nowhere", &folder).unwrap(), &|| {
                drop(fifo(&place, &format!("out/.ssp/{name}")));
            }];
        let whats =
            ["a file, not a folder", "a link to a folder that does not exist", "a FIFO, not a folder"];
        fs::rename(&folder, &kept).unwrap();
        for (put, what) in put_there.iter().zip(whats) {
            put();
            for command in [&["--stage", "a"][..], &["-n", "--stage", "a"], &["status"], &["log"], &["gc"]] {
                place
                    .soon("ssp-run", command)
                    .expect(1)
                    .says("move away the file that has its name")
                    .says(&format!("`out/.ssp/{name}` is {what}"));
            }
            fs::remove_file(&folder).unwrap();
        }
        fs::rename(&kept, &folder).unwrap();
    }
    place.soon("ssp-run", &["--stage", "a"]).expect(0);
}

#[test]
fn inputs_that_are_not_files_are_refused() {
    let place = Place::empty();
    let kinds = place.special_files("in");
    for (kind, what) in kinds.iter().filter(|(kind, _)| *kind != "folder") {
        for path in [format!("in/{kind}"), format!("in/link-to-{kind}")] {
            let unreadable = format!("it is {what}, not a file to read");
            place.soon("ssp-build-ssobject", &[&path, &path, "-o", "x.parquet"]).expect(1).says(&unreadable);
            let stage = |more: &str| {
                format!(
                    "version: 1\nname: t\nout_dir: out\nstages:\n  \
                     a: {{build-ssobject: {{sssource: {more}, mpc_orbits: o/}}, out: a.parquet}}\n"
                )
            };
            let schema = stage("s/").replace("a.parquet", &format!("a.parquet, schema: {path}"));
            for (role, text) in [("sssource", stage(&path)), ("schema", schema)] {
                place.put("pipeline.yaml", text);
                for command in [&["validate"][..], &["-n"], &[], &["--metrics-file", "m.prom"]] {
                    place
                        .soon("ssp-run", command)
                        .expect(2)
                        .says("pipeline.yaml:5:3: stage `a`")
                        .says(&format!("cannot read `{role}`: `{path}` is {what}, not a file to read"));
                }
            }
        }
    }
    assert!(!place.path("out").exists() && !place.path("x.parquet").exists());
}
