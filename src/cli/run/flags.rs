//! `ssp-run`: flags as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::words::whole;
use crate::quantity::Period;

/// Bring the outputs of a pipeline up to date. A pipeline consists of stages, and each stage writes one file. `ssp-run`
/// runs only the stages that need to run.
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
  ssp-run --stage ssobject               run one stage and the stages that it needs
  ssp-run --set station=T05 -j 4         set a variable; run at most 4 stages at once
  ssp-run -q                             for cron: print only warnings and failures
  ssp-run demo                           run the whole pipeline on a small survey

Exit codes:
  0    done, or already up to date
  1    a stage failed
  2    wrong command line or pipeline file; no stage ran
  3    with --check: at least one stage would run
  4    no connection to the database or the repository
  5    an output failed a check
  75   another run holds the lock of the output folder
  128 + N   signal N stopped the run: 130 is Ctrl-C, 143 is SIGTERM";

const PIPELINE_FILE: &str = "The pipeline file [default: $SSP_PIPELINE, else pipelines/daily.yaml]";

/// Which pipeline.
#[derive(Debug, Args)]
pub(crate) struct PipelineFlags {
    /// The pipeline file.
    #[arg(help = PIPELINE_FILE)]
    pub pipeline: Option<PathBuf>,
    /// Set a variable of the pipeline file. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

/// Which pipeline, where the arguments are something else.
#[derive(Debug, Args)]
pub(crate) struct NamedPipeline {
    /// The pipeline file.
    #[arg(long = "pipeline", value_name = "FILE", help = PIPELINE_FILE)]
    pub file: Option<PathBuf>,
    /// Set a variable of the pipeline file. You can repeat this flag
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
    /// Run only this stage and the stages that it needs. You can repeat this flag
    #[arg(long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// With --stage: run only the named stage, not the stages that it needs. If this stage is an export, all other exports
    /// run too
    #[arg(long, requires = "stages")]
    pub only: bool,
    /// Print the plan: which stages would run, and why. Run no stage, write no file and take no lock
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Run all selected stages, even if they are up to date
    #[arg(short, long)]
    pub force: bool,
    /// Run this stage even if it is up to date. You can repeat this flag
    #[arg(long = "force-stage", value_name = "STAGE")]
    pub force_stages: Vec<String>,
    /// Run at most N stages at once. All stages together also use N threads for their computations. N can be at most 256
    /// [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = whole(1..=u16::MAX))]
    pub jobs: Option<u16>,
    /// If a stage fails, stop all other stages. Without this flag, the run continues with the stages that do not need the
    /// failed stage
    #[arg(long)]
    pub fail_fast: bool,
    /// Run no stage. Exit with code 3 if at least one stage would run
    #[arg(long)]
    pub check: bool,
    /// If another run is in progress, wait up to this time, for example 10m [default: do not wait]
    #[arg(long, value_name = "PERIOD")]
    pub lock_timeout: Option<Period>,
    /// Use the exported files of earlier runs, even if these files are old. Do not connect to the database
    #[arg(long)]
    pub reuse_exports: bool,
    /// At the end of the run, write numbers about the run to this file. The file is for a monitoring system and has the
    /// format `OpenMetrics`
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
    /// To find changed files, read the content of every file. Without this flag, a file counts as unchanged if its size and
    /// times have not changed
    #[arg(long)]
    pub verify_hashes: bool,
    /// How much is said.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// How much is said, and how.
#[derive(Debug, Args)]
pub(crate) struct OutputFlags {
    /// Print only warnings and failures
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When a stage starts, also print the reason why the stage runs
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the report of the run as JSON on standard output. With --dry-run, print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Format of messages on standard error
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

/// When something is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Only on a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What else to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a pipeline file. With --connect, also check the database and the queries
    Validate {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Also connect to the database. Print the source of each connection setting, and let the server check each query
        #[arg(long)]
        connect: bool,
    },
    /// Print the graph of the stages: each stage with the stages that it needs
    Graph {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Output format
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Show why a stage would run: what has changed, from which old value to which new value
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
    /// Print the last good output of each stage, the last run, and the run in progress
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
    /// Print the logs of a run, or the log of one stage
    Log {
        /// The run: its id, the first characters of its id, or `latest` [default: `latest`]
        run: Option<String>,
        /// The stage [default: all stages]
        stage: Option<String>,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Remove the records (reports, logs and so on) of old runs. The command keeps all outputs, and keeps the records that
    /// the next run needs
    Gc {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Keep the newest N runs. The command also keeps each run that wrote a current output
        #[arg(long, value_name = "N", default_value_t = 30)]
        keep: usize,
        /// Print which runs the command would remove, and remove no run
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Print the manual page of `ssp-run`. With --dir, write the manual pages of all programs to a folder
    Man {
        /// Folder for the manual pages
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the path of the report page of a run. If the page is missing, make the page again
    Report {
        /// The run: its id, the first characters of its id, or `latest` [default: `latest`]
        run: Option<String>,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
        /// Also open the page in a browser
        #[arg(long)]
        open: bool,
    },
    /// Run the demo pipeline on a small survey. The demo starts its own database server
    Demo {
        /// Folder for the files of the demo
        #[arg(long, value_name = "DIR", default_value = "demo")]
        dir: PathBuf,
        /// Run at most N stages at once. All stages together also use N threads for their computations. N can be at most
        /// 256 [default: the number of cores]
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
        /// The program for which you want the script
        #[arg(default_value = "ssp-run", value_parser = ["ssp-run", "fast-export", "extract-catalog", "ssp-build-sssource", "ssp-build-ssobject"])]
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
    /// An SVG drawing.
    Svg,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("write NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
