//! Every signal ends a run in order.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{COLLECTION, Place, SURVEY_BUTLER, Said, case};
use crate::support::wait::eventually;

/// Each signal that ends a program, and its exit code.
const SIGNALS: [(&str, i32); 7] =
    [("HUP", 129), ("INT", 130), ("QUIT", 131), ("USR1", 138), ("USR2", 140), ("TERM", 143), ("XCPU", 152)];
/// Rows that take a minute to come.
const SLOW: &str = "SELECT n, pg_sleep(0.002)::text AS s FROM generate_series(1, 30000) AS n";
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that runs with every signal at its default, or with one ignored.
fn start(place: &Place, ignored: Option<&str>, program: &str, arguments: &[impl AsRef<OsStr>]) -> Child {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,QUIT,USR1,USR2,TERM,XCPU,XFSZ");
    command.args(ignored.map(|signal| format!("--ignore-signal={signal}")));
    command.arg(assert_cmd::cargo::cargo_bin(program)).args(arguments);
    command.current_dir(place.path("")).env_clear().envs(&place.environment);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

/// What a program said, which has to end soon.
fn end(mut child: Child) -> Said {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap().into()
}

/// Queries of our programs that the server is working on.
fn active(place: &Place, condition: &str) -> String {
    place.sql(&format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE application_name = 'ssp' AND state = 'active' AND {condition}"
    ))
}

/// Waits until this number of slow queries is running. The first queries of a session do not count.
fn wait_for_queries(place: &Place, number: usize) {
    eventually("the queries", || active(place, "query LIKE '%pg_sleep%'") == number.to_string());
}

/// The temporary files anywhere in a folder.
fn temporary(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| {
        let ours = path.to_string_lossy().ends_with(".ssp-tmp").then(|| path.clone());
        let within = if path.is_dir() && !path.is_symlink() { temporary(&path) } else { Vec::new() };
        ours.into_iter().chain(within)
    });
    found.collect()
}

/// No temporary file is left, and no query is running.
#[track_caller]
fn is_in_order(place: &Place) {
    assert_eq!(temporary(&place.path("")), Vec::<PathBuf>::new());
    if place.server.is_some() {
        assert_eq!(active(place, "true"), "0", "a query is still running");
    }
}

fn report(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.path("out/.ssp/runs/latest/run.json")).unwrap()).unwrap()
}

fn export(sql: &str) -> String {
    format!("  a: {{export: {{sql: \"{sql}\"}}, out: a.parquet}}\n")
}

/// A pipeline whose hook writes down what it is told.
fn pipeline_with_hook(place: &Place, hook: &str, sql: &str) {
    place.pipeline_on(&format!("{{retries: 20}}\nhooks: {{on_failure: \"{hook}\"}}"), &export(sql));
}

#[test]
fn every_signal_ends_a_run_in_order() {
    let place = Place::with("");
    place.pipeline(&export("SELECT 1 AS a"));
    place.ssp_run(&["-q", "pipeline.yaml"]).expect(0);
    let good = fs::read(place.path("out/a.parquet")).unwrap();
    pipeline_with_hook(&place, "cat > told.json; echo $SSP_STATUS > status.txt", SLOW);
    for (signal, code) in SIGNALS {
        let run = start(&place, None, "ssp-run", &["-q", "pipeline.yaml"]);
        wait_for_queries(&place, 1);
        eventually("the temporary file", || !temporary(&place.path("out")).is_empty());
        send(signal, &run);
        end(run).expect(code).says(&format!("interrupted by SIG{signal} after"));
        is_in_order(&place);
        assert_eq!(fs::read(place.path("out/a.parquet")).unwrap(), good);
        let report = report(&place);
        assert_eq!(report["status"], "interrupted");
        assert_eq!(report["signal"], format!("SIG{signal}"));
        assert_eq!(report["stages"][0]["status"], "cancelled");
        let told: Value = serde_json::from_slice(&fs::read(place.path("told.json")).unwrap()).unwrap();
        assert_eq!(told["signal"], report["signal"]);
        assert_eq!(fs::read_to_string(place.path("status.txt")).unwrap(), "interrupted\n");
        fs::remove_file(place.path("told.json")).unwrap();
    }
}

