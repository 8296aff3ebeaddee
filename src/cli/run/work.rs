//! `ssp-run work`: what `ssp-run` calls for a stage that works in a process of its own.

use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure, threads};
use crate::cli::signals::Signals;
use crate::environment::Environment;
use crate::run::{Place, WorkEnd};

/// Does the work of the task that the folder of an execution is for; in a job of Slurm, of the task in the folder.
pub(super) fn work(
    folder: &Path,
    submission: Option<u32>,
    scratch: Option<&Path>,
    jobs: Option<u16>,
    environment: &Environment,
    signals: &Signals,
) -> Result<Exit, Failure> {
    signals.defer();
    let threads = NonZeroUsize::new(threads(jobs)?).unwrap_or(NonZeroUsize::MIN);
    let place = submission.map_or(Place::Execution(folder), |submission| Place::Job {
        task: folder,
        submission,
        scratch,
    });
    let ended = crate::run::work(place, threads, environment, signals.monitor());
    match ended.map_err(Failure::fault)? {
        WorkEnd::Made => Ok(Exit::Done),
        WorkEnd::Failed => Ok(Exit::Failed),
        WorkEnd::Stopped => Err(Failure::stopped(signals)),
        WorkEnd::NoTask => {
            let error = anyhow!("`{}` has no task of this version of ssp-run", folder.display());
            Err(Failure::usage(error))
        }
        WorkEnd::Elsewhere(why) => Err(Failure::new(Exit::Locked, anyhow!(why))),
    }
}
