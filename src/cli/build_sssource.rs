//! `ssp-build-sssource`: the command line of the SSSource table.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use indicatif::{DecimalBytes, HumanCount};
use serde_json::Value;

use super::conclusion::conclude;
use super::failure::{Exit, Failure};
use super::signals::Signals;
use super::table_flags::TableFlags;
use super::targets;
use super::words::word_of;
use crate::durable::is_same_file;
use crate::quantity::Share;
use crate::sssource;
use crate::sssource::options::{Form, MeasuredOn};
use crate::sssource::parts;
use crate::stages::build_sssource::{BuildSsSource, BuildSsSourceSpec, Error, Inputs, run};
use crate::stages::{Problems, Product, Spec as _};
use crate::tables;

const EXAMPLES: &str = "\
Examples:
  ssp-build-sssource obs_sbn.parquet dia_sources.parquet mpc_orbits.parquet \\
    current_identifications.parquet numbered_identifications.parquet --output sssource.parquet
  ssp-build-sssource obs/ dia/ orbits.parquet current.parquet numbered.parquet -o sssource.parquet \\
    --max-dt-ms 510 --report unmatched.parquet

Each input is a Parquet file, a folder of `*.parquet` files, or a pattern in quotes such as
'obs/*.parquet'.

Exit codes: 0 done, 1 failed, 2 wrong command line, 5 too few matches (`--min-match`),
128 + N stopped by signal N.";

/// Build the SSSource table, which has one row per detection of an object. Each row contains the position that the
/// orbit of the object predicts.
#[derive(Debug, Parser)]
#[command(
    name = "ssp-build-sssource",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    override_usage = "ssp-build-sssource [OPTIONS] --output FILE OBS_SBN DIA_SOURCES MPC_ORBITS \
                      CURRENT_IDENTIFICATIONS NUMBERED_IDENTIFICATIONS"
)]
pub(super) struct Cli {
    /// The table `obs_sbn` of the MPC (Minor Planet Center), which contains the observations. Its column `obssubid`
    /// contains the `diaSourceId` of the detection
    obs_sbn: PathBuf,
    /// The DiaSource table, which contains the detections
    dia_sources: PathBuf,
    /// The MPC's table `mpc_orbits`, which contains the orbits. For non-gravitational forces and error
    /// ellipses, the program needs the column `mpc_orb_jsonb` or the column `car`. The column `car` is the result of
    /// `mpc_orb_jsonb->'CAR'`. Without these two columns, the error ellipses are NULL
    mpc_orbits: PathBuf,
    /// The MPC's table `current_identifications`. For each designation of an object, this table contains the primary
    /// designation of the object
    current_identifications: PathBuf,
    /// The MPC's table `numbered_identifications`. For each object with a number, this table contains the designation
    /// of the object
    numbered_identifications: PathBuf,
    /// The Parquet file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The columns and rows of the output. `narrow`: 39 columns, and one row for each detection. `wide`: 183 columns,
    /// which include the measurements and error ellipses, and one row for each observation [default: `narrow`]
    #[arg(long, value_name = "FORM", value_parser = word_of::<Form>())]
    table: Option<Form>,
    /// With `--table wide`: the image on which the detections were measured, the difference image or the science image.
    /// The program uses this value only if DiaSource has no column `measuredOn` [default: `difference`]
    #[arg(long, value_name = "IMAGE", value_parser = word_of::<MeasuredOn>())]
    measured_on: Option<MeasuredOn>,
    /// With `--table wide`: the value of the column `processing`. The program uses this value only if DiaSource has no
    /// column `processing`
    #[arg(long, value_name = "TEXT")]
    processing_label: Option<String>,
    /// With `--table wide`: the value of the column `processingTable`. The program uses this value only if DiaSource
    /// has no column `processingTable`
    #[arg(long, value_name = "TEXT")]
    processing_table: Option<String>,
    /// Write several files of about N rows each. For example, `-o sssource.parquet` writes `sssource-0001.parquet`,
    /// `sssource-0002.parquet` and so on, and a list of these files, `sssource.json`. All rows of an object are in one
    /// file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    part_rows: Option<u64>,
    /// The MPC's code of the observatory [default: X05, the Rubin Observatory]
    #[arg(long, value_name = "CODE")]
    station: Option<String>,
    /// The place of the observatory, if `--station` is not X05. Write three numbers from the MPC's list of
    /// observatories: the longitude in degrees east, rho cos(phi') and rho sin(phi')
    #[arg(long, value_name = "LONGITUDE,COS,SIN", allow_hyphen_values = true, value_parser = three_numbers)]
    site: Option<[f64; 3]>,
    /// Use only observations whose `obssubid` has this label. For example, `LSST-DP1-42` has the label `DP1`. The label
    /// names the processing run of the detection. The program always uses observations without a label. You can repeat
    /// this flag [default: all labels]
    #[arg(long, value_name = "LABEL")]
    processing: Vec<String>,
    /// Maximum distance on the sky between an observation and its detection in DiaSource, in milliarcseconds [default:
    /// 5]
    #[arg(long, value_name = "MAS", allow_negative_numbers = true)]
    max_sep_mas: Option<f64>,
    /// Maximum difference between the time of an observation and the time of its detection in DiaSource, in
    /// milliseconds. If the column `obstime` of the observations is rounded to seconds, use 510 [default: 10]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    max_dt_ms: Option<f64>,
    /// Maximum share of observations that have no matching detection in DiaSource. If the share is larger, the program
    /// fails [default: 1%]
    #[arg(long, value_name = "SHARE")]
    max_unmatched: Option<Share>,
    /// Write a list of observations to this Parquet file: the observations that are not in the output, and the
    /// observations that are in the output without an object. For each observation, the file contains the reason
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Minimum share of matches, for example 90%. The program checks the shares of: observations that have a matching
    /// detection, designations that the program knows, and objects that have an orbit. If one of these shares is
    /// smaller than the minimum, the program fails with exit code 5. The program also fails if no observation is from
    /// the observatory, or if `--processing` leaves out all observations. Without this flag, a share below 50% causes
    /// only a warning
    #[arg(long, value_name = "SHARE")]
    min_match: Option<Share>,
    #[command(flatten)]
    common: TableFlags,
}

