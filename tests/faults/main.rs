//! Faults at any moment: what a killed run leaves, and what the next one makes of it.

#[path = "../cli/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use site::Site;

/// Moments spread evenly over a run, in an order that looks random: the fractional parts of multiples of the golden ratio.
fn moments(count: u32, run: Duration) -> impl Iterator<Item = Duration> {
    (1..=count).map(move |n| run.mul_f64(1.1 * (f64::from(n) * 0.618_033_988_749_895).fract()))
}

/// How many moments: 20, or as many as `SSP_FAULTS` says.
fn count() -> u32 {
    std::env::var("SSP_FAULTS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
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
    for (index, moment) in moments(count(), undisturbed).enumerate() {
        // In turn: a first run, and a run that makes everything again beside good outputs.
        let arguments: &[&str] =
            if index % 2 == 0 { &["-q", "-j", "2"] } else { &["-q", "-j", "2", "--force"] };
        if index % 2 == 0 {
            fs::remove_dir_all(site.path("data")).unwrap();
        }
        let mut run = site.command(arguments).stderr(Stdio::null()).spawn().unwrap();
        sleep(moment);
        run.kill().unwrap();
        run.wait().unwrap();
        if site.path("data").exists() {
            whole_or_absent(&site, &[&good], moment);
        }
        let said = site.ssp_run(&["-q"]);
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "after a kill at {moment:?}");
        assert!(site.outputs() == good, "other bytes after a kill at {moment:?}");
        assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new(), "after a kill at {moment:?}");
        assert_eq!(
            site.ssp_run(&["--check", "-q"]).code,
            Some(0),
            "not up to date after a kill at {moment:?}"
        );
    }
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
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("interrupted after"), "{text}");
        assert_eq!(site.sql(active).trim(), "0", "the query goes on");
        assert!(site.outputs() == good);
        assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
    }
}
