//! Generations while a run or a rollback is killed at any of its calls to the file system.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cases::cases;
use crate::site::Site;
use crate::strace::{may_trace, strace};

/// The calls that change what is on disk. Only those of the first thread are counted: it publishes exports, keeps generations and
/// rolls back.
const CALLS: &str =
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,symlink,symlinkat,mkdir,mkdirat,rmdir,fsync";

/// The name of a call, and which of its name it is, from 1.
type Call = (String, usize);

/// The calls of a command that is left alone.
fn calls(site: &Site, arguments: &[&str]) -> Vec<Call> {
    let trace = site.path("trace");
    let options = ["-o", trace.to_str().unwrap(), "-e", &format!("trace={CALLS}")];
    assert!(strace(&site.command(arguments), &options), "{arguments:?} failed");
    let mut counts: HashMap<String, usize> = HashMap::new();
    let text = fs::read_to_string(trace).unwrap();
    let names = text.lines().filter_map(|line| Some(line.split_once('(')?.0.to_owned()));
    let mut numbered = |name: String| {
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        (name, *count)
    };
    names.filter(|name| CALLS.split(',').any(|call| call == name)).map(&mut numbered).collect()
}

/// Whether the command was killed at the call.
fn kill_at(site: &Site, (name, number): &Call, arguments: &[&str]) -> bool {
    let inject = format!("inject={name}:signal=KILL:when={number}");
    let options = ["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject];
    !strace(&site.command(arguments), &options)
}

/// Lays the data out again as they were kept, with their links.
fn lay_out(site: &Site, from: &Path) {
    let data = site.path("data");
    if data.exists() {
        fs::remove_dir_all(&data).unwrap();
    }
    let copied = Command::new("cp").arg("-a").args([from, &data]).status().unwrap();
    assert!(copied.success());
}

/// Kills the command at moments spread over its calls; what it may leave, and what the next run makes of it.
fn at_every_moment(
    site: &Site,
    start: &Path,
    arguments: &[&str],
    nights: [&BTreeMap<String, Vec<u8>>; 2],
    last: &BTreeMap<String, Vec<u8>>,
) {
    lay_out(site, start);
    let calls = calls(site, arguments);
    let number = (cases(8, 100) as usize).min(calls.len());
    let is_link = |call: &&Call| call.0.starts_with("link");
    let (mut killed, mut links, mut seen) = (0, 0, [0; 2]);
    for index in 0..number {
        let call = &calls[index * calls.len() / number];
        links += usize::from(is_link(&call));
        lay_out(site, start);
        killed += usize::from(kill_at(site, call, arguments));
        let found = site.through_current();
        let night = nights.iter().position(|night| **night == found);
        seen[night.unwrap_or_else(|| panic!("`current` mixes nights after a kill at {call:?}"))] += 1;
        let said = site.ssp_run(&["-q"]);
        assert_eq!(said.code, Some(0), "after a kill at {call:?}: {}", said.stderr);
        assert!(site.outputs() == *last && site.through_current() == *last, "after a kill at {call:?}");
        assert_eq!(site.leftovers(), Vec::<PathBuf>::new(), "after a kill at {call:?}");
    }
    println!(
        "{arguments:?}: {killed} kills at {number} of {} calls, {links} of them links; `current` was the old night {} times, the new one {}",
        calls.len(),
        seen[0],
        seen[1]
    );
    assert!(killed * 10 >= number * 9, "{killed} of {number} were killed");
    assert!(seen[0] > 0, "every kill came after the switch");
}

#[test]
fn current_is_one_whole_night_whenever_the_process_is_killed() {
    if !may_trace() {
        return;
    }
    let site = Site::new();
    let run = |arguments: &[&str]| assert_eq!(site.ssp_run(arguments).code, Some(0), "{arguments:?}");
    let keep = |name: &str| {
        let kept = site.path(name);
        assert!(Command::new("cp").arg("-a").args([&site.path("data"), &kept]).status().unwrap().success());
        kept
    };
    run(&["-q"]);
    let one = site.outputs();
    let first = keep("first");
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
    run(&["-q"]);
    let two = site.outputs();
    let second = keep("second");
    at_every_moment(&site, &first, &["-q"], [&one, &two], &two);
    at_every_moment(&site, &second, &["rollback"], [&two, &one], &two);
}
