//! `ssp-run`: flags as typed.

mod first;
mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::words::whole;

use first::{DEMO_EXAMPLES, INIT_EXAMPLES, TABLES_EXAMPLES};
pub(crate) use first::{DemoFlags, InitFlags, TablesFlags};
pub(crate) use run::{HereOnly, LogFormat, OutputFlags, RunFlags};

use super::look::flags::{
    DESCRIBE_EXAMPLES, DIFF_EXAMPLES, DescribeFlags, DiffFlags, HEAD_EXAMPLES, HeadFlags,
};

/// Bring the outputs of a pipeline up to date. A pipeline consists of stages, and most stages write one output file.
/// `ssp-run` runs only the stages that are not up to date. For example, a stage is not up to date if an input of the
/// stage has changed.
#[derive(Debug, Parser)]
#[command(name = "ssp-run", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunFlags,
}

const EXAMPLES: &str = "\
Examples:
  ssp-run -n                             show which stages would run, and why
  ssp-run pipelines/daily.yaml           bring all outputs up to date
  ssp-run --stage ssobject               run one stage and the stages that it needs
  ssp-run --set collection=NAME -j 4     set a variable; run at most 4 stages at once
  ssp-run -q                             for cron: print only warnings and failures
  ssp-run demo                           run the whole pipeline on a small survey

Exit codes:
  0    done, or already up to date
  1    a stage failed
  2    a mistake in the command line or the pipeline file; no stage ran
  3    with --check: at least one stage would run
  4    no connection to a database, repository, object store or Slurm
  5    an output failed a check
  75   another run holds the lock of the output folder
  128 + N   signal N stopped the run: 130 is Ctrl-C, 143 is SIGTERM";

const PIPELINE_FILE: &str = "The pipeline file [default: the file in the environment variable SSP_PIPELINE, \
                             or pipelines/daily.yaml if this variable is not set]";

