//! The flags of the commands for the first minutes: tables, init, demo.

use std::path::PathBuf;

use clap::Args;

use crate::cli::connection::ConnectionFlags;
use crate::cli::words::{jobs, whole};

use super::{OutputFlags, assignment};

pub(super) const TABLES_EXAMPLES: &str = "\
Examples:
  ssp-run tables --service mpc_sbn
  ssp-run tables --host db.example.org --dbname mpc_sbn --user reader
  ssp-run tables -p pipelines/daily.yaml   the database of a pipeline
  ssp-run tables                           the database of PGSERVICE, PGHOST and so on";

/// Which tables to list.
#[derive(Debug, Args)]
pub(crate) struct TablesFlags {
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

pub(super) const INIT_EXAMPLES: &str = "\
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

pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  ssp-run demo                    run the pipeline in the folder demo/
  ssp-run demo --night 2          add a second night, and see which stages run again
  ssp-run demo --delivery         also deliver the tables to an S3 server, which must be installed:
                                  `cargo install s3s-fs --version 0.14.1 --features binary`
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
    /// Also run a last stage, which delivers the tables to an S3 server. The demo starts the server, and stops it at its end
    #[arg(long)]
    pub delivery: bool,
    /// Leave the database server running after the demo, and print how to connect to it
    #[arg(long)]
    pub keep_running: bool,
    /// Only stop the database server that an earlier demo left running
    #[arg(long, conflicts_with_all = ["night", "keep_running", "delivery"])]
    pub stop: bool,
    /// Run at most N stages at the same time. The running stages share N threads for their computations. N can be at
    /// most 256 [default: the number of cores]
    #[arg(short, long, value_name = "N", value_parser = jobs())]
    pub jobs: Option<u16>,
    #[command(flatten)]
    pub output: OutputFlags,
}

/// The flags of [`ConnectionFlags`].
const CONNECTION: [&str; 7] = ["service", "dsn", "host", "port", "dbname", "user", "sslmode"];
