//! What the night shift uses: retries, recorded exports, hooks, metrics, the records of earlier runs.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::said::Streams;
use crate::site::{Site, put, with_redactions};
use crate::wait::eventually;

/// Sends SIGTERM.
fn stop(run: &Child) {
    assert!(Command::new("kill").arg(run.id().to_string()).status().unwrap().success());
}

#[test]
fn an_unreachable_database_is_tried_again_and_leaves_a_report() {
    let site = Site::new();
    site.edit("connections: 2", "connections: 2\n  retries: 2");
    let text = site.without_server(&["--metrics-file", "m.prom"]).expect(4).stderr;
    assert_eq!(text.matches("retry      1 of 2 in 1.0s").count(), 1, "{text}");
    assert_eq!(text.matches("retry      2 of 2 in 2.0s").count(), 1, "{text}");
    // Once as a warning, and once as what the run ended with.
    assert_eq!(text.matches("cannot connect to Postgres").count(), 2, "{text}");
    let report = site.last_report();
    assert_eq!((report["status"].as_str(), report["retries"].as_u64()), (Some("unreachable"), Some(2)));
    assert!(report["errors"][0].as_str().unwrap().contains("cannot connect"), "{report}");
    let metrics = fs::read_to_string(site.path("m.prom")).unwrap();
    assert!(metrics.contains("ssp_run_status{pipeline=\"demo\",status=\"unreachable\"} 1.0"), "{metrics}");
    assert!(!metrics.contains("ssp_run_success"), "{metrics}");
    assert!(site.ssp_run(&["history"]).stdout.contains("unreachable, "));
    assert!(site.ssp_run(&["log"]).stdout.contains("\n  cannot connect to Postgres"));
}

/// The connection is lost in the middle of a query, in one way or another: all exports are read again, in a new
/// snapshot, and the products are those of an undisturbed run.
#[test]
fn a_lost_database_is_read_again_as_a_whole() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    site.edit("ORDER BY id", "AND pg_sleep(0.003) IS NOT NULL ORDER BY id");
    let lose: [(&str, &dyn Fn()); 3] = [
        ("the reader's backend is ended", &|| {
            site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'");
        }),
        ("all backends are ended", &|| {
            site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssp'");
        }),
        ("the server is restarted", &|| site.restart_postgres()),
    ];
    for (what, lose) in lose {
        let run = site.command(&["--force", "-j", "2"]).stderr(Stdio::piped()).spawn().unwrap();
        site.wait_for_query("pg_sleep");
        lose();
        let text = Streams::from(run.wait_with_output().unwrap()).expect(0).stderr;
        assert_eq!(text.matches("retry      1 of 2 in 1.0s").count(), 1, "{what}: {text}");
        assert_eq!(text.matches(" snapshot ").count(), 2, "{what}: {text}");
        assert!(!text.contains("FAILED"), "{what}: {text}");
        assert!(site.outputs() == good, "{what}");
        assert_eq!(site.last_report()["retries"], 1);
        assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
    }

    site.edit("connections: 2", "connections: 2\n  retries: 0");
    let run = site.command(&["-q", "--force"]).stderr(Stdio::piped()).spawn().unwrap();
    site.wait_for_query("pg_sleep");
    lose[1].1();
    let text = Streams::from(run.wait_with_output().unwrap()).expect(1).stderr;
    // Which of the exports hears of it first differs.
    assert!(text.contains("FAILED ") && text.contains(" (export)") && text.contains("BLOCKED "), "{text}");
    assert!(site.outputs() == good);
}

#[test]
fn a_run_is_stopped_while_it_waits_to_try_again() {
    let site = Site::new();
    site.edit("connections: 2", "connections: 2\n  retries: 20");
    let run = site.command(&[]).env("PGHOST", site.path("nowhere")).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(1500));
    stop(&run);
    Streams::from(run.wait_with_output().unwrap()).expect(143);
    assert_eq!(site.last_report()["status"], "interrupted");
}

