//! `-j N` bounds the threads that compute, whatever they compute.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::place::{Place, Said, build_ssobject, case};

const WIDE: &str = "SELECT n, md5(n::text) AS a, md5((-n)::text) AS b FROM generate_series(1, 250000) AS n";

/// The processor time of each thread of a process, in ticks of 10 ms, with its name.
fn threads(process: u32) -> impl Iterator<Item = (String, (String, u64))> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (number, rest) = stat.split_once(" (")?;
        let (name, fields) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let time = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some((number.to_owned(), (name.to_owned(), time)))
    })
}

/// How many threads computed and for how long, and the time of all others.
fn watched(mut child: Child) -> (usize, u64, u64) {
    let mut seen = BTreeMap::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(threads(child.id()));
        sleep(Duration::from_millis(5));
    }
    Said::from(child.wait_with_output().unwrap()).expect(0);
    let computed = |name: &str| name.starts_with("compute ");
    let time = |wanted: bool| {
        seen.values().filter(|(name, _)| computed(name) == wanted).map(|(_, time)| time).sum::<u64>()
    };
    (seen.values().filter(|(name, _)| computed(name)).count(), time(true), time(false))
}

#[test]
fn all_that_computes_shares_as_many_threads_as_were_asked_for() {
    let place = Place::with("");
    place.pipeline(&format!(
        "  a: {{export: {{sql: '{sql}'}}, out: a.parquet, checks: {{unique: [n]}}}}\n\
        \x20 b: {{export: {{sql: '{sql}'}}, out: b.parquet}}\n\
        \x20 c: {{{build}, out: c.parquet}}\n",
        build = build_ssobject(&case("sssource.parquet")),
        sql = WIDE.replace('\'', "''"),
    ));
    let commands: [(&str, usize, &[&str]); 3] = [
        ("ssp-run", 1, &["-q", "--force", "pipeline.yaml", "-j", "1"]),
        ("ssp-run", 2, &["-q", "--force", "pipeline.yaml", "-j", "2"]),
        ("fast-export", 1, &["--silent", "--sql", WIDE, "--out", "a.parquet", "-j", "1"]),
    ];
    for (program, jobs, arguments) in commands {
        let mut command = place.program(program);
        let child = command.args(arguments).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (count, computing, waiting) = watched(child);
        assert_eq!(count, jobs, "{program}");
        // Threads that read what the server sends do little else. Starting takes some ticks.
        assert!(
            computing > 12 && waiting < computing / 4 + 4,
            "{program} -j {jobs}: {computing} and {waiting}"
        );
    }
}

/// Thousands of threads take minutes to start, and no signal ends that.
#[test]
fn no_more_threads_are_started_than_are_of_use() {
    let place = Place::with("");
    let export = |name: &str| format!("  {name}: {{export: {{sql: '{WIDE}'}}, out: {name}.parquet}}\n");
    place.pipeline(&["a", "b"].map(export).concat());
    let cores = std::thread::available_parallelism().unwrap().get();
    let most = cores.max(256);
    let mut command = place.program("ssp-run");
    command.args(["pipeline.yaml", "-j", "256"]);
    let began = std::time::Instant::now();
    let (count, ..) = watched(command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    // What a thread starts has its name for a moment.
    assert!(count <= most + 8 && count > 100, "{count}");
    assert!(began.elapsed() < Duration::from_secs(20));
    // As many stages at once as were asked for.
    let events = fs::read_to_string(place.path("out/.ssp/runs/latest/events.jsonl")).unwrap();
    assert!(events.lines().next().unwrap().contains("\"jobs\":256"), "{events}");
    let mut command = place.program("ssp-build-ssobject");
    command.args(["sssource.parquet", "dia_sources.parquet", "mpc_orbits.parquet"].map(case));
    command.args(["-o", "o.parquet", "-j", "256"]);
    let (count, ..) = watched(command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    assert!(count <= most + 8, "{count}");
}
