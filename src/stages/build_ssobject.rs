//! The stage `build-ssobject`: three inputs to one sealed file.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Product, memory};
use crate::durable;
use crate::monitor::Monitor;
use crate::parquet;
use crate::parquet::write::{Compression, TableWriter, WriteOptions};
use crate::pipeline::spec::{
    BuildSsObjectSpec, EarthModel, Encodings, FitSpec, G12Bounds, NumberOrNone, OnMissingRow,
};
use crate::ssobject::table::{self, Earth};
use crate::ssobject::{self, SCHEMA, fit};
use crate::threads::compute;

pub use crate::ssobject::table::Inputs;

/// Why the stage did not make its file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that makes no sense.
    #[error("`{option}` is {value}, and must be {wanted}")]
    Option {
        /// The option, as the pipeline file has it.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The table could not be built.
    #[error("cannot build the SSObject table")]
    Build(#[from] ssobject::Error),
    /// The file could not be written.
    #[error("cannot write the SSObject table")]
    Write(#[source] parquet::Error),
    /// The monitor asked for a stop.
    #[error("stopped")]
    Stopped,
}

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How the table is built.
    pub table: table::Options,
    /// How the output is compressed.
    pub compression: Compression,
    /// Whether values are written plainly or in a dictionary only.
    pub plain: bool,
}

impl TryFrom<&BuildSsObjectSpec> for Options {
    type Error = Error;

    fn try_from(spec: &BuildSsObjectSpec) -> Result<Self, Error> {
        let earth = match spec.earth.unwrap_or_default() {
            EarthModel::Secular => Earth::Secular,
            EarthModel::Osculating => Earth::Osculating,
        };
        Ok(Self {
            table: table::Options {
                fit: fit_options(&spec.fit)?,
                earth,
                drop_missing: spec.on_missing == Some(OnMissingRow::Drop),
                memory_bytes: spec.memory.map_or_else(half_of_memory, |size| size.0),
            },
            compression: spec.compression.map(Into::into).unwrap_or_default(),
            plain: Encodings::are_plain(spec.encodings),
        })
    }
}

/// What rows may take unless somebody says otherwise: half of the memory there is, or 4 GiB if that is not known.
fn half_of_memory() -> u64 {
    const UNKNOWN_BYTES: u64 = 8 << 30;
    memory::available().unwrap_or(UNKNOWN_BYTES) / 2
}

/// The options of the fit, with their defaults.
///
/// # Errors
/// [`Error::Option`].
pub fn fit_options(spec: &FitSpec) -> Result<fit::Options, Error> {
    let default = fit::Options::default();
    let must = |option, value: f64, holds: bool, wanted| {
        if holds && value.is_finite() {
            Ok(value)
        } else {
            Err(Error::Option { option, value: value.to_string(), wanted })
        }
    };
    let floor = spec.mag_err_floor.unwrap_or(default.mag_err_floor);
    let clip_sigma = match spec.clip_sigma {
        None => default.clip_sigma,
        Some(NumberOrNone::None(_)) => None,
        Some(NumberOrNone::Number(clip)) => {
            Some(must("clip_sigma", clip, clip > 0.0, "a number above 0, or none")?)
        }
    };
    let g12_bounds = match spec.g12_bounds {
        None => default.g12_bounds,
        Some(G12Bounds::None(_)) => None,
        Some(G12Bounds::Between([low, high])) => {
            if !(low < high && low.is_finite() && high.is_finite()) {
                let wanted = "two numbers, the lower first, or none";
                return Err(Error::Option { option: "g12_bounds", value: format!("{low},{high}"), wanted });
            }
            Some([low, high])
        }
    };
    // Without bounds the fit is plain least squares, with no rule on the span unless one is asked for.
    let span_deg = spec.min_phase_span.unwrap_or(if g12_bounds.is_some() {
        default.min_phase_span_rad.to_degrees()
    } else {
        0.0
    });
    let fiducial = spec.fiducial_g12.unwrap_or(default.fiducial_g12);
    let number = |option, value: f64| must(option, value, true, "a number");
    Ok(fit::Options {
        mag_err_floor: must("mag_err_floor", floor, floor >= 0.0, "a number of 0 or more")?,
        clip_sigma,
        fixed_g12: spec.fixed_g12.map(|g12| number("fixed_g12", g12)).transpose()?,
        fiducial_g12: number("fiducial_g12", fiducial)?,
        min_phase_span_rad: must("min_phase_span", span_deg, span_deg >= 0.0, "a number of 0 or more")?
            .to_radians(),
        g12_bounds,
    })
}

/// Builds the table and seals its file; somebody else publishes it.
///
/// # Errors
/// All of [`Error`]; there is no file then.
pub fn run(inputs: &Inputs, options: &Options, target: &Path, monitor: &Monitor) -> Result<Product, Error> {
    compute(|| build(inputs, options, target, monitor))
}

fn build(inputs: &Inputs, options: &Options, target: &Path, monitor: &Monitor) -> Result<Product, Error> {
    let layout =
        WriteOptions { compression: options.compression, plain: options.plain, ..WriteOptions::default() };
    let mut writer = TableWriter::create(target, SCHEMA.arrow(), &layout).map_err(Error::Write)?;
    let mut sink = |batch| Ok(writer.write(&batch)?);
    // Rows that memory cannot hold go where the output goes, which has room: where a link leads.
    let file = durable::target(target).map_err(|error| Error::Write(error.into()))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let figures = match table::build(inputs, &options.table, folder, monitor, &mut sink) {
        Err(ssobject::Error::Stopped) => return Err(Error::Stopped),
        other => other?,
    };
    let table = writer.seal().map_err(Error::Write)?;
    let named: Map<String, Value> =
        figures.named().into_iter().map(|(name, count)| (name, count.into())).collect();
    Ok(Product {
        table,
        figures: named,
        warnings: figures.warnings(),
        lookups: figures.lookups(),
        evidence: None,
    })
}