#[test]
fn every_signal_ends_an_export_in_order() {
    let place = Place::with("");
    place.put("a.parquet", "last good");
    for (signal, code) in SIGNALS {
        let export = start(&place, None, "fast-export", &["--sql", SLOW, "--out", "a.parquet", "--silent"]);
        wait_for_queries(&place, 1);
        send(signal, &export);
        end(export)
            .expect(code)
            .says(&format!("error: stopped by SIG{signal}\n"))
            .says("no output was replaced");
        is_in_order(&place);
        assert_eq!(fs::read(place.path("a.parquet")).unwrap(), b"last good");
    }
}

#[test]
fn a_signal_ends_the_building_of_a_table_in_order() {
    let place = Place::empty();
    fs::create_dir(place.path("many")).unwrap();
    for n in 0..3000 {
        symlink(case("sssource.parquet"), place.path(format!("many/{n}.parquet"))).unwrap();
    }
    let [dia, orbits] = ["dia_sources.parquet", "mpc_orbits.parquet"].map(case);
    for (signal, code) in [("QUIT", 131), ("HUP", 129)] {
        let arguments =
            ["many".as_ref(), dia.as_os_str(), orbits.as_os_str(), "-o".as_ref(), "o.parquet".as_ref()];
        let build = start(&place, None, "ssp-build-ssobject", &arguments);
        eventually("the temporary file", || !temporary(&place.path("")).is_empty());
        send(signal, &build);
        end(build).expect(code).says(&format!("error: stopped by SIG{signal}\n"));
        is_in_order(&place);
        assert!(!place.path("o.parquet").exists());
    }
}

#[test]
fn a_signal_ends_an_extract_in_order_at_any_moment() {
    let place = Place::empty();
    let mut codes = Vec::new();
    for moment in 0..12 {
        let _ = fs::remove_file(place.path("e.parquet"));
        let arguments = ["e.parquet", SURVEY_BUTLER, COLLECTION, "-s"];
        let extract = start(&place, None, "extract-catalog", &arguments);
        // Before the program watches, the signal kills it.
        sleep(Duration::from_millis(5 + 10 * moment));
        send("USR2", &extract);
        let output = extract.wait_with_output().unwrap();
        let code = output.status.code().or(output.status.signal().map(|_| 140));
        assert_eq!(place.path("e.parquet").exists(), code == Some(0), "{output:?}");
        assert!(code == Some(0) || code == Some(140), "{output:?}");
        is_in_order(&place);
        codes.push(code);
    }
    assert!(codes.contains(&Some(140)), "{codes:?}");
}

