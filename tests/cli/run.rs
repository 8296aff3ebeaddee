//! The whole pipeline on the survey, against a real PostgreSQL and a real Butler repository, as text and as files.

use std::fmt::Write as _;
use std::fs;

use crate::said::Streams;
use crate::site::{Site, copy, put, survey, with_redactions};

#[test]
fn a_night_at_the_site() {
    let site = Site::new();

    let plan = site.ssp_run(&["-n"]);
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    assert!(!site.path("data").exists(), "a dry run wrote something");
    fits_a_terminal(&plan.stdout);
    with_redactions(|| insta::assert_snapshot!("plan_of_a_first_run", plan.stdout));
    site.ssp_run(&["--check", "-q"]).expect(3);

    // One job at a time, so that the order of the lines is one.
    let first = site.ssp_run(&["-j", "1"]);
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), ""), "{}", first.stderr);
    fits_a_terminal(&first.stderr);
    with_redactions(|| insta::assert_snapshot!("first_run", first.stderr));
    assert_eq!(site.outputs().len(), 7);
    let bytes = site.outputs();

    let second = site.ssp_run(&["-j", "1"]).expect(0);
    fits_a_terminal(&second.stderr);
    with_redactions(|| insta::assert_snapshot!("second_run", second.stderr));
    let plan = site.ssp_run(&["-n"]);
    with_redactions(|| insta::assert_snapshot!("plan_when_up_to_date", plan.stdout));
    let quiet = site.ssp_run(&["-q", "--check"]);
    assert_eq!((quiet.code, quiet.stdout + &quiet.stderr), (Some(0), String::new()));
    let quiet = site.ssp_run(&["-q"]);
    assert_eq!((quiet.code, quiet.stdout + &quiet.stderr), (Some(0), String::new()));

    // Whatever the number of threads, the same bytes.
    let forced = site.ssp_run(&["--force", "-j", "8", "-v"]).expect(0);
    fits_a_terminal(&forced.stderr);
    forced.says("  ids 490  ids_found 488\n");
    let worked = site.last_run();
    assert!(
        worked.len() == 7 && worked.iter().all(|line| line.contains(": unchanged (forced)")),
        "{worked:?}"
    );
    assert_eq!(site.outputs(), bytes);
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
}

/// Lines of at most 80 columns; a path, which can be copied, is never cut.
fn fits_a_terminal(text: &str) {
    for line in text.lines() {
        let longest = line.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
        assert!(line.chars().count() <= 80.max(longest + 20), "{line}");
    }
}

#[test]
fn what_changed_runs_and_what_depends_on_it() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let run = |arguments: &[&str]| {
        site.ssp_run(arguments).expect(0);
        site.worked()
    };

    // The text of a query that gives the same rows: the others are proven unchanged, and what needs it stays.
    site.edit("ORDER BY id", "ORDER BY id, stn");
    assert_eq!(run(&[]), ["obs_sbn: unchanged (sql_changed: sql)"]);

    // A row that is no part of any product: every export reads again, none changes, and no other stage runs.
    site.sql(
        "UPDATE obs_sbn SET remarks = 'seen' WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn <> 'X05')",
    );
    let looked: Vec<String> =
        run(&[]).into_iter().filter(|line| !line.contains(": unchanged (data_changed")).collect();
    assert_eq!(looked, Vec::<String>::new());

    // A row of obs_sbn that leaves the filter: obs_sbn and what needs it.
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
    let plan = site.ssp_run(&["-n"]).stdout;
    assert!(plan.contains("MAYBE  dia_sources"), "{plan}");
    let worked = run(&[]);
    assert!(worked[0].starts_with("obs_sbn: done (data_changed"), "{worked:?}");
    assert_eq!(
        worked[worked.len() - 3..],
        [
            "dia_sources: done (input_changed: obs_sbn)",
            "sssource: done (input_changed: obs_sbn, input_changed: dia_sources)",
            "ssobject: done (input_changed: sssource, input_changed: dia_sources)"
        ]
    );

    // A parameter.
    site.edit("    out: ssobject.parquet", "      fit: {mag_err_floor: 0.02}\n    out: ssobject.parquet");
    assert_eq!(run(&[]), ["ssobject: done (params_changed: fit.mag_err_floor)"]);

    // Another collection, with other datasets and fewer of the detections.
    site.edit("    out: sssource.parquet", "      max_unmatched: 100%\n    out: sssource.parquet");
    assert_eq!(run(&[]), ["sssource: unchanged (params_changed: max_unmatched)"]);
    let worked = run(&["--set", "collection=LSSTCam/runs/DRP/FL/w_2025_18/DM-50628"]);
    assert!(
        worked[0].starts_with("dia_sources: done (params_changed: collection, datasets_changed: +"),
        "{worked:?}"
    );
    assert_eq!(
        worked[1..],
        [
            "sssource: done (input_changed: dia_sources)",
            "ssobject: done (input_changed: sssource, input_changed: dia_sources)"
        ]
    );
    run(&[]);

    // An output that was changed by hand, and one that was removed.
    put(&site.path("data/mpc_orbits.parquet"), b"oops");
    assert_eq!(run(&[]), ["mpc_orbits: done (output_modified: digest)"]);
    fs::remove_file(site.path("data/dia_sources.parquet")).unwrap();
    assert_eq!(run(&[]), ["dia_sources: done (output_missing)"]);

    // No change at all.
    assert_eq!(run(&[]), Vec::<String>::new());
}

