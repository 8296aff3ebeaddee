//! Inputs that change under a run.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::site::{Site, put};

#[test]
#[expect(clippy::disallowed_methods, reason = "another program publishes the file")]
fn an_input_that_is_replaced_while_its_stage_runs_fails_the_stage() {
    let site = Site::new();
    let input = site.with_sssource_from_elsewhere();
    site.ssp_run(&["-q"]).expect(0);
    let good = site.outputs();
    let bytes = fs::read(&input).unwrap();
    let (new, done) = (site.path("inputs/.new"), AtomicBool::new(false));
    let said = thread::scope(|scope| {
        // The same bytes, put in place in one step as a careful producer does, but all the time.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                put(&new, &bytes);
                fs::rename(&new, &input).unwrap();
            }
        });
        let said = site.ssp_run(&["-q", "--force-stage", "ssobject"]);
        done.store(true, Ordering::Relaxed);
        said
    });
    said.expect(1).says("FAILED ssobject").says("sssource.parquet");
    assert!(site.outputs() == good);
    site.ssp_run(&["-q"]).expect(0);
    assert!(site.outputs() == good);
}
