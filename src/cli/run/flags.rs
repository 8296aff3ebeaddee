//! `ssp-run`: flags as typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cli::connection::ConnectionFlags;
use crate::cli::words::{jobs, trimmed, whole};
use crate::quantity::Period;

use super::look::flags::{
    DESCRIBE_EXAMPLES, DIFF_EXAMPLES, DescribeFlags, DiffFlags, HEAD_EXAMPLES, HeadFlags,
};

/// Bring the outputs of a pipeline up to date. A pipeline consists of stages, and each stage writes one output file.
/// `ssp-run` runs only the stages that are not up to date. For example, a stage is not up to date if an input of the
/// stage has changed.
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
  ssp-run pipelines/daily.yaml           bring all outputs up to date
  ssp-run --stage ssobject               run one stage and the stages that it needs
  ssp-run --set station=T05 -j 4         set a variable; run at most 4 stages at once
  ssp-run -q                             for cron: print only warnings and failures
  ssp-run demo                           run the whole pipeline on a small survey

Exit codes:
  0    done, or already up to date
  1    a stage failed
  2    a mistake in the command line or the pipeline file; no stage ran
  3    with --check: at least one stage would run
  4    no connection to the database or the repository
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
    /// Set a variable of the pipeline file, for example station=T05. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

/// Which pipeline, where the arguments are something else.
#[derive(Debug, Args)]
pub(crate) struct NamedPipeline {
    /// The pipeline file.
    #[arg(short = 'p', long = "pipeline", value_name = "FILE", help = PIPELINE_FILE)]
    pub file: Option<PathBuf>,
    /// Set a variable of the pipeline file, for example station=T05. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

impl From<NamedPipeline> for PipelineFlags {
    fn from(flags: NamedPipeline) -> Self {
        Self { pipeline: None, file: flags.file, set: flags.set }
    }
}

const TABLES_EXAMPLES: &str = "\
Examples:
  ssp-run tables --service mpc_sbn
  ssp-run tables --host db.example.org --dbname mpc_sbn --user reader
  ssp-run tables -p pipelines/daily.yaml   the database of a pipeline
  ssp-run tables                           the database of PGSERVICE, PGHOST and so on";

/// Which tables to list.
#[derive(Debug, Args)]
pub(crate) struct TablesFlags {
    /// Which database.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// List the tables of this pipeline's database
    #[arg(short, long, value_name = "FILE", conflicts_with_all = CONNECTION)]
    pub pipeline: Option<PathBuf>,
    /// Set a variable of the pipeline file. You can repeat this flag
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment, requires = "pipeline")]
    pub set: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const INIT_EXAMPLES: &str = "\
Examples:
  ssp-run init --service mpc_sbn                       all tables of the database
  ssp-run init night --service mpc_sbn --table obs_sbn --table mpc_orbits
  ssp-run init --service mpc_sbn --butler /repo/main   also detections of a repository

The command replaces no file. If the search path has more than 20 tables and
views, name those that you want with --table.";

/// What to write a first pipeline for.
#[derive(Debug, Args)]
pub(crate) struct InitFlags {
    /// Folder for the new files
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Which database.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Export this table: NAME, or SCHEMA.NAME. You can repeat this flag [default: all tables and
    /// views of the search path, if there are at most 20]
    #[arg(long = "table", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Also extract detections of this Butler repository: its folder, its `butler.yaml`, or its label
    #[arg(long, value_name = "REPO")]
    pub butler: Option<String>,
    /// Name of the pipeline and of its file [default: the name of the service or the database]
    #[arg(long)]
    pub name: Option<String>,
}

const DEMO_EXAMPLES: &str = "\
Examples:
  ssp-run demo                    run the pipeline in the folder demo/
  ssp-run demo --night 2          add a second night, and see which stages run again
  ssp-run demo --keep-running     leave the database server running
  ssp-run demo --stop             stop that server

To begin again, stop the server and remove the folder.";

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct DemoFlags {
    /// Folder for the files of the demo: a new or empty folder, or the folder of an earlier demo
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub dir: PathBuf,
    /// Night of the survey. Night 2 adds new observations and changes one orbit
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(1..=2_u8))]
    pub night: u8,
    /// Leave the database server running after the demo, and print how to connect to it
    #[arg(long)]
    pub keep_running: bool,
    /// Only stop the database server that an earlier demo left running
    #[arg(long, conflicts_with_all = ["night", "keep_running"])]
    pub stop: bool,
    /// Run at most N stages at the same time. The running stages share N threads for their computations. N can be at
    /// most 256 [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = jobs())]
    pub jobs: Option<u16>,
    /// How much is said.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// The flags of [`ConnectionFlags`].
const CONNECTION: [&str; 7] = ["service", "dsn", "host", "port", "dbname", "user", "sslmode"];

/// A run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags as typed")]
pub(crate) struct RunFlags {
    /// Which pipeline.
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
    #[arg(long, value_name = "FILE", requires = "only", conflicts_with_all = ["dry_run", "check", "force", "metrics_file"])]
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
    /// How much is said.
    #[command(flatten)]
    pub output: OutputFlags,
}

impl RunFlags {
    /// A file that the command writes beside the outputs, and what it is for.
    pub(super) fn own_file(&self) -> Option<(&'static str, &Path)> {
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
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Also connect to the database. For each connection setting, print its source, for example an environment
        /// variable. The server checks each query, but does not run the query
        #[arg(long)]
        connect: bool,
    },
    /// Print the graph of the stages: each stage with the stages that this stage needs
    Graph {
        /// Which pipeline.
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
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the state of each stage: the last run, the last good output, stale outputs. Exit with code 1 if the last run
    /// failed
    Status {
        /// Which pipeline.
        #[command(flatten)]
        pipeline: PipelineFlags,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print earlier runs, newest first
    History {
        /// Which pipeline.
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
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Print the first rows of an output as a table
    #[command(after_help = HEAD_EXAMPLES)]
    Head {
        /// What to print.
        #[command(flatten)]
        flags: HeadFlags,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Print the columns of an output: type, unit, description, NULLs and range. Also print the run that wrote the output
    #[command(after_help = DESCRIBE_EXAMPLES)]
    Describe {
        /// What to print.
        #[command(flatten)]
        flags: DescribeFlags,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Compare outputs with those of an earlier generation: rows added, removed and changed, and the size of the changes
    #[command(after_help = DIFF_EXAMPLES)]
    Diff {
        /// What to print.
        #[command(flatten)]
        flags: DiffFlags,
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
    },
    /// Remove the records of old runs, and old generations. Records are files that describe a run, for example reports and
    /// logs. The command keeps all outputs, and all records that the next run needs
    Gc {
        /// Which pipeline.
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
        /// Which pipeline.
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
        /// Which pipeline.
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
        /// Which pipeline.
        #[command(flatten)]
        pipeline: NamedPipeline,
        /// Also open the page in a browser
        #[arg(long)]
        open: bool,
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
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("write NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}
