//! `ssp-build-ssobject`: the command line of the SSObject table.

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use indicatif::{DecimalBytes, HumanCount};

use super::conclusion::conclude;
use super::failure::{Exit, Failure};
use super::signals::Signals;
use super::table_flags::TableFlags;
use super::targets;
use super::words::word_of;
use crate::quantity::Share;
use crate::science::photometry::settings::{FitSpec, G12Bounds, NoneWord, NumberOrNone};
use crate::ssobject;
use crate::ssobject::options::Earth;
use crate::stages::Spec as _;
use crate::stages::build_ssobject::{BuildSsObject, Error, Inputs, run};
use crate::stages::build_ssobject::{BuildSsObjectSpec, OnMissingRow};
use crate::stages::{InputRef, Problems, Product};
use crate::tables;

const EXAMPLES: &str = "\
Examples:
  ssp-build-ssobject sssource.parquet dia_sources.parquet mpc_orbits.parquet \\
    --output ssobject.parquet
  ssp-build-ssobject 'ssobservation/*.parquet' - mpc_orbits.parquet --output ssobject.parquet
  ssp-build-ssobject sss/ dia/ orbits/ -o ssobject.parquet --on-missing drop \\
    --hg12-n-sigma-clip none

Each input is a Parquet file, a folder of `*.parquet` files, or a pattern in quotes.
If the SSSource table contains the columns of DiaSource, you do not need the input DIA_SOURCES:
leave out this input, or write `-` in its place.

Exit codes: 0 done, 1 failed, 2 wrong command line, 5 too few matches (`--min-match`),
128 + N stopped by signal N.";

