//! Outputs of parts: `out: name/`.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use ssp::digest::Digest;

use crate::case::{Case, dia, obs, write_all};
use crate::parquet::lines;
use crate::said::Said;

pub const PIPELINE: &str = "
version: 1
name: parts
out_dir: data
keep: 3
stages:
  sssource:
    build-sssource:
      obs_sbn: in/obs_sbn.parquet
      dia_sources: in/dia_sources.parquet
      mpc_orbits: in/mpc_orbits.parquet
      current_identifications: in/current_identifications.parquet
      numbered_identifications: in/numbered_identifications.parquet
      max_unmatched: 100%
      part_rows: 2
    checks: {min_rows: 3, not_null: [diaSourceId], unique: [diaSourceId]}
    out: sssource/
";

/// A pipeline with one stage, and its inputs.
pub struct Place(tempfile::TempDir);

/// The names and the contents of the parts.
pub type Parts = BTreeMap<String, Vec<u8>>;

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("in")).unwrap();
        place.night(0);
        place.pipeline(PIPELINE);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn pipeline(&self, text: &str) {
        fs::write(self.path("pipeline.yaml"), text).unwrap();
    }

    /// Three detections of two objects, and some more of the second one.
    pub fn night(&self, more: usize) {
        let mut case = Case::new();
        for (id, name) in [(105, "LSST-DP1-105"), (106, "106")].into_iter().take(more) {
            case.dia.push(dia(id));
            case.obs.push(obs(&format!("o{id}"), name, id, Some("2023 BA2")));
        }
        write_all(&self.path("in"), case.tables());
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.path()).env_clear().env("PATH", std::env::var("PATH").unwrap());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_ssp-run"));
        command.env("SSP_PIPELINE", "pipeline.yaml").args(arguments).output().unwrap().into()
    }

    /// A run that succeeds; what the stage came to, with its reasons.
    pub fn good(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0);
        let text = fs::read_to_string(self.path("data/.ssp/runs/latest/run.json")).unwrap();
        let stage = &serde_json::from_str::<Value>(&text).unwrap()["stages"][0];
        let reasons = stage["reasons"].as_array().unwrap().iter();
        let codes: Vec<&str> = reasons.map(|reason| reason["code"].as_str().unwrap()).collect();
        [stage["status"].as_str().unwrap()].into_iter().chain(codes).collect::<Vec<_>>().join(" ")
    }

    pub fn record(&self) -> Value {
        let text = fs::read_to_string(self.path("data/.ssp/stages/sssource.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The parts that a reader finds below a folder.
    pub fn parts(&self, folder: &str) -> Parts {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = fs::read_dir(self.path(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
    }

    /// The folders of parts that there are, without the newest of all.
    fn folders(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("data/.ssp/parts")).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The folder to which the link leads.
    pub fn led_to(&self) -> String {
        let link = fs::read_link(self.path("data/sssource")).unwrap();
        link.to_str().unwrap().strip_prefix(".ssp/parts/").unwrap().to_owned()
    }

    pub fn first_part(&self) -> PathBuf {
        let parts = self.parts("data/sssource");
        self.path("data/sssource").join(parts.keys().next().unwrap())
    }
}

/// Part names with the digests of their contents, and the digest of the list.
pub fn assert_named_by_content(parts: &Parts, record: &Value) {
    let mut list = String::new();
    for (number, (name, bytes)) in parts.iter().enumerate() {
        let digest = Digest::of(bytes);
        assert_eq!(*name, format!("part-{number:05}-{}.parquet", &digest.short()[..8]));
        list += &format!("{name} {digest}\n");
    }
    assert_eq!(record["output"]["digest"], Digest::of(list.as_bytes()).to_string());
    assert_eq!(record["output"]["parts"], parts.len());
    assert_eq!(record["output"]["bytes"], parts.values().map(Vec::len).sum::<usize>());
}

#[test]
fn parts_are_published_as_a_link_and_are_up_to_date() {
    let place = Place::new();
    assert_eq!(place.good(&[]), "done never_run");
    let parts = place.parts("data/sssource");
    assert_eq!(parts.len(), 2);
    assert_named_by_content(&parts, &place.record());
    assert_eq!(place.record()["output"]["rows"], 3);
    assert!(place.led_to().starts_with("sssource-"), "{}", place.led_to());
    assert_eq!(place.good(&[]), "up_to_date");
    // The bytes that are made again are published once.
    assert_eq!(place.good(&["--force"]), "unchanged forced");
    assert_eq!(place.folders(), [place.led_to()]);
    place.run(&["status"]).says("3 rows").does_not_say("but a part");
    // No other part has a name that readers would see.
    assert!(!fs::read_dir(place.path("data")).unwrap().any(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name != "sssource" && name != ".ssp"
    }));
}

#[test]
fn a_part_that_is_changed_removed_or_added_is_noticed() {
    let place = Place::new();
    place.good(&[]);
    let good = place.parts("data/sssource");
    for (what, reason) in
        [("changed", "modified"), ("removed", "modified"), ("added", "modified"), ("no folder", "missing")]
    {
        let part = place.first_part();
        match what {
            "changed" => {
                let mut bytes = fs::read(&part).unwrap();
                bytes[10] ^= 1;
                fs::remove_file(&part).unwrap();
                fs::write(&part, bytes).unwrap();
            }
            "removed" => fs::remove_file(&part).unwrap(),
            "added" => fs::write(part.with_file_name("part-00009-00000000.parquet"), b"x").unwrap(),
            _ => fs::remove_dir_all(place.path("data/.ssp/parts").join(place.led_to())).unwrap(),
        }
        if what == "removed" || what == "no folder" {
            let status = place.run(&["status"]).text;
            assert!(status.contains("but a part has changed or is missing"), "{what}: {status}");
        }
        assert_eq!(place.run(&["--check"]).code, Some(3), "{what}");
        assert_eq!(place.good(&[]), format!("done output_{reason}"), "{what}");
        assert_eq!(place.parts("data/sssource"), good, "{what}");
        assert_eq!(place.good(&[]), "up_to_date", "{what}");
    }
}

#[test]
fn old_parts_are_kept_until_the_next_run_but_one() {
    let place = Place::new();
    place.pipeline(&PIPELINE.replace("keep: 3\n", ""));
    place.good(&[]);
    let (first, old) = (place.led_to(), place.parts("data/sssource"));
    place.night(1);
    place.good(&[]);
    let (second, new) = (place.led_to(), place.parts("data/sssource"));
    assert!(first != second && old != new);
    // A part that did not change has the same name; one that did has another.
    assert_eq!(old.keys().filter(|name| new.contains_key(*name)).count(), 1);
    place.good(&[]);
    assert_eq!(place.parts(&format!("data/.ssp/parts/{first}")), old);
    place.run(&["gc", "-n"]).expect(0);
    assert_eq!(place.folders().len(), 2);
    place.good(&[]);
    assert_eq!(place.folders(), [second.as_str()]);
    assert_eq!(place.parts("data/sssource"), new);
    let digests = fs::read_to_string(place.path("data/.ssp/digests.json")).unwrap();
    let known = digests.matches("/part-").count();
    assert_eq!(known, new.len(), "{digests}");
    // Back to the first night: its folder has a name of its own though its digest is that of an old one.
    place.night(0);
    place.good(&[]);
    place.night(1);
    place.good(&[]);
    assert_eq!(place.led_to(), format!("{second}.2"));
    // After a run, what was old before that is removed on demand, and no other folder is.
    place.good(&[]);
    place.run(&["gc", "-n"]).says(&format!("would remove the old parts `data/.ssp/parts/{first}`\n"));
    place.run(&["gc"]).says("removed the old parts");
    assert_eq!(place.folders(), [format!("{second}.2")]);
    assert_eq!(place.good(&[]), "up_to_date");
}

#[test]
fn a_file_is_replaced_by_parts_and_parts_by_a_file() {
    let place = Place::new();
    let as_file = PIPELINE.replace("out: sssource/", "out: sssource.parquet");
    place.pipeline(&as_file);
    assert_eq!(place.good(&[]), "done never_run");
    // What only parts depend on is no reason for a file.
    place.pipeline(&as_file.replace("part_rows: 2", "part_rows: 1"));
    assert_eq!(place.good(&[]), "up_to_date");
    place.pipeline(PIPELINE);
    assert_eq!(place.good(&[]), "done output_missing params_changed");
    assert_eq!(lines(&place.path("data/sssource")), lines(&place.path("data/sssource.parquet")));
    place.pipeline(&PIPELINE.replace("part_rows: 2", "part_rows: 9"));
    assert_eq!(place.good(&[]), "done params_changed");
    let parts = place.parts("data/sssource");
    assert_eq!(parts.len(), 1);
    assert_named_by_content(&parts, &place.record());
    place.pipeline(&as_file);
    assert_eq!(place.good(&[]), "done output_missing params_changed");
    // The parts are still where readers look for them.
    (0..3).for_each(|_| drop(place.good(&[])));
    assert_eq!(place.parts("data/sssource"), parts);
    place.pipeline(PIPELINE);
    assert_eq!(place.good(&[]), "done output_missing params_changed");
    assert_eq!(place.good(&[]), "up_to_date");
}

#[test]
fn what_is_not_a_link_of_ours_is_left_alone() {
    let place = Place::new();
    fs::create_dir(place.path("data")).unwrap();
    fs::create_dir(place.path("elsewhere")).unwrap();
    let target = place.path("data/sssource");
    let refused = |what: &str| {
        for arguments in [&["-n"][..], &[], &["validate"]] {
            let said = place.run(arguments);
            assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.text);
            let expected =
                format!("data/sssource` is {what}, but it must become a link to the folder of the parts");
            let words = said.text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&expected), "{}", said.text);
        }
    };
    fs::write(&target, b"mine").unwrap();
    refused("a file");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    fs::remove_file(&target).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine.parquet"), b"mine").unwrap();
    refused("a folder");
    assert_eq!(fs::read(target.join("mine.parquet")).unwrap(), b"mine");
    fs::remove_dir_all(&target).unwrap();
    std::os::unix::fs::symlink("../elsewhere", &target).unwrap();
    refused("a link that leads elsewhere");
    assert_eq!(fs::read_link(&target).unwrap(), Path::new("../elsewhere"));
    fs::remove_file(&target).unwrap();
    assert_eq!(place.good(&[]), "done never_run");
    // A plain file cannot take the place of the parts either.
    place.pipeline(&PIPELINE.replace("out: sssource/", "out: sssource"));
    place.run(&[]).expect(2).says("is the link of an output of parts (you can remove it with `rm`)");
    assert_eq!(place.parts("data/sssource").len(), 2);
}

