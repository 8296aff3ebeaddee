//! An incremental run that is killed at a call to the file system or a request to the server: the output is the old or the new
//! one, and the next run makes the new one.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use crate::cases::cases;
use crate::place::{EXPORT, Place, TABLE};
use crate::strace::{may_trace, strace};

/// What changes files, and what asks the server something.
const CALLS: &str =
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,openat,write,pwrite64,writev,fsync,sendto";

/// Runs the pipeline under strace; whether it succeeded.
fn traced(place: &Place, options: &[&str]) -> bool {
    strace(&place.command("data", &["-q"]), &[&["-f"], options].concat())
}

/// Copies a folder over another one.
fn copy(place: &Place, from: &str, to: &str) {
    let _ = fs::remove_dir_all(place.path(to));
    let copied = Command::new("cp").arg("-a").args([place.path(from), place.path(to)]).status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_run_that_is_killed_leaves_the_old_or_the_new_output() {
    if !may_trace() {
        return;
    }
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    let old = place.bytes("data", "t");
    place.sql("UPDATE t SET v = 'new' WHERE id = 700");
    copy(&place, "data", "start");
    let trace = place.path("trace");
    assert!(traced(&place, &["-o", trace.to_str().unwrap(), "-e", &format!("trace={CALLS}")]));
    let new = place.bytes("data", "t");
    assert!(place.came("data", "t").cells().unwrap().1 > 0 && new != old);
    // `when` counts the calls of each thread by itself.
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    let text = fs::read_to_string(trace).unwrap();
    let calls: Vec<(String, usize)> = text
        .lines()
        .filter_map(|line| {
            let (thread, call) = line.split_once(' ')?;
            let name = call.trim_start().split_once('(')?.0.to_owned();
            let count = counts.entry((thread.to_owned(), name.clone())).or_default();
            *count += 1;
            CALLS.split(',').any(|known| known == name).then_some((name, *count))
        })
        .collect();
    let number = (cases(8, 100) as usize).min(calls.len());
    let (mut killed, mut seen) = (0, [0; 2]);
    for index in 0..number {
        let (name, count) = &calls[index * calls.len() / number];
        copy(&place, "start", "data");
        let inject = format!("inject={name}:signal=KILL:when={count}");
        killed +=
            usize::from(!traced(&place, &["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject]));
        let found = place.bytes("data", "t");
        assert!(found == old || found == new, "after a kill at {name} {count}");
        seen[usize::from(found == new)] += 1;
        place.run("data", &["-q"]);
        assert!(place.bytes("data", "t") == new, "after a kill at {name} {count}");
        // What is remembered is right, too.
        place.sql("SELECT txid_current()");
        place.run("data", &["-q"]);
        assert!(place.bytes("data", "t") == new, "after a kill at {name} {count}");
        assert_eq!(place.came("data", "t").cells().unwrap().0, 0, "after a kill at {name} {count}");
    }
    println!(
        "{killed} kills at {number} of {} calls; the output was the old one {} times, the new one {}",
        calls.len(),
        seen[0],
        seen[1]
    );
    assert!(killed * 10 >= number * 9 && seen[0] > 0, "{killed} of {number}, {seen:?}");
}
