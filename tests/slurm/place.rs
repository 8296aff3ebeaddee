//! What a job finds on its node.

use std::fs;
use std::process::Command;

use crate::cluster::Cluster;
use crate::folder::Folder;
use crate::wait::eventually;

#[test]
fn another_version_of_the_program_does_no_work() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.script("sed -i 's/\"version\": \"[^\"]*\"/\"version\": \"0.0.1\"/' \"$2/task.json\"\nwork \"$@\"");
    folder.run(&[]).expect(1).says("is not this version of ssp-run");
}

#[test]
fn a_job_that_was_started_again_too_often_ends_with_an_error() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.script("export SLURM_RESTART_COUNT=21\nwork \"$@\"");
    folder.run(&[]).expect(1).says("Slurm has started the job again 20 times");
}

#[test]
fn a_folder_with_strange_characters_is_no_hindrance() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.edit("out_dir: data", "out_dir: \"it's 100% a data %j\"");
    folder.run(&[]).expect(0);
    assert!(folder.path("it's 100% a data %j/ssobject.parquet").exists());
}

#[test]
fn the_id_of_a_folder_is_made_once() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.run(&["-q"]).expect(0);
    let id = fs::read_to_string(folder.path("data/.ssp/id")).unwrap();
    folder.run(&["-q", "--force"]).expect(0);
    assert_eq!(fs::read_to_string(folder.path("data/.ssp/id")).unwrap(), id);
    let comments: Vec<String> = cluster.jobs().into_iter().map(|[.., comment]| comment).collect();
    let id = id.split(' ').next().unwrap();
    assert!(comments.iter().all(|comment| comment.starts_with(&format!("ssp1:{id}:ssobject-"))));
    // No two submissions have the same comment.
    assert_ne!(comments[0], comments[1]);
}

#[test]
fn a_copy_of_the_folder_leaves_the_jobs_of_the_original_alone() {
    let cluster = Cluster::start();
    let folder = Folder::one(&cluster, "");
    folder.wait_for_go();
    folder.killed_when("RUNNING");
    let copy = tempfile::tempdir().unwrap();
    let copied =
        Command::new("cp").arg("-r").arg(folder.path("")).arg(copy.path().join("copy")).status().unwrap();
    assert!(copied.success());
    let mut run = folder.command(&["--force", "-q"]);
    let run = run.current_dir(copy.path().join("copy")).spawn().unwrap();
    eventually("the copy has a job of its own", || cluster.jobs().len() == 2);
    assert!(cluster.in_state("CANCELLED").is_empty());
    folder.go();
    fs::write(copy.path().join("copy/go"), b"").unwrap();
    assert!(run.wait_with_output().unwrap().status.success());
    folder.run(&["-q"]).expect(0);
    assert_eq!(cluster.jobs().len(), 2);
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_place() {
    let cluster = Cluster::start();
    for (settings, message) in [
        ("options: [\"--array=1-3\"]", "`--array` is set by ssp-run itself"),
        ("environment: [PGPASSWORD]", "`PGPASSWORD` holds a secret"),
        ("mem_max: 1M", "`mem_max` is less than `mem`"),
        ("options: [\"-D /tmp\"]", "`-D` is set by ssp-run itself"),
        ("cpu: 2", "did you mean `cpus`"),
        ("slices: 0", "`slices` must be from 1 to 10000"),
    ] {
        let folder = Folder::one(&cluster, settings);
        folder.run(&["-n"]).expect(2).says("pipeline.yaml:5:").says(message);
    }
    // A node that does not see the task may see it later.
    let mut work = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    let output = work.args(["work", "/nowhere", "--submission", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(75));
}