#[test]
fn only_kinds_that_make_parts_have_them() {
    let place = Place::new();
    let other = "  obs:\n    export: {table: obs}\n    out: nightly/obs/\n";
    place.pipeline(&format!("{PIPELINE}{other}").replace("keep: 3", "database: {dbname: d}"));
    let said = place.run(&["-n"]).expect(2);
    let words = said.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "`out: nightly/obs/` is a folder of parts, but `export` makes one file: write `out: nightly/obs.parquet`";
    assert!(words.contains(expected), "{}", said.text);
    said.says("pipeline.yaml:20:");
    place.pipeline(&PIPELINE.replace("out: sssource/", &format!("out: {}/", "a/".repeat(80))));
    place.run(&["-n"]).says("is longer than 200 bytes");
}

#[test]
fn parts_below_a_folder_are_linked_from_there_and_move_with_the_outputs() {
    let place = Place::new();
    place.pipeline(&PIPELINE.replace("out: sssource/", "out: to night/deep/sssource/"));
    place.good(&[]);
    let parts = place.parts("data/to night/deep/sssource");
    assert_eq!(place.folders().len(), 1);
    (0..3).for_each(|_| assert_eq!(place.good(&[]), "up_to_date"));
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    assert_eq!(place.parts("moved/to night/deep/sssource"), parts);
    fs::rename(place.path("moved"), place.path("data")).unwrap();
    // The record of a stage that is gone names its parts until they are removed with it.
    place.pipeline(&PIPELINE.replace("  sssource:\n", "  other:\n").replace("sssource/", "other/"));
    // Also while the folder of the link is not mounted.
    let [deep, away] = ["data/to night/deep", "away"].map(|name| place.path(name));
    fs::rename(&deep, &away).unwrap();
    (0..3).for_each(|_| drop(place.good(&[])));
    fs::rename(&away, &deep).unwrap();
    (0..3).for_each(|_| drop(place.good(&[])));
    assert_eq!(place.parts("data/to night/deep/sssource"), parts);
    place.run(&["gc", "--orphans"]).says("removed the record of `sssource`, with `to night/deep/sssource`");
    assert!(!place.path("data/to night/deep/sssource").is_symlink());
    (0..2).for_each(|_| drop(place.good(&[])));
    assert_eq!(place.folders().len(), 1);
}