/// An orbit of an object with detections, one of an object without, and a part of an orbit that no product has.
#[test]
fn an_orbit_that_changed_runs_what_reads_orbits() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let before = site.outputs();
    let worked = || {
        let said = site.ssp_run(&["-j", "1"]).expect(0);
        let exports = |line: &String| !line.contains(": unchanged (data_changed");
        (site.worked().into_iter().filter(exports).collect::<Vec<_>>(), said.stderr)
    };
    let column = "unpacked_primary_provisional_designation";
    let orbit = |designation: &str, set: &str| {
        site.sql(&format!("UPDATE mpc_orbits SET {set} WHERE {column} = '{designation}'"));
    };

    orbit("1999 JU3", "q = q * 1.0001");
    let (stages, stderr) = worked();
    assert!(stages[0].starts_with("mpc_orbits: done (data_changed"), "{stages:?}");
    assert_eq!(
        stages[1..],
        [
            "sssource: done (input_changed: mpc_orbits)",
            "ssobject: done (input_changed: sssource, input_changed: mpc_orbits)"
        ]
    );
    let after = site.outputs();
    let changed: Vec<&String> = after.keys().filter(|name| after[*name] != before[*name]).collect();
    assert_eq!(changed, ["mpc_orbits.parquet", "ssobject.parquet", "sssource.parquet"]);
    with_redactions(|| insta::assert_snapshot!("run_after_an_orbit_changed", stderr));

    let unseen = site.sql(&format!(
        "SELECT {column} FROM mpc_orbits WHERE {column} NOT IN (SELECT provid FROM obs_sbn WHERE provid IS NOT NULL) \
         AND {column} NOT IN (SELECT {column} FROM numbered_identifications) \
         AND {column} NOT IN (SELECT {column} FROM current_identifications) ORDER BY 1 LIMIT 1"
    ));
    orbit(unseen.trim(), "q = q * 1.0001");
    let (stages, _) = worked();
    assert!(stages[0].starts_with("mpc_orbits: done (data_changed"), "{stages:?}");
    assert_eq!(
        stages[1..],
        [
            "sssource: unchanged (input_changed: mpc_orbits)",
            "ssobject: unchanged (input_changed: mpc_orbits)"
        ]
    );

    // Parts of the JSON that no stage reads; the first is not exported, but its row is in another place then.
    for part in ["{seen}", "{CAR,seen}"] {
        orbit("1999 JU3", &format!("mpc_orb_jsonb = jsonb_set(mpc_orb_jsonb, '{part}', 'true')"));
        let (stages, _) = worked();
        assert!(stages[0].starts_with("mpc_orbits: done (data_changed"), "{stages:?}");
        assert_eq!(
            stages[1..],
            [
                "sssource: unchanged (input_changed: mpc_orbits)",
                "ssobject: unchanged (input_changed: mpc_orbits)"
            ]
        );
    }
}

