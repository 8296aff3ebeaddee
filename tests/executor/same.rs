//! The same outputs, records and messages as inside `ssp-run`.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::folder::{Folder, PIPELINE};
use crate::said::Said;

/// The records of the stages, without times and the run's id.
fn records(folder: &Folder) -> Vec<Value> {
    let stages = ["dia_sources", "filtered", "ssobject"];
    let record = |stage: &str| {
        let text = fs::read_to_string(folder.path(&format!("data/.ssp/stages/{stage}.json"))).unwrap();
        let mut record: Value = serde_json::from_str(&text).unwrap();
        for name in ["run", "finished", "seconds", "written_by"] {
            record.as_object_mut().unwrap().remove(name).unwrap();
        }
        record
    };
    stages.map(record).to_vec()
}

/// What a run says, without clocks and ids.
fn words(text: &str) -> Vec<String> {
    let is_time = |word: &str| word.contains(|c: char| c.is_ascii_digit()) && !word.contains('`');
    text.lines()
        .map(|line| line.split_whitespace().filter(|word| !is_time(word)).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn outputs_records_and_messages_do_not_depend_on_the_executor() {
    let (here, there) = (Folder::new(), Folder::new());
    let said = [here.run(&["--executor", "local", "-v", "-j", "1"]), there.run(&["-v", "-j", "1"])];
    assert_eq!([said[0].code, said[1].code], [Some(0); 2], "{}\n{}", said[0].text, said[1].text);
    assert_eq!(here.outputs().len(), 3);
    assert!(here.outputs() == there.outputs());
    assert_eq!(records(&here), records(&there));
    assert_eq!(words(&said[0].text), words(&said[1].text));
    assert!(there.tasks().is_empty(), "{:?}", there.tasks());
    // What they remember is the same, and is used by each of them.
    there.run(&["--check", "--executor", "local"]).expect(0);
    for name in ["dia_sources", "filtered"] {
        let memory = format!("data/.ssp/stages/{name}.memory");
        assert!(fs::read(here.path(&memory)).unwrap() == fs::read(there.path(&memory)).unwrap(), "{name}");
    }
}

#[test]
fn threads_do_not_change_what_a_process_makes() {
    let (one, four) = (Folder::new(), Folder::new());
    assert_eq!([one.run(&["-j", "1"]).code, four.run(&["-j", "4"]).code], [Some(0); 2]);
    assert!(one.outputs() == four.outputs());
}

#[test]
fn a_failure_has_the_same_words_and_the_others_are_done() {
    let (here, there) = (Folder::new(), Folder::new());
    for folder in [&here, &there] {
        fs::write(folder.path("case/dia_sources.parquet"), b"no Parquet").unwrap();
    }
    let said = [here.run(&["--executor", "local", "-j", "1"]), there.run(&["-j", "1"])];
    assert_eq!([said[0].code, said[1].code], [Some(1); 2]);
    assert_eq!(words(&said[0].text), words(&said[1].text));
    assert!(said[1].text.contains("dia_sources.parquet"), "{}", said[1].text);
    assert_eq!(there.outputs().len(), 2);
    assert!(there.tasks().is_empty());
}

#[test]
fn a_stage_has_its_own_executor_and_an_export_has_none() {
    let folder = Folder::new();
    let pipeline = PIPELINE
        .replace("executor: processes\n", "")
        .replace("    out: ssobject.parquet", "    out: ssobject.parquet\n    executor: processes");
    folder.write(&pipeline);
    folder.run(&["-q"]).expect(0);
    let export = "  obs:\n    export: {table: obs}\n    out: obs.parquet\n    executor: processes\n";
    folder.write(&format!("{pipeline}{export}").replace("butler:", "database: {dbname: d}\nbutler:"));
    folder.run(&["-n"]).expect(2).says("always works inside `ssp-run`: remove `executor`");
    folder.write(&PIPELINE.replace("executor: processes", "executor: slurms"));
    folder.run(&["-n"]).expect(2);
}

#[test]
fn a_folder_is_no_task() {
    let folder = Folder::new();
    let mut work = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    Said::from(work.arg("work").arg(folder.path("case")).output().unwrap())
        .expect(2)
        .says("has no task of this version of ssp-run");
}

#[test]
fn a_stage_that_reads_no_repository_needs_none() {
    let folder = Folder::new();
    fs::remove_dir_all(folder.path("repo")).unwrap();
    folder.run(&["--stage", "ssobject"]).expect(0);
}

#[test]
fn an_output_in_a_new_folder_is_published_and_one_that_cannot_be_is_refused() {
    let folder = Folder::new();
    folder.write(&PIPELINE.replace("out: ssobject.parquet", "out: a folder/new/ssobject.parquet"));
    folder.run(&["--stage", "ssobject"]).expect(0);
    assert!(folder.path("data/a folder/new/ssobject.parquet").exists());
    folder.write(&PIPELINE.replace("out: ssobject.parquet", "out: a file/ssobject.parquet"));
    fs::write(folder.path("data/a file"), b"").unwrap();
    let said = folder.run(&["--stage", "ssobject"]);
    let local = folder.run(&["--stage", "ssobject", "--executor", "local"]);
    assert_eq!((said.code, words(&said.text)), (local.code, words(&local.text)));
}

#[test]
fn a_process_shows_no_value_that_the_run_hides() {
    let folder = Folder::new();
    let pipeline = PIPELINE
        .replacen(
            "{collection: u/fixture/clean}",
            "{collection: u/fixture/clean, where: \"instrument <> '${env:X}'\"}",
            1,
        )
        .replace("column: diaSourceId", "column: nope");
    folder.write(&pipeline);
    Said::from(folder.command(&["-v"]).env("X", "trailLength").output().unwrap())
        .expect(1)
        .says("nope")
        .says("${env:X}")
        .does_not_say("trailLength");
    let mut grep = Command::new("grep");
    let found = grep.args(["-r", "trailLength", "data/.ssp"]).current_dir(folder.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}
