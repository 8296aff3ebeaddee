//! Outputs of parts after mishaps: killed rollbacks, folders that were moved, and things in the way of links.

#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::parts::{PIPELINE, Place};
use crate::said::Said;
use crate::strace::may_trace;

/// The command was killed before it put the link in place; the second one puts back the same night, not a newer one.
#[test]
fn a_rollback_after_a_killed_one_only_finishes_it() {
    let place = Place::new();
    place.good(&[]);
    let (first, old) = (place.led_to(), place.parts("data/sssource"));
    place.night(1);
    place.good(&[]);
    let generations: Value = serde_json::from_str(&place.run(&["generations", "--json"]).text).unwrap();
    let oldest = generations[1]["run"].as_str().unwrap();
    let kept = place.path("data/.ssp/generations").join(oldest).join(".ssp/stages/sssource.json");
    let record: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    let link = json!({"link": "sssource", "to": format!(".ssp/parts/{first}")});
    let item = json!({"files": [], "link": link, "record": record, "datasets": null});
    let intent = json!({"items": [item], "generation": oldest, "current": oldest});
    fs::create_dir_all(place.path("data/.ssp/publish")).unwrap();
    fs::write(place.path("data/.ssp/publish/rollback.json"), intent.to_string()).unwrap();
    let said = place.run(&["rollback"]);
    let expected = format!("finished the rollback to {oldest} that a killed command had begun\n");
    assert_eq!((said.code, said.text), (Some(0), expected));
    assert_eq!(place.parts("data/sssource"), old);
    assert_eq!(place.record(), record);
    let history = place.run(&["history"]).text;
    assert!(history.lines().next().unwrap().contains(&format!("rolled back to generation {oldest}")));
    // The next one is as any other.
    place.run(&["rollback", oldest]).expect(2).says("are already those");
}

/// The link is behind a link to a folder elsewhere, so it does not move with the parts.
#[test]
fn a_link_that_leads_to_the_former_place_of_the_outputs_is_replaced() {
    let place = Place::new();
    let pipeline = PIPELINE.replace("out: sssource/", "out: deep/sssource/");
    place.pipeline(&pipeline);
    fs::create_dir(place.path("data")).unwrap();
    fs::create_dir(place.path("big")).unwrap();
    symlink("../big", place.path("data/deep")).unwrap();
    place.good(&[]);
    let parts = place.parts("big/sssource");
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    assert!(!place.path("big/sssource").exists());
    place.pipeline(&pipeline.replace("out_dir: data", "out_dir: moved"));
    place.run(&[]).expect(0);
    assert_eq!(place.parts("big/sssource"), parts);
    // One that led to the parts of another output is not.
    fs::remove_file(place.path("big/sssource")).unwrap();
    symlink("../gone/.ssp/parts/other-0123456789ab", place.path("big/sssource")).unwrap();
    place.run(&[]).expect(2).says("a link that leads elsewhere");
}

#[test]
fn a_folder_in_the_place_of_the_link_of_an_orphan_is_left() {
    let place = Place::new();
    place.good(&[]);
    place.pipeline(&PIPELINE.replace("  sssource:\n", "  other:\n").replace("sssource/", "other/"));
    let [link, copy] = ["data/sssource", "copy"].map(|name| place.path(name));
    assert!(Command::new("cp").arg("-rL").args([&link, &copy]).status().unwrap().success());
    fs::remove_file(&link).unwrap();
    fs::rename(&copy, &link).unwrap();
    for (arguments, words) in [
        (&["gc", "--orphans", "-n"][..], "would remove the record of `sssource`, its file is left"),
        (&["gc", "--orphans"], "removed the record of `sssource`, its file was left"),
    ] {
        place.run(arguments).expect(0).says(words);
        assert_eq!(place.parts("data/sssource").len(), 2);
    }
}

/// The removal of the old folder fails, as it does on a file system that keeps files that are open.
#[test]
fn a_folder_of_old_parts_that_cannot_be_removed_does_not_stop_gc() {
    if !may_trace() {
        return;
    }
    let place = Place::new();
    place.good(&[]);
    let first = place.path("data/.ssp/parts").join(place.led_to());
    place.night(1);
    (0..2).for_each(|_| drop(place.good(&[])));
    let mut strace = place.command("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&first);
    strace.args(["-e", "trace=unlinkat,rmdir", "-e", "inject=unlinkat,rmdir:error=EBUSY"]);
    strace.arg(env!("CARGO_BIN_EXE_ssp-run")).args(["gc", "-p", "pipeline.yaml"]);
    Said::from(strace.output().unwrap())
        .expect(0)
        .says("warning: old parts are kept: cannot remove")
        .says("removed the records of 0 runs");
    assert!(first.is_dir());
}
