//! The run is killed, or the process of a stage, or both are told to stop.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::folder::{Folder, PIPELINE, is_alive, signal};
use crate::said::Said;
use crate::wait::eventually;

/// Only the stage that needs nothing.
fn one_stage() -> Folder {
    let folder = Folder::new();
    let end = PIPELINE.find("  filtered:").unwrap();
    let begin = PIPELINE.find("  dia_sources:").unwrap();
    let ssobject = PIPELINE.find("  ssobject:").unwrap();
    folder.write(&[&PIPELINE[..begin], &PIPELINE[ssobject..end]].concat());
    folder
}

#[test]
fn a_process_that_is_killed_fails_its_stage_alone() {
    let folder = Folder::new();
    folder.run(&["-q"]).expect(0);
    let good = folder.outputs();
    let (run, process) = folder.stopped_at_work(&["-j", "1"]);
    assert!(signal("KILL", process));
    Said::from(run.wait_with_output().unwrap())
        .expect(1)
        .says("ended without a result: signal: 9 (SIGKILL)")
        .says("when the memory of the machine runs out");
    // A stage that does not need it is done all the same.
    assert!(!folder.outputs().is_empty());
    assert!(folder.tasks().is_empty());
    folder.run(&["-q"]).expect(0);
    assert!(folder.outputs() == good);
}

#[test]
fn a_run_takes_up_the_process_of_one_that_was_killed() {
    let folder = one_stage();
    folder.run(&["-q"]).expect(0);
    let good = folder.outputs();
    let process = folder.orphan();
    assert!(folder.outputs().is_empty());
    let next = folder.command(&[]).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(500));
    // It waits for the same process, and has started no other.
    assert_eq!(folder.process(), Some(process));
    assert!(signal("CONT", process));
    Said::from(next.wait_with_output().unwrap()).expect(0);
    assert!(folder.outputs() == good && folder.tasks().is_empty());
}

#[test]
fn a_run_takes_the_result_of_a_process_that_has_ended_and_not_a_damaged_one() {
    for damage in [false, true] {
        let folder = one_stage();
        folder.run(&["-q"]).expect(0);
        let good = folder.outputs();
        let process = folder.orphan();
        assert!(signal("CONT", process));
        eventually("the process has ended", || !is_alive(process));
        let files = folder.tasks()[0].join("execution/files");
        let file = fs::read_dir(&files).unwrap().next().unwrap().unwrap().path();
        if damage {
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        folder.run(&[]).expect(0);
        assert!(folder.outputs() == good && folder.tasks().is_empty());
        let output = fs::metadata(folder.path("data/ssobject.parquet")).unwrap();
        assert_eq!(output.modified().unwrap() == modified, !damage);
    }
}

#[test]
fn a_process_for_other_inputs_is_ended() {
    let folder = one_stage();
    let process = folder.orphan();
    folder.write(&PIPELINE.replace("executor: processes", "executor: local"));
    folder.run(&["-q"]).expect(0);
    assert!(!is_alive(process) && folder.tasks().is_empty());
}

#[test]
fn a_signal_and_a_timeout_end_the_process() {
    let folder = one_stage();
    let (run, process) = folder.stopped_at_work(&[]);
    assert!(signal("TERM", run.id()));
    sleep(Duration::from_millis(200));
    assert!(signal("CONT", process));
    let said = Said::from(run.wait_with_output().unwrap()).expect(143).text;
    assert!(!is_alive(process) && folder.outputs().is_empty() && folder.tasks().is_empty(), "{said}");

    let pipeline = fs::read_to_string(folder.path("pipeline.yaml")).unwrap();
    folder
        .write(&pipeline.replace("    out: ssobject.parquet", "    out: ssobject.parquet\n    timeout: 1s"));
    let (run, process) = folder.stopped_at_work(&[]);
    Said::from(run.wait_with_output().unwrap()).expect(1).says("took longer than its timeout, 1s");
    // It was stopped and could not end by itself.
    assert!(!is_alive(process) && folder.tasks().is_empty());
}

#[test]
fn neither_a_forced_stage_nor_one_that_failed_takes_what_is_left() {
    for (arguments, failed) in [(&["--force"][..], false), (&[], true)] {
        let folder = one_stage();
        let process = folder.orphan();
        assert!(signal("CONT", process));
        eventually("the process has ended", || !is_alive(process));
        let execution = folder.tasks()[0].join("execution");
        let file = fs::read_dir(execution.join("files")).unwrap().next().unwrap().unwrap().path();
        let modified = fs::metadata(file).unwrap().modified().unwrap();
        if failed {
            let result = r#"{"failed":{"errors":["the disk was full"],"class":"Fault"}}"#;
            fs::write(execution.join("result.json"), result).unwrap();
        }
        folder.run(arguments).expect(0);
        let output = fs::metadata(folder.path("data/ssobject.parquet")).unwrap();
        assert!(output.modified().unwrap() > modified && folder.tasks().is_empty());
    }
}

#[test]
fn a_program_that_is_removed_meanwhile_runs_to_its_end() {
    let folder = Folder::new();
    let program = folder.path("ssp-run");
    fs::copy(env!("CARGO_BIN_EXE_ssp-run"), &program).unwrap();
    let mut command = Command::new(&program);
    command.current_dir(folder.path("")).env_clear().args(["pipeline.yaml", "-j", "1"]);
    let run = command.stderr(Stdio::piped()).spawn().unwrap();
    fs::remove_file(&program).unwrap();
    Said::from(run.wait_with_output().unwrap()).expect(0);
    assert_eq!(folder.outputs().len(), 3);
}

#[test]
fn only_folders_of_tasks_are_removed() {
    let folder = one_stage();
    fs::create_dir_all(folder.path("precious/ssobject-0123456789ab")).unwrap();
    fs::create_dir_all(folder.path("data/.ssp")).unwrap();
    std::os::unix::fs::symlink("../../precious", folder.path("data/.ssp/jobs")).unwrap();
    folder.run(&["--executor", "local"]).expect(0);
    assert!(folder.path("precious/ssobject-0123456789ab").exists());
    fs::remove_file(folder.path("data/.ssp/jobs")).unwrap();
    fs::create_dir_all(folder.path("data/.ssp/jobs/mine")).unwrap();
    fs::write(folder.path("data/.ssp/jobs/ssobject-0123456789ab"), b"a file in place of a task").unwrap();
    folder.run(&["--force"]).expect(0);
    assert_eq!(folder.tasks(), [folder.path("data/.ssp/jobs/mine")]);
}

#[test]
fn a_process_of_another_machine_is_left_alone() {
    let folder = one_stage();
    let execution = folder.path("data/.ssp/jobs/ssobject-0123456789ab/execution");
    fs::create_dir_all(&execution).unwrap();
    // It holds the lock, and its number is that of a process here.
    let lock = fs::File::create(execution.join("lock")).unwrap();
    lock.lock().unwrap();
    let mut other = Command::new("sleep").arg("300").process_group(0).spawn().unwrap();
    fs::write(execution.join("said"), format!("{{\"process\":{}}}\n", other.id())).unwrap();
    folder.run(&["--executor", "local"]).expect(0);
    assert!(is_alive(other.id()) && execution.exists());
    other.kill().unwrap();
    other.wait().unwrap();
}