#[test]
fn a_run_that_waits_is_ended_by_a_signal() {
    let place = Place::with("");
    pipeline_with_hook(&place, "echo $SSP_STATUS > status.txt", SLOW);
    // For the lock.
    let first = start(&place, None, "ssp-run", &["-q", "pipeline.yaml"]);
    wait_for_queries(&place, 1);
    let second = start(&place, None, "ssp-run", &["-q", "--lock-timeout", "1h", "pipeline.yaml"]);
    sleep(Duration::from_millis(300));
    send("USR1", &second);
    end(second).expect(138).says("error: stopped by SIGUSR1\n");
    send("XCPU", &first);
    end(first).expect(152);
    is_in_order(&place);

    // For the next attempt.
    let mut elsewhere = Place::empty();
    elsewhere.environment.insert("PGHOST".to_owned(), place.path("nowhere").display().to_string());
    pipeline_with_hook(&elsewhere, "echo $SSP_STATUS > status.txt", SLOW);
    // For a server that takes connections and does not answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut deaf = Place::empty();
    deaf.environment.insert("PGHOST".to_owned(), "127.0.0.1".to_owned());
    deaf.environment.insert("PGPORT".to_owned(), silent.local_addr().unwrap().port().to_string());
    pipeline_with_hook(&deaf, "echo $SSP_STATUS > status.txt", SLOW);
    for (place, signal, code) in [(&elsewhere, "TERM", 143), (&deaf, "QUIT", 131)] {
        let run = start(place, None, "ssp-run", &["-q", "pipeline.yaml"]);
        eventually("the run", || place.path("out/.ssp/runs/latest/run.json").exists());
        sleep(Duration::from_millis(200));
        send(signal, &run);
        end(run).expect(code);
        assert_eq!(report(place)["signal"], format!("SIG{signal}"));
        assert_eq!(fs::read_to_string(place.path("status.txt")).unwrap(), "interrupted\n");
        is_in_order(place);
    }
    let checks: [(&str, &[&str]); 4] = [
        ("ssp-run", &["-n", "pipeline.yaml"]),
        ("ssp-run", &["explain", "a", "pipeline.yaml"]),
        ("ssp-run", &["validate", "--connect", "pipeline.yaml"]),
        ("fast-export", &["--sql", "SELECT 1 AS a", "--out", "a.parquet"]),
    ];
    for (program, arguments) in checks {
        let waits = start(&deaf, None, program, arguments);
        sleep(Duration::from_millis(200));
        send("HUP", &waits);
        end(waits).expect(129).says("SIGHUP");
    }
}

#[test]
fn a_signal_cancels_the_queries_of_a_plan() {
    let place = Place::with("");
    place.pipeline(
        "  a: {export: {sql: SELECT 1 AS a, watermark: SELECT pg_sleep(60)::text}, out: a.parquet}\n",
    );
    let plans: [&[&str]; 3] =
        [&["-q", "pipeline.yaml"], &["-n", "pipeline.yaml"], &["explain", "a", "pipeline.yaml"]];
    for arguments in plans {
        let plan = start(&place, None, "ssp-run", arguments);
        wait_for_queries(&place, 1);
        send("INT", &plan);
        end(plan).expect(130).says("SIGINT");
        is_in_order(&place);
    }
    assert_eq!(report(&place)["stages"][0]["status"], "cancelled");
}

#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    let place = Place::with("");
    place.pipeline(&export("SELECT 1 AS a, pg_sleep(1.5)::text AS s"));
    let exports = SIGNALS.map(|(signal, _)| {
        let arguments = ["--sql", "SELECT 1 AS a, pg_sleep(1.5)::text AS s", "--out", signal];
        (signal, start(&place, Some(signal), "fast-export", &arguments))
    });
    let run = start(&place, Some("HUP"), "ssp-run", &["-q", "pipeline.yaml"]);
    wait_for_queries(&place, 8);
    for (signal, export) in &exports {
        send(signal, export);
    }
    send("HUP", &run);
    for (signal, export) in exports {
        end(export).expect(0);
        assert!(place.path(signal).exists());
    }
    end(run).expect(0);
    assert!(place.path("out/a.parquet").exists());
}

#[test]
fn a_second_signal_ends_a_run_at_once_and_a_repeated_one_does_not() {
    let place = Place::with("");
    let cases = [
        ("TERM", "INT", 500, 130, false),
        ("XCPU", "TERM", 500, 143, false),
        // The kernel repeats this one with every further second of processor time.
        ("XCPU", "XCPU", 500, 152, true),
        ("TERM", "XCPU", 500, 143, true),
        // A broken connection: from the kernel and from the shell.
        ("HUP", "HUP", 0, 129, true),
        // `systemd` with `SendSIGHUP=`.
        ("TERM", "HUP", 30, 143, true),
    ];
    let runs = cases.map(|case| {
        let name = format!("{}-{}", case.0, case.1);
        // The hook shows whether the run was left time to end in order.
        let hook = format!("sleep 1.5; echo > {name}.txt");
        let text = format!(
            "version: 1\nname: n\nout_dir: {name}\ndatabase: {{}}\nhooks: {{on_failure: {hook}}}\nstages:\n{}",
            export(SLOW)
        );
        place.put(&format!("{name}.yaml"), text);
        (start(&place, None, "ssp-run", &["-q", &format!("{name}.yaml")]), name, case)
    });
    wait_for_queries(&place, 6);
    let mut ending = Vec::new();
    for (run, name, (first, second, pause, code, in_order)) in runs {
        send(first, &run);
        sleep(Duration::from_millis(pause));
        send(second, &run);
        if in_order {
            ending.push((run, name, code));
        } else {
            end(run).expect(code);
            assert!(!place.path(format!("{name}.txt")).exists(), "{name}");
        }
    }
    for (run, name, code) in ending {
        end(run).expect(code);
        assert!(place.path(format!("{name}.txt")).exists(), "{name}");
    }
}

