//! What a stage costs that does not work in this process, for a plan.

use std::fmt::Write as _;

use crate::pipeline::{Executor, Stage};

use super::words::{count, period, size};

/// Jobs that work for a shorter time take longer to start than they save \[s\].
const LEAST_SECONDS: f64 = 60.0;

/// The jobs of a stage, the bytes of its inputs, and the time that it took when it last ran \[s\]; `None` if it needs no jobs.
pub(super) fn cost(executor: &Executor, stage: &Stage, bytes: u64, seconds: Option<f64>) -> Option<String> {
    let Executor::Slurm(spec) = executor else { return None };
    let slices = spec.slices_of(stage.work.as_ref()).unwrap_or(1);
    let (jobs, cores) = (count(slices as usize, "job"), count(spec.cpus.unwrap_or(1).into(), "core"));
    let mut text = format!("Slurm: {jobs} of {cores}");
    let amounts = [spec.mem.map(|mem| size(mem.0)), spec.time.map(|time| format!("at most {time}"))];
    for amount in amounts.into_iter().flatten() {
        let _ = write!(text, ", {amount}");
    }
    let _ = write!(text, "; reads {}", size(bytes));
    if let Some(seconds) = seconds {
        let _ = write!(text, "; took {} last time", period(seconds));
        if slices > 1 && seconds < LEAST_SECONDS * f64::from(slices) {
            text += "; one job can be as quick: each slice works for less than a minute";
        }
    }
    Some(text)
}