/// An export that was lost and the stages that waited for it are in the report, though the run ends before another attempt.
#[test]
fn what_was_to_be_tried_again_is_reported_when_the_run_is_stopped() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let names = |report: &Value| -> Vec<Value> {
        report["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].clone()).collect()
    };
    let all = names(&site.last_report());
    site.edit("ORDER BY id", "AND pg_sleep(0.003) IS NOT NULL ORDER BY id");
    let run = site.command(&["--force"]).stderr(Stdio::piped()).spawn().unwrap();
    site.wait_for_query("pg_sleep");
    site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ssp'");
    let events = site.path("data/.ssp/runs/latest/events.jsonl");
    eventually("the retry", || fs::read_to_string(&events).unwrap().contains(r#""event":"retry""#));
    stop(&run);
    let text = Streams::from(run.wait_with_output().unwrap()).expect(143).stderr;
    let report = site.last_report();
    assert_eq!(report["status"], "interrupted");
    assert_eq!(names(&report), all, "{text}");
    let stages = report["stages"].as_array().unwrap();
    let failed: Vec<_> = stages.iter().filter(|stage| stage["status"] == "failed").collect();
    assert!(!failed.is_empty() && failed.iter().all(|stage| stage["errors"][0].is_string()), "{report}");
    assert!(text.contains("FAILED "), "{text}");
}

#[test]
fn recorded_exports_are_taken_without_a_connection() {
    let site = Site::new();
    site.without_server(&["--reuse-exports"]).expect(2).says("cannot be reused: obs_sbn: never_run");
    site.ssp_run(&["-q"]).expect(0);
    site.edit("    out: ssobject.parquet", "      fit: {mag_err_floor: 0.02}\n    out: ssobject.parquet");
    assert_eq!(site.without_server(&["--reuse-exports", "-q"]).expect(0).stderr, "");
    assert_eq!(site.worked(), ["ssobject: done (params_changed: fit.mag_err_floor)"]);
    put(&site.path("data/mpc_orbits.parquet"), b"oops");
    site.without_server(&["--reuse-exports"])
        .expect(2)
        .says("mpc_orbits: output_modified")
        .says("hint: run once without --reuse-exports");
}

#[test]
fn hooks_get_the_report_and_cannot_fail_a_run() {
    let site = Site::new();
    site.edit(
        "stages:\n",
        "hooks:\n  on_success: cat > good.json; echo $SSP_RUN $SSP_STATUS\n  \
         on_failure: [sh, -c, cat > bad.json; echo oh no >&2; exit 7]\n\nstages:\n",
    );
    let told = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(site.path(name)).unwrap()).unwrap()
    };
    assert_eq!(site.ssp_run(&["-q"]).expect(0).stderr, "");
    let good = told("good.json");
    assert_eq!(good, site.last_report());
    let log = fs::read_to_string(site.path("data/.ssp/runs/latest/hook-on_success.log")).unwrap();
    assert_eq!(log, format!("{} done\n", good["run"].as_str().unwrap()));

    // Without a database no stage runs, but the hook does; its failure is a warning, with `-q` too.
    site.without_server(&["-q", "--force"]).expect(4).says("hook `on_failure`: it ended with exit status: 7");
    assert_eq!(told("bad.json")["status"], "unreachable");
    let log = fs::read_to_string(site.path("data/.ssp/runs/latest/hook-on_failure.log")).unwrap();
    assert_eq!(log, "oh no\n");

    // So it is if the run cannot write down how it ended: here a folder comes to stand where the report should go.
    site.edit("ORDER BY id", "AND pg_sleep(0.003) IS NOT NULL ORDER BY id");
    let run = site.command(&["-q"]).stderr(Stdio::piped()).spawn().unwrap();
    site.wait_for_query("pg_sleep");
    let report = site.path("data/.ssp/runs/latest/run.json");
    fs::remove_file(&report).unwrap();
    fs::create_dir(&report).unwrap();
    Streams::from(run.wait_with_output().unwrap()).expect(1);
    let bad = told("bad.json");
    assert_eq!(bad["status"], "failed");
    assert!(bad["errors"][0].as_str().unwrap().contains("run.json"), "{bad}");

    // One that hangs is ended.
    site.edit(
        "on_success: cat > good.json; echo $SSP_RUN $SSP_STATUS",
        "timeout: 1s\n  on_success: [sleep, '60']",
    );
    site.ssp_run(&[]).expect(0).says("hook `on_success`: it was stopped after 1 s");
}

