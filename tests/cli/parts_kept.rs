//! Outputs of parts in the hands of others: readers, later stages, generations, and runs that are killed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::parquet::lines;
use crate::parts::{Place, assert_named_by_content};
use crate::python::python;
use crate::said::Said;
use crate::site::Site;
use crate::strace::may_trace;

#[test]
fn parts_of_a_night_are_kept_compared_and_put_back() {
    let place = Place::new();
    place.good(&[]);
    let old = place.parts("data/sssource");
    place.night(1);
    place.good(&[]);
    let new = place.parts("data/sssource");
    let kept = place.path("data/.ssp/generations/current/sssource");
    assert!(kept.is_dir() && !kept.is_symlink());
    assert_eq!(place.parts("data/.ssp/generations/current/sssource"), new);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let part = place.first_part();
    assert_eq!(inode(&part), inode(&kept.join(part.file_name().unwrap())));
    let generations: Value = serde_json::from_str(&place.run(&["generations", "--json"]).text).unwrap();
    assert!(generations.as_array().unwrap().iter().all(|kept| kept["damaged"] == serde_json::json!([])));
    let bytes: usize = new.values().map(Vec::len).sum();
    assert_eq!(generations[0]["bytes"], bytes);

    let differences: Value = serde_json::from_str(&place.run(&["diff", "--json"]).text).unwrap();
    assert_eq!(differences["stages"][0]["added"]["rows"], 1, "{differences}");
    assert_eq!(differences["stages"][0]["removed"]["rows"], 0, "{differences}");
    let head = place.run(&["head", "sssource", "--json", "-n", "9"]).text;
    assert_eq!(head.lines().count(), 4, "{head}");
    let described: Value =
        serde_json::from_str(&place.run(&["describe", "sssource", "--json"]).text).unwrap();
    assert_eq!((&described["rows"], &described["warnings"]), (&4.into(), &serde_json::json!([])));
    let mut columns = described["columns"].as_array().unwrap().iter();
    let ids = columns.find(|column| column["name"] == "diaSourceId").unwrap();
    assert_eq!((&ids["min"], &ids["max"], &ids["nulls"]), (&101.into(), &105.into(), &0.into()));

    place.run(&["rollback"]).expect(0);
    assert_eq!(place.parts("data/sssource"), old);
    assert_named_by_content(&old, &place.record());
    assert_eq!(place.parts("data/.ssp/generations/current/sssource"), old);
    // The next run finds the inputs of the second night.
    assert_eq!(place.good(&[]), "done input_changed input_changed");
    assert_eq!(place.parts("data/sssource"), new);

    // What is damaged in a generation is not put back.
    let oldest =
        fs::read_dir(place.path("data/.ssp/generations")).unwrap().map(|entry| entry.unwrap().path());
    let oldest = oldest.filter(|path| !path.is_symlink()).min().unwrap().join("sssource");
    let damaged = fs::read_dir(&oldest).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(damaged).unwrap();
    place.run(&["rollback"]).expect(1).says("it was changed or removed");
    assert_eq!(place.parts("data/sssource"), new);
}

