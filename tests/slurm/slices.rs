//! A stage as an array of jobs, each for a slice of the objects.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cluster::Cluster;
use crate::folder::{Folder, said, signal};
use crate::python::python;
use crate::said::Said;
use crate::wait::eventually;

const STAGE: &str = "  sssource:
    build-sssource: {obs_sbn: in/obs_sbn.parquet, dia_sources: in/dia_sources.parquet, mpc_orbits: in/mpc_orbits.parquet,
      current_identifications: in/current_identifications.parquet, numbered_identifications: in/numbered_identifications.parquet}
    out: sssource.parquet
";

/// A pipeline of one stage on 400 objects.
fn folder<'a>(cluster: &'a Cluster, settings: &str) -> Folder<'a> {
    let folder = Folder::with(cluster, settings, STAGE);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sssource_inputs.py");
    let mut make = Command::new(python());
    make.arg(script).args(["--objects", "400", "--orbits", "600", "--out"]);
    assert!(make.arg(folder.path("in")).output().unwrap().status.success());
    folder
}

/// Changes the number of slices.
fn slices(folder: &Folder<'_>, old: u32, new: u32) {
    folder.edit(&format!("slices: {old}"), &format!("slices: {new}"));
}

#[test]
fn the_output_does_not_depend_on_the_number_of_slices() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 1");
    let good = folder.local();
    let mut records = Vec::new();
    let mut last = 1;
    for count in [1, 3, 7] {
        slices(&folder, last, count);
        last = count;
        folder.run(&[]).expect(0);
        assert!(folder.outputs() == good && folder.tasks().is_empty(), "{count}");
        records.push(folder.record("sssource"));
        fs::remove_dir_all(folder.path("data")).unwrap();
    }
    assert!(records[0] == records[1] && records[1] == records[2]);
    // One job, an array of 3, and an array of 7.
    assert_eq!(cluster.in_state("COMPLETED").len(), 11);
}

#[test]
fn parts_do_not_depend_on_the_executor() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 1");
    folder.edit("out: sssource.parquet", "out: sssource/");
    folder.edit("build-sssource: {", "build-sssource: {part_rows: 3000, ");
    let parts = |folder: &Folder<'_>| {
        let files = fs::read_dir(folder.path("data/sssource")).unwrap().flatten();
        files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect::<BTreeMap<_, _>>()
    };
    folder.run(&["--executor", "local", "-q"]).expect(0);
    let good = parts(&folder);
    assert!(good.len() > 2, "{:?}", good.keys());
    let mut last = 1;
    for count in [1, 3] {
        fs::remove_dir_all(folder.path("data")).unwrap();
        slices(&folder, last, count);
        last = count;
        folder.run(&[]).expect(0);
        assert!(parts(&folder) == good && folder.tasks().is_empty(), "{count}");
        folder.run(&["--check", "-q"]).expect(0);
    }
}

#[test]
fn of_an_array_only_what_is_missing_is_done_again() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 5, retries: 0, array_limit: 2");
    let good = folder.local();
    folder.script("[ \"$SLURM_ARRAY_TASK_ID\" = 3 ] && [ ! -e go ] && exit 9\nwork \"$@\"");
    folder.run(&[]).expect(1).says("of slice 3");
    assert_eq!((cluster.in_state("COMPLETED").len(), folder.results()), (4, 4));
    folder.go();
    folder.run(&[]).expect(0).says("takes 4 results");
    assert!(folder.outputs() == good);
    assert_eq!(cluster.in_state("COMPLETED").len(), 5);
    assert!(folder.tasks().is_empty());
}

#[test]
fn a_slice_that_is_killed_is_submitted_again() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 3");
    let good = folder.local();
    folder.script(
        "[ \"$SLURM_ARRAY_TASK_ID\" = 1 ] && [ ! -e once ] && touch once && kill -KILL $$\nwork \"$@\"",
    );
    folder.run(&[]).expect(0).says("of slice 1").says("submits it again");
    assert!(folder.outputs() == good && cluster.in_state("COMPLETED").len() == 3);
}

