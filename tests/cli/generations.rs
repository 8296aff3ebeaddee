//! Complete nights: kept, read through `current`, put back, and removed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::site::{Site, put};

/// A site that keeps generations.
fn keeping(number: u32) -> Site {
    let site = Site::new();
    site.edit("\nkeep: 7 ", &format!("\nkeep: {number} "));
    site
}

fn run(site: &Site, arguments: &[&str]) -> String {
    let said = site.ssp_run(arguments).expect(0);
    said.stdout + &said.stderr
}

fn generations(site: &Site) -> Vec<Value> {
    serde_json::from_str(&run(site, &["generations", "--json"])).unwrap()
}

/// One observation fewer, so that the next run makes other outputs.
fn change(site: &Site) {
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
}

#[test]
fn complete_nights_are_kept_and_put_back() {
    let site = keeping(2);
    let said = run(&site, &[]);
    let first = site.last_id();
    assert!(said.contains(&format!("generation {first} kept: 1 of at most 2")), "{said}");
    let one = site.outputs();
    assert!(one.len() == 7 && site.through_current() == one);

    // A run without changes keeps no new generation, and reads no file: the digests are known though the links are new.
    let digests: Value =
        serde_json::from_str(&fs::read_to_string(site.path("data/.ssp/digests.json")).unwrap()).unwrap();
    for name in one.keys() {
        let path = site.path("data").join(name);
        let path = path.strip_prefix(site.path("")).unwrap();
        let known = digests.as_object().unwrap().iter().find(|(known, _)| Path::new(known).ends_with(path));
        let known = &known.unwrap_or_else(|| panic!("{name} is not in {digests}")).1["identity"]["changed"];
        let found = fs::metadata(site.path("data").join(name)).unwrap();
        assert_eq!((known[0].as_i64(), known[1].as_i64()), (Some(found.ctime()), Some(found.ctime_nsec())));
    }
    assert!(!run(&site, &[]).contains("generation"));
    assert_eq!(generations(&site).len(), 1);

    change(&site);
    run(&site, &["-q"]);
    let (second, two) = (site.last_id(), site.outputs());
    assert!(two != one && site.through_current() == two);
    // What did not change is one file in all generations.
    let inode = |run: &str| {
        fs::metadata(site.path("data/.ssp/generations").join(run).join("mpc_orbits.parquet")).unwrap().ino()
    };
    assert_eq!(inode(&first), inode(&second));
    let kept = generations(&site);
    assert_eq!([&kept[0]["run"], &kept[1]["run"]], [second.as_str(), first.as_str()]);
    assert_eq!([&kept[0]["current"], &kept[1]["current"]], [true, false]);
    let [own, all] = ["own_bytes", "bytes"].map(|name| kept[1][name].as_u64().unwrap());
    assert!(own > 0 && own < all, "{kept:?}");

    // Back, and forth again: the next run decides as always, and finds the outputs of the second night.
    let would = run(&site, &["rollback", "-n"]);
    assert!(would.starts_with(&format!("would roll back to generation {first}\n")), "{would}");
    assert!(site.outputs() == two);
    let said = run(&site, &["rollback"]);
    assert!(said.starts_with(&format!("rolled back to generation {first}\n")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("  put back   obs_sbn ")), "{said}");
    assert!(said.lines().any(|line| line.starts_with("  unchanged  mpc_orbits ")), "{said}");
    assert!(site.outputs() == one && site.through_current() == one);
    let history = run(&site, &["history"]);
    assert!(
        history.lines().next().unwrap().ends_with(&format!("rolled back to generation {first}, 7 stages"))
    );
    assert!(run(&site, &["status"]).contains(&format!("rolled back to generation {first}")));
    assert!(Path::new(run(&site, &["report"]).trim()).is_relative());
    site.ssp_run(&["rollback", &first])
        .expect(2)
        .says(&format!("the outputs are already those of generation {first}"));
    run(&site, &["-q"]);
    assert!(site.outputs() == two && site.through_current() == two);
    assert_eq!(generations(&site).len(), 2);
    assert_eq!(run(&site, &["status", "--json"]).parse::<Value>().unwrap()["current"], second);

    // Two are kept: the oldest is removed, and no file of the others.
    change(&site);
    run(&site, &["-q"]);
    let kept = generations(&site);
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|kept| kept["run"] != first.as_str()), "{kept:?}");
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
    let removed = run(&site, &["gc", "--generations", "0"]);
    assert!(removed.contains(&format!("removed generation {second}\n")), "{removed}");
    assert!(generations(&site).len() == 1 && site.through_current() == site.outputs());
    site.ssp_run(&["--check", "-q"]).expect(0);
}