/// At each call that renames, links or removes, a run is killed: the parts are those of one night, and the next run finishes.
#[test]
fn a_run_killed_at_any_step_leaves_the_old_parts_or_the_new_ones() {
    const CALLS: &str =
        "rename,renameat,renameat2,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,link,linkat";
    let place = Place::new();
    let traced = |options: &[&str]| {
        let mut strace = place.command("strace");
        strace.args(["-f", "-qq", "-o"]).args(options).arg(env!("CARGO_BIN_EXE_ssp-run"));
        strace.args(["pipeline.yaml", "-q", "-j", "1"]).output().unwrap().status.success()
    };
    if !may_trace() {
        return;
    }
    place.good(&[]);
    let old = place.parts("data/sssource");
    place.night(1);
    let start = place.path("start");
    let copy = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    copy(&place.path("data"), &start);
    assert!(traced(&["trace", "-e", &format!("trace={CALLS}")]));
    let new = place.parts("data/sssource");
    let trace = fs::read_to_string(place.path("trace")).unwrap();
    let is_of_parts =
        |line: &&str| line.contains("/parts/") || line.contains("publish/") || line.contains("sssource");
    // The calls of each thread are counted apart, as strace counts them.
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut moments = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let name = call.trim().split('(').next().unwrap();
        if CALLS.split(',').any(|call| call == name) {
            let number = numbers.entry((thread, name)).or_default();
            *number += 1;
            moments.extend(is_of_parts(&line).then_some((name, *number)));
        }
    }
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 10, "{trace}");
    let (mut seen, mut killed) = ([0; 2], 0);
    for (call, number) in &moments {
        copy(&start, &place.path("data"));
        let inject = format!("inject={call}:signal=KILL:when={number}");
        let options = ["/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
        killed += usize::from(!traced(&options));
        let found = place.parts("data/sssource");
        let night = [&old, &new].into_iter().position(|night| *night == found);
        seen[night.unwrap_or_else(|| panic!("mixed parts after a kill at {call} {number}"))] += 1;
        let is_written_down = place.path("data/.ssp/publish/sssource.json").exists();
        let made = place.good(&[]);
        // What was written down is finished, and not made again.
        assert!(!is_written_down || made == "up_to_date", "{made} after a kill at {call} {number}");
        assert_eq!(place.parts("data/sssource"), new, "after a kill at {call} {number}");
        assert_named_by_content(&new, &place.record());
        (0..2).for_each(|_| assert_eq!(place.good(&[]), "up_to_date", "after a kill at {call} {number}"));
        let entries = fs::read_dir(place.path("data/.ssp/parts")).unwrap();
        let mut left: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.retain(|name| name != "replaced.json");
        assert_eq!(left, [place.led_to()], "after a kill at {call} {number}");
    }
    println!(
        "{killed} kills at {} calls: the old parts {} times, the new ones {}",
        moments.len(),
        seen[0],
        seen[1]
    );
    assert!(seen[0] > 0 && seen[1] > 0 && killed * 4 >= moments.len() * 3, "{killed} of {}", moments.len());
}

#[test]
fn python_reads_the_folder() {
    let place = Place::new();
    place.good(&[]);
    let program = "
import duckdb, polars, pyarrow.dataset, pyarrow.parquet
folder = 'data/sssource'
rows = pyarrow.parquet.read_table(folder).num_rows
assert rows == 3, rows
assert pyarrow.dataset.dataset(folder).count_rows() == rows
assert duckdb.sql(f\"SELECT count(*) FROM '{folder}/*.parquet'\").fetchall() == [(rows,)]
assert polars.read_parquet(folder + '/').height == rows
";
    let mut python = place.command(python().to_str().unwrap());
    Said::from(python.args(["-c", program]).output().unwrap()).expect(0);
}

/// The demo's pipeline: a stage that reads the parts makes the same bytes as from one file, and the report reads all parts.
#[test]
fn a_stage_reads_the_parts_as_one_table() {
    let site = Site::new();
    let run = |arguments: &[&str]| {
        site.ssp_run(arguments).expect(0);
    };
    run(&["-q"]);
    let bytes = |name: &str| fs::read(site.path("data").join(name)).unwrap();
    let ssobject = bytes("ssobject.parquet");
    let page = || {
        let page = fs::read_to_string(site.path("data/.ssp/runs/latest/report.html")).unwrap();
        let start = page.find("The table of sssource").unwrap();
        page[start..].split("</section>").next().unwrap().to_owned()
    };
    let drawn = page();
    site.edit("    out: sssource.parquet\n", "    out: sssource/\n");
    site.edit(
        "      numbered_identifications: numbered_identifications\n",
        "      numbered_identifications: numbered_identifications\n      part_rows: 100\n",
    );
    run(&["-q"]);
    assert_eq!(
        site.worked(),
        [
            "sssource: done (output_missing, params_changed: part_rows)",
            "ssobject: unchanged (input_changed: sssource)"
        ]
    );
    let parts = fs::read_dir(site.path("data/sssource")).unwrap().count();
    assert!(parts > 3, "{parts}");
    assert_eq!(lines(&site.path("data/sssource")), lines(&site.path("data/sssource.parquet")));
    assert!(bytes("ssobject.parquet") == ssobject);
    assert_eq!(page(), drawn);
    run(&["--check", "-q"]);
    // A part that is gone is made again before it is read.
    let part = fs::read_dir(site.path("data/sssource")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(part).unwrap();
    run(&["-q"]);
    assert_eq!(site.worked(), ["sssource: done (output_modified: digest)"]);
}
