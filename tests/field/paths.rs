//! A path that cannot be written is refused before the work, and changes nothing.

use std::fs;
use std::os::unix::fs::symlink;

use crate::place::Place;

/// The names in the folder that a command could have made.
fn names(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_path_that_names_a_folder_is_not_an_output() {
    let place = Place::without_server();
    let before = names(&place);
    for (out, expected) in [
        ("new/.", "does not name a file"),
        ("new/", "does not name a file"),
        (".", "is a folder"),
        ("./", "is a folder"),
    ] {
        place.run("fast-export", &["--sql", "SELECT 1", "--out", out]).expect(2).says(expected);
        place.run("extract-catalog", &[out, "r", "c"]).expect(2).says(expected);
        place.run("ssp-build-ssobject", &["s", "o", "-o", out]).expect(2).says(expected);
        assert_eq!(names(&place), before, "{out}");
    }
    place.pipeline("  a: {export: {sql: SELECT 1 AS a}, out: 'new/'}\n");
    place
        .ssp_run(&["validate"])
        .expect(2)
        .says("is a folder of parts, but `export` makes one file: write `out: new.parquet`");
    for out in ["new/.", "new/..", ".", "./"] {
        place.pipeline(&format!("  a: {{export: {{sql: SELECT 1 AS a}}, out: '{out}'}}\n"));
        place
            .ssp_run(&["validate"])
            .expect(2)
            .says(&format!("`out: {out}` must be the name of a file below"));
    }
    place.pipeline("  a: {export: {sql: SELECT 1 AS a}, out: ''}\n");
    place.ssp_run(&["validate"]).expect(2).says("6:42: `out` is empty: name a file below `out_dir`");
    // A `.` in between is no harm.
    place.pipeline("  a: {export: {sql: SELECT 1 AS a}, out: ./a/./b.parquet}\n");
    place.ssp_run(&["validate"]).expect(0).says("1 stage, 0 edges, no mistakes");
}

#[test]
fn a_path_through_a_folder_that_is_not_there_is_refused() {
    let place = Place::without_server();
    let before = names(&place);
    let through = "goes through `xx`, which does not exist";
    for out in ["xx/../y.parquet", "./xx/../y.parquet", "xx/../z/y.parquet"] {
        let through = &through.replace("xx", if out.starts_with('.') { "./xx" } else { "xx" });
        place.run("fast-export", &["--sql", "SELECT 1", "--out", out]).expect(2).says(through);
        place.run("extract-catalog", &[out, "r", "c"]).expect(2).says(through);
        place.run("ssp-build-ssobject", &["s", "o", "-o", out]).expect(2).says(through);
    }
    place.run("ssp-run", &["man", "--dir", "xx/../man"]).expect(2).says(through);
    place.run("ssp-run", &["demo", "--dir", "xx/.."]).expect(2).says(through);
    assert_eq!(names(&place), before);
    // With the folder, the path is one.
    fs::create_dir(place.path("xx")).unwrap();
    place.run("ssp-run", &["man", "--dir", "xx/../man"]).expect(0);
    assert!(place.path("man/ssp-run.1").exists());
}

#[test]
fn outputs_under_each_other_are_refused() {
    let place = Place::without_server();
    let before = names(&place);
    for (one, two, problem) in [
        ("zz", "zz/b", "one of the outputs `zz/b` and `"),
        ("zz/b/c", "zz", "one of the outputs `zz` and `"),
        ("./zz/b", "zz/./b/c/d", "one of the outputs `zz/./b/c/d` and `"),
        ("./zz/b", "zz/b/../b/c/d", "`zz/b/../b/c/d` goes through `zz/b`, which does not exist"),
        ("zz", "zz/b.parquet", "one of the outputs `zz/b.parquet` and `"),
    ] {
        place.put("list.yaml", format!("- {{sql: SELECT 1, out: {one}}}\n- {{sql: SELECT 1, out: {two}}}\n"));
        let said = place.run("fast-export", &["--config", "list.yaml"]).expect(2);
        said.says(problem).does_not_say("connect");
        fs::remove_file(place.path("list.yaml")).unwrap();
        assert_eq!(names(&place), before);
    }
}

#[test]
fn an_output_folder_that_cannot_be_one_is_a_mistake_of_the_file() {
    let place = Place::without_server();
    let stages = "database: {}\nstages:\n  a: {export: {sql: SELECT 1 AS a}, out: a.parquet}\n";
    let pipeline = |out_dir: &str| {
        place.put("pipeline.yaml", format!("version: 1\nname: t\nout_dir: {out_dir}\n{stages}"))
    };
    for empty in ["''", "${env:NOT_SET:-}"] {
        pipeline(empty);
        place
            .ssp_run(&[])
            .expect(2)
            .says("pipeline.yaml:3:10: `out_dir` is empty; name a folder, or write `.`");
    }
    symlink("nowhere", place.path("dl")).unwrap();
    place.put("taken", "");
    for (kind, what) in place.special_files("special").into_iter().filter(|(kind, _)| *kind != "folder") {
        pipeline(&format!("special/{kind}"));
        let expected = format!(
            "pipeline.yaml:6:3: the output of stage `a` cannot be written: `special/{kind}/a.parquet`: `special/{kind}` is \
             {what}, not a folder"
        );
        for command in [&["validate"][..], &[], &["-n"]] {
            place.ssp_run(command).expect(2).says(&expected);
        }
    }
    for (out_dir, what) in [
        ("dl", "`dl` is a link to a folder that does not exist"),
        ("dl/x", "`dl` is a link to"),
        ("taken", "`taken` is a file, not a folder"),
    ] {
        pipeline(out_dir);
        for command in [&["validate"][..], &[], &["-n"]] {
            place.ssp_run(command).expect(2).says("pipeline.yaml:6:3").says(what);
        }
    }
    assert!(!place.path(".ssp").exists() && !place.path("nowhere").exists());
}

#[test]
fn a_folder_of_the_command_line_that_cannot_be_one_is_a_mistake_of_it() {
    let place = Place::without_server();
    symlink("nowhere", place.path("dl")).unwrap();
    place.put("taken", "");
    let mut wrong = vec![
        ("dl".to_owned(), "`dl` is a link to a folder that does not exist".to_owned()),
        ("taken".to_owned(), "`taken` is a file, not a folder".to_owned()),
        ("taken/deep/er".to_owned(), "`taken` is a file, not a folder".to_owned()),
    ];
    for (kind, what) in place.special_files("special").into_iter().filter(|(kind, _)| *kind != "folder") {
        wrong.push((format!("special/{kind}"), format!("`special/{kind}` is {what}, not a folder")));
    }
    for (dir, expected) in &wrong {
        for command in ["man", "demo"] {
            place
                .soon("ssp-run", &[command, "--dir", dir])
                .expect(2)
                .says(expected)
                .says("name another folder");
        }
    }
}
