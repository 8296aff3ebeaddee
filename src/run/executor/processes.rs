//! A stage in a process of its own, on this machine.

use std::path::Path;

use crate::pipeline::Stage;
use crate::run::failure::Failure;
use crate::stages::{Job, Product};

use super::execution::{self, Execution};

/// Makes the product of a stage whose task is in `folder`.
pub(super) fn work(stage: &Stage, job: &Job<'_>, folder: &Path, is_forced: bool) -> Result<Product, Failure> {
    let product = |mut execution: Execution| {
        execution.wait(job.monitor);
        execution.product(&stage.name, job.target)
    };
    let earlier = Execution::earlier(folder).and_then(|mut execution| {
        if is_forced {
            execution.end();
        }
        execution.tell(job.monitor);
        // What failed then may succeed now.
        product(execution).ok().filter(|_| !is_forced)
    });
    match earlier {
        Some(product) => Ok(product),
        None if job.monitor.is_stopped() => Err(Failure::stopped()),
        None => {
            execution::remove(folder);
            let started = Execution::start(folder, job.threads).map_err(|error| Failure::of(&error))?;
            product(started)
        }
    }
}
