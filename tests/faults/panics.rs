//! A fault of our own in the middle of a stage.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ssp::environment::Environment;
use ssp::plan::{Graph, Selection};
use ssp::run::{Event, Observer, Request, RunStatus, Silent, StageStatus, execute};

/// An observer that panics when a stage starts: in the stage's own thread.
struct Faulty(&'static str);

impl Observer for Faulty {
    fn event(&self, event: &Event<'_>) {
        if let Event::StageStarted { stage, .. } = event {
            assert!(stage.as_str() != self.0, "no reason at all");
        }
    }
}

#[test]
fn a_stage_that_panics_has_failed_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case");
    let build = |name: &str| {
        format!(
            "  {name}:\n    build-ssobject:\n      sssource: {case}/sssource.parquet\n      \
             dia_sources: {case}/dia_sources.parquet\n      mpc_orbits: {case}/mpc_orbits.parquet\n    \
             out: {name}.parquet\n",
            case = case.display()
        )
    };
    let text =
        format!("version: 1\nname: faulty\nout_dir: data\nstages:\n{}{}", build("first"), build("second"));
    let file = folder.path().join("faulty.yaml");
    let reading = ssp::pipeline::read(&file, &text, &BTreeMap::new(), &|_| None);
    assert!(reading.mistakes.is_empty(), "{:?}", reading.mistakes);
    let pipeline = reading.pipeline.unwrap();
    let graph = Graph::seal(&pipeline).unwrap();
    let selection = Selection::all(&graph);
    let environment = Environment::default();
    let request = Request { jobs: 2, ..Request::new(&pipeline, &graph, &selection, &environment) };

    let report = execute(&request, Arc::new(Faulty("first"))).unwrap();
    let ended: Vec<_> = report.stages.iter().map(|stage| (stage.stage.as_str(), stage.status)).collect();
    assert_eq!(ended, [("first", StageStatus::Failed), ("second", StageStatus::Done)]);
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(
        report.stages[0].errors,
        ["this is a fault in ssp, please report it: a panic: no reason at all"]
    );
    let out_dir = &pipeline.out_dir;
    assert!(!out_dir.join("first.parquet").exists() && out_dir.join("second.parquet").exists());

    let again = execute(&request, Arc::new(Silent)).unwrap();
    let ended: Vec<_> = again.stages.iter().map(|stage| stage.status).collect();
    assert_eq!(ended, [StageStatus::Done, StageStatus::UpToDate]);
    assert!(
        fs::read(out_dir.join("first.parquet")).unwrap() == fs::read(out_dir.join("second.parquet")).unwrap()
    );
}
