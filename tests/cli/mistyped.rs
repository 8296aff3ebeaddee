//! Command lines that are nearly right: no file is lost, and the message says what to write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::said::Streams;
use crate::site::put;

/// Runs a program in a folder, in an empty environment.
fn run(program: &str, folder: &Path, arguments: &[&str]) -> Streams {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
    command.current_dir(folder).env_clear().args(arguments).output().unwrap().into()
}

#[test]
fn an_input_of_the_table_is_not_replaced_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case");
    let names = ["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"];
    for name in names {
        put(&folder.path().join(name), &fs::read(from.join(name)).unwrap());
    }
    symlink("mpc_orbits.parquet", folder.path().join("link.parquet")).unwrap();
    for (output, table) in [
        ("sssource.parquet", "SSSource"),
        ("./dia_sources.parquet", "DiaSource"),
        ("mpc_orbits.parquet", "mpc_orbits"),
        ("link.parquet", "mpc_orbits"),
    ] {
        let said =
            run("ssp-build-ssobject", folder.path(), &[names[0], names[1], "mpc_*.parquet", "-o", output]);
        let expected = format!(
            "error: `{output}` is the input {table}: it would be replaced\n  hint: name another output\n"
        );
        assert_eq!((said.code, said.stderr), (Some(2), expected));
    }
    for name in names {
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), fs::read(from.join(name)).unwrap());
    }
}

#[test]
fn two_names_of_one_file_are_not_two_outputs() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    symlink("data", folder.path().join("link")).unwrap();
    for (one, other) in [
        ("a.parquet", "data/../a.parquet"),
        ("data/a.parquet", "link/a.parquet"),
        ("new/deep/a.parquet", "./link/../new/./deep/a.parquet"),
    ] {
        let list = format!("- {{sql: SELECT 1, out: {one}}}\n- {{sql: SELECT 2, out: {other}}}\n");
        put(&folder.path().join("exports.yaml"), list.as_bytes());
        let said = run("fast-export", folder.path(), &["--host", "nowhere", "--config", "exports.yaml"]);
        let expected = format!("error: two outputs would be written to `{other}`\n");
        assert_eq!((said.code, said.stderr), (Some(2), expected));
    }
}

#[test]
fn the_rows_of_a_group_are_bounded_in_the_list_as_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for (rows, bound) in [("0", "at least 1"), ("2000000001", "at most 2000000000")] {
        let list = format!("- {{sql: SELECT 1, out: a.parquet, row_group_size: {rows}}}\n");
        put(&folder.path().join("exports.yaml"), list.as_bytes());
        let said = run("fast-export", folder.path(), &["--host", "nowhere", "--config", "exports.yaml"]);
        let expected = format!("error: `exports.yaml`: the row_group_size of `a.parquet` must be {bound}\n");
        assert_eq!((said.code, said.stderr), (Some(2), expected));
    }
}

#[test]
fn a_whole_table_is_asked_for_by_a_query() {
    let folder = tempfile::tempdir().unwrap();
    for table in [&["--table", "obs_sbn"][..], &["--table=obs_sbn"]] {
        let said = run("fast-export", folder.path(), &[table, &["--out", "a.parquet"]].concat()).expect(2);
        said.says("\n\n  tip: for a whole table, give --sql \"SELECT * FROM name\"\n");
        assert!(said.stderr.starts_with("error: unexpected argument '--table' found\n"), "{}", said.stderr);
    }
}

