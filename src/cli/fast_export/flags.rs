//! The flags as typed.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};

use crate::cli::connection::ConnectionFlags;
use crate::cli::words::{jobs, whole, word_of};
use crate::parquet::write::Compression;
use crate::parquet::write::Encodings;
use crate::postgres::connect::Secret;
use crate::postgres::{ConnectParams, DEFAULT_BLOCK_SIZE};

/// Most rows of a row group: it counts them in 32 bits, with a sign.
pub(super) const MAX_ROW_GROUP_ROWS: u64 = 2_000_000_000;

const EXAMPLES: &str = "\
Examples:
  fast-export --service mpc_sbn --sql \"SELECT * FROM obs_sbn\" --out obs_sbn.parquet
  fast-export --host db.example.org --dbname mpc_sbn --user reader --config exports.yaml
  fast-export --dsn \"postgresql://reader@db.example.org/mpc_sbn?sslmode=verify-full\" \\
      --sql \"SELECT * FROM mpc_orbits WHERE a < 1.3\" --out neo.parquet --compression snappy

All queries in the file after --config read one REPEATABLE READ snapshot: one state of the
database. The program replaces either all output files or no output file. This is an example of
the file after --config:
  - sql: SELECT * FROM obs_sbn WHERE stn = 'X05'
    out: obs_sbn.parquet
  - sql: SELECT * FROM mpc_orbits
    out: mpc_orbits.parquet
    row_group_size: 200000

If you leave out a connection setting, the program looks for this setting in the same places as
psql: in ~/.pg_service.conf, in ~/.pgpass, and in environment variables such as PGHOST.

Exit codes: 0 done, 1 failed, 2 wrong command line, 4 no connection to the database,
128 + N stopped by signal N.";

/// Run queries in a PostgreSQL database, and write the result of each query to a Parquet file.
#[derive(Debug, Parser)]
#[command(name = "fast-export", version, after_help = EXAMPLES)]
#[command(group = ArgGroup::new("what").required(true).args(["sql", "config"]))]
pub(super) struct Flags {
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Password of the database user. Other users of this machine can see a password on the command line. Write the
    /// password to ~/.pgpass instead
    #[arg(long, help_heading = "Database")]
    pub password: Option<Secret>,
    /// The query. The program writes the rows of its result to the file that you name with `--out`
    #[arg(long, requires = "out")]
    pub sql: Option<String>,
    /// The Parquet file to write
    #[arg(long, requires = "sql", conflicts_with = "config")]
    pub out: Option<PathBuf>,
    /// YAML or JSON file with a list of queries and their output files. The end of this help shows an example
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Maximum number of rows in a row group (a part of a Parquet file). A row group with fewer rows also ends at about
    /// 32 MB
    #[arg(long, value_name = "ROWS", default_value_t = 1_000_000, value_parser = whole::<u64>(1..=MAX_ROW_GROUP_ROWS))]
    pub row_group_size: u64,
    /// The program decodes the data from the server in blocks. This flag sets the size of a block in bytes. This size
    /// does not change the output
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_BLOCK_SIZE as u64, value_parser = whole::<u64>(4096..=67_108_864))]
    pub block_size: u64,
    /// Compression of the output
    #[arg(long, default_value = "zstd", value_parser = word_of::<Compression>())]
    pub compression: Compression,
    /// Encoding of the values in the output. `compact`: for each column, the smallest encoding. `plain`: for programs
    /// that cannot read `compact`, for example fastparquet [default: `compact`]
    #[arg(long, value_name = "NAME", value_parser = word_of::<Encodings>())]
    pub encodings: Option<Encodings>,
    /// Use N threads and N connections to the database. N can be at most 256 [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = jobs())]
    pub jobs: Option<u16>,
    /// Also write the rows of each output to a CSV file in the same folder
    #[arg(long)]
    pub keep_temp: bool,
    /// Print only warnings and errors
    #[arg(long)]
    pub silent: bool,
    /// If the program fails, also print a backtrace: the place of the error in the source code. This flag works only if
    /// you also set the environment variable `RUST_BACKTRACE=1`
    #[arg(long)]
    pub reraise: bool,
}

impl Flags {
    /// What the flags say about the connection.
    pub(super) fn params(&self) -> ConnectParams {
        ConnectParams { password: self.password.clone(), ..self.connection.params() }
    }

    /// Whether a password can be read off the command line.
    pub(super) fn shows_password(&self) -> bool {
        self.password.is_some() || self.connection.shows_password()
    }
}
