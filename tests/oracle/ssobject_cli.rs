//! `ssp-build-ssobject` as people use it: exit codes and texts.

use std::path::Path;

use assert_cmd::Command;

use super::said::Streams;

const CASE: &str = "fixtures/ssobject_case";

fn run(folder: &Path, arguments: &[&str]) -> Streams {
    let mut command = Command::cargo_bin("ssp-build-ssobject").unwrap();
    let case = std::fs::canonicalize(CASE).unwrap();
    let arguments = arguments.iter().map(|argument| argument.replace("CASE", &case.display().to_string()));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&case.display().to_string(), "CASE");
    Streams { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

const INPUTS: [&str; 3] = ["CASE/sssource.parquet", "CASE/dia_sources.parquet", "CASE/mpc_orbits.parquet"];

fn with_inputs<'a>(more: &[&'a str]) -> Vec<&'a str> {
    INPUTS.iter().chain(more).copied().collect()
}

#[test]
fn a_build_says_what_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), &with_inputs(&["--output", "ssobject.parquet"]));
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
    insta::with_settings!({filters => vec![(r"\d+\.\d s", "[seconds] s"), (r"[0-9.]+ kB", "[bytes]")]}, {
        insta::assert_snapshot!(said.stderr);
    });
    assert!(folder.path().join("ssobject.parquet").exists());
    let said = run(folder.path(), &with_inputs(&["--output", "again.parquet", "--silent", "--jobs", "1"]));
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("ssobject.parquet"), bytes("again.parquet"));
}

#[test]
fn both_spellings_of_the_flags_mean_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, flags: &[&str]| {
        let mut arguments = with_inputs(&["--silent", "--output", name]);
        arguments.extend(flags);
        let said = run(folder.path(), &arguments);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{flags:?}");
        std::fs::read(folder.path().join(name)).unwrap()
    };
    let default = made("default.parquet", &[]);
    for (kebab, camel, value) in [
        ("--hg12-mag-sigma-floor", "--hg12MagSigmaFloor", "0.1"),
        ("--hg12-n-sigma-clip", "--hg12NSigmaClip", "3"),
        ("--hg12-fixed-g12", "--hg12FixedG12", "0.3"),
        ("--hg12-fiducial-g12", "--hg12FiducialG12", "0.4"),
        ("--hg12-min-phase-span", "--hg12MinPhaseSpan", "9"),
        ("--hg12-g12-bounds", "--hg12G12Bounds", "-1,2"),
        ("--hg12-g12-bounds", "--hg12G12Bounds", "none"),
    ] {
        let one = made("kebab.parquet", &[kebab, value]);
        assert_eq!(one, made("camel.parquet", &[camel, value]), "{kebab}");
        assert_ne!(one, default, "{kebab} changes nothing");
    }
    assert_ne!(made("secular.parquet", &["--earth", "secular"]), default);
    assert_eq!(made("osculating.parquet", &["--earth", "osculating"]), default);
    assert_eq!(made("spilled.parquet", &["--memory", "100K"]), default);
    assert_ne!(made("snappy.parquet", &["--compression", "snappy"]), default);
}

#[test]
fn wrong_command_lines_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut texts = String::new();
    let mut refused = |arguments: &[&str], what: &str| {
        let said = run(folder.path(), arguments);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{what}: {}", said.stderr);
        texts += &format!("$ {what}\n{}\n", said.stderr);
    };
    for flags in [
        "--hg12-mag-sigma-floor -1",
        "--hg12MagSigmaFloor inf",
        "--hg12-n-sigma-clip 0",
        "--hg12-n-sigma-clip few",
        "--hg12-fixed-g12 inf",
        "--hg12-fiducial-g12 nan",
        "--hg12-min-phase-span -2",
        "--hg12-g12-bounds 1,0",
        "--hg12-g12-bounds 0,inf",
        "--hg12-g12-bounds 1",
        "--jobs 0",
        "--memory much",
        "--memory 0",
        "--memory 99999999T",
        "--earth flat",
        "--on-missing skip",
        "--compression zip",
        "--no-such-flag",
    ] {
        let mut arguments = with_inputs(&["--output", "out.parquet"]);
        arguments.extend(flags.split(' '));
        refused(&arguments, flags);
    }
    refused(&["CASE/sssource.parquet", "--output", "out.parquet"], "SSSOURCE --output FILE");
    refused(&INPUTS, "SSSOURCE DIA_SOURCES MPC_ORBITS");
    refused(&with_inputs(&["more.parquet", "--output", "out.parquet"]), "a fourth input");
    refused(&with_inputs(&["--output", "."]), "--output .");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    insta::assert_snapshot!(texts);
}

