//! How jobs end, and what a run does then.

use std::fs;
use std::process::Command;

use crate::cluster::Cluster;
use crate::folder::{Folder, said, signal};
use crate::said::Said;
use crate::wait::eventually;

fn validate(folder: &Folder<'_>, cluster: &Cluster) -> Said {
    let mut command = Command::new(folder.command(&[]).get_program());
    command.args(["validate", "--connect", "pipeline.yaml"]).current_dir(folder.path(""));
    command.env("SLURM_CONF", cluster.conf()).output().unwrap().into()
}

#[test]
fn what_slurm_refuses_fails_the_stage_and_is_found_beforehand() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "partition: nope");
    let line = "invalid partition specified: nope";
    folder.run(&[]).expect(1).says("Slurm does not take the job").says(line);
    assert!(folder.tasks().is_empty());
    validate(&folder, &cluster).expect(2).says("pipeline.yaml:5:").says(line);
    // Slurm takes this job, and would never start it.
    let folder = Folder::one(&cluster, "cpus: 99, queue_timeout: 2s");
    validate(&folder, &cluster).expect(2).says("node configuration is not available");
    folder.run(&[]).expect(1).says("Slurm may never start the job: PartitionConfig");
    validate(&Folder::one(&cluster, "cpus: 2"), &cluster).expect(0).says("Slurm");
}

/// A program that uses more than 300 MB if it may, for some seconds.
const GREEDY: &str = "if [ \"$SLURM_MEM_PER_NODE\" -lt 500 ]; then
  exec python3 -c 'import time; x = b\"1\" * 400000000; time.sleep(30)'
fi
work \"$@\"";

#[test]
fn a_job_that_needs_more_memory_gets_more_up_to_the_limit() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "mem_max: 800M");
    let good = folder.local();
    folder.script(GREEDY);
    folder.run(&[]).expect(0).says("used more memory than it may");
    assert!(folder.outputs() == good);
    let folder = Folder::one(&cluster, "retries: 5");
    folder.script(GREEDY);
    folder
        .run(&[])
        .expect(1)
        .says("the job had 300 MiB: raise `mem` or `mem_max`")
        .says("exceeded memory limit");
}

#[test]
fn a_job_that_somebody_cancels_fails_and_the_good_output_stays() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.run(&["-q"]).expect(0);
    let good = folder.outputs();
    folder.wait_for_go();
    let run = folder.start(&["--force"]);
    eventually("a job is at work", || cluster.in_state("RUNNING").len() == 1);
    cluster.call("scancel", &[&cluster.in_state("RUNNING")[0]]);
    said(run).expect(1).says("the job was cancelled, and not by ssp-run");
    assert!(folder.outputs() == good && folder.tasks().is_empty());
    assert_eq!(cluster.jobs().len(), 2);
}

#[test]
fn a_job_that_is_killed_is_submitted_again_and_another_node_is_taken_if_one_cannot_work() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "retries: 3");
    let good = folder.local();
    folder.script("[ \"$SLURMD_NODENAME\" = node1 ] && exit 75\nwork \"$@\"");
    let run = folder.run(&[]).expect(0);
    assert_eq!(
        run.text.matches("the node could not do the work; ssp-run submits it again").count(),
        2,
        "{}",
        run.text
    );
    assert!(folder.outputs() == good);
    // It says so when that does not help.
    let folder = Folder::one(&cluster, "retries: 1");
    folder.script("echo the disk is on fire >&2\nexit 75");
    folder.run(&[]).expect(1).says("the disk is on fire").says("submitted 2 times");
}

#[test]
fn an_input_that_a_node_sees_otherwise_is_not_read() {
    // It takes a minute: what a shared file system shows late is waited for.
    if std::env::var_os("SSP_FAULTS").is_none() {
        return;
    }
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "retries: 0");
    folder.script("echo more >>case/mpc_orbits.parquet\nwork \"$@\"");
    folder.run(&[]).expect(1).says("this node cannot see it");
}