#[test]
fn what_is_no_complete_night_is_not_kept() {
    let site = keeping(7);
    run(&site, &["-q"]);
    let (first, one) = (site.last_id(), site.outputs());
    change(&site);
    let said = run(&site, &["--stage", "obs_sbn"]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains("no generation is kept: `dia_sources` was made from an earlier output of `obs_sbn`"),
        "{said}"
    );
    assert!(site.through_current() == one && site.outputs() != one);
    let status = run(&site, &["status"]);
    assert!(status.contains("stale: made from an earlier obs_sbn"), "{status}");
    assert!(status.contains("stale: sssource is stale"), "{status}");
    assert!(status.contains(&format!("1 generation, current: {first}\n")), "{status}");

    // A failed night is not kept either, and the last whole one can be put back.
    site.edit("    out: ssobject.parquet\n", "    out: ssobject.parquet\n    checks: {min_rows: 1000000}\n");
    site.ssp_run(&["-q"]).expect(5);
    let status = site.ssp_run(&["status"]);
    assert_eq!(status.code, Some(1), "{}", status.stdout);
    assert!(status.stdout.contains("\n  failed     ssobject"), "{}", status.stdout);
    assert!(status.stdout.contains("cause  check `min_rows` failed"), "{}", status.stdout);
    assert_eq!(generations(&site).len(), 1);
    assert!(site.through_current() == one);
    // Exports go back together, as they came.
    let said = run(&site, &["rollback", "obs_sbn"]);
    assert!(said.contains("obs_sbn") && said.contains("mpc_orbits") && !said.contains("ssobject"), "{said}");
    run(&site, &["rollback"]);
    assert!(site.outputs() == one && site.through_current() == one);
    site.ssp_run(&["rollback"]).expect(2).says("every generation that is kept has the outputs of now");
    for (arguments, expected) in [
        (&["rollback", "1999"][..], "there is no generation `1999`"),
        (&["rollback", "2"], "the outputs are already those of generation"),
        (&["rollback", &first, "ssobjct"], "did you mean `ssobject`?"),
    ] {
        site.ssp_run(arguments).expect(2).says(expected);
    }
}

#[test]
fn a_damaged_generation_is_not_put_back() {
    let site = keeping(7);
    run(&site, &["-q"]);
    let first = site.last_id();
    change(&site);
    run(&site, &["-q"]);
    let two = site.outputs();
    put(&site.path("data/.ssp/generations").join(&first).join("obs_sbn.parquet"), b"PAR1");
    site.ssp_run(&["rollback"]).expect(1).says("obs_sbn.parquet` is not the file that was kept");
    assert!(site.outputs() == two && site.through_current() == two);
    // The next run puts the damaged output right, and keeps a generation that is whole.
    put(&site.path("data/ssobject.parquet"), b"PAR1");
    assert!(site.through_current() != two);
    let marked = run(&site, &["generations"]);
    assert!(marked.contains("damaged: ssobject.parquet is missing or has been changed"), "{marked}");
    run(&site, &["-q"]);
    assert!(site.outputs() == two && site.through_current() == two);
    // A run in the way is named.
    site.edit("ORDER BY id", "AND pg_sleep(0.01) IS NOT NULL ORDER BY id");
    let mut slow = site.command(&["-q", "--force"]).spawn().unwrap();
    site.wait_for_query("pg_sleep");
    site.ssp_run(&["rollback"]).expect(75);
    slow.kill().unwrap();
    slow.wait().unwrap();
}

#[test]
fn outputs_that_no_stage_makes_are_named_and_removed_only_on_request() {
    let site = keeping(7);
    run(&site, &["-q"]);
    let path = site.path("pipelines/demo.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\n  ssobject:\n").unwrap();
    put(&path, &text.as_bytes()[..=at]);
    let status = run(&site, &["status"]);
    assert!(status.contains("orphan   ssobject"), "{status}");
    run(&site, &["-q"]);
    run(&site, &["gc"]);
    assert!(site.path("data/ssobject.parquet").exists());
    let would = run(&site, &["gc", "--orphans", "-n"]);
    assert!(would.contains("would remove the record of `ssobject`, with `ssobject.parquet`"), "{would}");
    assert!(site.path("data/ssobject.parquet").exists());
    let done = run(&site, &["gc", "--orphans"]);
    assert!(done.contains("removed the record of `ssobject`, with `ssobject.parquet`"), "{done}");
    assert!(!site.path("data/ssobject.parquet").exists());
    assert!(!run(&site, &["status"]).contains("orphan"));
    // What was changed by hand is not ours to remove.
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\n  sssource:\n").unwrap();
    put(&path, &text.as_bytes()[..=at]);
    put(&site.path("data/sssource.parquet"), b"mine");
    let done = run(&site, &["gc", "--orphans"]);
    assert!(done.contains("the record of `sssource`, its file was left"), "{done}");
    assert!(site.path("data/sssource.parquet").exists());
}