/// Build the SSObject table, which has one row per object. For each of six bands, the table contains H (absolute
/// magnitude) and G12 (slope of the phase curve: brightness against phase angle). The table has other columns too, for
/// example the MOID: the smallest distance between the orbit of the object and the orbit of the Earth.
#[derive(Debug, Parser)]
#[command(
    name = "ssp-build-ssobject",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    override_usage = "ssp-build-ssobject [OPTIONS] --output FILE SSSOURCE [DIA_SOURCES] MPC_ORBITS"
)]
pub(super) struct Cli {
    /// The SSSource table, which links each detection to its object
    sssource: PathBuf,
    /// One or two inputs. If you write two inputs, the first input is the DiaSource table (the measurements), and the
    /// second input is the table of orbits. If you write one input, this input is the table of orbits
    #[arg(required = true, num_args = 1..=2, value_names = ["DIA_SOURCES", "MPC_ORBITS"])]
    others: Vec<PathBuf>,
    /// The Parquet file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Error floor in magnitudes. The fit uses sqrt(error^2 + floor^2) as the error of each magnitude [default: 0.05]
    #[arg(long, alias = "hg12MagSigmaFloor", value_name = "MAG", allow_negative_numbers = true)]
    hg12_mag_sigma_floor: Option<f64>,
    /// Leave out each point whose distance from the curve of a robust fit is at least N times the error of the point (N
    /// sigma). A point is the magnitude of one detection. A robust fit is a fit that outliers hardly change. With
    /// `none`, use all points [default: 10]
    #[arg(long, alias = "hg12NSigmaClip", value_name = "N|none", allow_negative_numbers = true, value_parser = number_or_none)]
    hg12_n_sigma_clip: Option<NumberOrNone>,
    /// Use this value as G12, and fit only H. With `none`, fit H and G12 [default: `none`]
    #[arg(long, alias = "hg12FixedG12", value_name = "G12|none", allow_negative_numbers = true, value_parser = number_or_none)]
    hg12_fixed_g12: Option<NumberOrNone>,
    /// Use this value as G12 in each band in which the program cannot fit G12 [default: 0.5]
    #[arg(long, alias = "hg12FiducialG12", value_name = "G12", allow_negative_numbers = true)]
    hg12_fiducial_g12: Option<f64>,
    /// Fit G12 in a band only if the range of the phase angles in this band is at least this value, in degrees. A phase
    /// angle is the angle at the object between the Sun and the observer [default: 2; with `--hg12-g12-bounds none`: 0]
    #[arg(long, alias = "hg12MinPhaseSpan", value_name = "DEG", allow_negative_numbers = true)]
    hg12_min_phase_span: Option<f64>,
    /// Lowest and highest allowed value of G12. With `none`, every value is allowed, and the fit uses plain least
    /// squares [default: 0,1]
    #[arg(long, alias = "hg12G12Bounds", value_name = "LOW,HIGH|none", allow_hyphen_values = true, value_parser = bounds_or_none)]
    hg12_g12_bounds: Option<G12Bounds>,
    /// The orbit of the Earth that the program uses for the MOID. `osculating`: the momentary orbit of the Earth at the
    /// epoch of the object's orbit. This orbit comes from JPL's ephemeris DE440, for epochs in the years 2000 to 2050.
    /// MOIDs with `osculating` agree with the MOIDs of JPL within 5e-10 au. `secular`: the mean orbit of the Earth and
    /// the slow changes of this orbit, for any epoch. MOIDs with `secular` have errors of up to 1.7e-3 au [default:
    /// `osculating`]
    #[arg(long, value_name = "MODEL", value_parser = word_of::<Earth>())]
    earth: Option<Earth>,
    /// How to treat SSSource rows whose detection is missing in DiaSource. `error`: print the number of these rows and
    /// some examples, and write no output. `drop`: leave these rows out, and print their number [default: `error`]
    #[arg(long, alias = "onMissing", value_name = "WHAT", value_parser = word_of::<OnMissingRow>())]
    on_missing: Option<OnMissingRow>,
    /// Minimum share of matches, for example 90%. The program checks the shares of: SSSource rows with an object,
    /// SSSource rows whose detection is in DiaSource, and detections in the six bands. The program also checks the
    /// shares of objects with an orbit, and of complete orbits. If one of these shares is smaller than the minimum, the
    /// program fails with exit code 5. The program also fails if it cannot use any detection for H and G12. Without
    /// this flag, a share below 50% causes only a warning
    #[arg(long, value_name = "SHARE")]
    min_match: Option<Share>,
    #[command(flatten)]
    common: TableFlags,
}

/// A number, or the word `none`.
fn number_or_none(text: &str) -> Result<NumberOrNone, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(NumberOrNone::None(NoneWord::None));
    }
    text.parse().map(NumberOrNone::Number).map_err(|error: std::num::ParseFloatError| error.to_string())
}

/// Two numbers with a comma between them, or the word `none`.
fn bounds_or_none(text: &str) -> Result<G12Bounds, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(G12Bounds::None(NoneWord::None));
    }
    let numbers: Vec<f64> = text.split(',').map_while(|number| number.trim().parse().ok()).collect();
    match numbers[..] {
        [low, high] if text.split(',').count() == 2 => Ok(G12Bounds::Between([low, high])),
        _ => Err("write two numbers with a comma between them, such as 0,1, or the word none".to_owned()),
    }
}

impl Cli {
    /// Whether errors should come with their backtrace.
    pub(super) fn reraise(&self) -> bool {
        self.common.reraise
    }

    fn inputs(&self) -> Inputs {
        let given = |path: &PathBuf| (path.as_os_str() != "-").then(|| path.clone());
        let (dia_sources, mpc_orbits) = match &self.others[..] {
            [dia_sources, mpc_orbits] => (given(dia_sources), mpc_orbits.clone()),
            others => (None, others.first().cloned().unwrap_or_default()),
        };
        Inputs { sssource: self.sssource.clone(), dia_sources, mpc_orbits }
    }

