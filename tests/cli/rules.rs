//! The rules of a pipeline file on when an export runs and what an output must be, and the flags of a run.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use crate::site::{Site, put};

/// What a run of all exports came to, without what was up to date.
fn exports(site: &Site, arguments: &[&str]) -> Vec<String> {
    site.ssp_run(&[&["-q", "--stage", "obs_sbn"], arguments].concat()).expect(0);
    site.worked()
}

#[test]
fn a_watermark_decides_and_refresh_always_runs() {
    let site = Site::new();
    site.edit(
        "ORDER BY id\n",
        "ORDER BY id\n      watermark: SELECT max(id), count(*) FROM obs_sbn WHERE stn = '${station}'\n",
    );
    site.edit("table: current_identifications", "table: current_identifications\n      refresh: always");
    assert_eq!(exports(&site, &[]).len(), 4);
    let always = "current_identifications: unchanged (data_changed: refresh: always)";
    assert_eq!(exports(&site, &[]), [always]);
    // A row that the watermark does not count: the others have to look.
    let other = "SELECT min(id) FROM obs_sbn WHERE stn <> 'X05'";
    site.sql(&format!("UPDATE obs_sbn SET remarks = 'seen' WHERE id = ({other})"));
    let mut worked = exports(&site, &[]);
    worked.sort();
    let names: Vec<&str> = worked.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["current_identifications", "mpc_orbits", "numbered_identifications"], "{worked:?}");
    // One that it counts.
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT max(id) FROM obs_sbn WHERE stn = 'X05')");
    let worked = exports(&site, &[]);
    assert!(worked.iter().any(|line| line == "obs_sbn: done (data_changed: watermark)"), "{worked:?}");
}

#[test]
fn what_cannot_be_exported_is_known_before_a_run() {
    let site = Site::new();
    let validate = || site.ssp_run(&["validate", "--connect"]);
    let good = validate();
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""));
    let columns = |stage: &str| good.stdout.lines().any(|line| line.starts_with(&format!("{stage}: ")));
    assert!(columns("obs_sbn") && columns("numbered_identifications"), "{}", good.stdout);
    assert!(good.stdout.contains("\ndia_sources: 45 datasets\n"), "{}", good.stdout);

    site.edit("table: current_identifications", "table: current_identification");
    site.edit("ORDER BY id\n", "ORDER BY idd\n      types: {stn: text}\n");
    let said = validate().expect(2);
    for part in [
        "`pipelines/demo.yaml` has 2 mistakes",
        "pipelines/demo.yaml:24:7: the server cannot ",
        "pipelines/demo.yaml:38:7: there is no table \"current",
        "column \"idd\" does not exist",
        "ORDER BY idd\n",
    ] {
        said.says(part);
    }
    assert!(said.stdout.contains("\nnumbered_identifications: "), "{}", said.stdout);
    assert!(!site.path("data").exists());
}

#[test]
fn a_young_generation_is_taken_without_a_connection_and_an_old_one_is_not() {
    let site = Site::new();
    site.edit("connections: 2", "connections: 2\n  retries: 0\n  max_age: 20h");
    assert_eq!(exports(&site, &[]).len(), 4);
    let offline = |arguments: &[&str]| {
        let said = site.offline(arguments);
        (said.code, said.stderr)
    };
    assert_eq!(offline(&["-q", "--stage", "obs_sbn"]), (Some(0), String::new()));
    // One that was touched, and all have to be read.
    put(&site.path("data/numbered_identifications.parquet"), b"oops");
    assert_eq!(offline(&["-q", "--stage", "obs_sbn"]).0, Some(4));
    assert_eq!(exports(&site, &[]).len(), 1);

    site.edit("max_age: 20h", "max_age: 1s");
    sleep(Duration::from_millis(1100));
    assert_eq!(offline(&["-q", "--stage", "obs_sbn"]).0, Some(4));
    site.sql("UPDATE obs_sbn SET remarks = 'seen' WHERE id = (SELECT min(id) FROM obs_sbn)");
    let worked = exports(&site, &[]);
    assert_eq!(worked.len(), 4);
    assert!(worked.iter().all(|line| line.ends_with(": unchanged (generation_expired: age)")), "{worked:?}");

    // Older than any calendar.
    site.edit("max_age: 1s", "max_age: 100000000d");
    assert_eq!(offline(&["-q", "--stage", "obs_sbn"]), (Some(0), String::new()));
}