/// The processes that a hook has started end with it, at its timeout and at a signal to the run.
#[test]
fn a_hook_is_ended_with_its_children() {
    let site = Site::new();
    let hook = "sleep 300 & echo $! > child; sleep 300; echo past";
    site.edit("stages:\n", &format!("hooks:\n  timeout: 2s\n  on_success: {hook}\n\nstages:\n"));
    let child = || fs::read_to_string(site.path("child")).unwrap_or_default().trim().to_owned();
    let is_alive = |process: &str| {
        let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Without a parent that waits for it, an ended process may stay for a while as a zombie.
        !matches!(state.rsplit(") ").next().and_then(|rest| rest.chars().next()), None | Some('Z'))
    };
    let is_ended = |process: &str| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_alive(process) && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
        !is_alive(process)
    };
    site.ssp_run(&[]).expect(0).says("hook `on_success`: it was stopped after 2 s;");
    assert!(!child().is_empty() && is_ended(&child()), "the hook's child {} is running", child());

    fs::remove_file(site.path("child")).unwrap();
    site.edit("timeout: 2s", "timeout: 5m");
    let run = site.command(&[]).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the hook", || !child().is_empty());
    assert!(is_alive(&child()));
    stop(&run);
    Streams::from(run.wait_with_output().unwrap())
        .expect(0)
        .says("hook `on_success`: it was stopped by a signal;");
    assert!(is_ended(&child()), "the hook's child {} is running", child());
}

#[test]
fn the_records_say_what_stands_and_what_was() {
    let site = Site::new();
    let status = site.ssp_run(&["status"]);
    assert!(status.stdout.starts_with("no runs yet in `"), "{}", status.stdout);
    assert_eq!(site.ssp_run(&["history"]).stdout, "");
    site.ssp_run(&["log"]).expect(2);

    site.ssp_run(&["-q", "--metrics-file", "metrics/ssp.prom"]).expect(0);
    let metrics = fs::read_to_string(site.path("metrics/ssp.prom")).unwrap();
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    with_redactions(|| insta::assert_snapshot!("status", site.ssp_run(&["status"]).stdout));
    let json: Value = serde_json::from_str(&site.ssp_run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["stages"][6]["record"]["output"]["path"].as_str(), Some("ssobject.parquet"));
    assert_eq!(json["running"], Value::Null);
    with_redactions(|| insta::assert_snapshot!("log_of_a_stage", site.ssp_run(&["log", "ssobject"]).stdout));
    site.ssp_run(&["log", "latest", "sobject"]).expect(2).says("did you mean `ssobject`");

    // The digest of an input, and the run that made each.
    let first = site.last_report()["run"].as_str().unwrap().to_owned();
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
    site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(0);
    let second = site.last_report()["run"].as_str().unwrap().to_owned();
    let said = site.ssp_run(&["explain", "dia_sources"]).stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[1], "  input_changed: obs_sbn", "{said}");
    assert!(lines[2].starts_with("    old  ") && lines[4].starts_with("    new  "), "{said}");
    assert_eq!(lines[3], format!("         made by run {first}"), "{said}");
    assert_eq!(lines[5], format!("         made by run {second}"), "{said}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{said}");
    let told: Value =
        serde_json::from_str(&site.ssp_run(&["explain", "--json", "dia_sources"]).stdout).unwrap();
    let reason = &told["reasons"][0];
    assert_eq!(
        (reason["code"].as_str(), reason["subject"].as_str()),
        (Some("input_changed"), Some("obs_sbn"))
    );
    assert_eq!(reason["old_made_by"].as_str(), Some(first.as_str()), "{told}");
    assert_eq!(reason["new_made_by"].as_str(), Some(second.as_str()), "{told}");
    let digests = [&reason["old"], &reason["new"]].map(|digest| digest.as_str().unwrap());
    assert!(said.contains(digests[0]) && said.contains(digests[1]), "{told} {said}");

    // `gc` keeps the records of the first run, which wrote outputs that are kept.
    for _ in 0..3 {
        site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(0);
    }
    assert_eq!(site.ssp_run(&["history"]).stdout.lines().count(), 5);
    let would = site.ssp_run(&["gc", "--keep", "1", "-n"]).stdout;
    let outputs = site.outputs();
    let done = site.ssp_run(&["gc", "--keep", "1"]).stdout;
    assert_eq!(would.replace("would remove", "removed"), done);
    let left = site.ssp_run(&["history", "--json"]).stdout;
    assert!(left.contains(&first) && left.contains(&second), "{left}");
    assert!(site.outputs() == outputs);
    site.ssp_run(&["--check", "--stage", "obs_sbn", "-q"]).expect(0);
}

