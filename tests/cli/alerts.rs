//! The alert rules for Prometheus, by its own tool: they are valid, their unit tests pass, and they ask for metrics that a run
//! writes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::said::Said;
use crate::site::Site;

const RULES: &str = "packaging/prometheus/ssp.rules.yml";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn promtool(arguments: &[&str], input: &str) -> String {
    let command = Command::new("promtool")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = command.expect("promtool is there (run `ci/install prometheus`)");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "promtool {}: {}", arguments.join(" "), said.text);
    said.text
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("ssp_")).collect()
}

#[test]
fn the_alert_rules_are_valid_and_pass_their_unit_tests() {
    let said = promtool(&["check", "rules", RULES], "");
    assert!(said.contains("7 rules found"), "{said}");
    promtool(&["test", "rules", "packaging/prometheus/ssp.rules.test.yml"], "");
}

#[test]
fn every_alert_has_a_unit_test_and_a_paragraph_in_the_runbook() {
    let (rules, tests, runbook) =
        (read(RULES), read("packaging/prometheus/ssp.rules.test.yml"), read("docs/runbook.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), 7);
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} never fires in a test");
        assert!(runbook.contains(&format!("`{alert}`")), "{alert} is not in docs/runbook.md");
    }
}

#[test]
fn the_metrics_of_a_run_are_valid_and_all_that_the_rules_ask_for() {
    let site = Site::new();
    let run = |code: i32| {
        site.ssp_run(&["-q", "--metrics-file", "ssp.prom"]).expect(code);
        let text = fs::read_to_string(site.path("ssp.prom")).unwrap();
        promtool(&["check", "metrics"], &text);
        text
    };
    let good = run(0);
    let rules = read(RULES);
    let (asked, written) = (metrics(&rules), metrics(&good));
    assert!(asked.len() >= 5 && asked.is_subset(&written), "{asked:?} {written:?}");
    let checks = "ssp_stage_checks{pipeline=\"demo\",stage=\"obs_sbn\",result=";
    assert!(good.contains(&format!("{checks}\"passed\"}} 1.0")), "{good}");
    assert!(good.contains(&format!("{checks}\"skipped\"}} 1.0")), "{good}");
    site.edit(
        "checks: {min_rows: 1, max_shrink: 10%}",
        "checks: {min_rows: 1000000, range: {dec: {between: [80, null], severity: warn}}}",
    );
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
    let bad = run(5);
    assert!(bad.contains(&format!("{checks}\"failed\"}} 1.0")), "{bad}");
    assert!(bad.contains(&format!("{checks}\"warning\"}} 1.0")), "{bad}");
    assert!(bad.contains("ssp_stage_warnings{pipeline=\"demo\",stage=\"obs_sbn\"} 1.0"), "{bad}");
    assert!(bad.contains("ssp_run_status{pipeline=\"demo\",status=\"check_failed\"} 1.0"), "{bad}");
}