#[test]
fn one_stage_and_what_it_needs() {
    let site = Site::new();
    site.ssp_run(&["--stage", "dia_sources", "-q"]).expect(0);
    // Exports are one group: selecting one brings all along.
    assert_eq!(
        site.outputs().into_keys().collect::<Vec<_>>(),
        [
            "current_identifications.parquet",
            "dia_sources.parquet",
            "mpc_orbits.parquet",
            "numbered_identifications.parquet",
            "obs_sbn.parquet"
        ]
    );
    for stage in ["sssource", "ssobject"] {
        site.ssp_run(&["--stage", stage, "--only", "-q"]).expect(0);
        assert_eq!(site.last_run(), [format!("{stage}: done (never_run)")]);
    }
    site.ssp_run(&["--stage", "ssobject", "--only", "--force-stage", "obs_sbn"]).expect(2);
}

#[test]
fn a_failure_keeps_the_last_good_output() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();

    // A bad query: the group is not published, what needs it is blocked.
    site.edit("SELECT * FROM obs_sbn", "SELECT *, 1/(id - id) FROM obs_sbn");
    let said = site.ssp_run(&["-q", "-j", "1"]).expect(1);
    with_redactions(|| insta::assert_snapshot!("failing_run", said.stderr));
    assert_eq!(site.outputs(), good);
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
    site.edit("SELECT *, 1/(id - id) FROM obs_sbn", "SELECT * FROM obs_sbn");

    // A check: exit 5, and the last good output is kept.
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", "checks: {min_rows: 1000000}");
    let said = site.ssp_run(&["-q", "-j", "1", "--force"]).expect(5);
    with_redactions(|| insta::assert_snapshot!("failing_check", said.stderr));
    assert_eq!(site.outputs(), good);
    site.edit("checks: {min_rows: 1000000}", "checks: {min_rows: 1, max_shrink: 10%}");

    // A dataset whose file is gone.
    let files = site.path("butler");
    fs::remove_dir_all(files.join("LSSTCam")).unwrap();
    site.ssp_run(&["-q", "-j", "1", "--force-stage", "dia_sources"])
        .expect(1)
        .says("FAILED dia_sources (extract)");
    assert_eq!(site.outputs(), good);
    fs::remove_dir_all(&files).unwrap();
    copy(&survey().join("butler"), &files);
    site.ssp_run(&["-q"]).expect(0);
    assert_eq!(site.outputs(), good);
}

#[test]
fn what_cannot_be_reached_is_said_before_anything_runs() {
    let site = Site::new();
    site.without_server(&[]).expect(4);
    assert!(!site.path("data/.ssp/stages").exists());
    Streams::from(site.command(&[]).env("BUTLER_REPO", "./nowhere").output().unwrap()).expect(4);
    assert!(!site.path("data/.ssp/stages").exists());
}

#[test]
fn two_runs_at_once_are_one_too_many() {
    let site = Site::new();
    site.edit("SELECT * FROM obs_sbn", "SELECT *, pg_sleep(0.01)::text FROM obs_sbn");
    let mut first = site.command(&["-q"]).spawn().unwrap();
    let lock = site.path("data/.ssp/lock");
    while !fs::read_to_string(&lock).unwrap_or_default().contains("obs_sbn") {
        assert!(first.try_wait().unwrap().is_none(), "the first run ended before it held the lock");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let second = site.ssp_run(&[]).expect(75);
    for word in ["run ", "process ", "obs_sbn", "--lock-timeout"] {
        second.says(word);
    }
    // Only runs can wait.
    let removal = site.ssp_run(&["gc"]).expect(75);
    assert!(removal.stderr.ends_with("  hint: wait for it to end\n"), "{}", removal.stderr);
    site.ssp_run(&["-q", "--lock-timeout", "2m"]).expect(0);
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_group_may_have_more_exports_than_files_may_be_open() {
    let site = Site::new();
    let mut text = "version: 1\nname: n\nout_dir: many\ndatabase: {dbname: mpc_sbn}\nstages:\n".to_owned();
    for n in 0..150 {
        writeln!(text, "  s{n}: {{export: {{sql: SELECT {n} AS n}}, out: s{n}.parquet}}").unwrap();
    }
    put(&site.path("many.yaml"), text.as_bytes());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -n 100; exec \"$0\" -q many.yaml", env!("CARGO_BIN_EXE_ssp-run")]);
    let output = shell.current_dir(site.path("")).envs(site.connection()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = fs::read_dir(site.path("many")).unwrap();
    assert_eq!(made.filter(|entry| entry.as_ref().unwrap().path().is_file()).count(), 150);
}