/// Three numbers with commas between them.
fn three_numbers(text: &str) -> Result<[f64; 3], String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| {
        "write three numbers with commas between them, such as 289.25058,0.864981,-0.500958".to_owned()
    })
}

impl Cli {
    /// Whether errors should come with their backtrace.
    pub(super) fn reraise(&self) -> bool {
        self.common.reraise
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            obs_sbn: self.obs_sbn.clone(),
            dia_sources: self.dia_sources.clone(),
            mpc_orbits: self.mpc_orbits.clone(),
            current_identifications: self.current_identifications.clone(),
            numbered_identifications: self.numbered_identifications.clone(),
        }
    }

    /// The file of the output that a file would be if it were in the same folder, if the output is written in parts.
    fn part_like(&self, file: &Path) -> Option<PathBuf> {
        let name = file.file_name()?.to_str()?;
        parts::is_name_of_part(&self.output, name).then(|| self.output.with_file_name(name))
    }

    fn options(&self) -> anyhow::Result<BuildSsSource> {
        let spec = BuildSsSourceSpec {
            station: self.station.clone(),
            site: self.site,
            table: self.table,
            measured_on: self.measured_on,
            processing_label: self.processing_label.clone(),
            processing_table: self.processing_table.clone(),
            processing: Some(self.processing.clone()),
            max_sep_mas: self.max_sep_mas,
            max_dt_ms: self.max_dt_ms,
            max_unmatched: self.max_unmatched,
            compression: Some(self.common.compression),
            encodings: self.common.encodings,
            memory: self.common.memory,
            ..BuildSsSourceSpec::default()
        };
        let mut options = spec.checked().map_err(|problems| in_flags(&problems))?;
        options.table.report.clone_from(&self.report);
        options.table.part_rows = self.part_rows;
        Ok(options)
    }
}

