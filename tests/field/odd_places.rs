//! Records, links and registries in an unexpected state.

use std::fs;
use std::os::unix::fs::symlink;

use crate::place::Place;

/// A pipeline that ran once.
fn ran() -> Place {
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    place.pipeline("  a: {export: {table: t}, out: a.parquet}\n");
    place.ssp_run(&["-q"]).expect(0);
    place
}

/// The ids of the runs, oldest first.
fn runs(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path("out/.ssp/runs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut runs: Vec<String> = names.filter(|name| name.starts_with("20")).collect();
    // Later runs of the same second have a number at the end.
    runs.sort_by_key(|run| (run[.."20260302T061500Z".len()].to_owned(), run.len(), run.clone()));
    runs
}

/// As a copy leaves it that follows links.
#[test]
fn a_folder_in_place_of_the_link_to_the_latest_run_stops_nothing() {
    let place = ran();
    let latest = place.path("out/.ssp/runs/latest");
    let first = runs(&place).remove(0);
    fs::remove_file(&latest).unwrap();
    fs::create_dir(&latest).unwrap();
    for name in ["run.json", "a.log"] {
        let copy = fs::read(place.path("out/.ssp/runs").join(&first).join(name)).unwrap();
        place.put(&format!("out/.ssp/runs/latest/{name}"), copy);
    }
    let said = place.ssp_run(&["--force"]).expect(0);
    assert_eq!(said.text.matches("warning").count(), 1, "{}", said.text);
    said.says("cannot make the link `out/.ssp/runs/latest`")
        .says("to get it back, remove the file or folder that has its name");
    place.ssp_run(&["-q", "--force"]).expect(0).says("cannot make the link `out/.ssp/runs/latest`");
    let newest = runs(&place).pop().unwrap();
    // The copy is not a run, neither the latest nor any.
    place.ssp_run(&["log", "--pipeline", "pipeline.yaml"]).expect(0).says(&format!("run {newest}\n"));
    place.ssp_run(&["report"]).expect(0).says(&format!("runs/{newest}/report.html"));
    place.ssp_run(&["status"]).expect(0).says(&format!("last run {newest}:"));
    place.ssp_run(&["history"]).expect(0).does_not_say("latest");
    place.ssp_run(&["gc", "--keep", "1"]).expect(0).says("removed the records of 1 run, 2 kept");
    assert!(latest.join("run.json").exists());
    // Without it the link is back.
    fs::remove_dir_all(&latest).unwrap();
    place.ssp_run(&[]).expect(0).does_not_say("warning");
    assert!(latest.is_symlink());
}

/// As a copy leaves it that knows no links: a file with the link's text in it.
#[test]
fn a_file_in_place_of_the_link_to_the_latest_run_becomes_the_link() {
    let place = ran();
    let latest = place.path("out/.ssp/runs/latest");
    fs::remove_file(&latest).unwrap();
    place.put("out/.ssp/runs/latest", runs(&place).remove(0));
    place.ssp_run(&["log"]).expect(0);
    place.ssp_run(&[]).expect(0).does_not_say("warning");
    assert_eq!(fs::read_link(&latest).unwrap().to_str(), runs(&place).last().map(String::as_str));
}

/// As it is after a run that could not change the link, such as that of another user in a folder with the sticky bit.
#[test]
fn a_link_to_an_older_run_is_noted() {
    let place = ran();
    place.ssp_run(&["-q"]).expect(0);
    let (latest, runs) = (place.path("out/.ssp/runs/latest"), runs(&place));
    let note =
        format!("note: the link `latest` points to run {}, but run {} has a later name", runs[0], runs[1]);
    place.ssp_run(&["log"]).expect(0).does_not_say("note");
    fs::remove_file(&latest).unwrap();
    symlink(&runs[0], &latest).unwrap();
    for command in ["log", "report", "status"] {
        place.ssp_run(&[command]).expect(0).says(&note);
    }
    place.ssp_run(&["log", &runs[0]]).expect(0).does_not_say("note");
    // A link to elsewhere is not believed.
    fs::remove_file(&latest).unwrap();
    symlink("/somewhere/else", &latest).unwrap();
    place.ssp_run(&["log"]).expect(0).says(&format!("run {}\n", runs[1]));
}

#[test]
fn a_log_that_is_not_utf_8_is_printed() {
    let place = ran();
    place.put("out/.ssp/runs/latest/hook-on_failure.log", b"caf\xe9\nend\n");
    place.ssp_run(&["log"]).expect(0).says("caf\u{fffd}").says("end");
}

#[test]
fn a_file_in_another_encoding_and_a_number_in_words_are_told_what_to_write() {
    let place = Place::empty();
    let utf16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain("version: 1\nname: n\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    place.put("pipeline.yaml", utf16);
    place
        .ssp_run(&["validate"])
        .expect(2)
        .says("the file is UTF-16: save the file as UTF-8")
        .does_not_say("hint");
    place.put("pipeline.yaml", b"version: 1\nname: caf\xe9\n");
    place
        .ssp_run(&["validate"])
        .expect(2)
        .says("line 2 is not UTF-8: save the file as UTF-8")
        .does_not_say("hint");
    place.put("e.yaml", b"- {sql: SELECT '\xe9', out: a}\n");
    place.run("fast-export", &["--config", "e.yaml"]).expect(2).says("line 1 is not UTF-8");
    for (arguments, said) in [
        (["-j", "two"], "write a whole number in digits"),
        (["-j", "4x"], "write a whole number in digits"),
        (["--row-group-size", "1M"], "write a whole number in digits alone: 1000000"),
        (["--row-group-size", "1,000"], "write a whole number in digits alone: 1000"),
    ] {
        let arguments = [&["--sql", "SELECT 1", "--out", "o.parquet"][..], &arguments].concat();
        place.run("fast-export", &arguments).expect(2).says(said);
    }
}
