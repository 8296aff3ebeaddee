//! The flags of every program that makes one table.

use std::sync::Arc;

use clap::Args;

use super::failure::{Failure, threads};
use super::progress::RowProgress;
use super::signals::Signals;
use super::words::{jobs, word_of};
use crate::monitor::Monitor;
use crate::parquet::write::{Compression, Encodings};
use crate::quantity::Size;

#[derive(Debug, Args)]
pub(crate) struct TableFlags {
    /// Compression of the output
    #[arg(long, value_name = "CODEC", default_value_t, value_parser = word_of::<Compression>())]
    pub compression: Compression,
    /// Encoding of the values in the output. `compact`: for each column, the smallest encoding. `plain`: for programs
    /// that cannot read `compact`, for example fastparquet [default: `compact`]
    #[arg(long, value_name = "NAME", value_parser = word_of::<Encodings>())]
    pub encodings: Option<Encodings>,
    /// Number of threads, at most 256 [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = jobs())]
    pub jobs: Option<u16>,
    /// Approximate limit for the memory that the rows of the tables use, for example 8G or 500M. If the rows need more
    /// memory, the program writes rows to temporary files [default: half of the memory of this machine, or half of the
    /// limit of this container or Slurm job if this limit is lower]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Print only warnings and errors
    #[arg(short, long)]
    pub silent: bool,
    /// If the program fails, also print a backtrace: the place of the error in the source code. This flag works only if
    /// you also set the environment variable `RUST_BACKTRACE=1`
    #[arg(long)]
    pub reraise: bool,
}

impl TableFlags {
    /// Makes the table and shows the progress.
    pub(crate) fn make<T>(&self, signals: &Signals, make: impl FnOnce(&Monitor) -> T) -> Result<T, Failure> {
        threads(self.jobs)?;
        // From here on there are temporary files to remove.
        signals.defer();
        let progress = Arc::new(RowProgress::new(self.silent));
        let made = make(&signals.monitor().with_progress(progress.clone()));
        progress.end();
        Ok(made)
    }
}
