//! The same outputs, records and messages as on this machine.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::folder::{Folder, said};
use crate::said::Said;
use crate::wait::eventually;

fn records(folder: &Folder<'_>) -> Vec<Value> {
    ["dia_sources", "filtered", "ssobject"].map(|stage| folder.record(stage)).to_vec()
}

#[test]
fn outputs_and_records_do_not_depend_on_the_executor() {
    let cluster = Cluster::start();
    let folder = Folder::three(&cluster, "cpus: 2");
    folder.run(&["--executor", "local", "-v"]).expect(0);
    let (outputs, known) = (folder.outputs(), records(&folder));
    fs::remove_dir_all(folder.path("data")).unwrap();
    folder.run(&["-v"]).expect(0).does_not_say("warning");
    assert_eq!(outputs.len(), 3);
    assert!(folder.outputs() == outputs && records(&folder) == known && folder.tasks().is_empty());
    // Each stage was one job, and its log says where.
    assert_eq!(cluster.in_state("COMPLETED").len(), 3);
    let names = cluster.call("squeue", &["--noheader", "--states=all", "-o", "%j %C"]);
    assert!(names.contains("ssp-a_night-filtered 2"), "{names}");
    let log = folder.path("data/.ssp/runs/latest/ssobject.log");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("Slurm job ") && log.contains(" on node"), "{log}");
    folder.run(&["--check"]).expect(0);
}

#[test]
fn a_failure_has_the_same_words_and_is_not_tried_again() {
    let cluster = Cluster::start();
    let folder = Folder::three(&cluster, "");
    fs::write(folder.path("case/dia_sources.parquet"), b"no Parquet").unwrap();
    let remote = folder.run(&[]).expect(1);
    assert_eq!(folder.outputs().len(), 2);
    let local = folder.run(&["--executor", "local"]);
    let errors = |text: &str| -> Vec<String> {
        let is_error = |line: &&str| line.contains("dia_sources.parquet") && !line.contains("out:");
        text.lines().filter(is_error).map(str::to_owned).collect()
    };
    assert!(!errors(&remote.text).is_empty(), "{}", remote.text);
    assert_eq!(errors(&remote.text), errors(&local.text));
    assert_eq!(cluster.jobs().len(), 3);
    assert!(folder.tasks().is_empty());
}

#[test]
fn a_job_gets_the_variables_that_are_named_and_no_others() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "environment: [WANTED]");
    folder.script("env >environment\nwork \"$@\"");
    let mut command = folder.command(&["-q"]);
    command.env("WANTED", "yes").env("PGPASSWORD", "hidden-1234").env("HOME", "/somewhere");
    assert!(command.status().unwrap().success());
    let found = fs::read_to_string(folder.path("environment")).unwrap();
    assert!(found.contains("WANTED=yes\n") && found.contains("HOME=/somewhere\n"), "{found}");
    assert!(!found.contains("hidden-1234"), "{found}");
    let job = &cluster.jobs()[0][0];
    assert!(!cluster.call("scontrol", &["show", "job", job]).contains("hidden-1234"));
}

#[test]
fn status_and_the_plan_say_what_is_at_work_and_what_it_costs() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "cpus: 2, time: 30m");
    folder.wait_for_go();
    let plan = folder.run(&["-n"]).text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plan.contains("Slurm: 1 job of 2 cores, 315 MB, at most 30m; reads 313 kB"), "{plan}");
    let run = folder.start(&[]);
    eventually("the job is at work", || {
        let mut status = Command::new(folder.command(&[]).get_program());
        let output = status.args(["status", "pipeline.yaml"]).current_dir(folder.path("")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("jobs     ssobject  Slurm: 0 done, 1 at work, 0 waiting; job 1 on node")
    });
    folder.go();
    said(run).expect(0);
    folder.run(&["-n", "--force"]).says("last time");
    folder.run(&["-n", "--force", "--executor", "local"]).does_not_say("Slurm");
}

#[test]
fn the_demo_makes_the_same_outputs() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        command.args(arguments).current_dir(folder.path()).env("SLURM_CONF", cluster.conf());
        Said::from(command.output().unwrap()).expect(0)
    };
    run(&["demo", "--dir", "demo"]);
    let pipeline = folder.path().join("demo/pipelines/demo.yaml");
    let text = fs::read_to_string(&pipeline).unwrap();
    let executor = "executor: {slurm: {cpus: 2, mem: 500M, poll: 10s, slices: 3}}\nstages:";
    fs::write(&pipeline, text.replacen("stages:", executor, 1)).unwrap();
    let stages = "dia_sources,sssource,ssobject";
    run(&["--reuse-exports", "--force-stage", stages, "demo/pipelines/demo.yaml"])
        .says("3 unchanged, 4 up to date");
    // Two stages of one job, and one of three slices.
    assert_eq!(cluster.in_state("COMPLETED").len(), 5);
}
