//! `extract-catalog`: datasets of a Butler repository to one Parquet file.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgAction, Parser};
use indicatif::{DecimalBytes, HumanCount};

use super::conclusion::conclude;
use super::failure::{Exit, Failure, threads};
use super::messages::OTHER_OUTPUT;
use super::progress::DatasetProgress;
use super::signals::Signals;
use super::targets;
use super::words::{jobs, trimmed, word_of};
use crate::butler::{self, Repository};
use crate::environment::Environment;
use crate::errors::{Class, Classified as _};
use crate::monitor::Monitor;
use crate::parquet::write::{Compression, Encodings};
use crate::quantity::Share;
use crate::regular;
use crate::stages::Spec as _;
use crate::stages::extract::{self, DEFAULT_DATASET_TYPE, DEFAULT_TARGET, Error};
use crate::stages::extract::{Duplicates, ExtractSpec, FilterSpec, OnMissingDataset, OneOrMany};
use crate::stages::{InputRef, Product};

const EXAMPLES: &str = "\
Examples:
  Write all rows of DiaSource from one collection:
    extract-catalog dia_sources.parquet /repo/main LSSTCam/runs/DRP/FL/w_2025_19/DM-50795

  Write only the rows whose diaSourceId is in the column obssubid of another file:
    extract-catalog dia_sources.parquet dp1 LSSTCam/runs/DRP/FL/w_2025_19/DM-50795 \\
        --filter-ids obs_sbn.parquet --filter-column obssubid

  Write one night and three columns from two collections. The first collection has priority:
    extract-catalog night.parquet /repo/main u/me/rerun LSSTCam/runs/DRP --find-first \\
        --where \"instrument = 'LSSTCam' AND day_obs = 20250715\" --columns diaSourceId,ra,dec

Exit codes: 0 done, 1 failed, 2 wrong command line, 4 no connection to the repository,
5 too few matches (`--min-match`), 128 + N stopped by signal N.
If the exit code is not 0, the file OUTPUT is unchanged.";

/// Write all datasets of one type to one Parquet file. A dataset is a table in a Butler repository, the data store of
/// the LSST software. The program reads the datasets of one or more collections. A collection is a named group of
/// datasets. The program does not need Python.
#[derive(Debug, Parser)]
#[command(name = "extract-catalog", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Args {
    /// The Parquet file to write.
    output: PathBuf,
    /// The repository. Write the path or the URL of its folder or of its `butler.yaml`, or its label (its short name in the
    /// repository index).
    repo: String,
    /// One or more collections. The program searches the collections in the order in which you write them.
    #[arg(required = true, value_name = "COLLECTION")]
    collections: Vec<String>,
    /// The type of the datasets that the program reads.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_DATASET_TYPE)]
    dataset_type: String,
    /// Write only the rows whose id is in this Parquet file.
    #[arg(long, value_name = "FILE", requires = "filter_column")]
    filter_ids: Option<PathBuf>,
    /// The column of the ids in the file that you name with `--filter-ids`. The ids in this column must be integers, or
    /// texts such as `42` and `LSST-DP1-42`.
    #[arg(long, value_name = "COLUMN", requires = "filter_ids")]
    filter_column: Option<String>,
    /// The column of the ids in the datasets.
    #[arg(long, value_name = "COLUMN", default_value = DEFAULT_TARGET)]
    target_column: String,
    /// Minimum share of matches, for example 90%. The program checks the shares of datasets that the program can read,
    /// and of ids that the datasets contain. If one of these shares is smaller than the minimum, the program fails with
    /// exit code 5. Without this flag, a share below 50% causes only a warning.
    #[arg(long, value_name = "SHARE")]
    min_match: Option<Share>,
    /// Read only the datasets whose data ID matches this condition. A data ID is the set of values that identify a
    /// dataset, for example instrument and visit. The condition can contain the names of these values, and `=`, `!=`,
    /// `<`, `>`, `IN`, `AND`, `OR` and `NOT`. After `IN`, you can write ranges, for example `day_obs IN
    /// (20250701..20250731)`.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Write only these columns, in this order. Separate the names of the columns with commas.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = trimmed, action = ArgAction::Append)]
    columns: Option<Vec<String>>,
    /// How to treat a dataset that several collections contain. `drop`: write the rows of the dataset once. `keep`:
    /// write the rows once for each of these collections.
    #[arg(long, value_name = "WHAT", default_value = "drop", value_parser = word_of::<Duplicates>())]
    duplicates: Duplicates,
    /// How to treat datasets that the repository lists but the program cannot read. `error`: list these datasets, and
    /// write no output. `skip`: list these datasets, and write the output without these datasets.
    #[arg(long, value_name = "WHAT", default_value = "error", value_parser = word_of::<OnMissingDataset>())]
    on_missing: OnMissingDataset,
    /// If several collections contain datasets with the same data ID, read only the dataset in the first of these
    /// collections.
    #[arg(long)]
    find_first: bool,
    /// Look for the files of the datasets in this folder, or below this URL of a store (`s3://`, `gs://`, `https://`).
    /// Without this flag, the program uses the folder in the configuration of the repository.
    #[arg(long, value_name = "FOLDER")]
    datastore_root: Option<String>,
    /// Compression of the output.
    #[arg(long, value_name = "NAME", default_value = "zstd", value_parser = word_of::<Compression>())]
    compression: Compression,
    /// This flag has no effect. The output always has the encoding `plain`, which all readers can read.
    #[arg(long, value_name = "NAME", value_parser = word_of::<Encodings>())]
    encodings: Option<Encodings>,
    /// Number of datasets to read at the same time, at most 256 [default: the number of cores].
    #[arg(short, long, value_name = "N", value_parser = jobs())]
    jobs: Option<u16>,
    /// Print only warnings and errors.
    #[arg(short, long)]
    silent: bool,
    /// If the program fails, also print a backtrace: the place of the error in the source code. This flag works only if
    /// you also set the environment variable `RUST_BACKTRACE=1`.
    #[arg(long)]
    reraise: bool,
}