/// The problems of settings, under the names that they have here.
fn in_flags(problems: &Problems) -> anyhow::Error {
    let messages = problems.list.iter().map(|problem| {
        ["max_sep_mas", "max_dt_ms", "station", "site", "measured_on", "processing_label", "processing_table"]
            .into_iter()
            .fold(problem.message.clone(), |message, setting| {
                message.replace(&format!("`{setting}`"), &format!("`--{}`", setting.replace('_', "-")))
            })
            .replace("`table: wide`", "`--table wide`")
    });
    anyhow::anyhow!(messages.collect::<Vec<_>>().join("; "))
}

/// Does what the command line says.
pub(super) fn execute(cli: &Cli, signals: &Signals) -> Result<Exit, Failure> {
    let started = Instant::now();
    let options = cli.options().map_err(Failure::usage)?;
    let inputs = cli.inputs();
    for output in [Some(&cli.output), cli.report.as_ref()].into_iter().flatten() {
        targets::check_output(output, named(&inputs))?;
    }
    if cli.part_rows.is_some() {
        let part_of = |file: &Path| cli.part_like(file).filter(|part| is_same_file(file, part));
        targets::check_inputs(named(&inputs), part_of)?;
    }
    let place = |path: &Path| targets::place(path).ok();
    if let Some(report) = &cli.report
        && (place(report) == place(&cli.output)
            || cli.part_rows.is_some()
                && cli.part_like(report).is_some_and(|part| place(&part) == place(report)))
    {
        let error = anyhow::anyhow!("`{}` is both the output and the report", report.display());
        return Err(Failure::usage(error).hint("name another file with --report"));
    }
    let product = cli.common.make(signals, |monitor| run(&inputs, &options, &cli.output, monitor))?;
    let product = product.map_err(|error| match error {
        Error::Stopped => Failure::stopped(signals),
        // It may be another of the five.
        Error::Build(sssource::Error::Input(tables::Error::NoColumn { .. })) => Failure::fault(error).hint(
            "the inputs are, in this order: OBS_SBN DIA_SOURCES MPC_ORBITS CURRENT_IDENTIFICATIONS NUMBERED_IDENTIFICATIONS",
        ),
        other => Failure::fault(other),
    })?;
    conclude(product, cli.min_match, cli.common.silent, |product| summary(cli, product, started))
}

/// The inputs with the names of their tables.
fn named(inputs: &Inputs) -> [(&'static str, &Path); 5] {
    [
        ("obs_sbn", &inputs.obs_sbn),
        ("dia_sources", &inputs.dia_sources),
        ("mpc_orbits", &inputs.mpc_orbits),
        ("current_identifications", &inputs.current_identifications),
        ("numbered_identifications", &inputs.numbered_identifications),
    ]
}

/// What was made, in three lines.
fn summary(cli: &Cli, product: &Product, started: Instant) -> String {
    let figure = |name: &str| product.figures.get(name);
    let count = |name: &str| HumanCount(figure(name).and_then(Value::as_u64).unwrap_or(0));
    let number = |name: &str| figure(name).and_then(Value::as_f64);
    let object = figure("shortest_piece_object").and_then(Value::as_str).unwrap_or_default();
    let shortest = number("shortest_piece_days")
        .map_or_else(String::new, |days| format!("; the shortest is {days} d (`{object}`)"));
    let quantiles = number("offset_median_arcsec").zip(number("offset_99_percent_arcsec"));
    let offsets = quantiles.map_or_else(String::new, |(median, most)| {
        let above = count("rows_offset_above_10_arcsec");
        format!("median {median:.3}\", 99 % below {most:.3}\"; {above} detections above 10\"; ")
    });
    // The list of the parts is a file too.
    let parts = cli.part_rows.map_or_else(String::new, |_| format!(" in {} parts", product.files.len() - 1));
    format!(
        "`{}`: {} detections of {} objects, from {} observations; {}{parts} in {:.1} s\n\
         integrated: {} objects over {:.0} years in {} pieces{shortest}\n\
         ephOffset: {offsets}{} without a predicted position",
        if cli.part_rows.is_some() { cli.output.with_extension("json") } else { cli.output.clone() }
            .display(),
        count("rows"),
        count("objects"),
        count("observations"),
        DecimalBytes(product.bytes()),
        started.elapsed().as_secs_f64(),
        count("objects_integrated"),
        number("object_years").unwrap_or(0.0),
        count("pieces"),
        count("rows_without_ephemeris"),
    )
}
