//! The controller or a node is lost, or another job takes the place of ours.

use std::fs;

use crate::cluster::Cluster;
use crate::folder::{Folder, said, signal};
use crate::said::Said;
use crate::wait::eventually;

#[test]
fn a_controller_that_is_killed_and_started_again_loses_nothing() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.wait_for_go();
    let run = folder.start(&[]);
    eventually("the job is at work", || cluster.in_state("RUNNING").len() == 1);
    cluster.act("kill-controller", &[]);
    folder.go();
    // The controller is not needed for the result.
    eventually("the job has ended", || folder.results() == 1 || !folder.outputs().is_empty());
    cluster.act("start-controller", &[]);
    said(run).expect(0);
    assert!(folder.outputs() == good && folder.tasks().is_empty());
}

#[test]
fn a_controller_that_is_away_is_waited_for() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    cluster.act("stop-controller", &[]);
    let run = folder.start(&[]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    cluster.act("start-controller", &[]);
    said(run).expect(0);
    assert!(folder.outputs() == good);
}

#[test]
fn a_program_of_slurm_that_fails_for_some_time_is_asked_again() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    for name in ["squeue", "sbatch"] {
        let lines = format!(
            "[ -e {name}.twice ] || {{ [ -e {name}.once ] && touch {name}.twice; touch {name}.once
            echo 'error: Unable to contact slurm controller (connect failure)' >&2; exit 1; }}\nreal \"$@\""
        );
        folder.before(name, &lines);
    }
    folder.run(&[]).expect(0).says("Unable to contact slurm controller");
    assert!(folder.outputs() == good && folder.path("sbatch.twice").exists());
}

/// Fails as long as a file is there.
const SILENT: &str =
    "[ ! -e silent ] || { echo 'error: Protocol authentication error' >&2; exit 1; }\nreal \"$@\"";

#[test]
fn while_slurm_is_silent_no_job_is_submitted_twice() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    folder.before("squeue", SILENT);
    fs::write(folder.path("silent"), b"").unwrap();
    let run = folder.start(&[]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(cluster.jobs().len(), 1);
    fs::remove_file(folder.path("silent")).unwrap();
    folder.go();
    said(run).expect(0);
    assert!(folder.outputs() == good && cluster.jobs().len() == 1 && folder.tasks().is_empty());
    // Slurm takes the job, and the program that submits it does not hear of that.
    fs::remove_dir_all(folder.path("data")).unwrap();
    folder.before("squeue", "sleep 1\nreal \"$@\"");
    folder.before(
        "sbatch",
        "(real \"$@\") >/dev/null\necho 'error: Socket timed out on send/recv operation' >&2; exit 1",
    );
    let run = folder.run(&[]).expect(0);
    assert!(folder.outputs() == good && cluster.jobs().len() == 2, "{}", run.text);
}

#[test]
fn jobs_that_cannot_be_cancelled_are_known_to_the_next_run() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.wait_for_go();
    folder.before("squeue", SILENT);
    let run = folder.start(&[]);
    eventually("the job is at work", || cluster.in_state("RUNNING").len() == 1);
    fs::write(folder.path("silent"), b"").unwrap();
    // A younger answer would do.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    signal("TERM", run.id());
    said(run).expect(143).says("to cancel them now, run: scancel 1");
    assert_eq!((cluster.in_state("RUNNING").len(), folder.tasks().len()), (1, 1));
    fs::remove_file(folder.path("silent")).unwrap();
    folder.go();
    folder.run(&[]).expect(0);
    assert!(cluster.jobs().len() == 1 && folder.tasks().is_empty());
}

#[test]
fn without_slurm_the_stage_says_what_is_missing() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let run = Said::from(folder.command(&[]).env("PATH", folder.path("case")).output().unwrap());
    run.expect(1).says("cannot start `sbatch`: is Slurm installed on this machine?");
}

#[test]
fn a_lost_node_does_not_lose_the_stage() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.wait_for_go();
    let run = folder.start(&[]);
    eventually("the job is at work", || cluster.in_state("RUNNING").len() == 1);
    let node = cluster.call("squeue", &["--noheader", "-o", "%N"]);
    cluster.act("kill-node", &[node.trim().trim_start_matches("node")]);
    eventually("the job waits again", || cluster.in_state("PENDING").len() == 1);
    folder.go();
    said(run).expect(0);
    assert!(folder.outputs() == good && folder.tasks().is_empty());
}

#[test]
fn a_job_that_others_preempt_is_no_try() {
    let cluster = Cluster::with(&[
        "--line",
        "PreemptType=preempt/partition_prio",
        "--line",
        "PreemptMode=REQUEUE",
        "--line",
        "PartitionName=urgent Nodes=ALL PriorityTier=10 State=UP",
    ]);
    let folder = Folder::one(&cluster, "cpus: 2, retries: 0");
    let good = folder.local();
    folder.wait_for_go();
    let run = folder.start(&[]);
    eventually("the job is at work", || cluster.in_state("RUNNING").len() == 1);
    for _ in 0..2 {
        cluster.call("sbatch", &["--partition=urgent", "--cpus-per-task=2", "--mem=10M", "--wrap=sleep 2"]);
    }
    eventually("the job waits again", || cluster.in_state("PENDING").contains(&"1".to_owned()));
    folder.go();
    said(run).expect(0).does_not_say("submits it again");
    assert!(folder.outputs() == good);
}

#[test]
fn a_job_that_reaches_its_time_limit_gets_more_time() {
    // It takes one and a half minutes.
    if std::env::var_os("SSP_FAULTS").is_none() {
        return;
    }
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "time: 1m, time_max: 2m");
    let good = folder.local();
    folder.script("[ -e once ] || { touch once; exec sleep 300; }\nwork \"$@\"");
    folder.run(&[]).expect(0).says("the job reached its time limit");
    assert!(folder.outputs() == good);
}
