//! `ssp-run`: flags as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::words::whole;
use crate::quantity::Period;

/// Bring the outputs of a pipeline up to date. Only stages whose inputs changed run again.
#[derive(Debug, Parser)]
#[command(name = "ssp-run", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Flags {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A run.
    #[command(flatten)]
    pub run: RunFlags,
}

const EXAMPLES: &str = "\
Examples:
  ssp-run -n                             show which stages would run, and why
  ssp-run pipelines/daily.yaml           bring everything up to date
  ssp-run --stage ssobject               one stage and what it needs
  ssp-run --set station=T05 -j 4         another station, at most 4 stages at once
  ssp-run -q                             for cron: prints nothing unless something fails
  ssp-run demo                           the whole pipeline on a small survey, on this machine

Exit codes:
  0 done or up to date   1 a stage failed   2 wrong command line or pipeline file   3 work is pending (--check)
  4 database or repository not reached   5 a check on an output failed   75 another run holds the lock
  128 + N stopped by signal N, such as 130 (Ctrl-C) and 143 (SIGTERM)";

const PIPELINE_FILE: &str = "The pipeline file [default: $SSP_PIPELINE, else pipelines/daily.yaml]";

/// Which pipeline.
#[derive(Debug, Args)]
pub(crate) struct PipelineFlags {
    /// The pipeline file.
    #[arg(help = PIPELINE_FILE)]
    pub pipeline: Option<PathBuf>,
    /// Set a variable of the file (may be repeated)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

/// Which pipeline, where the arguments are something else.
#[derive(Debug, Args)]
pub(crate) struct NamedPipeline {
    /// The pipeline file.
    #[arg(long = "pipeline", value_name = "FILE", help = PIPELINE_FILE)]
    pub file: Option<PathBuf>,
    /// Set a variable of the file (may be repeated)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl From<NamedPipeline> for PipelineFlags {
    fn from(flags: NamedPipeline) -> Self {
        Self { pipeline: flags.file, set: flags.set }
    }
}

/// A run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags as typed")]
pub(crate) struct RunFlags {
    /// Which pipeline.
    #[command(flatten)]
    pub pipeline: PipelineFlags,
    /// Run only this stage and the stages it needs (may be repeated)
    #[arg(long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// With --stage: do not run the stages it needs; exports still run together
    #[arg(long, requires = "stages")]
    pub only: bool,
    /// Print the plan without running it; takes no lock and writes no files
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Run every selected stage even if it is up to date
    #[arg(short, long)]
    pub force: bool,
    /// Run this stage even if it is up to date (may be repeated)
    #[arg(long = "force-stage", value_name = "STAGE")]
    pub force_stages: Vec<String>,
    /// Number of stages to run at once, and of compute threads they share, at most 256 [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = whole(1..=u16::MAX))]
    pub jobs: Option<u16>,
    /// Stop at the first failure instead of finishing the independent stages
    #[arg(long)]
    pub fail_fast: bool,
    /// Exit with code 3 if any stage would run; run no stage
    #[arg(long)]
    pub check: bool,
    /// How long to wait for another run to end, such as 10m [default: do not wait]
    #[arg(long, value_name = "PERIOD")]
    pub lock_timeout: Option<Period>,
    /// Use the recorded exports, whatever their age, without connecting to the database
    #[arg(long)]
    pub reuse_exports: bool,
    /// When the run ends, write its metrics to this file in the `OpenMetrics` format
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Read every file again instead of trusting its file-system metadata
    #[arg(long)]
    pub verify_hashes: bool,
    /// How much is said.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// How much is said, and how.
#[derive(Debug, Args)]
pub(crate) struct OutputFlags {
    /// Print only warnings, unless something fails
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Also print a line when a stage starts, with the reason
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the plan or the run's report as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Format of messages on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Colours
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Progress bars
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

/// When something is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What else to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a pipeline file; with --connect, also its database and each query
    Validate {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Connect to the database, show the origin of each setting, and prepare each query on the server
        #[arg(long)]
        connect: bool,
    },
    /// Print the stages and the stages they need
    Graph {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Output format
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Show why a stage would run, with old and new values
    Explain {
        /// The stage
        stage: String,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print each stage's last good output, the last run, and the current run if there is one
    Status {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print earlier runs, newest first
    History {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Maximum number of runs to print
        #[arg(short, long, value_name = "N", default_value_t = 20)]
        number: usize,
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Print the logs of a run, or of one of its stages
    Log {
        /// The run: its id, the first characters of its id, or latest [default: latest]
        run: Option<String>,
        /// The stage [default: all]
        stage: Option<String>,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Remove the records of old runs; outputs and the records that the next run needs are kept
    Gc {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Number of runs to keep, in addition to those that wrote a current output
        #[arg(long, value_name = "N", default_value_t = 30)]
        keep: usize,
        /// Only print what would be removed
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Print the manual page, or write the pages of all programs and subcommands to a folder
    Man {
        /// Folder for the manual pages
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the path of a run's report page; the page is made again if it is missing
    Report {
        /// The run: its id, the first characters of its id, or latest [default: latest]
        run: Option<String>,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
        /// Open it in a browser
        #[arg(long)]
        open: bool,
    },
    /// Run the demo pipeline on a small survey, with a throwaway database of its own
    Demo {
        /// Folder for the files of the demo
        #[arg(long, value_name = "DIR", default_value = "demo")]
        dir: PathBuf,
        /// Number of stages to run at once, and of compute threads, at most 256 [default: the number of cores]
        #[arg(short, long, value_name = "N", value_parser = whole(1..=u16::MAX))]
        jobs: Option<u16>,
        /// How much is said.
        #[command(flatten)]
        output: OutputFlags,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
        /// The program to complete
        #[arg(default_value = "ssp-run", value_parser = ["ssp-run", "fast-export", "extract-catalog", "ssp-build-ssobject"])]
        program: String,
    },
}

/// As what a graph is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Plain text.
    Text,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// A drawing.
    Svg,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("write NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