#[test]
fn a_command_that_is_mistyped_is_not_only_a_file_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let hint = |arguments: &[&str]| {
        let text = run("ssp-run", folder.path(), arguments).expect(2).stderr;
        text.lines().find_map(|line| line.strip_prefix("  hint: ")).unwrap_or_default().to_owned()
    };
    assert_eq!(
        hint(&["staus"]),
        "did you mean: ssp-run status; `ssp-run --stage staus` runs a stage of this name"
    );
    assert_eq!(hint(&["list"]), "did you mean: ssp-run status");
    assert_eq!(hint(&["plan"]), "did you mean: ssp-run -n");
    assert_eq!(hint(&["run"]), "to run the pipeline, type: ssp-run FILE");
    assert_eq!(
        hint(&["objects"]),
        "a pipeline file is named by its path; `ssp-run --stage objects` runs a stage of this name"
    );
    assert!(!hint(&["staus.yaml"]).contains("did you mean"));
    for (typed, meant) in [
        ("explain p.yaml", "explain STAGE -p p.yaml"),
        ("explain p.yaml a", "explain a -p p.yaml"),
        ("log p.yaml", "log -p p.yaml"),
        ("log p.yaml a", "log a -p p.yaml"),
        ("report dir/p.yml", "report -p dir/p.yml"),
        ("rollback p.yaml", "rollback -p p.yaml"),
        ("head p.yaml", "head STAGE -p p.yaml"),
        ("describe p.yaml", "describe STAGE -p p.yaml"),
        ("diff p.yaml a", "diff a -p p.yaml"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        assert_eq!(hint(&words), format!("type: ssp-run {meant}"));
    }
    for (typed, meant) in [
        ("run p.yaml", "ssp-run p.yaml"),
        ("plan p.yaml", "ssp-run -n p.yaml"),
        ("p.yaml a", "ssp-run p.yaml --stage a"),
        ("p.yaml status", "ssp-run status -p p.yaml"),
        ("-p p.yaml graph", "ssp-run graph -p p.yaml"),
        ("p.yaml station=T05", "ssp-run p.yaml --set station=T05"),
    ] {
        run("ssp-run", folder.path(), &typed.split(' ').collect::<Vec<_>>())
            .expect(2)
            .says(&format!("tip: did you mean: {meant}\n"));
    }
    // A tip that would fail again is not given.
    for typed in
        ["p.yaml --select a", "status p.yaml a", "tables mpc_sbn", "demo place", "validate p.yaml --strict"]
    {
        let text = run("ssp-run", folder.path(), &typed.split(' ').collect::<Vec<_>>()).expect(2).stderr;
        assert!(!text.contains("did you mean: "), "{typed}: {text}");
    }
    run("ssp-run", folder.path(), &["--jobs", "auto"]).says("or leave the option out to use its default");
}

#[test]
fn no_program_takes_more_jobs_than_there_can_be_threads() {
    let folder = tempfile::tempdir().unwrap();
    for (program, before) in [
        ("ssp-run", &[][..]),
        ("ssp-run", &["demo"]),
        ("fast-export", &[]),
        ("extract-catalog", &["a.parquet", "repo", "c"]),
        ("ssp-build-sssource", &[]),
        ("ssp-build-ssobject", &[]),
    ] {
        run(program, folder.path(), &[before, &["-j", "257"]].concat())
            .expect(2)
            .says("257 is not in 1..=256");
    }
}

#[test]
fn a_size_needs_a_unit_on_the_command_line_as_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["ssp-build-sssource", "ssp-build-ssobject"] {
        run(program, folder.path(), &["--memory", "8"]).expect(2).says("`8` has no unit: write 8M, 8G or 8T");
    }
}

/// A pipeline file with more stages than a hint names.
fn many_stages(folder: &Path) {
    let mut file = "version: 1\nname: n\nout_dir: d\ndatabase: {service: s}\nstages:\n".to_owned();
    for letter in 'a'..='m' {
        let name = String::from(letter).repeat(40);
        file += &format!("  {name}: {{export: {{table: t}}, out: {letter}.parquet}}\n");
    }
    put(&folder.join("many.yaml"), file.as_bytes());
}