impl Args {
    /// Whether a failure is to be printed with its backtrace.
    pub(super) fn reraise(&self) -> bool {
        self.reraise
    }

    fn spec(&self) -> ExtractSpec {
        let filter = self.filter_ids.as_ref().zip(self.filter_column.as_ref());
        ExtractSpec {
            collection: OneOrMany::Many(self.collections.clone()),
            dataset_type: Some(self.dataset_type.clone()),
            filter: filter.map(|(ids, column)| FilterSpec {
                ids: InputRef(ids.to_string_lossy().into_owned()),
                column: column.clone(),
                target: Some(self.target_column.clone()),
            }),
            condition: self.condition.clone(),
            columns: self.columns.clone(),
            duplicates: Some(self.duplicates),
            find_first: Some(self.find_first),
            on_missing: Some(self.on_missing),
            compression: Some(self.compression),
            incremental: None,
            encodings: self.encodings,
        }
    }
}

/// Does what the command line asks for.
pub(super) fn run(args: &Args, signals: &Signals) -> Result<Exit, Failure> {
    let started = Instant::now();
    check_output(&args.output)?;
    let failed = |error: Error| failure(error, signals);
    let hint = "`--columns` takes names separated by commas, such as `ra,dec`";
    let extract = args.spec().checked().map_err(|problems| Failure::usage(problems).hint(hint))?;
    let repository = open(args, signals.monitor()).map_err(|error| failed(error.into()))?;
    let datasets = extract::plan(&extract, &repository).map_err(failed)?;
    let jobs = NonZeroUsize::new(threads(args.jobs)?).unwrap_or(NonZeroUsize::MIN);
    // From here on there is a temporary file to remove.
    signals.defer();
    let watch = Arc::new(DatasetProgress::new(datasets.len(), args.silent));
    let monitor = signals.monitor().with_progress(watch.clone());
    let ids = args.filter_ids.as_deref();
    let product = extract::run(&extract, &datasets, &repository, ids, jobs, &args.output, &monitor);
    watch.end();
    let product = product.map_err(failed)?;
    conclude(product, args.min_match, args.silent, |product| summary(args, product, started))
}

/// A mistake in the order of the arguments must not cost a registry or a configuration: only a Parquet file is replaced.
fn check_output(output: &Path) -> Result<(), Failure> {
    targets::check(output)?;
    let mut magic = [0; 4];
    match regular::open(output).and_then(|mut file| file.read(&mut magic)) {
        Ok(read) if read > 0 && &magic != b"PAR1" => {
            let error = anyhow::anyhow!(
                "`{}` exists and is not a Parquet file; it would be replaced",
                output.display()
            );
            Err(Failure::usage(error).hint(OTHER_OUTPUT))
        }
        _ => Ok(()),
    }
}

fn open(args: &Args, monitor: &Monitor) -> Result<Repository, butler::Error> {
    let repository = Repository::open_with(&args.repo, &Environment::of_process(), monitor)?;
    match &args.datastore_root {
        Some(root) => repository.with_datastore_root(root),
        None => Ok(repository),
    }
}

fn failure(error: Error, signals: &Signals) -> Failure {
    if error.class() == Class::Stopped {
        return Failure::stopped(signals);
    }
    let hint = match &error {
        Error::Unreadable { .. } => Some("`--on-missing skip` leaves them out and lists them"),
        Error::Butler(butler::Error::Columns(_)) => {
            Some("`--columns` without that column, or a `--where` that leaves one of the datasets out")
        }
        Error::Replaces { .. } => Some(OTHER_OUTPUT),
        _ => None,
    };
    let failure = Failure::classified(error);
    hint.into_iter().fold(failure, Failure::hint)
}

fn summary(args: &Args, product: &Product, started: Instant) -> String {
    let count =
        |name: &str| HumanCount(product.figures.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0));
    let of_ids = match &args.filter_ids {
        Some(_) => format!(", {} of {} ids found", count("ids_found"), count("ids")),
        None => String::new(),
    };
    format!(
        "`{}`: {} rows of {} read, from {} of {} datasets{of_ids}; {} in {:.1} s",
        args.output.display(),
        count("rows_written"),
        count("rows_read"),
        count("datasets_with_rows"),
        count("datasets"),
        DecimalBytes(product.bytes()),
        started.elapsed().as_secs_f64(),
    )
}
