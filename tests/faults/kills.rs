//! A run that is killed or told to stop at any moment: what it leaves, and what the next one makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::cases::cases;
use crate::site::Site;

/// Moments spread evenly over a run, in an order that looks random: the fractional parts of multiples of the golden ratio.
fn moments(count: u32, run: Duration) -> impl Iterator<Item = Duration> {
    (1..=count).map(move |n| run.mul_f64(1.1 * (f64::from(n) * 0.618_033_988_749_895).fract()))
}

fn whole_or_absent(site: &Site, good: &[&BTreeMap<String, Vec<u8>>], moment: Duration) {
    for (name, bytes) in site.outputs().into_iter().filter(|(name, _)| !name.ends_with(".ssp-tmp")) {
        assert!(
            good.iter().any(|outputs| outputs.get(&name) == Some(&bytes)),
            "{name} was torn at {moment:?}"
        );
    }
}

#[test]
fn a_run_killed_at_any_moment_is_finished_by_the_next() {
    let site = Site::new();
    let clock = Instant::now();
    assert_eq!(site.ssp_run(&["-q", "-j", "2"]).code, Some(0));
    let undisturbed = clock.elapsed();
    let good = site.outputs();
    assert_eq!(good.len(), 7);
    for (index, moment) in moments(cases(20, 200), undisturbed).enumerate() {
        // In turn: a first run, and a run that makes everything again beside good outputs.
        let arguments: &[&str] =
            if index % 2 == 0 { &["-q", "-j", "2"] } else { &["-q", "-j", "2", "--force"] };
        if index % 2 == 0 {
            fs::remove_dir_all(site.path("data")).unwrap();
        }
        let mut run = site.command(arguments).stderr(Stdio::null()).spawn().unwrap();
        // Meanwhile somebody reads the outputs, over and over.
        let (data, done) = (site.path("data"), AtomicBool::new(false));
        thread::scope(|scope| {
            let reader = scope.spawn(|| reads(&data, &good, &done));
            sleep(moment);
            run.kill().unwrap();
            run.wait().unwrap();
            done.store(true, Ordering::Relaxed);
            assert_eq!(reader.join().unwrap(), Vec::<String>::new(), "torn files were seen at {moment:?}");
        });
        if site.path("data").exists() {
            whole_or_absent(&site, &[&good], moment);
        }
        let said = site.ssp_run(&["-q"]);
        let is_expected = |line: &str| line.contains(" warning finished the publication of `");
        let others: Vec<&str> = said.stderr.lines().filter(|line| !is_expected(line)).collect();
        assert_eq!((said.code, others), (Some(0), Vec::new()), "after a kill at {moment:?}");
        assert!(site.outputs() == good, "other bytes after a kill at {moment:?}");
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new(), "after a kill at {moment:?}");
        assert_eq!(
            site.ssp_run(&["--check", "-q"]).code,
            Some(0),
            "not up to date after a kill at {moment:?}"
        );
    }
}

/// The outputs that a reader found with other bytes than the good ones.
fn reads(data: &std::path::Path, good: &BTreeMap<String, Vec<u8>>, done: &AtomicBool) -> Vec<String> {
    let mut torn = Vec::new();
    while !done.load(Ordering::Relaxed) {
        for (name, bytes) in good {
            if fs::read(data.join(name)).is_ok_and(|read| read != *bytes) {
                torn.push(name.clone());
            }
        }
    }
    torn
}

#[test]
fn a_run_that_is_told_to_stop_at_any_moment_stops_in_good_order() {
    let site = Site::new();
    let clock = Instant::now();
    assert_eq!(site.ssp_run(&["-q", "-j", "2"]).code, Some(0));
    let undisturbed = clock.elapsed();
    let good = site.outputs();
    assert_eq!(good.len(), 7);
    let mut stopped = 0;
    for (index, moment) in moments(cases(10, 50), undisturbed).enumerate() {
        let (signal, number, code) = if index % 2 == 0 { ("-TERM", 15, 143) } else { ("-INT", 2, 130) };
        let run = site.command(&["-q", "-j", "2", "--force"]).stderr(Stdio::piped()).spawn().unwrap();
        sleep(moment);
        let _ = Command::new("kill").args([signal, &run.id().to_string()]).stderr(Stdio::null()).status();
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        // Too early, before it watches signals, the process simply ends; too late, the run has.
        let signalled = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert!(
            output.status.code() == Some(code)
                || output.status.code() == Some(0)
                || signalled == Some(number),
            "{:?} at {moment:?}: {text}",
            output.status
        );
        stopped += usize::from(output.status.code() == Some(code));
        assert!(site.outputs() == good, "other bytes after {signal} at {moment:?}");
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new(), "after {signal} at {moment:?}");
        let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ssp'";
        let deadline = Instant::now() + Duration::from_secs(10);
        while site.sql(ours).trim() != "0" {
            assert!(Instant::now() < deadline, "a session goes on after {signal} at {moment:?}");
            sleep(Duration::from_millis(10));
        }
    }
    assert!(stopped > 0, "every signal came before or after the run");
    assert_eq!(site.ssp_run(&["-q"]).code, Some(0));
}

#[test]
fn a_run_that_is_told_to_stop_stops_and_leaves_the_last_good_outputs() {
    let site = Site::new();
    assert_eq!(site.ssp_run(&["-q"]).code, Some(0));
    let good = site.outputs();
    site.edit("SELECT * FROM obs_sbn", "SELECT *, pg_sleep(1)::text FROM obs_sbn");
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let run = site.command(&[]).stderr(Stdio::piped()).spawn().unwrap();
        let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)%' AND state = 'active' \
                      AND pid <> pg_backend_pid()";
        let deadline = Instant::now() + Duration::from_secs(30);
        while site.sql(active).trim() != "1" {
            assert!(Instant::now() < deadline, "the export never began");
            sleep(Duration::from_millis(20));
        }
        let id = run.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(&format!("interrupted by SIG{} after", &signal[1..])), "{text}");
        assert_eq!(site.sql(active).trim(), "0", "the query goes on");
        assert!(site.outputs() == good);
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_run_that_was_killed_is_said_to_be() {
    let site = Site::new();
    site.edit("SELECT * FROM obs_sbn", "SELECT *, pg_sleep(1)::text FROM obs_sbn");
    let mut run = site.command(&["-q"]).spawn().unwrap();
    site.wait_for_query("pg_sleep(1)");
    let said = |command: &str| site.command(&[command]).output().map(|output| output.stdout).unwrap();
    let said = |command: &str| String::from_utf8(said(command)).unwrap();
    let status = said("status");
    assert!(status.contains("running  run ") && status.contains(": running\n"), "{status}");
    run.kill().unwrap();
    run.wait().unwrap();
    for command in ["status", "history"] {
        let text = said(command);
        assert!(text.contains("killed (no exit record)") && !text.contains("running"), "{text}");
    }
    site.edit(", pg_sleep(1)::text", "");
    assert_eq!(site.ssp_run(&["-q"]).code, Some(0));
    let history = said("history");
    assert_eq!(history.lines().filter(|line| line.contains("killed")).count(), 1, "{history}");
}