#[test]
fn a_time_limit_ends_an_export_in_order() {
    // `timeout` sends its signal twice: to the program, and to the group.
    let place = Place::with("");
    let mut limited = Command::new("timeout");
    limited.arg("1").arg(assert_cmd::cargo::cargo_bin("fast-export"));
    limited.args(["--sql", SLOW, "--out", "a.parquet"]).current_dir(place.path(""));
    Said::from(limited.env_clear().envs(&place.environment).output().unwrap())
        .expect(124)
        .says("error: stopped by SIGTERM\n");
    is_in_order(&place);
}

/// A program under a limit that the shell sets.
fn limited(place: &Place, limit: &str, program: &str, arguments: &[impl AsRef<OsStr>]) -> Said {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]);
    command.arg(assert_cmd::cargo::cargo_bin(program)).args(arguments);
    command.current_dir(place.path("")).env_clear().envs(&place.environment).output().unwrap().into()
}

const WIDE: &str = "SELECT n, md5(n::text) AS a, md5((-n)::text) AS b FROM generate_series(1, 30000) AS n";

#[test]
fn a_file_that_reaches_the_size_limit_fails_its_stage_and_says_what_to_do() {
    let place = Place::with("");
    place.pipeline(&export("SELECT 1 AS a"));
    place.ssp_run(&["-q"]).expect(0);
    let good = fs::read(place.path("out/a.parquet")).unwrap();
    pipeline_with_hook(&place, "echo $SSP_STATUS > status.txt", WIDE);
    let said = limited(&place, "ulimit -f 500", "ssp-run", &["-q", "pipeline.yaml"]);
    said.expect(1)
        .says("FAILED a (export)")
        .says("File too large (os error 27); raise the limit on the size of a file");
    assert_eq!(fs::read(place.path("out/a.parquet")).unwrap(), good);
    assert_eq!(report(&place)["status"], "failed");
    assert_eq!(fs::read_to_string(place.path("status.txt")).unwrap(), "failed\n");
    is_in_order(&place);

    limited(&place, "ulimit -f 0", "ssp-run", &["pipeline.yaml"]).expect(1).says("File too large");

    limited(&place, "ulimit -f 100", "extract-catalog", &["e.parquet", SURVEY_BUTLER, COLLECTION])
        .expect(1)
        .says("File too large (os error 27); raise");
    is_in_order(&place);
}

#[test]
fn too_few_open_files_are_said_with_what_to_do() {
    let place = Place::with("");
    place.pipeline(&export(WIDE));
    // From too few to begin with to enough: a failure, and never a run that hangs or is recorded as done.
    let mut codes = Vec::new();
    for files in 4..24 {
        let said =
            limited(&place, &format!("ulimit -n {files}"), "ssp-run", &["-q", "-j", "1", "pipeline.yaml"]);
        let code = said.code;
        if code == Some(0) {
            break;
        }
        let said = said.says("raise the limit on open files (`ulimit -n`)");
        said.does_not_say("panicked");
        assert!(!place.path("out/a.parquet").exists());
        codes.push(code);
    }
    assert!(codes.len() > 3, "{codes:?}");
    is_in_order(&place);
}