    fn options(&self) -> anyhow::Result<BuildSsObject> {
        let spec = BuildSsObjectSpec {
            sssource: InputRef::default(),
            dia_sources: None,
            mpc_orbits: InputRef::default(),
            fit: FitSpec {
                mag_err_floor: self.hg12_mag_sigma_floor,
                clip_sigma: self.hg12_n_sigma_clip,
                fixed_g12: match self.hg12_fixed_g12 {
                    Some(NumberOrNone::Number(g12)) => Some(g12),
                    Some(NumberOrNone::None(_)) | None => None,
                },
                fiducial_g12: self.hg12_fiducial_g12,
                min_phase_span: self.hg12_min_phase_span,
                g12_bounds: self.hg12_g12_bounds,
            },
            earth: self.earth,
            on_missing: self.on_missing,
            compression: Some(self.common.compression),
            encodings: self.common.encodings,
            memory: self.common.memory,
        };
        spec.checked().map_err(|problems| in_flags(&problems))
    }
}

/// The flag of a setting.
fn flag(setting: &str) -> &str {
    match setting {
        "mag_err_floor" => "--hg12-mag-sigma-floor",
        "clip_sigma" => "--hg12-n-sigma-clip",
        "fixed_g12" => "--hg12-fixed-g12",
        "fiducial_g12" => "--hg12-fiducial-g12",
        "min_phase_span" => "--hg12-min-phase-span",
        "g12_bounds" => "--hg12-g12-bounds",
        other => other,
    }
}

/// The problems of settings, under the names that they have here.
fn in_flags(problems: &Problems) -> anyhow::Error {
    let messages = problems.list.iter().map(|problem| {
        let setting = problem.path.last().copied().unwrap_or_default();
        problem.message.replace(&format!("`{setting}`"), &format!("`{}`", flag(setting)))
    });
    anyhow::anyhow!(messages.collect::<Vec<_>>().join("; "))
}

/// Does what the command line says.
pub(super) fn execute(cli: &Cli, signals: &Signals) -> Result<Exit, Failure> {
    let started = Instant::now();
    let options = cli.options().map_err(Failure::usage)?;
    let inputs = cli.inputs();
    let others = [("SSSource", Some(&inputs.sssource)), ("DiaSource", inputs.dia_sources.as_ref())];
    let others = others.into_iter().chain([("mpc_orbits", Some(&inputs.mpc_orbits))]);
    targets::check_output(&cli.output, others.filter_map(|(table, path)| Some((table, path?.as_path()))))?;
    let product = cli.common.make(signals, |monitor| run(&inputs, &options, &cli.output, monitor))?;
    let product = product.map_err(|error| match error {
        Error::Stopped => Failure::stopped(signals),
        // It may be another of the three.
        Error::Build(ssobject::Error::Input(tables::Error::NoColumn { .. })) => {
            Failure::fault(error).hint("the inputs are, in this order: SSSOURCE [DIA_SOURCES] MPC_ORBITS")
        }
        other => Failure::fault(other),
    })?;
    conclude(product, cli.min_match, cli.common.silent, |product| summary(cli, product, started))
}

/// What was made, in three lines.
fn summary(cli: &Cli, product: &Product, started: Instant) -> String {
    let count =
        |name: &str| HumanCount(product.figures.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0));
    let reasons: Vec<String> = product
        .figures
        .keys()
        .filter_map(|name| name.strip_prefix("fits_failed_"))
        .map(|reason| format!("{reason} {}", count(&format!("fits_failed_{reason}"))))
        .collect();
    format!(
        "`{}`: {} objects of {} detections; {} in {:.1} s\n\
         slopes fitted in {} of {} bands; {} failed ({})\n\
         objects without an orbit: {}; MOIDs in doubt: {}",
        cli.output.display(),
        count("objects"),
        count("detections"),
        DecimalBytes(product.bytes()),
        started.elapsed().as_secs_f64(),
        count("fits"),
        count("bands"),
        count("fits_failed"),
        reasons.join(", "),
        count("objects_without_orbit"),
        count("moids_in_doubt"),
    )
}