/// Which pipeline.
#[derive(Debug, Args)]
pub(crate) struct PipelineFlags {
    /// The pipeline file.
    #[arg(help = PIPELINE_FILE, conflicts_with = "file")]
    pub pipeline: Option<PathBuf>,
    /// The pipeline file, as a flag.
    #[arg(short = 'p', long = "pipeline", value_name = "FILE", help = "The pipeline file, given as a flag")]
    pub file: Option<PathBuf>,
    /// Set a variable of the pipeline file, for example collection=NAME. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

/// Which pipeline, where the arguments are something else.
#[derive(Debug, Args)]
pub(crate) struct NamedPipeline {
    /// The pipeline file.
    #[arg(short = 'p', long = "pipeline", value_name = "FILE", help = PIPELINE_FILE)]
    pub file: Option<PathBuf>,
    /// Set a variable of the pipeline file, for example collection=NAME. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl From<NamedPipeline> for PipelineFlags {
    fn from(flags: NamedPipeline) -> Self {
        Self { pipeline: None, file: flags.file, set: flags.set }
    }
}

/// What else to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the tables of a database that you can read: estimated rows, size, last analysis, primary key
    #[command(after_help = TABLES_EXAMPLES)]
    Tables(TablesFlags),
    /// Write a first pipeline file for a database, with a schema file for each table
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitFlags),
    /// Print the JSON Schema of pipeline files. Editors use it for completion
    Schema,
    /// Check a pipeline file. With `--connect`, also check the connection to the database and the queries
    Validate {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Also connect to the database. For each connection setting, print its source, for example an environment
        /// variable. The server checks each query, but does not run the query
        #[arg(long)]
        connect: bool,
    },
    /// Print the graph of the stages: each stage with the stages that this stage needs
    Graph {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Format of the graph
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Show the reasons why a stage would run: each change, with the old value and the new value
    Explain {
        /// The name of the stage
        stage: String,
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the state of each stage: the last run, the last good output, stale outputs. Exit with code 1 if the last run
    /// failed
    Status {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print earlier runs, newest first
    History {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Maximum number of runs to print
        #[arg(short, long, value_name = "N", default_value_t = 20, value_parser = whole(0..=usize::MAX))]
        number: usize,
        /// Print each run as a JSON object, one object per line
        #[arg(long)]
        json: bool,
    },
    /// Print the logs of a run, or the log of one stage
    Log {
        /// The id of the run, the first characters of this id, or `latest` for the last run [default: `latest`]
        run: Option<String>,
        /// The name of the stage [default: all stages]
        stage: Option<String>,
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Print the first rows of an output as a table
    #[command(after_help = HEAD_EXAMPLES)]
    Head {
        #[command(flatten)]
        flags: HeadFlags,
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Print the columns of an output: type, unit, description, NULLs and range. Also print the run that wrote the output
    #[command(after_help = DESCRIBE_EXAMPLES)]
    Describe {
        #[command(flatten)]
        flags: DescribeFlags,
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Compare outputs with those of an earlier generation: rows added, removed and changed, and the size of the changes
    #[command(after_help = DIFF_EXAMPLES)]
    Diff {
        #[command(flatten)]
        flags: DiffFlags,
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Remove the records of old runs, and old generations. Records are files that describe a run, for example reports and
    /// logs. The command keeps all outputs, and all records that the next run needs
    Gc {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Keep the records of the newest N runs. The command also keeps the records of each older run that wrote the
        /// last good output of a stage
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = whole(0..=usize::MAX))]
        keep: usize,
        /// Keep the newest N generations and the current one [default: `keep` of the pipeline file; without it, all]
        #[arg(long, value_name = "N", value_parser = whole(0..=usize::MAX))]
        generations: Option<usize>,
        /// Also remove orphans: outputs and records of stages that are no longer in the pipeline file
        #[arg(long)]
        orphans: bool,
        /// Print what the command would remove, and remove no file
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Print the generations: the outputs of complete nights that are kept, newest first. To keep generations, set `keep` in the
    /// pipeline file
    Generations {
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put the outputs of a generation back, with their records. Either all files are put back, or none. Pause the cron job first:
    /// the next run makes new outputs again
    Rollback {
        /// The generation [default: the newest generation that differs from the outputs now]
        generation: Option<String>,
        /// The stages [default: all stages]
        #[arg(value_name = "STAGE")]
        stages: Vec<String>,
        #[command(flatten)]
        pipeline: NamedPipeline,
        /// Print what the command would put back, and replace no file
        #[arg(short = 'n', long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the manual page of `ssp-run`. With `--dir`, write the manual pages of all programs to a folder
    Man {
        /// Folder for the manual pages
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the path of the report page of a run. If this page is missing, write the page again
    Report {
        /// The id of the run, the first characters of this id, or `latest` for the last run [default: `latest`]
        run: Option<String>,
        #[command(flatten)]
        pipeline: NamedPipeline,
        /// Also open the page in a browser
        #[arg(long)]
        open: bool,
    },
    /// Do the work of a stage, for `ssp-run` itself
    #[command(hide = true)]
    Work {
        /// The folder of the execution, or of the task if it is a job of Slurm.
        folder: PathBuf,
        /// In a job of Slurm: the number of the submission.
        #[arg(long)]
        submission: Option<u32>,
        /// In a job of Slurm: a folder of the node for temporary rows.
        #[arg(long)]
        scratch: Option<PathBuf>,
        /// Threads.
        #[arg(short, long, value_name = "N", value_parser = crate::cli::words::jobs())]
        jobs: Option<u16>,
    },
    /// Run the demo pipeline on the data of a small survey. The demo starts its own database server
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoFlags),
    /// Print a completion script for a shell. With this script, the Tab key completes commands and options
    Completions {
        /// The name of the shell
        shell: Shell,
        /// The program whose options the script completes
        #[arg(default_value = "ssp-run", value_parser = ["ssp-run", "fast-export", "extract-catalog", "ssp-build-sssource", "ssp-build-ssobject"])]
        program: String,
    },
}

/// As what a graph is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Plain text.
    Text,
    /// The format of the program Graphviz.
    Dot,
    /// The format of the program Mermaid.
    Mermaid,
    /// An SVG drawing.
    Svg,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
