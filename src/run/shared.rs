//! What the threads of a run share. Not a place for what one of them does.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::environment::Environment;
use crate::monitor::Monitor;

use super::events::Observer;
use super::executor::Queue;
use super::facts::Situation;

pub(super) struct Shared<'a> {
    pub situation: &'a Situation<'a>,
    pub observer: &'a Arc<dyn Observer>,
    pub run: &'a str,
    /// Threads that a stage may use.
    pub threads: usize,
    /// The queue of Slurm.
    pub queue: &'a Queue,
    pub environment: &'a Environment,
    pub monitor: Monitor,
    pub group: Monitor,
    /// Whether it was told, in this attempt or an earlier one, that connections are short.
    pub shortage_told: &'a AtomicBool,
}