#[test]
fn the_manual_and_the_completions_know_every_program() {
    let site = Site::new();
    let page = site.ssp_run(&["man"]);
    assert!(page.stdout.contains(".TH ssp-run 1"), "{}", page.stdout);
    site.ssp_run(&["man", "--dir", "man1"]).expect(0);
    for page in ["ssp-run.1", "ssp-run-explain.1", "ssp-run-gc.1"] {
        assert!(site.path("man1").join(page).exists(), "{page}");
    }
    for (program, flag) in [
        ("ssp-run", "--reuse-exports"),
        ("fast-export", "--dsn"),
        ("extract-catalog", "--where"),
        ("ssp-build-sssource", "--max-unmatched"),
        ("ssp-build-ssobject", "--earth"),
    ] {
        let page = fs::read_to_string(site.path("man1").join(format!("{program}.1"))).unwrap();
        assert!(page.contains(&flag.replace('-', "\\-")), "{program}: {page}");
        for (shell, dashes) in [("bash", "--"), ("zsh", "--"), ("fish", "-l ")] {
            let script = site.ssp_run(&["completions", shell, program]).stdout;
            let flag = flag.replacen("--", dashes, 1);
            assert!(script.contains(program) && script.contains(&flag), "{shell}: {script}");
        }
    }
}

/// `docs/records.md` names every event and every field that a run writes.
#[test]
fn what_a_run_leaves_is_documented() {
    let site = Site::new();
    site.edit("connections: 2", "connections: 2\n  retries: 1");
    let said = site.without_server(&["--log-format", "json"]).expect(4).stderr;
    let mut lines: Vec<String> =
        said.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    site.edit("SELECT * FROM obs_sbn", "SELECT nothing FROM obs_sbn");
    site.ssp_run(&["-q"]).expect(1);
    let read = |name: &str| fs::read_to_string(site.path("data/.ssp/runs/latest").join(name)).unwrap();
    lines.extend(read("events.jsonl").lines().map(str::to_owned));
    let doc = include_str!("../../docs/records.md");
    let documented =
        |name: &str| assert!(doc.contains(&format!("`{name}`")), "`{name}` is not in docs/records.md");
    let mut kinds = std::collections::BTreeSet::new();
    for line in &lines {
        let event: Value = serde_json::from_str(line).unwrap();
        let fields = event.as_object().unwrap();
        fields.keys().for_each(|name| documented(name));
        assert_eq!(fields["v"], 1);
        kinds.insert(fields["event"].as_str().unwrap().to_owned());
    }
    for kind in &kinds {
        documented(kind);
    }
    for kind in ["run_started", "snapshot", "retry", "stage_started", "stage_finished", "run_finished"] {
        assert!(kinds.contains(kind), "no {kind} in {kinds:?}");
    }
    let report: Value = serde_json::from_str(&read("run.json")).unwrap();
    report.as_object().unwrap().keys().for_each(|name| documented(name));
    for stage in report["stages"].as_array().unwrap() {
        stage.as_object().unwrap().keys().for_each(|name| documented(name));
    }
}

#[test]
fn a_pipeline_file_that_is_not_there_gets_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, hint) in [
        (
            &["-n", "mine.yaml"][..],
            "hint: paths are relative to the current folder; `ssp-run demo` makes a pipeline",
        ),
        (&["-n"], "hint: name the pipeline file, set SSP_PIPELINE"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
        let output =
            command.args(arguments).current_dir(&folder).env_remove("SSP_PIPELINE").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: cannot read pipeline file `") && said.contains(hint), "{said}");
    }
}

#[test]
fn digests_that_cannot_be_kept_are_a_warning() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let digests = site.path("data/.ssp/digests.json");
    fs::remove_file(&digests).unwrap();
    fs::create_dir(&digests).unwrap();
    site.ssp_run(&[])
        .expect(0)
        .says("warning the digests of files could not be saved, so the next run reads all files again: ")
        .says("everything is up to date");
    assert_eq!(site.last_report()["status"], "done");
}

#[test]
fn a_record_that_cannot_be_read_is_not_one_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nname: n\nout_dir: data\ndatabase: {host: nowhere}\n\
                stages: {a: {export: {table: t}, out: a.parquet}, b: {export: {table: t}, out: b.parquet}}\n";
    put(&folder.path().join("p.yaml"), text.as_bytes());
    fs::create_dir_all(folder.path().join("data/.ssp/stages")).unwrap();
    put(&folder.path().join("data/.ssp/stages/a.json"), b"{\"format\": ");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-run"));
    let output = command.current_dir(folder.path()).env_clear().args(["status", "p.yaml"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" a  its record cannot be read, so the stage runs again: "), "{text}");
    assert!(text.contains(" b  never run\n"), "{text}");
}