#[test]
fn an_output_that_fails_a_check_or_its_schema_is_not_published() {
    let site = Site::new();
    let checks = "checks: {min_rows: 1, max_shrink: 10%}";
    site.edit(checks, "checks: {not_null: [id, stn], unique: [id]}\n    schema: schema.yaml");
    let columns = site.sql(
        "SELECT string_agg(format('  - {name: %s, type: %s, description: d}', attname, atttypid::regtype), E'\\n' ORDER BY attnum) \
         FROM pg_attribute WHERE attrelid = 'obs_sbn'::regclass AND attname IN ('id', 'stn')",
    );
    let columns = columns.replace("integer", "int32").replace("bigint", "int64").replace("text", "string");
    let columns = columns.replace("character varying", "string");
    put(&site.path("schema.yaml"), format!("table: obs_sbn\ndescription: d\ncolumns:\n{columns}").as_bytes());
    site.edit("SELECT * FROM obs_sbn", "SELECT id, stn FROM obs_sbn");
    assert_eq!(exports(&site, &[]).len(), 4);
    let good = site.outputs();
    for (from, to, said) in [
        (
            "unique: [id]",
            "unique: [stn]",
            "check `unique` failed: column `stn` of `data/obs_sbn.parquet` has the value of an earlier row in row 2",
        ),
        (
            "SELECT id, stn",
            "SELECT id, nullif(stn, 'X05') AS stn",
            "check `not_null` failed: column `stn` of `data/obs_sbn.parquet` has ",
        ),
        ("SELECT id, stn", "SELECT id, stn, 1 AS more", "does not fit schema"),
        ("SELECT id, stn", "SELECT id::text, stn", "does not fit schema"),
        ("not_null: [id, stn]", "max_shrink: 10%, min_rows: 100000", "check `min_rows` failed: "),
    ] {
        site.edit(from, to);
        let failed = site.ssp_run(&["-q", "--stage", "obs_sbn", "--force-stage", "obs_sbn"]);
        assert_eq!(failed.code, Some(5), "{to}: {}", failed.stderr);
        assert!(failed.stderr.contains(said), "{to}: {}", failed.stderr);
        assert!(site.outputs() == good, "{to}");
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new(), "{to}");
        site.edit(to, from);
    }
    site.edit("not_null: [id, stn]", "max_shrink: 10%");
    let some = |share: u32| {
        site.sql(&format!("DELETE FROM obs_sbn WHERE stn = 'X05' AND id % 100 < {share}"));
        site.ssp_run(&["-q", "--stage", "obs_sbn"])
    };
    some(40).expect(5).says("check `max_shrink` failed: ");
    assert!(site.outputs() == good);
    // Against the last good output, not the last look: still too few.
    site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(5);
    site.edit("max_shrink: 10%", "max_shrink: 90%");
    site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(0);
    assert!(site.outputs() != good);
}

#[test]
fn a_stage_that_takes_too_long_is_stopped() {
    let site = Site::new();
    site.edit("ORDER BY id\n", "AND (SELECT pg_sleep(60)) IS NOT NULL\n");
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", "timeout: 1s");
    let clock = std::time::Instant::now();
    site.ssp_run(&["-q"]).expect(1).says("stage `obs_sbn` took longer than its timeout, 1s");
    assert!(clock.elapsed() < Duration::from_secs(20));
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' \
                AND pid <> pg_backend_pid()";
    assert_eq!(site.sql(ours).trim(), "0", "the query is running");
}

#[test]
fn fail_fast_leaves_out_what_could_still_have_run() {
    let site = Site::new();
    site.edit("SELECT * FROM obs_sbn", "SELECT nothing FROM obs_sbn");
    let other = "  other:\n    extract: {collection: '${collection}', dataset_type: dia_source_visit}\n    \
                 out: other.parquet\n\n  ssobject:\n";
    site.edit("  ssobject:\n", other);
    let status = || {
        let runs = site.last_run();
        runs.iter().find_map(|line| line.strip_prefix("other: ")).unwrap_or_default().to_owned()
    };
    site.ssp_run(&["-q", "-j", "1", "--fail-fast"]).expect(1);
    assert_eq!(status(), "cancelled");
    site.ssp_run(&["-q", "-j", "1"]).expect(1);
    assert_eq!(status(), "done (never_run)");
}