#[test]
fn a_name_that_no_stage_has_is_answered_with_the_stages() {
    let folder = tempfile::tempdir().unwrap();
    many_stages(folder.path());
    for arguments in [
        &["--stage", "sss", "many.yaml"][..],
        &["--exclude", "sss", "many.yaml"],
        &["--force-stage", "sss", "many.yaml"],
        &["explain", "sss", "many.yaml"],
        &["head", "sss", "-p", "many.yaml"],
    ] {
        let said = run("ssp-run", folder.path(), arguments).expect(2);
        said.says("the pipeline has no stage `sss`\n  hint: the stages are aaaa");
        assert!(said.stderr.ends_with(" and 3 more; `ssp-run graph` prints all\n"), "{}", said.stderr);
    }
    let [a, b, c] = ["a", "b", "c"].map(|letter| letter.repeat(40));
    for name in [format!("+{a}"), format!("{a}+")] {
        let text = run("ssp-run", folder.path(), &["explain", &name, "many.yaml"]).expect(2).stderr;
        assert!(text.starts_with("error: `explain` takes the name of one stage, without `+`"), "{text}");
    }
    // The blanks after commas are no part of a name.
    let list = format!("{a}, {b}, sss");
    for flag in ["--stage", "--exclude", "--force-stage"] {
        run("ssp-run", folder.path(), &[flag, &list, "many.yaml"])
            .expect(2)
            .says("the pipeline has no stage `sss`");
    }
    run("ssp-run", folder.path(), &["diff", &a, &c, "-p", "many.yaml"])
        .expect(2)
        .says("one stage comes last, after the generations");
}

#[test]
fn the_graph_fits_the_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    let output = command.current_dir(root).args(["graph", "pipelines/daily.yaml"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("<- ") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_number_that_is_none_is_answered_with_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["head", "a", "-n", "ten"][..],
        &["gc", "--keep", "7d"],
        &["gc", "--generations", "x"],
        &["history", "-n", "x"],
    ] {
        run("ssp-run", folder.path(), arguments).expect(2).says(": write a whole number in digits\n");
    }
    run("ssp-run", folder.path(), &["rollback", "--nosuch", "x"])
        .says("Usage: ssp-run rollback [OPTIONS] [GENERATION] [STAGE]...\n");
}

#[test]
fn what_has_not_run_yet_is_said_to_have_no_runs() {
    let folder = tempfile::tempdir().unwrap();
    many_stages(folder.path());
    let log = run("ssp-run", folder.path(), &["log", "-p", "many.yaml"]).expect(2);
    assert_eq!(log.stderr, "error: no runs yet\n");
    let history = run("ssp-run", folder.path(), &["history", "many.yaml"]).expect(0);
    assert_eq!(history.stderr, "no runs yet in `d`\n");
    let name = "a".repeat(40);
    let text = run("ssp-run", folder.path(), &["head", &name, "-p", "many.yaml"]).expect(1).stderr;
    assert!(text.ends_with(&format!("  hint: make it: `ssp-run --stage {name} many.yaml`\n")), "{text}");
}

#[test]
fn what_psql_users_type_is_answered_with_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    for (typed, answer) in [
        ("-h localhost -d mpc_sbn", "hint: for the host, give --host localhost\n"),
        ("-d mpc_sbn", "tip: for the name of the database, give --dbname\n"),
        ("-U me", "tip: for the user, give --user\n"),
        ("-p 5432", "tip: for the port, give --port\n"),
    ] {
        run("fast-export", folder.path(), &typed.split(' ').collect::<Vec<_>>()).expect(2).says(answer);
    }
    assert_eq!(run("fast-export", folder.path(), &["-h"]).expect(0).stderr, "");
}

#[test]
fn the_name_of_another_format_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["--host", "/nowhere", "--sql", "SELECT 1", "--out", "x.CSV"];
    let text = run("fast-export", folder.path(), &words).stderr;
    assert!(text.starts_with("warning: `x.CSV` is written in the Parquet format, not as csv; "), "{text}");
    let file = "version: 1\nname: n\nout_dir: d\ndatabase: {service: s}\nstages:\n  a: {export: {table: t}, out: a.csv}\n  \
                b: {export: {table: t}, output: b.parquet}\n";
    put(&folder.path().join("p.yaml"), file.as_bytes());
    run("ssp-run", folder.path(), &["validate", "p.yaml"])
        .expect(2)
        .says("p.yaml:6:32: outputs are Parquet files, but `a.csv` is named like")
        .says("unknown key `output` (did you mean `out`?)");
}