#[test]
fn a_run_that_is_killed_five_times_and_loses_a_node_makes_the_same_output() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 6");
    let good = folder.local();
    // Each second one more job may begin.
    folder.script("while [ ! -e go$SLURM_ARRAY_TASK_ID ]; do sleep 0.05; done\nwork \"$@\"");
    for round in 0..5 {
        let mut run = folder.start(&[]);
        eventually("jobs are at work", || !cluster.in_state("RUNNING").is_empty());
        fs::write(folder.path(&format!("go{round}")), b"").unwrap();
        eventually("a job has ended", || folder.results() == round + 1);
        run.kill().unwrap();
        run.wait().unwrap();
        if round == 2 {
            cluster.act("kill-node", &["1"]);
        }
    }
    fs::write(folder.path("go5"), b"").unwrap();
    let run = folder.run(&[]).expect(0);
    assert!(folder.outputs() == good && folder.tasks().is_empty(), "{}", run.text);
}

#[test]
fn a_run_that_is_stopped_keeps_the_results_of_its_slices() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 4");
    let good = folder.local();
    folder.script("[ \"$SLURM_ARRAY_TASK_ID\" = 0 ] || while [ ! -e go ]; do sleep 0.05; done\nwork \"$@\"");
    let run = folder.start(&[]);
    eventually("a slice is done", || folder.results() == 1);
    signal("TERM", run.id());
    said(run).expect(143);
    eventually("the jobs are cancelled", || cluster.in_state("CANCELLED").len() == 3);
    folder.go();
    folder.run(&[]).expect(0).says("takes 1 result");
    assert!(folder.outputs() == good);
    assert_eq!(cluster.in_state("COMPLETED").len(), 4);
}

#[test]
fn an_error_of_the_whole_table_is_that_of_one_piece() {
    let cluster = Cluster::start();
    let folder = folder(&cluster, "slices: 3");
    folder.edit("    out: sssource", "    executor: {slurm: {slices: 2}}\n    out: sssource");
    folder.edit("build-sssource: {", "build-sssource: {max_unmatched: 0%, ");
    let local = folder.run(&["--executor", "local"]).expect(1);
    let remote = folder.run(&[]).expect(1);
    let cause = |text: &str| text.split("cause").nth(1).unwrap().split("log ").next().unwrap().to_owned();
    assert_eq!(cause(&local.text), cause(&remote.text));
    assert_eq!(cluster.jobs().len(), 2);
}

#[test]
fn only_stages_that_can_be_cut_have_slices() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "slices: 3");
    // As a setting of all stages, it is for those that can.
    folder.run(&[]).expect(0);
    assert_eq!(cluster.jobs().len(), 1);
    folder.edit("    out: ssobject", "    executor: {slurm: {slices: 2}}\n    out: ssobject");
    folder.run(&["-n"]).expect(2).says("`build-ssobject` works in one job: remove `slices`");
}

#[test]
fn rows_that_memory_does_not_hold_go_into_the_scratch_of_the_node() {
    let cluster = Cluster::start();
    let settings = "slices: 2, retries: 0, environment: [PLACE], scratch: $PLACE/of/$SLURM_JOB_ID";
    let folder = folder(&cluster, settings);
    let good = folder.local();
    folder.edit("build-sssource: {", "build-sssource: {memory: 100K, ");
    // Without the folder, there is no place for the rows.
    folder.script("[ ! -e go ] || mkdir -p $PLACE/of/$SLURM_JOB_ID\nwork \"$@\"");
    let place = folder.path("place");
    let run = || Said::from(folder.command(&[]).env("PLACE", &place).output().unwrap());
    run().expect(1).says("place/of/");
    folder.go();
    run().expect(0);
    assert!(folder.outputs() == good);
    let left = Command::new("find").arg(&place).args(["-type", "f"]).output().unwrap();
    assert_eq!(String::from_utf8(left.stdout).unwrap(), "");
}