/// Remembered digests are believed, unless all files are to be read again.
#[test]
fn verify_hashes_believes_nothing() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    // Only files older than 2 s are remembered.
    sleep(Duration::from_millis(2100));
    site.ssp_run(&["-q"]).expect(0);
    let path = site.path("data/.ssp/digests.json");
    let mut digests: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let files = digests.as_object_mut().unwrap();
    let [one, other] = ["mpc_orbits.parquet", "obs_sbn.parquet"]
        .map(|name| files.keys().find(|key| key.ends_with(name)).unwrap().clone());
    files[&one]["digest"] = files[&other]["digest"].clone();
    put(&path, digests.to_string().as_bytes());
    let plan = site.ssp_run(&["-n"]).stdout;
    assert!(plan.contains("RUN    mpc_orbits") && plan.contains("output_modified"), "{plan}");
    let verified = site.ssp_run(&["-n", "--verify-hashes", "--check"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}

#[test]
fn colours_completions_and_graphs_come_when_they_are_asked_for() {
    let site = Site::new();
    let plain = site.ssp_run(&["--force"]);
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.stderr);
    let coloured = site.ssp_run(&["--force", "--color", "always"]);
    assert!(coloured.stderr.contains("\u{1b}[32mdone") || coloured.stderr.contains("\u{1b}[36munchanged"));
    for shell in ["bash", "zsh", "fish"] {
        let script = site.ssp_run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("force-stage"), "{shell}: {script}");
    }
    let dot = site.ssp_run(&["graph", "--format", "dot"]).stdout;
    assert!(dot.starts_with("digraph") && dot.contains("\"dia_sources\" -> \"ssobject\";"), "{dot}");
    let mermaid = site.ssp_run(&["graph", "--format", "mermaid"]).stdout;
    assert!(
        mermaid.starts_with("flowchart LR\n") && mermaid.contains("dia_sources --> ssobject"),
        "{mermaid}"
    );
    let text = site.ssp_run(&["graph"]).stdout;
    assert!(text.contains("<- sssource, dia_sources, mpc_orbits\n"), "{text}");
}

#[test]
fn the_memory_of_a_build_is_no_reason_to_run_and_changes_no_byte() {
    let site = Site::new();
    let run = |arguments: &[&str]| {
        site.ssp_run(&[&["-q"], arguments].concat()).expect(0);
        site.worked()
    };
    run(&[]);
    let good = site.outputs();
    // Too little for the rows at once: they go through files.
    site.edit("      mpc_orbits: mpc_orbits\n", "      mpc_orbits: mpc_orbits\n      memory: 16K\n");
    assert_eq!(run(&[]), [""; 0]);
    for stage in ["sssource", "ssobject"] {
        assert_eq!(run(&["--force-stage", stage]), [format!("{stage}: unchanged (forced)")]);
    }
    assert!(site.outputs() == good);
    site.edit("memory: 16K", "memory: much");
    site.ssp_run(&["-q"]).expect(2).says("`much` is not a size: write a number with K, M, G or T");
}

#[test]
fn labels_of_ids_change_neither_the_extract_nor_the_table_made_of_it() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let bare = site.outputs();
    site.sql(
        "UPDATE obs_sbn SET obssubid = ' LSST-DP2-' || obssubid WHERE stn = 'X05' AND obssubid ~ '^[0-9]+$'",
    );
    site.ssp_run(&["-q"]).expect(0);
    assert!(site.last_run().iter().any(|line| line.starts_with("obs_sbn: done")), "{:?}", site.last_run());
    let labelled = site.outputs();
    for name in ["dia_sources.parquet", "sssource.parquet", "ssobject.parquet"] {
        assert_eq!(bare[name].len(), labelled[name].len(), "{name}");
        assert!(bare[name] == labelled[name], "{name} has other bytes");
    }
}