#[test]
fn executors_and_threads_make_the_same_parts_and_records() {
    let made: Vec<(Parts, Value)> = [("local", "1"), ("local", "4"), ("processes", "1")]
        .into_iter()
        .map(|(executor, threads)| {
            let place = Place::new();
            place.pipeline(&PIPELINE.replace("keep: 3", &format!("executor: {executor}")));
            assert_eq!(place.good(&["-j", threads]), "done never_run");
            assert_eq!(place.good(&[]), "up_to_date");
            let mut record = place.record();
            for name in ["run", "finished", "seconds", "written_by"] {
                record.as_object_mut().unwrap().remove(name).unwrap();
            }
            (place.parts("data/sssource"), record)
        })
        .collect();
    assert_eq!(made[0], made[1]);
    assert_eq!(made[0], made[2]);
}

#[test]
fn a_failed_check_keeps_the_old_parts_and_leaves_none() {
    let place = Place::new();
    place.good(&[]);
    let (link, parts) = (place.led_to(), place.parts("data/sssource"));
    place.night(1);
    place.pipeline(&PIPELINE.replace("min_rows: 3", "min_rows: 5"));
    place.run(&[]).expect(5);
    assert_eq!((place.led_to(), place.parts("data/sssource")), (link.clone(), parts));
    let left = fs::read_dir(place.path("data/.ssp/parts")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [link.as_str()]);
}
