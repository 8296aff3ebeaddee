//! A run that is killed or told to stop at any moment: what it leaves, and what the next one makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
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

#[test]
fn a_run_killed_at_any_moment_is_finished_by_the_next() {
    let site = Site::new();
    let clock = Instant::now();
    site.ssp_run(&["-q", "-j", "2"]).expect(0);
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
        // Meanwhile a reader reads the outputs, over and over.
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
            for (name, bytes) in site.outputs().iter().filter(|(name, _)| !name.ends_with(".ssp-tmp")) {
                assert!(good.get(name) == Some(bytes), "{name} was torn at {moment:?}");
            }
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
fn reads(data: &Path, good: &BTreeMap<String, Vec<u8>>, done: &AtomicBool) -> Vec<String> {
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
    site.ssp_run(&["-q", "-j", "2"]).expect(0);
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
        let status = output.status;
        let as_expected =
            status.code().map_or(status.signal() == Some(number), |end| [0, code].contains(&end));
        assert!(as_expected, "{status:?} at {moment:?}: {text}");
        stopped += usize::from(status.code() == Some(code));
        assert!(site.outputs() == good, "other bytes after {signal} at {moment:?}");
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new(), "after {signal} at {moment:?}");
        let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ssp'";
        let deadline = Instant::now() + Duration::from_secs(10);
        while site.sql(ours).trim() != "0" {
            assert!(Instant::now() < deadline, "a session is open after {signal} at {moment:?}");
            sleep(Duration::from_millis(10));
        }
    }
    assert!(stopped > 0, "every signal came before or after the run");
    site.ssp_run(&["-q"]).expect(0);
}

#[test]
fn a_run_that_was_killed_is_said_to_be() {
    let site = Site::new();
    site.edit("SELECT * FROM obs_sbn", "SELECT *, pg_sleep(1)::text FROM obs_sbn");
    let mut run = site.command(&["-q"]).spawn().unwrap();
    site.wait_for_query("pg_sleep(1)");
    let said = |command: &str| site.ssp_run(&[command]).stdout;
    let status = said("status");
    assert!(status.contains("running  run ") && status.contains(": running\n"), "{status}");
    run.kill().unwrap();
    run.wait().unwrap();
    for command in ["status", "history"] {
        let text = said(command);
        assert!(text.contains("killed (no exit record)") && !text.contains("running"), "{text}");
    }
    site.edit(", pg_sleep(1)::text", "");
    site.ssp_run(&["-q"]).expect(0);
    let history = said("history");
    assert_eq!(history.lines().filter(|line| line.contains("killed")).count(), 1, "{history}");
}
