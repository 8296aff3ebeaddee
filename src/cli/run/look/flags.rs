//! The flags of `head`, `describe` and `diff` as typed.

use clap::Args;

use crate::cli::words::{trimmed, whole};

/// Which rows of an output to print.
#[derive(Debug, Args)]
pub(crate) struct HeadFlags {
    /// The stage
    pub stage: String,
    /// Maximum number of rows to print
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = whole(0..=u64::MAX))]
    pub number: u64,
    /// The columns to print, in this order [default: all columns that fit]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = trimmed)]
    pub columns: Vec<String>,
    /// Print JSON, one object per row, with all columns. NaN and infinities are the texts "NaN", "Infinity" and "-Infinity".
    /// Times, decimals and bytes (in hexadecimal) are texts too. Integers have all their digits
    #[arg(long)]
    pub json: bool,
}

pub(crate) const HEAD_EXAMPLES: &str = "\
Examples:
  ssp-run head ssobject                              the first 10 rows
  ssp-run head ssobject --columns designation,r_H    only these columns
  ssp-run head obs_sbn -n 1 --json                   all values of the first row";

/// Which output to describe.
#[derive(Debug, Args)]
pub(crate) struct DescribeFlags {
    /// The stage
    pub stage: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) const DESCRIBE_EXAMPLES: &str = "\
NULLs and range (minimum and maximum) are from the statistics in the file: the
command reads no rows. `-` means that the file has no such number. NaN is not part
of the range. The statistics can contain only the first characters of a long
text. The range then shows `>= text` or `<= text`.

Examples:
  ssp-run describe ssobject
  ssp-run describe obs_sbn --json";

/// Which outputs to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffFlags {
    /// Up to two generations: run ids, the first characters of run ids, or `current` for the newest. Then up to one stage. One generation is
    /// compared with the current outputs [default: the newest generation that differs from the current outputs]
    #[arg(value_name = "RUN|STAGE", num_args = 0..=3)]
    pub what: Vec<String>,
    /// Match rows by these columns, not by the `key` of the stage. Needs a stage
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = trimmed)]
    pub key: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) const DIFF_EXAMPLES: &str = "\
Rows are matched by the columns under `key` in the pipeline file. Without a key,
rows are only added or removed. For numbers, the table shows the median, 99 %
quantile and maximum of |new - old|. Changes from or to NULL or NaN have no size.
NaN equals NaN, and -0 equals 0. NULL equals only NULL.

Examples:
  ssp-run diff                       what the last change of the outputs changed
  ssp-run diff ssobject              only this stage
  ssp-run diff 20260301 ssobject     a kept generation and the current output
  ssp-run diff 20260301 20260302     two kept generations";