#[test]
fn a_run_that_is_stopped_cancels_its_jobs_or_leaves_them() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.wait_for_go();
    let other = Folder::one(&cluster, "");
    other.wait_for_go();
    let mut not_stopped = other.start(&[]);
    let run = folder.start(&[]);
    eventually("the jobs are at work", || cluster.in_state("RUNNING").len() == 2);
    signal("TERM", run.id());
    said(run).expect(143);
    eventually("the job is cancelled", || cluster.in_state("CANCELLED").len() == 1);
    // The same task of another output folder is not ours.
    assert_eq!(cluster.in_state("RUNNING").len(), 1);
    assert!(folder.tasks().is_empty());
    other.edit("poll: 10s", "poll: 10s, on_stop: leave");
    not_stopped.kill().unwrap();
    not_stopped.wait().unwrap();
    let run = other.start(&[]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal("INT", run.id());
    said(run).expect(130).says("continue, and the next run uses their results");
    assert_eq!(cluster.in_state("RUNNING").len(), 1);
    other.go();
    eventually("the job has ended", || other.results() == 1);
    other.run(&[]).expect(0).says("takes 1 result");
    assert!(cluster.jobs().len() == 2);
}

#[test]
fn the_timeout_of_a_stage_counts_from_the_beginning_of_its_work() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "queue_timeout: 6s");
    folder.wait_for_go();
    folder.edit("    out: ssobject.parquet", "    timeout: 3s\n    out: ssobject.parquet");
    folder.run(&[]).expect(1).says("took longer than its timeout, 3s");
    assert!(cluster.in_state("RUNNING").is_empty());
    folder.edit("queue_timeout: 6s", "queue_timeout: 6s, options: [--hold]");
    folder.run(&[]).expect(1).says("waited in the queue of Slurm for longer than `queue_timeout`, 6s");
    assert!(cluster.in_state("PENDING").is_empty());
}

#[test]
fn a_job_that_somebody_holds_is_waited_for() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "options: [--hold]");
    let run = folder.start(&[]);
    eventually("a job is held", || cluster.in_state("PENDING").len() == 1);
    std::thread::sleep(std::time::Duration::from_secs(2));
    cluster.call("scontrol", &["release", &cluster.in_state("PENDING")[0]]);
    said(run).expect(0);
    assert_eq!(fs::read_dir(folder.path("data/.ssp/jobs")).unwrap().count(), 0);
}

#[test]
fn a_fault_of_all_nodes_that_passes_does_not_exclude_them() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "retries: 6");
    let good = folder.local();
    // Two failures on each node, in any order.
    folder.script(
        "echo >>count-$SLURMD_NODENAME; [ \"$(cat count-* | wc -l)\" -gt 4 ] || exit 75\nwork \"$@\"",
    );
    let run = folder.run(&[]).expect(0);
    assert!(folder.outputs() == good, "{}", run.text);
}

#[test]
fn a_job_that_is_told_to_end_long_before_its_limit_is_tried_again() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.script("[ -e once ] || { touch once; exit 143; }\nwork \"$@\"");
    folder.run(&[]).expect(0).says("submits it again");
    assert!(folder.outputs() == good);
}

#[test]
fn jobs_are_left_only_if_the_run_is_stopped_from_outside() {
    let cluster = Cluster::start();
    let folder = Folder::three(&cluster, "on_stop: leave, retries: 1");
    folder.edit("    extract: {collection: u/fixture/clean}", "    extract: {collection: nope}");
    folder.script(
        "[ -e once ] || { touch once; kill -KILL $$; }\nwhile [ ! -e go ]; do sleep 0.05; done\nwork \"$@\"",
    );
    folder.run(&["--fail-fast"]).expect(1);
    eventually("all jobs are cancelled", || cluster.in_state("RUNNING").is_empty());
    let folder = Folder::one(&cluster, "on_stop: leave");
    folder.script(
        "[ -e once ] || { touch once; kill -KILL $$; }\nwhile [ ! -e go ]; do sleep 0.05; done\nwork \"$@\"",
    );
    let run = folder.start(&[]);
    eventually("the second job is at work", || {
        folder.path("once").exists() && cluster.in_state("RUNNING").len() == 1
    });
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal("TERM", run.id());
    said(run).says("the jobs in Slurm continue");
    assert_eq!(cluster.in_state("RUNNING").len(), 1);
    folder.go();
    folder.run(&[]).expect(0);
}
