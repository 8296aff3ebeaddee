//! The flags of a run, and how much it says.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::words::{jobs, trimmed};
use crate::quantity::Period;

use super::PipelineFlags;

/// A run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags as typed")]
pub(crate) struct RunFlags {
    #[command(flatten)]
    pub pipeline: PipelineFlags,
    /// Run only this stage, and the stages that this stage needs. `+x` is the same as `x`. `x+` also selects the stages
    /// that need `x`. Separate several names with commas, or repeat this flag
    #[arg(long = "stage", value_name = "STAGE", value_delimiter = ',', value_parser = trimmed)]
    pub stages: Vec<String>,
    /// With `--stage`: do not run the stages that the named stage needs. If the named stage is an export, all other
    /// exports run too, because all exports of a run read one state of the database
    #[arg(long, requires = "stages")]
    pub only: bool,
    /// Do not run this stage. Stages that need it use its last good output. Separate several names with commas, or
    /// repeat this flag
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = trimmed)]
    pub exclude: Vec<String>,
    /// With `--only` and one stage: try the stage on its own, and write its output to FILE. An export reads a snapshot of its
    /// own. The outputs and the records of the pipeline do not change
    #[arg(long, value_name = "FILE", requires = "only", conflicts_with_all = ["dry_run", "check", "force", "full", "metrics_file"])]
    pub own_snapshot: Option<PathBuf>,
    /// Print the plan: the stages that would run, and the reasons. Run no stage, write no file, and do not lock the
    /// output folder
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Run all stages, even the stages that are up to date. With `--stage`, run only the selected stages
    #[arg(short, long)]
    pub force: bool,
    /// Run this stage even if it is up to date. Separate several names with commas, or repeat this flag
    #[arg(long = "force-stage", value_name = "STAGE", value_delimiter = ',', value_parser = trimmed)]
    pub force_stages: Vec<String>,
    /// Run all selected exports and extracts, even if they are up to date, and read all their rows and datasets again. Without
    /// this flag, they copy the parts that have not changed from their last output
    #[arg(long)]
    pub full: bool,
    /// Run at most N stages at the same time. The running stages share N threads for their computations. N can be at
    /// most 256 [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = jobs())]
    pub jobs: Option<u16>,
    /// If a stage fails, stop the run and all running stages. Without this flag, the run continues with the stages that
    /// do not need the failed stage
    #[arg(long)]
    pub fail_fast: bool,
    /// Run no stage. If at least one stage would run, exit with code 3
    #[arg(long)]
    pub check: bool,
    /// Do the work of all stages inside `ssp-run`. Without this flag, the key `executor` of the pipeline file decides
    #[arg(long, value_enum, value_name = "EXECUTOR")]
    pub executor: Option<HereOnly>,
    /// If another run locks the output folder, wait for at most this time, for example 10m (10 minutes) [default: do
    /// not wait]
    #[arg(long, value_name = "PERIOD")]
    pub lock_timeout: Option<Period>,
    /// Do not connect to the database. Use the exported files of earlier runs, even if these files are old
    #[arg(long)]
    pub reuse_exports: bool,
    /// At the end of the run, write numbers about the run to this file. A monitoring system can read this file. The
    /// format of the file is `OpenMetrics`
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// To find changed files, read the content of every file. Without this flag, `ssp-run` treats a file as unchanged
    /// if its size and its times have not changed
    #[arg(long)]
    pub verify_hashes: bool,
    #[command(flatten)]
    pub output: OutputFlags,
}

impl RunFlags {
    /// A file that the command writes beside the outputs, and what it is for.
    pub(crate) fn own_file(&self) -> Option<(&'static str, &Path)> {
        let metrics = self.metrics_file.as_deref().map(|file| ("the metrics", file));
        metrics.or(self.own_snapshot.as_deref().map(|file| ("the output", file)))
    }
}

/// How much is said, and how.
#[derive(Debug, Args)]
pub(crate) struct OutputFlags {
    /// Print only warnings and failures
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also print the reason when a stage starts, and its counts when the stage ends, for example the ids that were found
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the report of the run as JSON on standard output. If the command only makes a plan, print the plan as JSON
    /// instead
    #[arg(long)]
    pub json: bool,
    /// Format of the messages on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// When to show progress bars
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub progress: When,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where all stages do their work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HereOnly {
    /// Inside `ssp-run`.
    Local,
}

/// When something is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Only on a terminal, not in a file or a pipe.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Whether something is used; `auto` decides for [`When::Auto`].
    pub(crate) fn holds(self, auto: bool) -> bool {
        match self {
            Self::Auto => auto,
            Self::Always => true,
            Self::Never => false,
        }
    }
}