#[test]
fn failures_name_their_cause() {
    let folder = tempfile::tempdir().unwrap();
    let run = |dia_sources: &[&str]| {
        let (first, last) = (["CASE/sssource.parquet"], ["CASE/mpc_orbits.parquet", "-o", "out.parquet"]);
        run(folder.path(), &[&first[..], dia_sources, &last].concat()).expect(1).stderr
    };
    let said = run(&["-"]);
    assert_eq!(run(&[]), said);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    insta::assert_snapshot!(said);
}

#[test]
fn inputs_in_another_order_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for order in [[1, 0, 2], [0, 2, 1], [2, 1, 0]] {
        let mut arguments: Vec<&str> = order.iter().map(|&input| INPUTS[input]).collect();
        arguments.extend(["--output", "o.parquet"]);
        let said = run(folder.path(), &arguments).expect(1);
        let hint = "hint: the inputs are, in this order: SSSOURCE [DIA_SOURCES] MPC_ORBITS\n";
        assert!(said.stderr.contains("has no column") && said.stderr.ends_with(hint), "{}", said.stderr);
    }
}

/// A shell's limit on the size of a file stands for a disk that is full.
#[test]
fn rows_that_cannot_be_put_aside_are_an_error_that_keeps_the_last_good_output() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &with_inputs(&["--silent", "--output", "ssobject.parquet"])).expect(0);
    let before = std::fs::read(folder.path().join("ssobject.parquet")).unwrap();
    let output =
        Command::new("sh")
            .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\" --memory 100K --silent --output ssobject.parquet"])
            .arg(assert_cmd::cargo::cargo_bin("ssp-build-ssobject"))
            .args(INPUTS.map(|input| {
                input.replace("CASE", &std::fs::canonicalize(CASE).unwrap().display().to_string())
            }))
            .current_dir(folder.path())
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: cannot build the SSObject table\n  \
         caused by: cannot write temporary files to folder `.`, which needs as much space as the inputs\n  \
         caused by: File too large (os error 27); raise the limit on the size of a file (`ulimit -f`), or write to a \
         file system that has larger files\n"
    );
    assert_eq!(std::fs::read(folder.path().join("ssobject.parquet")).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left");
}

/// Warnings are for people who ask for silence too: nothing is left out unsaid.
#[test]
fn silence_does_not_cover_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let few = [INPUTS[0], "few.parquet", INPUTS[2]];
    let dia = super::tables::read(Path::new("fixtures/ssobject_case/dia_sources.parquet"));
    let some = super::tables::columns(&dia.slice(0, dia.num_rows() - 10));
    super::tables::write(&folder.path().join("few.parquet"), &some);
    run(folder.path(), &[&few[..], &["-o", "out.parquet"]].concat())
        .expect(1)
        .says("set on-missing to `drop`");
    let done =
        run(folder.path(), &[&few[..], &["-o", "out.parquet", "--silent", "--on-missing", "drop"]].concat())
            .expect(0);
    done.says("rows without a match were left out");
    assert!(done.stderr.starts_with("warning: ") && done.stderr.lines().count() == 1, "{}", done.stderr);
}

#[test]
fn help_shows_examples() {
    let said = run(Path::new("."), &["--help"]).expect(0);
    insta::assert_snapshot!(said.stdout);
}
