//! The run is killed, and the next one takes up its jobs.

use std::fs;

use crate::cluster::Cluster;
use crate::folder::{Folder, said, signal};
use crate::wait::eventually;

#[test]
fn a_job_at_work_is_waited_for_and_one_that_ended_is_taken() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    let run = folder.start(&[]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    folder.go();
    said(run).expect(0).says("waits for job 1, which an earlier run has submitted");
    assert!(folder.outputs() == good && cluster.jobs().len() == 1 && folder.tasks().is_empty());

    fs::remove_dir_all(folder.path("data/.ssp")).unwrap();
    fs::remove_file(folder.path("go")).unwrap();
    folder.killed_when("RUNNING");
    folder.go();
    eventually("the job has ended", || folder.results() == 1);
    folder.run(&[]).expect(0).says("takes 1 result");
    assert!(folder.outputs() == good && cluster.jobs().len() == 2 && folder.tasks().is_empty());
}

#[test]
fn a_job_that_was_never_submitted_or_that_is_gone_is_submitted() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    cluster.call("scancel", &["1"]);
    eventually("the job is gone", || cluster.in_state("CANCELLED").len() == 1);
    folder.go();
    folder.run(&[]).expect(0);
    assert!(folder.outputs() == good && cluster.jobs().len() == 2);
    // The submission was written down, and Slurm has never heard of it.
    fs::remove_dir_all(folder.path("data/.ssp")).unwrap();
    fs::remove_file(folder.path("go")).unwrap();
    folder.killed_when("RUNNING");
    let submitted = folder.tasks()[0].join("submitted.json");
    let text = fs::read_to_string(&submitted).unwrap();
    fs::write(&submitted, text.replace("\"number\": 1", "\"number\": 9")).unwrap();
    folder.go();
    folder.run(&[]).expect(0);
    assert!(folder.outputs() == good && folder.tasks().is_empty());
}

#[test]
fn a_damaged_or_failed_result_is_not_taken() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.left_with_a_result();
    let file = fs::read_dir(folder.files()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    folder.run(&[]).expect(0).says("the result of a job cannot be used");
    assert!(folder.outputs() == good && folder.tasks().is_empty() && cluster.jobs().len() == 2);
}

#[test]
fn other_inputs_or_force_make_jobs_of_their_own_and_cancel_the_old_ones() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    fs::copy(folder.path("case/mpc_orbits.parquet"), folder.path("case/other")).unwrap();
    fs::rename(folder.path("case/other"), folder.path("case/mpc_orbits.parquet")).unwrap();
    let run = folder.start(&["--force"]);
    eventually("the old job is cancelled", || cluster.in_state("CANCELLED") == ["1"]);
    folder.go();
    said(run).expect(0).does_not_say("earlier run");
    assert!(folder.tasks().is_empty());
    assert_eq!(cluster.in_state("COMPLETED"), ["2"]);
}

#[test]
fn what_a_removed_stage_has_left_is_cancelled_and_removed() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "on_stop: leave");
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    folder.edit("  ssobject:", "  another:");
    folder.run(&["--executor", "local"]).expect(0);
    eventually("the job is cancelled", || cluster.in_state("CANCELLED") == ["1"]);
    assert!(folder.tasks().is_empty());
}

#[test]
fn an_executor_cancels_what_another_one_has_left() {
    let cluster = Cluster::start();
    for words in [&["--executor", "local"][..], &[]] {
        let folder = Folder::one(&cluster, "");
        let good = folder.local();
        folder.wait_for_go();
        folder.killed_when("RUNNING");
        if words.is_empty() {
            let text = fs::read_to_string(folder.path("pipeline.yaml")).unwrap();
            let line = text.lines().find(|line| line.starts_with("executor")).unwrap();
            folder.edit(line, "executor: processes");
        }
        let run = folder.run(words).expect(0);
        eventually("the job is cancelled", || cluster.in_state("RUNNING").is_empty());
        assert!(folder.outputs() == good && folder.tasks().is_empty(), "{}", run.text);
    }
    assert_eq!(cluster.in_state("CANCELLED").len(), 2);
}

#[test]
fn the_end_of_an_earlier_job_is_not_taken_for_that_of_a_new_one() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    let good = folder.local();
    folder.script("[ -e third ] || { [ ! -e second ] || { touch third; kill -KILL $$; }; touch second; sleep 100; }\nwork \"$@\"");
    let run = folder.start(&[]);
    eventually("the first job is at work", || folder.path("second").exists());
    signal("TERM", run.id());
    said(run).expect(143);
    folder.run(&[]).expect(0).says("submits it again");
    assert!(folder.outputs() == good);
    assert_eq!(cluster.jobs().len(), 3);
}

#[test]
fn a_result_whose_files_are_seen_later_is_waited_for() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "retries: 0");
    let good = folder.local();
    folder.left_with_a_result();
    let files = folder.files();
    fs::rename(&files, folder.path("files")).unwrap();
    let run = folder.start(&[]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    fs::rename(folder.path("files"), &files).unwrap();
    said(run).expect(0);
    assert!(folder.outputs() == good && cluster.jobs().len() == 1);
}
