//! Checks on outputs: all that fail are reported at once, and their margins are in the records.

use serde_json::Value;

use crate::site::Site;

const CHECKS: &str = "checks: {min_rows: 1, max_shrink: 10%}";

fn stage(site: &Site, name: &str) -> Value {
    let report = site.last_report();
    let stages = report["stages"].as_array().unwrap();
    stages.iter().find(|stage| stage["stage"] == name).unwrap().clone()
}

/// Check, subject, result and margin of each check on a stage.
fn margins(site: &Site, name: &str) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let stage = stage(site, name);
    let checks = stage["checks"].as_array().unwrap();
    let margin = |margin: &Value| ["check", "subject", "result", "margin"].map(|key| text(&margin[key]));
    checks.iter().map(margin).collect()
}

#[test]
fn all_checks_that_fail_are_reported_and_the_others_warn() {
    let site = Site::new();
    site.edit(
        CHECKS,
        "checks:
      min_rows: {at_least: 1000000}
      max_growth: 20%
      max_lag: {column: obstime, at_most: 1h, severity: warn}
      range: {dec: [80, null], ra: {between: [0, 1], severity: warn}, id: [1, null], stn: [0, 1]}
      not_null: {columns: [obsid, permid], severity: warn}
      unique: [obsid, stn, obs_id]",
    );
    let said = site.ssp_run(&[]).expect(5);
    for expected in [
        "cause   5 checks on `data/obs_sbn.parquet` failed",
        "check `min_rows` failed: `data/obs_sbn.parquet` has 492 rows, expected at least 1000000; if that is right, lower",
        "check `range` failed: column `dec` of `data/obs_sbn.parquet` has ",
        "check `range` failed: column `stn` of `data/obs_sbn.parquet` is string, but only numbers have a range",
        "check `unique` failed: column `stn` of `data/obs_sbn.parquet` has the value of an earlier row in row 2: `X05`; if",
        "check `unique` failed: `data/obs_sbn.parquet` has no column `obs_id` (it has: id, ",
        "warning obs_sbn: check `max_lag`: column `obstime` of `data/obs_sbn.parquet` has the newest value 20",
        "warning obs_sbn: check `range`: column `ra` of `data/obs_sbn.parquet` has ",
        "warning obs_sbn: check `not_null`: column `permid` of `data/obs_sbn.parquet` has ",
    ] {
        said.says(expected);
    }
    assert!(!said.stderr.contains(".tmp"), "{}", said.stderr);
    assert!(!site.path("data/obs_sbn.parquet").exists());
    let found = margins(&site, "obs_sbn");
    let short: Vec<_> =
        found.iter().map(|[check, subject, result, _]| format!("{check} {subject} {result}")).collect();
    assert_eq!(
        short,
        [
            "min_rows - failed",
            "max_growth - skipped",
            "max_lag obstime warning",
            "range dec failed",
            "range id passed",
            "range ra warning",
            "range stn failed",
            "not_null obsid passed",
            "not_null permid warning",
            "unique obsid passed",
            "unique stn failed",
            "unique obs_id failed",
        ]
    );
    assert_eq!(found[0][3], "492 of at least 1,000,000");
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
    // The log of the stage says the same.
    let log = site.ssp_run(&["log", "obs_sbn"]).stdout;
    assert!(
        log.contains("check `unique` failed: column `stn`") && log.contains("warning: check `max_lag`"),
        "{log}"
    );
}

#[test]
fn a_changed_check_runs_no_stage_and_holds_when_the_stage_runs() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    site.edit(CHECKS, "checks: {min_rows: {at_least: 1000000, severity: warn}, range: {dec: [80, 90]}}");
    site.ssp_run(&["--check", "-q"]).expect(0);
    site.ssp_run(&["-q"]).expect(0);
    // Its results are those of the run that made the output.
    assert_eq!(margins(&site, "obs_sbn")[0], ["min_rows", "-", "passed", "492 of at least 1"]);
    site.ssp_run(&["--force-stage", "obs_sbn"])
        .expect(5)
        .says("warning obs_sbn: check `min_rows`: `data/obs_sbn.parquet` has 492 rows")
        .says("cause   check `range` failed: column `dec`");
    assert!(site.path("data/obs_sbn.parquet").exists(), "the last good output is kept");
}

#[test]
fn data_that_gets_old_fails_though_its_stage_is_up_to_date() {
    let site = Site::new();
    let lag = |at_most: &str| format!("checks: {{max_lag: {{column: obstime, at_most: {at_most}}}}}");
    site.edit(CHECKS, &lag("36500d"));
    site.ssp_run(&["-q"]).expect(0);
    assert_eq!(margins(&site, "obs_sbn")[0][2], "passed");
    // As the days go by, the newest observation is older than allowed.
    site.edit(&lag("36500d"), &lag("36h"));
    site.ssp_run(&[])
        .expect(5)
        .says("FAILED obs_sbn (export)")
        .says("column `obstime` of `data/obs_sbn.parquet` has the newest value")
        .says("kept    data/obs_sbn.parquet of run");
    assert_eq!(stage(&site, "obs_sbn")["check_failed"], true);
    // As a warning, the stage stays up to date.
    site.edit("at_most: 36h}", "at_most: 36h, severity: warn}");
    site.ssp_run(&[]).expect(0).says("warning obs_sbn: check `max_lag`: column `obstime`");
    assert_eq!(stage(&site, "obs_sbn")["status"], "up_to_date");
    assert_eq!(margins(&site, "obs_sbn")[0][2], "warning");
    // A mail from cron has no line of the stage above the warning.
    let mail = site.ssp_run(&["-q"]);
    assert!(mail.stderr.starts_with("warning obs_sbn: check `max_lag`"), "{}", mail.stderr);
}

#[test]
fn an_output_that_grew_too_much_is_not_published() {
    let site = Site::new();
    site.edit(CHECKS, "checks: {max_growth: 20%}");
    site.edit("WHERE stn = '${station}' ORDER BY id", "WHERE stn = '${station}' ORDER BY id LIMIT 100");
    site.ssp_run(&["-q", "--only", "--stage", "obs_sbn"]).expect(0);
    assert_eq!(margins(&site, "obs_sbn")[0], ["max_growth", "-", "skipped", "no earlier output"]);
    site.edit("LIMIT 100", "LIMIT 120");
    site.ssp_run(&["-q", "--only", "--stage", "obs_sbn"]).expect(0);
    assert_eq!(margins(&site, "obs_sbn")[0], ["max_growth", "-", "passed", "20.0 % of at most 20 %"]);
    site.edit("LIMIT 120", "LIMIT 400");
    site.ssp_run(&["-q", "--only", "--stage", "obs_sbn"])
        .expect(5)
        .says("has 400 rows, 233.3 % more than the 120 of the last good output; if that is right, raise");
}
