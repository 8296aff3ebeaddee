//! The threads that compute: one pool for the whole process, with as many threads as `-j` says, up to a limit.
//!
//! All other threads only wait: for a server, a disk or each other. What takes processor time goes through [`compute`], so
//! that stages, row groups and columns share the pool. Not a place for what is computed.

use std::error::Error as _;
use std::num::NonZeroUsize;

use rayon::{ThreadPoolBuildError, ThreadPoolBuilder};

/// The most threads that are started, unless there are more cores: many times more than cores only cost time and memory.
pub(crate) const MAX_THREADS: u16 = 256;

/// Starts the pool of the process; how many threads it has: as many as `jobs`, up to a limit. `None` is one for each core
/// that the process may use.
///
/// # Errors
/// If the threads cannot be started.
pub(crate) fn start(jobs: Option<u16>) -> Result<usize, ThreadPoolBuildError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = jobs.map_or(cores, usize::from).min(cores.max(MAX_THREADS.into()));
    let pool =
        ThreadPoolBuilder::new().num_threads(threads).thread_name(|number| format!("compute {number}"));
    match pool.build_global() {
        Err(error) if error.source().is_some() => Err(error),
        // A pool that is there already, as in a test, will do.
        _ => Ok(threads),
    }
}

/// Does `work` on a thread of the pool: on this one, if it is of a pool. It must not wait for what other threads compute.
pub(crate) fn compute<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}