#[test]
fn one_stage_is_tried_and_nothing_of_the_pipeline_changes() {
    let site = keeping(7);
    run(&site, &["-q"]);
    let (before, first) = (site.outputs(), site.last_id());
    let stage = |name: &'static str| ["--stage", name, "--only", "--own-snapshot", "tried.parquet"];
    change(&site);
    let said = run(&site, &stage("obs_sbn"));
    assert!(said.starts_with("obs_sbn: 491 rows in `tried.parquet` ("), "{said}");
    let tried = fs::read(site.path("tried.parquet")).unwrap();
    assert!(site.outputs() == before && site.last_id() == first && before["obs_sbn.parquet"] != tried);
    // What is tried is what a run makes; other kinds read the outputs as they are.
    run(&site, &stage("ssobject"));
    assert!(fs::read(site.path("tried.parquet")).unwrap() == before["ssobject.parquet"]);
    run(&site, &["-q"]);
    assert!(site.outputs()["obs_sbn.parquet"] == tried);
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", "checks: {min_rows: 1000}");
    fs::remove_file(site.path("tried.parquet")).unwrap();
    for (arguments, code, expected) in [
        (stage("obs_sbn").to_vec(), 5, "check `min_rows` failed"),
        (
            ["--stage", "obs_sbn,ssobject"].into_iter().chain(stage("x")[2..].to_vec()).collect(),
            2,
            "name one with --stage",
        ),
        (
            vec!["--stage", "obs_sbn", "--only", "--own-snapshot", "data/obs_sbn.parquet"],
            2,
            "the output cannot be written: ",
        ),
        (vec!["--stage", "obs_sbn", "--own-snapshot", "tried.parquet"], 2, "--only"),
    ] {
        let said = site.ssp_run(&arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.stderr);
        said.says(expected);
        assert!(!site.path("tried.parquet").exists());
    }
}

#[test]
fn one_night_tells_all_that_is_wrong_with_the_exports() {
    let site = Site::new();
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", "checks: {min_rows: 1000}");
    site.edit("    out: mpc_orbits.parquet\n", "    out: mpc_orbits.parquet\n    checks: {min_rows: 1000}\n");
    for jobs in ["1", "4"] {
        let said = site.ssp_run(&["-j", jobs]).expect(5);
        for failed in ["FAILED obs_sbn (export)", "FAILED mpc_orbits (export)"] {
            said.says(failed);
        }
        let text = said.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let blocked = "BLOCKED current_identifications, numbered_identifications published together with";
        assert!(text.contains(blocked), "{text}");
        assert!(site.outputs().is_empty());
    }
    // With --fail-fast, the first failure ends the run.
    let said = site.ssp_run(&["-j", "1", "--fail-fast"]);
    assert!(said.code == Some(5) && !said.stderr.contains("FAILED mpc_orbits"), "{}", said.stderr);
}

/// A rollback that cannot be done leaves the outputs alone and is in the history.
#[test]
fn a_rollback_that_fails_is_told_and_replaces_nothing() {
    let site = keeping(7);
    run(&site, &["-q"]);
    change(&site);
    run(&site, &["-q"]);
    let two = site.outputs();
    // A folder where the plan of a publication is written.
    let in_the_way = site.path("data/.ssp/publish/rollback.json");
    fs::create_dir_all(&in_the_way).unwrap();
    site.ssp_run(&["rollback"]).expect(1);
    assert!(site.outputs() == two && site.through_current() == two);
    assert!(run(&site, &["history"]).lines().next().unwrap().contains("failed, "));
    site.ssp_run(&["status"]).expect(1);
    fs::remove_dir(&in_the_way).unwrap();
    run(&site, &["rollback"]);
    assert!(site.outputs() != two);
    assert_eq!(site.leftovers(), Vec::<std::path::PathBuf>::new());
}
