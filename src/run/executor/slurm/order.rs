//! What a stage asks of Slurm.

use std::path::Path;
use std::time::Duration;

use crate::monitor::Monitor;
use crate::pipeline::{SlurmSpec, Stage};
use crate::run::store::Store;

use super::queue::Queue;

/// A task that is worked on by jobs.
pub(in crate::run::executor) struct Order<'a> {
    pub spec: &'a SlurmSpec,
    pub queue: &'a Queue,
    pub store: &'a Store,
    pub pipeline: &'a str,
    pub stage: &'a Stage,
    /// The folder of the task, and its name.
    pub folder: &'a Path,
    pub task: &'a str,
    pub slices: Option<u32>,
    /// The file that the output is to become.
    pub out: &'a Path,
    pub monitor: &'a Monitor,
    pub timeout: Option<Duration>,
    /// The log of the stage.
    pub log: &'a Path,
}

impl Order<'_> {
    /// Whether each slice has a job of its own in an array.
    pub(super) fn is_array(&self) -> bool {
        self.slices.is_some()
    }
}
