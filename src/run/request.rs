//! What is asked of a run. Not a place for how it is done.

use std::path::Path;
use std::time::Duration;

use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::pipeline::{Executor, Pipeline};
use crate::plan::{Graph, Selection, StageId};

/// What is asked of a run.
pub struct Request<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its stages in order.
    pub graph: &'a Graph,
    /// The stages that the run is about.
    pub selection: &'a Selection,
    /// Stages at once.
    pub jobs: usize,
    /// Threads that compute for all of them.
    pub threads: usize,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Stages that run even if up to date.
    pub forced: Vec<StageId>,
    /// How long to wait for another run to end.
    pub lock_timeout: Duration,
    /// Whether remembered digests are not to be believed.
    pub verify_hashes: bool,
    /// Whether the recorded exports are taken as they are, without connecting.
    pub reuse_exports: bool,
    /// Where all stages work, instead of where the pipeline file says.
    pub executor: Option<Executor>,
    /// Where to put the run's metrics.
    pub metrics_file: Option<&'a Path>,
    /// The environment variables.
    pub environment: &'a Environment,
    /// Stops the run; its reason is the name of a signal.
    pub monitor: Monitor,
}

impl<'a> Request<'a> {
    /// One job at a time, nothing forced or trusted, no waiting, never stopped.
    #[must_use]
    pub fn new(
        pipeline: &'a Pipeline,
        graph: &'a Graph,
        selection: &'a Selection,
        environment: &'a Environment,
    ) -> Self {
        Self {
            pipeline,
            graph,
            selection,
            jobs: 1,
            threads: 1,
            fail_fast: false,
            forced: Vec::new(),
            lock_timeout: Duration::ZERO,
            verify_hashes: false,
            reuse_exports: false,
            executor: None,
            metrics_file: None,
            environment,
            monitor: Monitor::default(),
        }
    }
}
