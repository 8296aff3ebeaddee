//! A delivery that is killed at any request: at no time is there a manifest without all its objects, and the next run leaves
//! one whole delivery and nothing else.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::place::{Delivery, Place, deliveries};
use crate::proxy::{Fault, Hook, Proxy, Request};
use crate::store::{bucket, uploads};

/// A moment: at a request, before or after the server has it; whether another night's table is delivered afterwards.
#[derive(Clone, Copy, Debug)]
struct Moment {
    request: usize,
    after: bool,
    changes: bool,
}

fn kill(child: u32) {
    let killed = Command::new("kill").args(["-KILL", &child.to_string()]).stderr(Stdio::null()).status();
    killed.unwrap();
}

/// Kills a run at a moment; the requests until then, if there was such a moment.
fn killed_at(moment: Moment, place: &Place, proxy: &Proxy) -> Option<Vec<Request>> {
    let child: Arc<AtomicU32> = Arc::default();
    let known = Arc::clone(&child);
    let hook: Hook = Box::new(move |_| {
        loop {
            match known.load(Ordering::SeqCst) {
                0 => sleep(Duration::from_millis(1)),
                child => break kill(child),
            }
        }
    });
    proxy.forget();
    proxy.at(moment.request, if moment.after { Fault::After(hook) } else { Fault::Before(hook) });
    let mut running = place.command(&["p.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.store(running.id(), Ordering::SeqCst);
    let is_killed = running.wait().unwrap().code().is_none();
    proxy.behave();
    is_killed.then(|| proxy.requests())
}

fn checked(moment: Moment) -> bool {
    let bucket = bucket();
    let (place, out) = (&bucket.place, bucket.out());
    place.table("in/parts/z.parquet", 2_200_000, 5);
    let Some(requests) = killed_at(moment, place, &bucket.proxy) else { return false };
    // The server may still be at work on the request that it had.
    sleep(Duration::from_millis(20));
    let before = deliveries(&out);
    if moment.changes {
        place.table("in/small.parquet", 12, 9);
    }
    let said = place.run(&["p.yaml"]).expect(0);
    let after = deliveries(&out);
    let whole = |all: &[Delivery]| all.iter().filter(|one| one.manifest.is_some()).count();
    assert_eq!(whole(&after), after.len(), "{moment:?}: a half delivery is left:\n{}", said.text);
    // What was complete already stays.
    let expected = if moment.changes { whole(&before) + 1 } else { 1 };
    assert_eq!(after.len(), expected, "{moment:?}");
    let last = after.last().unwrap();
    let rows = if moment.changes { 12 } else { 10 };
    assert_eq!(last.manifest.as_ref().unwrap()["tables"][1]["rows"], rows, "{moment:?}");
    for delivery in &after {
        let name = delivery.folder.file_name().unwrap().to_str().unwrap();
        assert!(place.told().iter().any(|line| line.contains(name)), "{moment:?}: no one was told of {name}");
    }
    assert!(!place.state().exists(), "{moment:?}");
    // An upload without a part had just been started: the killed run may not have had its id.
    let asked = |part: &str| requests.iter().any(|request| request.path.contains(part));
    let allowed = usize::from(asked("?uploads") && !asked("partNumber="));
    assert!(uploads(&bucket.s3) <= allowed, "{moment:?}: an upload is left");
    place.run(&["p.yaml"]).expect(0).shows("up to date ppdb");
    assert_eq!(deliveries(&out).len(), expected);
    true
}

/// 12 kills; with `SSP_FAULTS` at every request, more than 50.
#[test]
fn a_kill_at_any_request_leaves_nothing_half() {
    let is_full = std::env::var_os("SSP_FAULTS").is_some();
    let mut kills = 0;
    for request in 1.. {
        let mut were_killed = 0;
        for (after, changes) in [(false, false), (true, false), (false, true), (true, true)] {
            let number = request * 4 + usize::from(after) * 2 + usize::from(changes);
            if is_full || number % 7 == 0 {
                were_killed += u32::from(checked(Moment { request, after, changes }));
            }
        }
        kills += were_killed;
        if request > 30 || is_full && were_killed == 0 {
            break;
        }
    }
    assert!(kills >= if is_full { 50 } else { 8 }, "{kills} kills");
}

/// To a folder: no request tells the moments, so time does.
#[test]
fn a_kill_at_any_time_leaves_nothing_half_in_a_folder() {
    let place = Place::new("out/${run}/");
    place.table("in/parts/z.parquet", 300_000, 5);
    let out = place.path("out");
    let mut kills = 0;
    for step in 0..30 {
        place.table("in/small.parquet", 100 + step, 5);
        let mut running =
            place.command(&["p.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(10 + 8 * u64::try_from(step).unwrap()));
        running.kill().unwrap();
        kills += u32::from(running.wait().unwrap().code().is_none());
        deliveries(&out);
        if step % 3 == 0 {
            place.run(&["p.yaml"]).expect(0);
            assert_whole(&out, step);
        }
    }
    place.run(&["p.yaml"]).expect(0);
    assert_whole(&out, 29);
    assert!(kills > 5, "{kills}");
}

#[track_caller]
fn assert_whole(out: &Path, step: i64) {
    let all = deliveries(out);
    assert!(all.iter().all(|delivery| delivery.manifest.is_some()), "{all:?}");
    let last = all.last().unwrap().manifest.as_ref().unwrap();
    assert_eq!(last["tables"][1]["rows"], 100 + step);
    let files =
        std::fs::read_dir(out).unwrap().flatten().flat_map(|entry| std::fs::read_dir(entry.path()).unwrap());
    let names: Vec<String> =
        files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".ssp-tmp")), "{names:?}");
}
